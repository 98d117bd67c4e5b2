//! One judgement of a signature over a whole request, for every verifier of a gateway and for whoever checks one by hand.
//! What was there before, and so passes no more, only a gateway knows.

use std::future::Future;

use super::message::Message;
use super::profile::{Fresh, covered_body, covers, fresh};
use super::signed::Signed;
use super::verify::verify;
use crate::crypto::VerifyingKey;
use crate::denial::Denial;
use crate::request::RequestView;
use crate::verifier::BodyCheck;

/// A key by which a signature may have been made.
pub trait Holder {
    /// Whether `signed` is a signature of `message` by whoever holds it.
    ///
    /// # Errors
    /// `signature_invalid`, whatever the reason.
    fn signed(&self, signed: &Signed, message: &Message<'_>) -> Result<(), Denial>;
}

impl Holder for &VerifyingKey {
    fn signed(&self, signed: &Signed, message: &Message<'_>) -> Result<(), Denial> {
        verify(signed, message, self)
    }
}

/// A signature that is good, but for its body, which is still to be read.
pub struct Judged<'a, K> {
    /// What it says of itself.
    pub proof: Fresh<'a>,
    /// By which key it was made.
    pub key: K,
    /// What the body must be.
    pub body: Option<BodyCheck>,
}

/// Time, coverage, key, signature, digest: cheap before dear. The key is what `find` knows by the name that the signature
/// gives; the fields of `also` must be covered as well, and a body has `limit` bytes at most.
///
/// # Errors
/// `proof_expired`, `proof_future`, `signature_coverage`, `signature_invalid`, `content_digest`, and what `find` says.
pub async fn judge<'a, K: Holder, F: Future<Output = Result<K, Denial>>>(
    signed: &'a Signed,
    request: &RequestView<'_>,
    also: &[&str],
    limit: usize,
    find: impl FnOnce(&'a str) -> F,
) -> Result<Judged<'a, K>, Denial> {
    let proof = fresh(signed, request.received_at)?;
    covers(signed, request, also)?;
    let key = find(proof.keyid).await?;
    key.signed(signed, &Message::from(request))?;
    Ok(Judged { proof, key, body: covered_body(request, limit)? })
}
