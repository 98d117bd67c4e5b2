//! API keys, kept only as a hash, with permissions; and the registry of these and other keys.
//!
//! | what leaks | what it opens |
//! |---|---|
//! | the database | nothing: it holds SHA-256 of 32 random bytes and a public key |
//! | a log, a metric, a decision | nothing: none holds a key |
//! | a request that carries the key as itself | what the key opens, until it is revoked: *bearer-class* |
//! | a request that is signed with the key | nothing |

mod client;
mod kind;
mod record;
mod registered;
mod registry;
pub mod signer;
pub mod wire;

use std::sync::Arc;

use http::HeaderName;
use http::header::AUTHORIZATION;

use crate::authorization::Authorization;
use crate::crypto::{equal, sha256};
use crate::denial::{Challenge, Code, Denial};
use crate::principal::{Principal, Scheme, Subject};
use crate::request::{BodySource, Carrier, RequestView};
use crate::store::{Store, StoreError};
use crate::time::Timestamp;
use crate::verifier::{Proven, Verifier};

pub use kind::{KeyKind, KeyUnavailable};
pub use record::{DERIVATION, KEY_USE, KEYS, KeyRecord, KeyTerms, Lapsed, MintRights};
pub use registry::{KeyRegistry, LastUses, RegistryError};
pub use wire::{ApiKey, KeyFormatError};

/// The header that carries a key where `Authorization` is taken.
pub const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// The query parameter that carries a key on routes that say `key_in_query = true`.
pub const KEY_PARAMETER: &str = "_key";

/// Verifies API keys that are sent as themselves.
pub struct ApiKeyVerifier<S> {
    store: S,
    uses: Arc<LastUses>,
    in_query: bool,
}

impl<S: Store> ApiKeyVerifier<S> {
    /// A verifier of the keys in `store` that notes their uses in `uses`.
    pub const fn new(store: S, uses: Arc<LastUses>) -> Self {
        Self { store, uses, in_query: false }
    }

    /// The same, also reading keys from the query.
    #[must_use]
    pub const fn also_in_query(mut self, in_query: bool) -> Self {
        self.in_query = in_query;
        self
    }
}

impl<S: Store> Verifier for ApiKeyVerifier<S> {
    type Credential = ApiKey;

    fn scheme(&self) -> Scheme {
        Scheme::ApiKey
    }

    fn carriers(&self) -> Vec<Carrier> {
        let mut carriers = vec![Carrier::Header(AUTHORIZATION), Carrier::Header(X_API_KEY)];
        if self.in_query {
            carriers.push(Carrier::Parameter(KEY_PARAMETER));
        }
        carriers
    }

    fn extract(&self, request: &RequestView<'_>) -> Result<Option<ApiKey>, Denial> {
        let in_authorization = match Authorization::of(request)? {
            Authorization::ApiKey(key) => Some(key),
            _ => None,
        };
        let in_header = request.single_header(&X_API_KEY)?;
        let in_query = if self.in_query { request.single_parameter(KEY_PARAMETER)? } else { None };
        let mut presented = [in_authorization, in_header, in_query].into_iter().flatten();
        let Some(key) = presented.next() else { return Ok(None) };
        if presented.next().is_some() {
            return Err(Denial::new(Code::CredentialAmbiguous, "an API key is there in two places"));
        }
        ApiKey::parse(key).map(Some).map_err(|error| Denial::new(Code::KeyInvalid, error.to_string()))
    }

    /// It is good until it is revoked or expires, however often it is sent.
    fn needs_order(&self, _credential: &ApiKey, _request: &RequestView<'_>) -> bool {
        false
    }

    async fn verify(
        &self,
        credential: ApiKey,
        request: &RequestView<'_>,
        _body: &mut dyn BodySource,
    ) -> Result<Proven, Denial> {
        let invalid = |cause: String| Denial::new(Code::KeyInvalid, cause);
        let id = credential.id;
        let record = self.store.get(KEYS, KeyRecord::place(id)).await?;
        let record = record.map(|bytes| KeyRecord::decode(&bytes)).transpose()?;
        // One hash and one comparison whether or not there is such an API key.
        let digest = sha256(credential.secret.expose());
        let known = record.as_ref().and_then(|record| record.kind.secret_digest());
        let same = equal(&digest, known.unwrap_or(&[0; 32]));
        let (is_api_key, Some(record)) = (known.is_some(), record) else {
            return Err(invalid(format!("no key is called {id}")));
        };
        if !is_api_key {
            return Err(invalid(format!("{id} is {}, which is never sent", record.kind.in_words())));
        }
        if !same {
            return Err(invalid(format!("not the secret of {id}")));
        }
        if let Some(lapsed) = record.lapsed(request.received_at) {
            let denial = invalid(format!("{id} is {}", lapsed.as_str()));
            return Err(match (lapsed, record.terms.expires) {
                (Lapsed::Expired, Some(end)) => denial.ended_at(end),
                _ => denial,
            });
        }
        if record.terms.signed_only {
            return Err(invalid(format!("{id} may sign, and is not to be sent as itself")));
        }
        let mut principal = Principal::vouch_for(Subject::Key(id));
        principal.permissions = record.granted();
        principal.expires = record.terms.expires;
        let notes = vec![LastUses::noting(&self.uses, id, request.received_at)];
        Ok(Proven { notes, ..Proven::outright(principal) })
    }

    fn challenge(&self) -> Option<Challenge> {
        Some(Challenge::new("Bearer realm=\"api-key\""))
    }

    async fn still_holds(&self, principal: &Principal, now: Timestamp) -> Result<bool, StoreError> {
        let Subject::Key(id) = principal.subject else { return Ok(false) };
        let Some(bytes) = self.store.get(KEYS, KeyRecord::place(id)).await? else { return Ok(false) };
        Ok(KeyRecord::decode(&bytes)?.lapsed(now).is_none())
    }
}
