//! Tokens that we issue: what `bearer` and `callback-url` verify.
//!
//! [`Issuer`] is an OAuth 2.0 authorization server without a login page: whoever asks for a token shows a
//! message that it signed, by private_key_jwt and RFC 7523 or by EIP-4361. A token's subject is the key's own
//! name, so that a request can be signed by the very key that its token is about.
//!
//! | what leaks | what it opens |
//! |---|---|
//! | the database | nothing: private keys are sealed, refresh tokens are hashes |
//! | an access token that is bound to a DPoP key, or used beside a signature | nothing, without the key |
//! | an access token bound to nothing | what it opens, for 5 minutes: *bearer-class* |
//! | an ID token | nothing: it is for its client |
//! | a refresh token | nothing: it needs the client's key or the DPoP key; shown twice, it ends its family |
//! | a client's assertion, a signed EIP-4361 message that has arrived | nothing: each is spent |
//! | one that never arrives | a token for its subject, until it expires (5 or 10 minutes); none where it names the DPoP key |
//! | a nonce | nothing: it is no secret |

mod assertion;
pub mod clients;
mod error;
mod form;
mod grants;
pub mod keyring;
mod mac;
pub mod metadata;
mod refresh;
mod revocation;
pub mod siwe;
mod subjects;
mod tokens;
mod upkeep;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

pub use assertion::LONGEST_LIFE as LONGEST_ASSERTION;
pub use error::{ErrorCode, OAuthError};
pub use form::LONGEST_BODY;
pub use grants::{CLIENT_CREDENTIALS, Issued, JWT_BEARER, REFRESH_TOKEN, SIWE};
pub(crate) use refresh::CHARACTERS as REFRESH_CHARACTERS;
pub use refresh::{FAMILIES, LONGEST_LIFE as LONGEST_REFRESH, PREFIX as REFRESH_PREFIX};
pub use revocation::{REVOKED, Revocations};
pub use subjects::{KeyName, KeyNameError, SUBJECTS, SubjectChange, SubjectError, SubjectRecord, Subjects};
pub use tokens::{ACCESS_TOKEN, ID_TOKEN};

use assertion::{Asserted, AssertedFor, Audiences};
use clients::Clients;
use form::Form;
use keyring::{Keyring, Keys};
use mac::Marks;
use refresh::Families;

use crate::crypto::ethereum::Address;
use crate::crypto::{Random, Secret};
use crate::denial::{Code, Denial};
use crate::dpop::{Dpop, Possession, Proof};
use crate::public_url::PublicUrl;
use crate::request::RequestView;
use crate::store::{Spend, Spent, Store};
use crate::time::Timestamp;

/// Which wallets may sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wallets {
    /// These.
    Listed(BTreeSet<Address>),
    /// Whoever makes one: anybody.
    Any,
}

impl Wallets {
    fn contain(&self, address: &Address) -> bool {
        match self {
            Self::Listed(addresses) => addresses.contains(address),
            Self::Any => true,
        }
    }
}

/// What an issuer is told.
pub struct IssuerTerms {
    /// The issuer identifier, and the base of its endpoints.
    pub public_url: PublicUrl,
    /// What access tokens are for.
    pub audience: String,
    /// How long access and ID tokens live.
    pub access_life: Duration,
    /// How long a family of refresh tokens lives, however often it is used.
    pub refresh_life: Duration,
    /// Who may ask.
    pub clients: Clients,
    /// Which wallets may sign in.
    pub wallets: Wallets,
}

/// Issues tokens.
pub struct Issuer<S> {
    store: S,
    keyring: Arc<Keyring<S>>,
    subjects: Subjects<S>,
    revocations: Revocations<S>,
    dpop: Arc<Dpop>,
    random: Arc<dyn Random>,
    marks: Marks,
    issuer: String,
    ours: Audiences,
    terms: IssuerTerms,
}

impl<S: Store + Clone> Issuer<S> {
    /// An issuer that keeps what it must remember in `store`, and signs with `keyring`. All gateways on one
    /// store have the same `secret`, by which nonces and refresh tokens are known again.
    #[must_use]
    pub fn new(
        store: S,
        keyring: Arc<Keyring<S>>,
        dpop: Arc<Dpop>,
        random: Arc<dyn Random>,
        secret: &Secret<[u8; 32]>,
        terms: IssuerTerms,
    ) -> Self {
        let issuer = terms.public_url.to_string();
        let ours =
            Audiences { issuer: issuer.clone(), token_endpoint: format!("{issuer}{}", metadata::TOKEN) };
        let (subjects, revocations) = (Subjects::new(store.clone()), Revocations::new(store.clone()));
        let marks = Marks::new(secret);
        Self { store, keyring, subjects, revocations, dpop, random, marks, issuer, ours, terms }
    }
}

