//! Why a request was given no proof, whichever scheme was to make it.

use super::asymmetric::signer::SignError as AsymmetricError;
use super::bearer::signer::BearerSignError;
use super::signature::SignError;

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
