//! Access tokens of listed issuers (RFC 9068, RFC 6750), bound to a key by DPoP (RFC 9449) or not.
//!
//! A token chooses only among what is listed: its `iss` picks an issuer, its `kid` one of that issuer's
//! keys, and the key knows its own algorithms; without a `kid`, at most 4 keys are tried. `jku`, `x5u`, `x5c` and `jwk` in its header are not read.
//! Everybody who is listed can be asked for keys, nobody else is dialled.
//!
//! | what leaks | what it opens |
//! |---|---|
//! | a token that is bound to no key | what it grants, until its `exp` and 30 s: *bearer-class* |
//! | a token with `cnf.jkt` | nothing, without the key |
//! | a token whose `sub` names a key, on `bearer+signature` or `bearer+asymmetric` | nothing, without the key |
//! | a request with a token and its proof, once it has arrived | nothing more: the proof is spent |
//! | the database | nothing: it holds no tokens, and issuers' keys are public; a shared secret is in a file |
//! | a log, a metric, a decision | nothing: none holds a token |
//!
//! What is refused, and as what: RFC 9449 §7.2 leaves open how a bound token that comes by `Bearer` is
//! refused; it is `token_invalid`, as is an unbound one by `DPoP`, and `nbf` ahead.

mod claims;
mod discovery;
mod in_process;
mod issuers;
mod key_set;
mod keys;
mod left_out;
pub mod signer;
mod verified;
pub mod wire;

use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};

use crate::crypto::jwt::{Jwt, JwtAlgorithm, JwtKey};
use crate::crypto::{Digest, sha256};
use crate::denial::{Challenge, Code, Denial};
use crate::dpop::{ALGORITHMS, DPOP, Dpop, NoncePolicy, Possession, Proof, wants_nonce};
use crate::fetch::{AskNobody, Fetch};
use crate::principal::Scheme;
use crate::request::{BodySource, Carrier, RequestView};
use crate::time::Timestamp;
use crate::verifier::{AskingNobody, Proven, Verifier};

use keys::{IssuerKeys, Meant, Wanted};
use verified::Verified;

pub use in_process::{InProcess, OwnFuture, OwnIssuer};
pub use issuers::{ACCESS_TOKEN, FOREIGN_TYPES, IssuerTerms, Issuers};
pub use key_set::{Candidates, KeySet, MOST_TRIED};
pub use keys::KeySource;
pub use wire::{Credential, LONGEST_TOKEN};

/// Verifies tokens of listed issuers.
#[derive(Clone)]
pub struct BearerVerifier<F> {
    /// Whose tokens are taken.
    pub issuers: Arc<Issuers>,
    /// Judges the proofs of tokens that are bound to a key.
    pub dpop: Arc<Dpop>,
    /// Asks issuers for their keys.
    pub fetch: F,
    /// A token with more bytes is none: [`LONGEST_TOKEN`], unless the operator says otherwise.
    pub longest_token: usize,
}

impl<F: Fetch> Verifier for BearerVerifier<F> {
    type Credential = Credential;

    fn scheme(&self) -> Scheme {
        Scheme::Bearer
    }

    fn carriers(&self) -> Vec<Carrier> {
        vec![Carrier::Header(AUTHORIZATION), Carrier::Header(DPOP)]
    }

    fn extract(&self, request: &RequestView<'_>) -> Result<Option<Credential>, Denial> {
        Credential::read(request, self.longest_token)
    }

    async fn verify(
        &self,
        credential: Credential,
        request: &RequestView<'_>,
        _body: &mut dyn BodySource,
    ) -> Result<Proven, Denial> {
        let token = credential.token.expose();
        let digest = sha256(token.as_bytes());
        let verified = match self.remembered(&digest, request).await? {
            Some(verified) => verified,
            None => self.read(token, digest, request).await?,
        };
        self.issuers.get(verified.issuer).keys.check_revoked(verified.jti.as_deref()).await?;
        let possession = self.possession(&credential, verified.bound_to.as_deref(), request)?;
        let mut proven = Proven::outright(verified.principal.clone());
        if let Some(possession) = possession {
            proven.fresh_until = Some(possession.fresh_until());
            proven.spends.push(possession.spending());
        }
        Ok(proven)
    }

