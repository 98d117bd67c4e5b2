//! The claimant's half of every scheme whose proofs are made from a key or a token alone: whoever holds it
//! needs no store and asks nobody.

use http::{HeaderMap, Method, StatusCode, Uri};

use super::api_key::{ApiKey, signer::send_as_itself};
use super::asymmetric::signer::{Nonces, SignError as AsymmetricError, sign_header};
use super::asymmetric::wire::ASYMMETRIC_AUTHENTICATION;
use super::bearer::signer::{BearerSignError, BearerSigner};
use super::signature::{RequestSigner, SignError};
use super::webhook::signer::OutgoingBody;
use crate::crypto::ethereum::EthereumKey;
use crate::time::Timestamp;

/// Why a request was given no proof.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// What is signed must be known, and the body is not.
    #[error(
        "a signature covers the body, and this one is not known before it is sent: \
         it has no known length, or is too large to be read first"
    )]
    Streaming,
    /// A signature names scheme and host, and the target does not.
    #[error("a request for {0} cannot be signed: its target is no absolute URL")]
    Target(String),
    /// The request cannot be signed as RFC 9421 says.
    #[error(transparent)]
    Signature(#[from] SignError),
    /// The request cannot be signed as `AsymmetricAuthentication` says.
    #[error(transparent)]
    Asymmetric(#[from] AsymmetricError),
    /// The token cannot be sent, or its proof not made.
    #[error(transparent)]
    Token(#[from] BearerSignError),
}

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
