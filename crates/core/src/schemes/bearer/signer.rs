//! The claimant's half: sends a token, with a proof of possession where it is bound to a key.

use std::sync::{Mutex, PoisonError};

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};

use crate::crypto::Secret;
use crate::dpop::{DPOP, DPOP_NONCE, DpopSigner};
use crate::time::Timestamp;

/// Sends one token.
pub struct BearerSigner {
    token: Secret<String>,
    dpop: Option<DpopSigner>,
    /// The last nonce that the server gave.
    nonce: Mutex<Option<String>>,
}

/// Why a request was given no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BearerSignError {
    /// A token goes into a header.
    #[error("the token cannot be a header's value")]
    Token,
    /// The key could not be used.
    #[error("the DPoP key could not be used")]
    Key,
}

impl BearerSigner {
    /// Sends `token`: by the scheme `DPoP` with proofs of `dpop`, if given, else by `Bearer`.
    #[must_use]
    pub const fn new(token: Secret<String>, dpop: Option<DpopSigner>) -> Self {
        Self { token, dpop, nonce: Mutex::new(None) }
    }

    /// Adds the token, and a proof for this request, in the place of what is there. `target` is absolute.
    ///
    /// # Errors
    /// [`BearerSignError`]; then the headers are untouched.
    pub fn prove(
        &self,
        method: &Method,
        target: &Uri,
        headers: &mut HeaderMap,
        now: Timestamp,
    ) -> Result<(), BearerSignError> {
        let token = self.token.expose();
        let header = |value: String| {
            let value = HeaderValue::try_from(value).map_err(|_| BearerSignError::Token);
            value.map(|mut value| {
                value.set_sensitive(true);
                value
            })
        };
        match &self.dpop {
            None => {
                headers.insert(AUTHORIZATION, header(format!("Bearer {token}"))?);
            }
            Some(dpop) => {
                let nonce = self.nonce.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let proof = dpop.prove(method, target, Some(token), nonce.as_deref(), now);
                let proof = header(proof.ok_or(BearerSignError::Key)?)?;
                headers.insert(AUTHORIZATION, header(format!("DPoP {token}"))?);
                headers.insert(DPOP, proof);
            }
        }
        Ok(())
    }

    /// Learns the next nonce from an answer. True if the same request, proven anew, may now pass: the
    /// server asked for a nonce and gave one (RFC 9449 §9).
    pub fn learn(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        let given = headers.get(DPOP_NONCE).and_then(|nonce| nonce.to_str().ok()).map(str::to_owned);
        let Some(given) = given.filter(|_| self.dpop.is_some()) else { return false };
        let mut nonce = self.nonce.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = nonce.as_deref() != Some(&*given);
        *nonce = Some(given);
        is_new && status == StatusCode::UNAUTHORIZED
    }
}

/// Neither the token nor the nonce.
impl std::fmt::Debug for BearerSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BearerSigner").field("dpop", &self.dpop).finish_non_exhaustive()
    }
}