    fn asking_nobody(&self) -> Option<AskingNobody> {
        let Self { issuers, dpop, fetch: _, longest_token } = self;
        let (issuers, dpop, longest_token) = (issuers.clone(), dpop.clone(), *longest_token);
        Some(AskingNobody::of(BearerVerifier { issuers, dpop, fetch: AskNobody, longest_token }))
    }

    fn challenge(&self) -> Option<Challenge> {
        Some(challenge("", ""))
    }

    fn challenge_to(&self, denial: &Denial) -> Option<Challenge> {
        let description = denial.code().detail();
        let both = |error: &str| {
            let error = format!(", error=\"{error}\", error_description=\"{description}\"");
            challenge(&error, &error)
        };
        Some(match denial.code() {
            Code::TokenInvalid
            | Code::TokenExpired
            | Code::TokenAudience
            | Code::TokenType
            | Code::TokenClaims
            | Code::SubjectMismatch => both("invalid_token"),
            Code::PermissionMissing => both("insufficient_scope"),
            Code::DpopInvalid => {
                let error = if wants_nonce(denial) { "use_dpop_nonce" } else { "invalid_dpop_proof" };
                challenge("", &format!(", error=\"{error}\", error_description=\"{description}\""))
            }
            code if code.status() == http::StatusCode::UNAUTHORIZED => challenge("", ""),
            _ => return None,
        })
    }

    /// A nonce, for whoever makes proofs or has to.
    fn asks(&self, request: &RequestView<'_>) -> Option<(HeaderName, HeaderValue)> {
        let proves = request.headers.contains_key(DPOP);
        (proves || self.dpop.policy() == NoncePolicy::Required).then(|| self.dpop.nonce(request.received_at))
    }

    /// The next nonce, where every proof needs one (RFC 9449 §8.2).
    fn tells(&self, at: Timestamp) -> Option<(HeaderName, HeaderValue)> {
        (self.dpop.policy() == NoncePolicy::Required).then(|| self.dpop.nonce(at))
    }
}

impl<F: Fetch> BearerVerifier<F> {
    /// What is remembered of a token, while its time lasts and the key that signed it is still its issuer's.
    async fn remembered(
        &self,
        token: &Digest,
        request: &RequestView<'_>,
    ) -> Result<Option<Arc<Verified>>, Denial> {
        let Some(verified) = self.issuers.verified.get(token) else { return Ok(None) };
        if !verified.is_good_at(request.received_at) {
            return Ok(None);
        }
        let keys = &self.issuers.get(verified.issuer).keys;
        let (kid, algorithm) = (verified.kid.as_deref(), verified.algorithm);
        let wanted = Wanted { kid, algorithm, in_vain: None };
        let meant = keys.find(wanted, request, &self.fetch).await?;
        let is_listed = meant.keys.iter().any(|key| Arc::ptr_eq(key, &verified.key));
        Ok(is_listed.then_some(verified))
    }

