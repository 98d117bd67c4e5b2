//! Where an issuer's keys come from, and which of them a token may mean.

use std::sync::Arc;
use std::time::Duration;

use http::Uri;

use super::discovery;
use super::in_process::OwnIssuer;
use super::key_set::{Candidates, KeySet};
use crate::crypto::jwt::JwtAlgorithm;
use crate::denial::{Code, Denial};
use crate::fetch::Fetch;
use crate::remote_keys::{NoKeys, Pace, Published, RemoteKeys};
use crate::request::RequestView;

/// An issuer may begin to sign with a new key at any moment, and keys that are gone must not count for long, whatever
/// their answer says.
const PACE: Pace = Pace {
    longest_life: Duration::from_secs(3600),
    stale: Duration::from_secs(24 * 3600),
    unknown: Duration::from_secs(30),
};

/// Where the keys of an issuer come from.
#[derive(Clone)]
pub enum KeySource {
    /// From where its metadata says.
    Discovered,
    /// From this URL, which the operator wrote.
    At(Uri),
    /// These, read once: from a file, or a shared secret.
    Fixed(Arc<KeySet>),
    /// From the issuer in this very process: nobody is dialled.
    InProcess(Arc<dyn OwnIssuer>),
}

/// The keys of one issuer, as they were last had.
pub(super) struct IssuerKeys {
    issuer: String,
    source: KeySource,
    remote: RemoteKeys<Listed>,
}

/// What an issuer publishes.
struct Listed {
    /// Where, by its metadata.
    place: Uri,
    keys: Arc<KeySet>,
}

impl IssuerKeys {
    pub(super) fn new(issuer: String, source: KeySource) -> Self {
        let remote = RemoteKeys::new(format!("the keys of {issuer}"), PACE);
        Self { issuer, source, remote }
    }

    /// Whether these are the keys of the same issuer from the same place on the network: then what is
    /// remembered of them outlives a new configuration.
    pub(super) fn is_of(&self, issuer: &str, source: &KeySource) -> bool {
        self.issuer == issuer
            && match (&self.source, source) {
                (KeySource::Discovered, KeySource::Discovered) => true,
                (KeySource::At(one), KeySource::At(other)) => one == other,
                _ => false,
            }
    }

    /// The keys that a token may mean. The issuer is asked where what is known will not do: one request asks at
    /// a time, the others wait, or take the keys that were there before.
    ///
    /// # Errors
    /// `token_invalid` if there are no such keys; `keys_unavailable` if nobody can know.
    pub(super) async fn find(
        &self,
        wanted: Wanted<'_>,
        request: &RequestView<'_>,
        fetch: &impl Fetch,
    ) -> Result<Meant, Denial> {
        let now = request.received_at;
        match &self.source {
            KeySource::Fixed(keys) => return self.only(wanted, keys),
            KeySource::InProcess(issuer) => return self.only(wanted, &issuer.keys(now).await?),
            KeySource::Discovered | KeySource::At(_) => {}
        }
        if wanted.algorithm == JwtAlgorithm::Hs256 {
            // Published keys are no secrets: nobody need be asked.
            return Err(self.invalid("it shares no secret with us"));
        }
        let knows = |listed: &Listed| wanted.is_known_to(&listed.keys);
        let listed = self.remote.having(knows, now, |known| self.ask(known, fetch)).await?;
        self.only(wanted, &listed.keys)
    }

    /// Whether its issuer took a token back before its time: known of an issuer in this process alone.
    ///
    /// # Errors
    /// `token_invalid` if it was; `store_unavailable` if nobody can know.
    pub(super) async fn check_revoked(&self, jti: Option<&str>) -> Result<(), Denial> {
        let (KeySource::InProcess(issuer), Some(jti)) = (&self.source, jti) else { return Ok(()) };
        if issuer.is_revoked(jti).await? {
            return Err(self.invalid("it revoked this token"));
        }
        Ok(())
    }

    fn only(&self, wanted: Wanted<'_>, keys: &Arc<KeySet>) -> Result<Meant, Denial> {
        wanted.among(keys).ok_or_else(|| {
            let found = keys.find(wanted.kid, wanted.algorithm);
            self.invalid(&match found.is_empty() {
                true => keys.why_none(wanted.kid, wanted.algorithm),
                false => keys.why_in_vain(wanted.kid, &found),
            })
        })
    }

    fn invalid(&self, why: &str) -> Denial {
        Denial::new(Code::TokenInvalid, format!("{}: {why}", self.issuer))
    }

    async fn ask(&self, known: Option<Arc<Listed>>, fetch: &impl Fetch) -> Result<Published<Listed>, NoKeys> {
        let (place, by_operator) = match (&self.source, known) {
            (KeySource::At(place), _) => (place.clone(), true),
            (_, Some(known)) => (known.place.clone(), false),
            (_, None) => (discovery::discover(&self.issuer, fetch).await?, false),
        };
        let (keys, life) = discovery::keys(&place, &self.issuer, by_operator, fetch).await?;
        Ok(Published { keys: Listed { place, keys: Arc::new(keys) }, life })
    }
}

/// What a token says of the key that signed it.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) kid: Option<&'a str>,
    pub(super) algorithm: JwtAlgorithm,
    /// The set of which no key signed it, nor has its very name: one of a newer set may.
    pub(super) in_vain: Option<&'a Arc<KeySet>>,
}

/// The keys that a token may mean, and the set that they are of.
pub(super) struct Meant {
    pub(super) keys: Candidates,
    pub(super) set: Arc<KeySet>,
}

impl Wanted<'_> {
    fn among(self, set: &Arc<KeySet>) -> Option<Meant> {
        if self.was_in_vain(set) {
            return None;
        }
        let keys = set.find(self.kid, self.algorithm);
        (!keys.is_empty()).then(|| Meant { keys, set: set.clone() })
    }

    /// Whether asking again could not tell more: another algorithm stays another.
    fn is_known_to(self, set: &Arc<KeySet>) -> bool {
        set.has(self.kid) && !self.was_in_vain(set)
    }

    fn was_in_vain(self, set: &Arc<KeySet>) -> bool {
        self.in_vain.is_some_and(|tried| Arc::ptr_eq(tried, set))
    }
}
