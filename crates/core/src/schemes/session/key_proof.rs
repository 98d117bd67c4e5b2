//! The place where a session that is bound to a key asks for a proof of that key.

use super::half::Half;
use crate::denial::{Code, Denial};
use crate::request::RequestView;
use crate::time::Timestamp;
use crate::verifier::Spending;

/// What the proof of a key costs, and how long it is fresh.
#[derive(Clone, Debug, Default)]
pub struct KeyProven {
    /// What must be spent if the request passes.
    pub spends: Vec<Spending>,
    /// Until when the proof is fresh.
    pub fresh_until: Option<Timestamp>,
}

/// Judges proofs of bound keys. Pure: no I/O.
pub trait KeyProof: Send + Sync + 'static {
    /// Judges the proof that `request` carries: made with the key of this RFC 7638 `thumbprint`, for this
    /// request, and over this token half (`ath`, RFC 9449 §4.2).
    ///
    /// # Errors
    /// `dpop_invalid`, or whatever else a proof fails with.
    fn judge(&self, thumbprint: &str, token: &Half, request: &RequestView<'_>) -> Result<KeyProven, Denial>;
}

/// Where no proof of a key is understood: sessions that are bound to one do not pass.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoKeyProof;

impl KeyProof for NoKeyProof {
    fn judge(&self, _: &str, _: &Half, _: &RequestView<'_>) -> Result<KeyProven, Denial> {
        Err(Denial::new(Code::DpopInvalid, "the session is bound to a key, and no proof of one is read here"))
    }
}
