//! The claimant's half: proofs of possession for one request each.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Method, Uri};
use serde::Serialize;

use super::htu::htu;
use super::wire::TYPE;
use crate::crypto::jwt::{JwtHeader, sign};
use crate::crypto::{Random, SigningKey, sha256};
use crate::time::Timestamp;

/// Makes proofs with a key that the claimant keeps.
pub struct DpopSigner {
    key: SigningKey,
    jwk: String,
    thumbprint: String,
    random: Arc<dyn Random>,
}

/// A key that makes no proofs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a DPoP key is of Ed25519, P-256 or P-384")]
pub struct DpopKeyError;

#[derive(Serialize)]
struct ProofClaims<'a> {
    jti: String,
    htm: &'a str,
    htu: String,
    iat: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ath: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
}

impl DpopSigner {
    /// Makes proofs with `key`: Ed25519, P-256 or P-384. `random` makes each proof's `jti`.
    ///
    /// # Errors
    /// [`DpopKeyError`]: RSA, whose proofs are large, or the secret of an HMAC.
    pub fn new(key: SigningKey, random: Arc<dyn Random>) -> Result<Self, DpopKeyError> {
        let public = key.verifying_key();
        if public.algorithm().is_rsa() {
            return Err(DpopKeyError);
        }
        let jwk = public.to_jwk().ok_or(DpopKeyError)?;
        let thumbprint = public.thumbprint().ok_or(DpopKeyError)?;
        Ok(Self { key, jwk, thumbprint, random })
    }

    /// The key's RFC 7638 thumbprint: what a token's `cnf.jkt` must say.
    #[must_use]
    pub fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    /// The value of a `DPoP` header for this request: `target` is absolute, its query is not covered.
    /// `token` is the access token that goes with it, `nonce` the last that the server gave. `None` if the
    /// key could not be used.
    #[must_use]
    pub fn prove(
        &self,
        method: &Method,
        target: &Uri,
        token: Option<&str>,
        nonce: Option<&str>,
        now: Timestamp,
    ) -> Option<String> {
        let mut jti = [0; 16];
        self.random.fill(&mut jti);
        let claims = ProofClaims {
            jti: URL_SAFE_NO_PAD.encode(jti),
            htm: method.as_str(),
            htu: htu(target),
            iat: now.as_secs(),
            ath: token.map(|token| URL_SAFE_NO_PAD.encode(sha256(token.as_bytes()))),
            nonce,
        };
        let header = JwtHeader { typ: Some(TYPE), kid: None, jwk: Some(&self.jwk) };
        sign(&self.key, &header, &claims)
    }
}

impl std::fmt::Debug for DpopSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DpopSigner({})", self.thumbprint)
    }
}
