//! The claimant's half of every scheme whose proofs are made from a key or a token alone: whoever holds it
//! needs no store and asks nobody.

use http::{HeaderMap, Method, StatusCode, Uri};

use super::api_key::{ApiKey, signer::send_as_itself};
use super::asymmetric::signer::{Nonces, sign_header};
use super::asymmetric::wire::ASYMMETRIC_AUTHENTICATION;
use super::bearer::signer::BearerSigner;
pub use super::proof_error::ProofError;
use super::signature::RequestSigner;
use super::webhook::signer::OutgoingBody;
use crate::crypto::ethereum::EthereumKey;
use crate::time::Timestamp;

/// What proves who sends a request.
#[derive(Debug)]
pub enum Proof {
    /// An API key that is sent as itself.
    Bearer(ApiKey),
    /// A signature: by an API key that stays at home, by a registered key, or by a wallet as ERC-8128 says.
    Signature(Box<RequestSigner>),
    /// `AsymmetricAuthentication`.
    Asymmetric {
        /// The account's.
        key: EthereumKey,
        /// Nonces that were given out.
        nonces: Nonces,
    },
    /// An access token, with proofs of possession if it is bound to a key.
    Token(Box<BearerSigner>),
}

impl Proof {
    /// `AsymmetricAuthentication` with an account's key.
    #[must_use]
    pub fn asymmetric(key: EthereumKey) -> Self {
        Self::Asymmetric { key, nonces: Nonces::default() }
    }

    /// Adds a proof to a request's headers, in the place of one of the same kind that is there, but beside
    /// other signatures. `target` is absolute.
    ///
    /// # Errors
    /// [`ProofError`]; then the headers are untouched.
    pub fn prove(
        &self,
        method: &Method,
        target: &Uri,
        headers: &mut HeaderMap,
        body: OutgoingBody<'_>,
        now: Timestamp,
    ) -> Result<(), ProofError> {
        match self {
            Self::Bearer(key) => send_as_itself(key, headers),
            Self::Signature(signer) => signer.sign_request(method, target, headers, body, now)?,
            Self::Token(signer) => signer.prove(method, target, headers, now)?,
            Self::Asymmetric { key, nonces } => {
                let mut value = sign_header(key, method, target, whole(body)?, nonces.next(now))?;
                // It names no host: until it has passed, it passes anywhere.
                value.set_sensitive(true);
                headers.insert(ASYMMETRIC_AUTHENTICATION, value);
            }
        }
        Ok(())
    }

    /// Learns from the answer to a proven request. True if the same request, proven anew, may now pass: a
    /// token's server asked for a nonce.
    pub fn learn(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        match self {
            Self::Token(signer) => signer.learn(status, headers),
            Self::Bearer(_) | Self::Signature(_) | Self::Asymmetric { .. } => false,
        }
    }
}

fn whole(body: OutgoingBody<'_>) -> Result<&[u8], ProofError> {
    match body {
        OutgoingBody::Absent => Ok(&[]),
        OutgoingBody::Whole(body) => Ok(body),
        OutgoingBody::Streaming => Err(ProofError::Streaming),
    }
}