impl<S: Store> Issuer<S> {
    /// The discovery document.
    #[must_use]
    pub fn metadata(&self) -> Value {
        metadata::document(&self.issuer, self.terms.clients.scopes().into_iter())
    }

    /// The keys that verify our tokens, for whoever publishes them: made where they are not there yet.
    ///
    /// # Errors
    /// `store_unavailable`, `keys_unavailable`.
    pub async fn keys(&self, now: Timestamp) -> Result<Arc<Keys>, Denial> {
        self.keyring.keys(now).await
    }

    /// The same, for whoever verifies: see [`Keyring::look`].
    ///
    /// # Errors
    /// `store_unavailable`, `keys_unavailable`.
    pub async fn look(&self, now: Timestamp) -> Result<Option<Arc<Keys>>, Denial> {
        self.keyring.look(now).await
    }

    /// Publishes the next signing key; it signs when it has been published for long enough.
    ///
    /// # Errors
    /// `store_unavailable`, `keys_unavailable`.
    pub async fn rotate(&self, now: Timestamp) -> Result<Arc<Keys>, Denial> {
        self.keyring.rotate(now).await
    }

    /// A nonce for an EIP-4361 message, good for 10 minutes and one use. Making one remembers nothing.
    #[must_use]
    pub fn nonce(&self, now: Timestamp) -> String {
        siwe::Nonces(&self.marks).make(now, &*self.random)
    }

    /// The judge of DPoP proofs at our endpoints, for the nonces that answers carry.
    #[must_use]
    pub fn dpop(&self) -> &Dpop {
        &self.dpop
    }

    /// The tokens that were ended before their time, for whoever verifies ours.
    #[must_use]
    pub const fn revocations(&self) -> &Revocations<S> {
        &self.revocations
    }

    fn families(&self) -> Families<'_, S> {
        Families { store: &self.store, marks: &self.marks, random: &*self.random }
    }

    /// Who asks, by private_key_jwt (RFC 7523 §2.2); `None`: nobody says so. Nothing is spent.
    async fn authenticate(
        &self,
        form: &Form,
        request: &RequestView<'_>,
    ) -> Result<Option<Asserted>, OAuthError> {
        const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        let refused = |cause: &'static str| OAuthError::new(ErrorCode::InvalidClient, cause);
        if request.headers.contains_key(http::header::AUTHORIZATION) {
            return Err(refused("clients do not authenticate in Authorization").challenging());
        }
        if form.get("client_secret").is_some() {
            return Err(refused("no client has a secret here"));
        }
        let assertion = match (form.get("client_assertion_type"), form.get("client_assertion")) {
            (None, None) => return Ok(None),
            (Some(TYPE), Some(assertion)) => assertion,
            (Some(_), Some(_)) => return Err(refused("client_assertion_type is another than RFC 7523's")),
            _ => {
                let cause = "one of client_assertion and client_assertion_type is missing";
                return Err(OAuthError::new(ErrorCode::InvalidRequest, cause));
            }
        };
        let asserted = self.assertion(assertion, AssertedFor::Authentication, request).await?;
        match form.get("client_id") {
            Some(id) if id != asserted.client.id => Err(refused("client_id is not the assertion's client")),
            _ => Ok(Some(asserted)),
        }
    }

    async fn assertion(
        &self,
        assertion: &str,
        asserted_for: AssertedFor,
        request: &RequestView<'_>,
    ) -> Result<Asserted, OAuthError> {
        let code = match asserted_for {
            AssertedFor::Authentication => ErrorCode::InvalidClient,
            AssertedFor::Grant => ErrorCode::InvalidGrant,
        };
        let now = request.received_at;
        let judged = assertion::judge(assertion, asserted_for, &self.ours, &self.terms.clients, now).await;
        judged.map_err(|denial| OAuthError::of(code, denial))
    }

    /// The key that a DPoP proof shows, if there is a proof. Nothing is spent.
    fn possession(&self, request: &RequestView<'_>) -> Result<Option<Possession>, OAuthError> {
        let Some(proof) = Proof::of(request).map_err(OAuthError::of_dpop)? else { return Ok(None) };
        self.dpop.verify(proof, None, request).map(Some).map_err(OAuthError::of_dpop)
    }

    /// Spends what was shown; `code` is the error of what has been spent before.
    async fn spend(&self, spend: Spend, code: ErrorCode) -> Result<(), OAuthError> {
        match self.store.spend(spend).await? {
            Spent::Once => Ok(()),
            Spent::Replayed => Err(OAuthError::new(code, "it has been used")),
            Spent::PredatesBoot(wait) => {
                let denial = Denial::new(Code::ProofPredatesBoot, "made before the ledger lost its memory");
                Err(OAuthError::of(code, denial.retry_after(wait)))
            }
        }
    }
}
