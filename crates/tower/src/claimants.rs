//! Claimants that need nothing but a key.

use std::future::{Future, ready};

use countersign::Timestamp;
use countersign::schemes::proof::{Proof, ProofError};
use countersign::schemes::webhook::signer::OutgoingBody;
use http::{HeaderMap, Method, StatusCode, Uri};

use crate::prove::Claimant;

/// Signs, or sends a key as itself. A signature needs the body: one that streams is
/// [`ProofError::Streaming`], and its request is not sent.
impl Claimant for Proof {
    type Attempt = ();
    type Error = ProofError;

    fn prove(
        &self,
        method: &Method,
        target: &Uri,
        headers: &mut HeaderMap,
        body: OutgoingBody<'_>,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), ProofError>> + Send {
        ready(Self::prove(self, method, target, headers, body, now))
    }

    /// Nothing that an answer says makes the same proof better.
    fn learn(&self, (): &(), _: StatusCode, _: &HeaderMap, _: Timestamp) -> bool {
        false
    }
}
