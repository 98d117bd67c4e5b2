//! The keys of callbacks. They are published nowhere, for nobody but us reads what they sign.

use std::time::Duration;

use crate::crypto::jwt::{Claims, Jwt, JwtHeader, JwtKey, sign};
use crate::crypto::{Algorithm, KeyError, Secret, SigningKey};
use crate::denial::{Code, Denial};
use crate::issuer::keyring::{Keyring, KeyringTerms};
use crate::store::Store;
use crate::time::{SKEW, Timestamp};

use super::wire::{CallbackClaims, TYPE};

/// How long a key signs.
const ROTATE_EVERY: Duration = Duration::from_secs(30 * 86_400);
/// How long before that every process on the store can know it: longer than any of them keeps a copy.
const PUBLISH_BEFORE: Duration = Duration::from_secs(60);

/// What signs and verifies callbacks: a keyring of our own (EdDSA), a secret that an application shares with
/// us (HS256), or both.
pub struct CallbackKeys<S> {
    keyring: Option<Keyring<S>>,
    shared: Option<(SigningKey, JwtKey)>,
}

impl<S: Store> CallbackKeys<S> {
    /// Keys of our own.
    #[must_use]
    pub const fn rotating(keyring: Keyring<S>) -> Self {
        Self { keyring: Some(keyring), shared: None }
    }

    /// A secret of 32 to 4096 bytes alone. Its tokens name no key.
    ///
    /// # Errors
    /// [`KeyError::SecretLength`].
    pub fn shared(secret: &Secret<Vec<u8>>) -> Result<Self, KeyError> {
        Self { keyring: None, shared: None }.and_shared(secret)
    }

    /// The same keys, and tokens that were made with this secret.
    ///
    /// # Errors
    /// [`KeyError::SecretLength`].
    pub fn and_shared(mut self, secret: &Secret<Vec<u8>>) -> Result<Self, KeyError> {
        let key = SigningKey::from_hmac_secret(secret)?;
        let verifying = JwtKey::from(key.verifying_key().clone());
        self.shared = Some((key, verifying));
        Ok(self)
    }

    /// The claims of a token, if a key of callbacks signed it. Its `kid` chooses among these keys alone, and
    /// each key has one algorithm; without a `kid` it is the shared secret's, if there is one.
    ///
    /// # Errors
    /// `token_invalid`; what the keyring's store says.
    pub(super) async fn verify<'t>(&self, jwt: &Jwt<'t>, now: Timestamp) -> Result<Claims<'t>, Denial> {
        let claims = match (jwt.key_id(), &self.keyring, &self.shared) {
            (Some(kid), Some(keyring), _) => {
                let keys = keyring.look(now).await?;
                let key = keys.as_ref().and_then(|keys| keys.find(kid));
                jwt.verify(key.ok_or_else(|| invalid("no callback key is called as the token says"))?)
            }
            (None, _, Some((_, key))) => jwt.verify(key),
            (Some(_), None, _) => {
                return Err(invalid("the token names a key, and callbacks have a secret here"));
            }
            (None, _, None) => return Err(invalid("the token names no key")),
        };
        claims.map_err(|error| invalid(error.to_string()))
    }

    /// A token over `claims`.
    ///
    /// # Errors
    /// `keys_unavailable`; what the keyring's store says.
    pub(super) async fn sign(
        &self,
        claims: &CallbackClaims,
        now: Timestamp,
    ) -> Result<Secret<String>, Denial> {
        let token = match (&self.keyring, &self.shared) {
            (Some(keyring), _) => keyring.keys(now).await?.sign(TYPE, claims),
            (None, Some((key, _))) => {
                sign(key, &JwtHeader { typ: Some(TYPE), ..JwtHeader::default() }, claims)
            }
            (None, None) => None,
        };
        token.map(Secret::new).ok_or_else(|| Denial::new(Code::KeysUnavailable, "no key signed the callback"))
    }
}

fn invalid(cause: impl Into<std::borrow::Cow<'static, str>>) -> Denial {
    Denial::new(Code::TokenInvalid, cause)
}

/// What a keyring of callbacks is made with, where none of them lives longer than `longest`.
#[must_use]
pub fn keyring_terms(longest: Duration) -> KeyringTerms {
    KeyringTerms {
        purpose: "callback",
        algorithm: Algorithm::Ed25519,
        rotate_every: ROTATE_EVERY,
        publish_before: PUBLISH_BEFORE,
        retain: longest.saturating_add(SKEW).saturating_add(PUBLISH_BEFORE),
    }
}
