//! Checking assertions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::claims::{Issuer, digest_of};
use super::{ASSERTION, AssertionKeys, LONGEST, TYPE};
use crate::crypto::jwt::{Claims, Json, Jwt, JwtError};
use crate::denial::{Challenge, Code, Denial};
use crate::principal::{Permissions, Principal, Scheme, Subject};
use crate::public_url::PublicUrl;
use crate::request::RequestView;
use crate::time::{SKEW, Timestamp};

/// Checks what a gateway says about the requests that it forwards. The API behind the gateway has one.
#[derive(Debug)]
pub struct AssertionVerifier {
    /// The `iss` that is believed: `<public_url>/assertion`.
    pub issuer: String,
    /// Who we are: the upstream's origin as the gateway's configuration writes it, `http://127.0.0.1:3000` for
    /// example.
    pub audience: String,
    /// The gateway's public keys.
    pub keys: AssertionKeys,
}

/// What a gateway asserts about one request, verified.
#[derive(Clone, Debug)]
pub struct Assertion {
    /// Who sent the request. It expires with the assertion.
    pub principal: Principal,
    /// When the gateway said so.
    pub issued_at: Timestamp,
    /// The principal had more claims than an assertion has room for, so none of them is here: whoever decides
    /// by claims cannot decide.
    pub claims_left_out: bool,
    digest: Option<String>,
}

impl AssertionVerifier {
    /// A verifier for the upstream `audience` of the gateway that callers address as `gateway`.
    #[must_use]
    pub fn new(gateway: &PublicUrl, audience: impl Into<String>, keys: AssertionKeys) -> Self {
        Self { issuer: Issuer(gateway).to_string(), audience: audience.into(), keys }
    }

    /// Checks the assertion of a request, all but its body: see [`Assertion::is_about`]. The request's target is
    /// what [`PublicUrl::target`] of the gateway's own URL makes of it.
    ///
    /// # Errors
    /// `credential_missing`, `credential_ambiguous`, `credential_malformed`; `token_type`; `token_invalid` if it
    /// is no token of these keys and this issuer, or is about another method or URL; `token_claims`,
    /// `token_audience`, `token_expired`, `proof_future`; `keys_unavailable`.
    pub async fn verify(&self, request: &RequestView<'_>) -> Result<Assertion, Denial> {
        self.judge(request).await.map_err(challenged)
    }

    async fn judge(&self, request: &RequestView<'_>) -> Result<Assertion, Denial> {
        let Some(token) = request.single_header(&ASSERTION)? else {
            return Err(Denial::new(Code::CredentialMissing, "no assertion: it did not come by the gateway"));
        };
        let now = request.received_at;
        let mut buffer = Vec::new();
        let jwt = Jwt::parse(token, LONGEST, &mut buffer).map_err(invalid)?;
        if !jwt.is_type(TYPE) {
            return Err(Denial::new(Code::TokenType, "a token of another type"));
        }
        let kid = jwt.key_id().ok_or_else(|| refused("it names no key"))?;
        let key = self.keys.find(kid, now).await?;
        let key = key.ok_or_else(|| refused("it names no key of the gateway's"))?;
        let claims = jwt.verify(&key).map_err(invalid)?;
        let stated = Stated(&claims);
        if stated.text("iss")? != self.issuer {
            return Err(refused("another issuer"));
        }
        stated.present("aud")?;
        if !claims.is_for(&self.audience).map_err(wrong)? {
            return Err(Denial::new(Code::TokenAudience, "for another upstream"));
        }
        let (issued_at, expires) = (stated.moment("iat")?, stated.moment("exp")?);
        if now >= expires.plus(SKEW) {
            return Err(Denial::new(Code::TokenExpired, format!("it ended at {expires}")));
        }
        if issued_at > now.plus(SKEW) {
            return Err(Denial::new(Code::ProofFuture, format!("made at {issued_at}")));
        }
        if stated.text("htm")? != request.method.as_str() {
            return Err(refused("about another method"));
        }
        // As bytes: comparing with a `Uri` itself would pass over case and fragments.
        let url = request.target.to_string();
        if stated.text("htu")? != url {
            return Err(refused("about another URL"));
        }
        let digest = claims.text("digest").map_err(wrong)?.map(str::to_owned);
        let claims_left_out = claims.get("claims_left_out").is_some();
        Ok(Assertion { principal: stated.principal(expires)?, issued_at, claims_left_out, digest })
    }
}

impl Assertion {
    /// Whether the body must be read: the assertion says which one it is about.
    #[must_use]
    pub const fn names_a_body(&self) -> bool {
        self.digest.is_some()
    }

    /// Whether this is the body that it is about. One that names none is about any.
    ///
    /// # Errors
    /// `content_digest`.
    pub fn is_about(&self, body: &[u8]) -> Result<(), Denial> {
        match &self.digest {
            Some(digest) if *digest != *digest_of(body) => {
                Err(challenged(Denial::new(Code::ContentDigest, "about another body")))
            }
            _ => Ok(()),
        }
    }
}

/// Claims of which some must be there, each of its own type.
struct Stated<'a>(&'a Claims<'a>);

impl<'a> Stated<'a> {
    fn present(&self, name: &'static str) -> Result<&'a Json<'a>, Denial> {
        let missing = || Denial::new(Code::TokenClaims, format!("`{name}` is not there"));
        self.0.get(name).ok_or_else(missing)
    }

    fn text(&self, name: &'static str) -> Result<&'a str, Denial> {
        self.present(name)?.as_str().ok_or_else(|| wrong(name))
    }

    fn moment(&self, name: &'static str) -> Result<Timestamp, Denial> {
        self.present(name)?;
        self.0.moment(name).map_err(wrong)?.ok_or_else(|| wrong(name))
    }

    fn principal(&self, expires: Timestamp) -> Result<Principal, Denial> {
        let schemes = self.text("scheme")?.split('+').map(Scheme::from_name);
        let schemes: Vec<Scheme> = schemes.collect::<Option<_>>().ok_or_else(|| wrong("scheme"))?;
        let permissions = match self.0.get("permissions") {
            None => Permissions::Unstated,
            Some(Json::List(names)) => {
                let names = names.iter().map(|name| name.as_str().map(Arc::from));
                let names: Option<BTreeSet<Arc<str>>> = names.collect();
                Permissions::Only(names.ok_or_else(|| wrong("permissions"))?)
            }
            Some(_) => return Err(wrong("permissions")),
        };
        let claims: BTreeMap<String, Value> = match self.0.get("claims") {
            None => BTreeMap::new(),
            Some(Json::Object(members)) => {
                members.iter().map(|(name, value)| (name.to_owned(), value.to_value())).collect()
            }
            Some(_) => return Err(wrong("claims")),
        };
        let mut principal = Principal::vouch_for(Subject::Named(self.text("sub")?.into()));
        (principal.schemes, principal.permissions, principal.claims) = (schemes, permissions, claims);
        principal.expires = Some(expires);
        Ok(principal)
    }
}

fn wrong(name: &str) -> Denial {
    Denial::new(Code::TokenClaims, format!("`{name}` has another type"))
}

fn invalid(error: JwtError) -> Denial {
    Denial::new(Code::TokenInvalid, error.to_string())
}

fn refused(cause: &'static str) -> Denial {
    Denial::new(Code::TokenInvalid, cause)
}

/// RFC 9110 §15.5.2: a 401 says what would be accepted.
fn challenged(denial: Denial) -> Denial {
    match denial.code().status().as_u16() {
        401 => denial.with_challenges(vec![Challenge::new("Countersign-Assertion")]),
        _ => denial,
    }
}
