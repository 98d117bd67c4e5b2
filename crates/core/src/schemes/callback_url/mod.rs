//! Callback URLs: a URL that opens one thing, once, for a while, so that a service which cannot sign can send
//! back a result.
//!
//! | what leaks | what it opens |
//! |---|---|
//! | a callback URL that was used, has ended or was revoked | nothing |
//! | a callback URL before that | one delivery to its one resource, until it ends: *bearer-class* |
//! | a static token | its user's resources on its route, or its one resource, until it ends or is revoked: *bearer-class* |
//! | the database | nothing: it holds names, SHA-256 of static tokens, and sealed keys |
//! | a log, a metric, a decision | nothing: none holds a token |

mod keys;
mod record;
mod route;
pub mod signer;
pub mod wire;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;

use crate::crypto::jwt::Jwt;
use crate::crypto::{equal, sha256};
use crate::denial::{Code, Denial};
use crate::principal::{Principal, Scheme, Subject};
use crate::public_url::PublicUrl;
use crate::request::{Body, BodySource, Carrier, RequestView};
use crate::reservation::Use;
use crate::store::{Store, StoreError};
use crate::time::{SKEW, Timestamp};
use crate::verifier::{BodyCheck, Proven, Verifier};

use self::record::use_of;
use self::wire::{CallbackClaims, ClaimError, LONGEST_TOKEN, StaticToken, TYPE, Token};

/// A token of an application that has no date was made so long before its end at most, as far as we care.
const UNDATED: Duration = Duration::from_secs(86_400);

pub use keys::{CallbackKeys, keyring_terms};
pub use record::{
    CALLBACK_USES, CALLBACKS, CallbackRecord, CallbackState, CallbackTerms, Callbacks, REMEMBERED,
};
pub use route::{CallbackRoute, TOKEN};
pub use signer::{MintError, Minted, Minter, TokenForm};
pub use wire::CallbackId;

/// Whom callbacks of this public URL are for: it alone, and nothing else that it issues.
#[must_use]
pub fn audience(public_url: &PublicUrl) -> String {
    format!("{public_url}/callbacks")
}

/// What a receiver says of all callbacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallbackLimits {
    /// The longest body, in bytes.
    pub max_body: usize,
    /// How long a delivery may take: longer than the time-outs of whatever it is delivered to.
    pub lease: Duration,
    /// A use is consumed before it is delivered: one delivery at most, even if that gets lost.
    pub strict: bool,
}

/// Verifies the tokens in the paths of one route.
pub struct CallbackVerifier<S> {
    /// Uses, revocations and static tokens.
    pub store: S,
    /// What signs callbacks.
    pub keys: Arc<CallbackKeys<S>>,
    /// What callers address.
    pub public_url: PublicUrl,
    /// The route.
    pub route: CallbackRoute,
    /// What is said of all callbacks.
    pub limits: CallbackLimits,
}

/// What a path carries: read, not yet believed.
pub struct Credential {
    resource: Option<String>,
    token: Token,
}

impl<S: Store + Clone> CallbackVerifier<S> {
    async fn signed(
        &self,
        token: &str,
        resource: Option<&str>,
        request: &RequestView<'_>,
    ) -> Result<Proven, Denial> {
        let now = request.received_at;
        let mut buffer = Vec::new();
        let invalid = |cause: String| Denial::new(Code::TokenInvalid, cause);
        let jwt =
            Jwt::parse(token, LONGEST_TOKEN, &mut buffer).map_err(|error| invalid(error.to_string()))?;
        if !jwt.is_type(TYPE) {
            return Err(Denial::new(Code::TokenType, "the token is not of the type callback+jwt"));
        }
        let claims = self.keys.verify(&jwt, now).await?;
        let read = CallbackClaims::read(&claims, &audience(&self.public_url));
        let read = read.map_err(|error| match error {
            ClaimError::Audience => Denial::new(Code::TokenAudience, "the token is not for callbacks here"),
            ClaimError::Missing(name) => {
                Denial::new(Code::TokenClaims, format!("the claim {name} is missing, or of another type"))
            }
        })?;
        if read.issuer != self.public_url.to_string() {
            return Err(invalid("the token is by another issuer".to_owned()));
        }
        if read.expires <= now {
            return Err(Denial::new(Code::TokenExpired, format!("the token ended at {}", read.expires)));
        }
        let moment = |name| claims.moment(name).map_err(|name| Denial::new(Code::TokenClaims, name));
        if let Some(forgotten) = self.store.forgets_before() {
            let made = match (jwt.key_id(), self.minted(&read.id).await?) {
                (_, Some(record)) => record.created,
                // A key of ours signed it after the copy was made, and what was known of it is lost.
                (Some(_), None) => Timestamp::default(),
                (None, None) => moment("iat")?.unwrap_or_else(|| read.expires.minus(UNDATED)),
            };
            if made < forgotten {
                let cause = format!("made before {forgotten}: whether it was used, the store does not know");
                return Err(Denial::new(Code::CallbackConsumed, cause));
            }
        }
        if moment("nbf")?.is_some_and(|from| from > now.plus(SKEW)) {
            return Err(invalid("the token is not valid yet".to_owned()));
        }
        self.opens(&read.route, Some(read.resource.as_deref()), &read.methods, resource, request)?;
        let one = Use {
            lease: self.limits.lease,
            strict: self.limits.strict,
            ..use_of(&read.id, read.uses, read.expires)
        };
        one.look(&self.store, now).await?;
        let limit = read.max_bytes.and_then(|most| usize::try_from(most).ok());
        let limit = limit.map_or(self.limits.max_body, |most| most.min(self.limits.max_body));
        let used = move |body: &Bytes| Ok(Some((one, sha256(body))));
        Ok(proven(&read.user, resource, read.expires, BodyCheck { limit, check: Box::new(used) }))
    }

