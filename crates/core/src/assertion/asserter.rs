//! Making assertions.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;

use super::claims::Written;
use super::recent::Recent;
use super::statement::Statement;
use super::{LONGEST, TYPE};
use crate::crypto::{Algorithm, Random, SealKey};
use crate::denial::{Code, Denial};
use crate::issuer::keyring::{Keyring, KeyringTerms, Keys};
use crate::store::Store;
use crate::time::Timestamp;

/// Upstreams may keep the public keys for some minutes (the gateway says five) and must know the next one by
/// then; nothing that a key signs lives longer than a minute.
const TERMS: KeyringTerms = KeyringTerms {
    purpose: "assertion",
    algorithm: Algorithm::Ed25519,
    rotate_every: Duration::from_secs(30 * 24 * 3600),
    publish_before: Duration::from_secs(3600),
    retain: Duration::from_secs(3600),
};

/// Makes assertions with the keys of a keyring.
pub struct Asserter<S> {
    keyring: Keyring<S>,
    recent: Recent,
}

/// Neither keys nor what they signed.
impl<S> fmt::Debug for Asserter<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asserter").finish_non_exhaustive()
    }
}

impl<S: Store> Asserter<S> {
    /// An asserter whose keys are in `store`, sealed with `seal`: made when they are first needed, and rotated
    /// every 30 days.
    #[must_use]
    pub fn new(store: S, seal: SealKey, random: Arc<dyn Random>) -> Self {
        Self { keyring: Keyring::new(store, seal, random, TERMS), recent: Recent::default() }
    }

    /// The keys at `now`: the public ones are what upstreams verify by.
    ///
    /// # Errors
    /// `store_unavailable`, `keys_unavailable`.
    pub async fn keys(&self, now: Timestamp) -> Result<Arc<Keys>, Denial> {
        self.keyring.keys(now).await
    }

    #[cfg(test)]
    pub(super) const fn keyring_for_tests(&self) -> &Keyring<S> {
        &self.keyring
    }

    /// The value of `Countersign-Assertion` for a request. The same statement may get the same assertion for
    /// half a minute; one about a body is signed each time.
    ///
    /// # Errors
    /// `store_unavailable`, `keys_unavailable`; `headers_too_large` beyond [`LONGEST`].
    pub async fn assert(&self, statement: &Statement<'_>, now: Timestamp) -> Result<HeaderValue, Denial> {
        let keys = self.keyring.keys(now).await?;
        let written = Written::new(statement);
        let mut said = None;
        if statement.body.is_none_or(<[u8]>::is_empty) {
            let json = serde_json::to_vec(&(keys.signing_kid(), &written)).map_err(|_| unsigned())?;
            if let Some(value) = self.recent.get(&json, now) {
                return Ok(value);
            }
            said = Some(json);
        }
        let token = keys.sign(TYPE, &written.at(now)).ok_or_else(unsigned)?;
        if token.len() > LONGEST {
            let cause = format!("its assertion would be longer than {LONGEST} bytes");
            return Err(Denial::new(Code::HeadersTooLarge, cause));
        }
        let mut value = HeaderValue::try_from(token).map_err(|_| unsigned())?;
        // No log of an HTTP library shows it.
        value.set_sensitive(true);
        if let Some(said) = said {
            self.recent.keep(said, now, &value);
        }
        Ok(value)
    }
}

fn unsigned() -> Denial {
    Denial::new(Code::KeysUnavailable, "an assertion could not be signed")
}
