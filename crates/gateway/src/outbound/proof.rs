//! How the requests of one listener are proven.

use std::sync::Arc;

use countersign::schemes::proof::{Proof, ProofError};
use countersign::schemes::webhook::signer::{Attempt, OutgoingBody, ProveError, Requester};
use countersign::{Code, Denial, Timestamp};
use countersign_io::AnyStore;
use countersign_io::key_file::KeyFileError;
use countersign_tower::Claimant;
use http::{HeaderMap, Method, StatusCode, Uri};

use crate::config::Prove;
use crate::shared::Shared;

/// By being asked, or by a key.
pub(super) enum OutboundProof {
    Webhook(Box<Requester<Arc<AnyStore>>>),
    Key(Proof),
}

/// Why a request was not proven.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unproven {
    #[error(transparent)]
    Webhook(#[from] ProveError),
    #[error(transparent)]
    Key(#[from] ProofError),
}

impl OutboundProof {
    pub(super) fn new(shared: &Shared, prove: &Prove) -> Result<Self, KeyFileError> {
        let random = shared.random.clone();
        Ok(match prove {
            Prove::Webhook { url, hash, scope } => {
                let workers = shared.workers.clone();
                let requester = Requester::new(url.clone(), shared.store.clone(), random, workers);
                let requester = requester.hashing_first_by(*hash);
                Self::Webhook(Box::new(match scope {
                    Some(scope) => requester.limited_to(scope.clone()),
                    None => requester,
                }))
            }
            Prove::Key(file) => Self::Key(file.read(random, false)?),
        })
    }
}

impl Claimant for OutboundProof {
    type Attempt = Option<Attempt>;
    type Error = Unproven;

    async fn prove(
        &self,
        method: &Method,
        target: &Uri,
        headers: &mut HeaderMap,
        body: OutgoingBody<'_>,
        now: Timestamp,
    ) -> Result<Option<Attempt>, Unproven> {
        match self {
            Self::Webhook(requester) => Ok(Some(requester.prove(method, target, headers, body, now).await?)),
            Self::Key(proof) => {
                proof.prove(method, target, headers, body, now)?;
                Ok(None)
            }
        }
    }

    fn learn(
        &self,
        attempt: &Option<Attempt>,
        status: StatusCode,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> bool {
        match (self, attempt) {
            (Self::Webhook(requester), Some(attempt)) => requester.learn(attempt, status, headers, now),
            (Self::Key(proof), _) => proof.learn(status, headers),
            (Self::Webhook(_), None) => false,
        }
    }
}

impl Unproven {
    /// What the application is told. `limit` is how large a body may be that is read first.
    pub(super) fn denial(self, limit: usize) -> Denial {
        let cause = self.to_string();
        match self {
            Self::Webhook(ProveError::Store(error)) => Denial::from(error),
            Self::Webhook(_) | Self::Key(ProofError::Target(_) | ProofError::Token(_)) => {
                Denial::new(Code::UpstreamUnreachable, format!("the request was not sent: {cause}"))
            }
            Self::Key(ProofError::Streaming) => {
                let cause = format!(
                    "a signature covers the body: send one of {limit} bytes at most, with Content-Length"
                );
                Denial::new(Code::BodyTooLarge, cause)
            }
            // The application's own headers, and its own target.
            Self::Key(ProofError::Signature(_)) => Denial::new(Code::CredentialMalformed, cause),
            Self::Key(ProofError::Asymmetric(_)) => Denial::new(Code::PathAmbiguous, cause),
        }
    }
}