    /// What is kept of a callback that was minted here.
    async fn minted(&self, id: &str) -> Result<Option<CallbackRecord>, StoreError> {
        let Some(id) = CallbackId::parse(id) else { return Ok(None) };
        Callbacks::new(self.store.clone()).get(&id).await
    }

    async fn fixed(
        &self,
        token: &StaticToken,
        resource: Option<&str>,
        request: &RequestView<'_>,
    ) -> Result<Proven, Denial> {
        let now = request.received_at;
        let callbacks = Callbacks::new(self.store.clone());
        let record = callbacks.get(&token.id()).await?;
        // One hash and one comparison whether or not there is such a token.
        let known = record.as_ref().and_then(|record| record.digest).unwrap_or_default();
        let (true, Some(record)) = (equal(&token.digest(), &known), record) else {
            return Err(Denial::new(Code::TokenInvalid, "no static token is like this one"));
        };
        if record.expires <= now {
            return Err(Denial::new(
                Code::TokenExpired,
                format!("{} ended at {}", record.id, record.expires),
            ));
        }
        let terms = &record.terms;
        let opened = terms.resource.as_ref().map(|resource| Some(resource.as_str()));
        self.opens(&record.route, opened, &terms.methods, resource, request)?;
        // Nothing ever reserves it, so that only a revocation can be found.
        use_of(record.id.as_str(), 1, record.expires).look(&self.store, now).await?;
        let whole = BodyCheck { limit: self.limits.max_body, check: Box::new(|_| Ok(None)) };
        Ok(proven(&terms.user, resource, record.expires, whole))
    }

    /// Whether a token for this opens the path of a request: everything byte for byte. `resource` is the
    /// path's own, and `opened` the token's; `None` for one that opens them all.
    fn opens(
        &self,
        route: &str,
        opened: Option<Option<&str>>,
        methods: &[String],
        resource: Option<&str>,
        request: &RequestView<'_>,
    ) -> Result<(), Denial> {
        let scope = |cause: String| Err(Denial::new(Code::CallbackScope, cause));
        if route != self.route.template().as_str() {
            return scope("the token is for another route".to_owned());
        }
        if opened.is_some_and(|opened| opened != resource) {
            return scope("the token is for another resource".to_owned());
        }
        let method = request.method.as_str();
        let is_opened = match methods {
            [] => request.method == Method::POST,
            methods => methods.iter().any(|opened| opened == method),
        };
        if !is_opened {
            return scope("the token is for another method".to_owned());
        }
        if request.body == Body::Withheld {
            return scope("the body was withheld, so that no use can be bound to it".to_owned());
        }
        Ok(())
    }
}

fn proven(user: &str, resource: Option<&str>, expires: Timestamp, body: BodyCheck) -> Proven {
    let mut principal = Principal::vouch_for(Subject::Callback(user.into()));
    // In a group, such as callback-url+signature, the other proof must be this user's.
    principal.key = Some(Subject::Named(user.into()));
    principal.claims.insert("_id".to_owned(), user.into());
    if let Some(resource) = resource {
        principal.claims.insert("res_id".to_owned(), resource.into());
    }
    principal.expires = Some(expires);
    Proven { body: Some(body), ..Proven::outright(principal) }
}

impl<S: Store + Clone> Verifier for CallbackVerifier<S> {
    type Credential = Credential;

    fn scheme(&self) -> Scheme {
        Scheme::CallbackUrl
    }

    fn carriers(&self) -> Vec<Carrier> {
        vec![Carrier::Segment(self.route.token_segment())]
    }

    fn extract(&self, request: &RequestView<'_>) -> Result<Option<Credential>, Denial> {
        let Some((resource, token)) = self.route.read(request.target.path()) else { return Ok(None) };
        let token = Token::parse(token).map_err(|cause| Denial::new(Code::TokenInvalid, cause))?;
        Ok(Some(Credential { resource: resource.map(str::to_owned), token }))
    }

    async fn verify(
        &self,
        credential: Credential,
        request: &RequestView<'_>,
        _body: &mut dyn BodySource,
    ) -> Result<Proven, Denial> {
        let resource = credential.resource.as_deref();
        match &credential.token {
            Token::Signed(token) => self.signed(token.expose(), resource, request).await,
            Token::Static(token) => self.fixed(token, resource, request).await,
        }
    }
}