    /// Issuer, type, time and audience, key, signature: cheap before dear, and nobody is asked before the
    /// rest holds.
    async fn read(
        &self,
        token: &str,
        digest: Digest,
        request: &RequestView<'_>,
    ) -> Result<Arc<Verified>, Denial> {
        let invalid = |cause: String| Denial::new(Code::TokenInvalid, cause);
        let mut buffer = Vec::new();
        let jwt =
            Jwt::parse(token, self.longest_token, &mut buffer).map_err(|error| invalid(error.to_string()))?;
        let algorithm = JwtAlgorithm::from_name(jwt.algorithm())
            .ok_or_else(|| invalid("its alg is none that tokens are signed with here".to_owned()))?;
        let claims = jwt.unverified_claims().map_err(|error| invalid(error.to_string()))?;
        let iss = claims.text("iss").ok().flatten();
        let iss = iss.ok_or_else(|| Denial::new(Code::TokenClaims, "iss is missing, or no text"))?;
        let found = self.issuers.find(iss);
        let (number, issuer) = found.ok_or_else(|| {
            let iss: String = iss.chars().take(256).collect();
            invalid(format!("its issuer {iss:?} is not among bearer.issuer"))
        })?;
        claims::check_type(&jwt, &issuer.terms)?;
        let begins = claims::check_aim(&claims, &issuer.terms, request.received_at)?;
        let key = self.signer(&jwt, algorithm, &issuer.keys, request).await?;
        let jti = claims.text("jti").ok().flatten().map(str::to_owned);
        let (principal, bound_to) = claims::principal(&claims, &issuer.terms)?;
        let kid = jwt.key_id().map(str::to_owned);
        let verified = Verified { issuer: number, kid, algorithm, key, jti, begins, principal, bound_to };
        let verified = Arc::new(verified);
        self.issuers.verified.insert(digest, verified.clone());
        Ok(verified)
    }

    /// The key that signed a token. Where no key has its very name, it may have been signed with one that its issuer
    /// began to use after its keys were had: then it is asked again, as for a name that is not known.
    async fn signer(
        &self,
        jwt: &Jwt<'_>,
        algorithm: JwtAlgorithm,
        keys: &IssuerKeys,
        request: &RequestView<'_>,
    ) -> Result<Arc<JwtKey>, Denial> {
        let kid = jwt.key_id();
        let wanted = Wanted { kid, algorithm, in_vain: None };
        let meant = keys.find(wanted, request, &self.fetch).await?;
        let signer = |meant: &Meant| meant.keys.iter().find(|key| jwt.check_signature(key).is_ok()).cloned();
        if let Some(key) = signer(&meant) {
            return Ok(key);
        }
        let in_vain =
            |meant: &Meant| Denial::new(Code::TokenInvalid, meant.set.why_in_vain(kid, &meant.keys));
        if meant.set.names(kid) {
            return Err(in_vain(&meant));
        }
        let newer = Wanted { in_vain: Some(&meant.set), ..wanted };
        let newer = keys.find(newer, request, &self.fetch).await?;
        signer(&newer).ok_or_else(|| in_vain(&newer))
    }

    /// The proof that a bound token needs, and no other may have.
    fn possession(
        &self,
        credential: &Credential,
        bound_to: Option<&str>,
        request: &RequestView<'_>,
    ) -> Result<Option<Possession>, Denial> {
        let refused = |cause: &'static str| Err(Denial::new(Code::TokenInvalid, cause));
        let thumbprint = match (credential.is_dpop, bound_to) {
            (false, None) => return Ok(None),
            (false, Some(_)) => return refused("it is bound to a key, and came by the scheme Bearer"),
            (true, None) => return refused("it is bound to no key, and came by the scheme DPoP"),
            (true, Some(thumbprint)) => thumbprint,
        };
        let Some(proof) = &credential.proof else {
            return Err(Denial::new(Code::DpopInvalid, "form: there is no DPoP header"));
        };
        let proof = Proof::new(proof.expose());
        let possession = self.dpop.verify(proof, Some(credential.token.expose()), request)?;
        if possession.thumbprint != thumbprint {
            return Err(Denial::new(Code::DpopInvalid, "key: the token is bound to another"));
        }
        Ok(Some(possession))
    }
}

/// RFC 6750 §3 and RFC 9449 §7.1, one line.
fn challenge(bearer: &str, dpop: &str) -> Challenge {
    Challenge::of(format!("Bearer realm=\"oauth\"{bearer}, DPoP algs=\"{ALGORITHMS}\"{dpop}"))
}
