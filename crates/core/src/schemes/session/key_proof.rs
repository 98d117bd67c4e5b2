//! The place where a session that is bound to a key asks for a proof of that key.

use std::sync::Arc;

use http::{HeaderName, HeaderValue};

use super::half::Half;
use super::wire::one_subprotocol;
use crate::denial::{Code, Denial};
use crate::request::RequestView;
use crate::schemes::dpop::{DPOP, Dpop, NoncePolicy, Possession, Proof};
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

    /// What a 401 to this request gives to whoever makes proofs or has to.
    fn asks(&self, _request: &RequestView<'_>) -> Option<(HeaderName, HeaderValue)> {
        None
    }

    /// What the response to a request that was permitted at `at` gives for the next proof.
    fn tells(&self, _at: Timestamp) -> Option<(HeaderName, HeaderValue)> {
        None
    }
}

/// The subprotocol that carries a proof, before it.
pub const DPOP_SUBPROTOCOL: &str = "countersign.dpop.";

/// Reads proofs as RFC 9449 has them: in `DPoP`, or as a subprotocol of a WebSocket.
#[derive(Clone)]
pub struct DpopKeyProof(pub Arc<Dpop>);

impl DpopKeyProof {
    /// The key that whoever signs in has shown, to be spent with [`Possession::spend`]; `None`: they show none.
    ///
    /// # Errors
    /// `dpop_invalid`.
    pub fn shown(&self, request: &RequestView<'_>) -> Result<Option<Possession>, Denial> {
        let Some(proof) = Proof::of(request)? else { return Ok(None) };
        self.0.verify(proof, None, request).map(Some)
    }
}

impl KeyProof for DpopKeyProof {
    fn judge(&self, thumbprint: &str, token: &Half, request: &RequestView<'_>) -> Result<KeyProven, Denial> {
        let refused = |cause: &'static str| Denial::new(Code::DpopInvalid, cause);
        let in_header = Proof::of(request)?;
        let offered = one_subprotocol(request, DPOP_SUBPROTOCOL).map_err(|_| refused("form: two proofs"))?;
        let offered = offered.map(std::str::from_utf8).transpose();
        let offered = offered.map_err(|_| refused("form: it is not visible ASCII"))?.map(Proof::new);
        let proof = match (in_header, offered) {
            (Some(_), Some(_)) => return Err(refused("form: two proofs")),
            (None, None) => return Err(refused("form: there is no DPoP header")),
            (Some(proof), None) | (None, Some(proof)) => proof,
        };
        let possession = self.0.verify(proof, Some(token.reveal().expose()), request)?;
        if possession.thumbprint != thumbprint {
            return Err(refused("key: the session is bound to another"));
        }
        Ok(KeyProven { spends: vec![possession.spending()], fresh_until: Some(possession.fresh_until()) })
    }

    fn asks(&self, request: &RequestView<'_>) -> Option<(HeaderName, HeaderValue)> {
        let offered = || one_subprotocol(request, DPOP_SUBPROTOCOL).ok().flatten().is_some();
        let wanted = self.0.policy() == NoncePolicy::Required;
        (wanted || request.headers.contains_key(DPOP) || offered()).then(|| self.0.nonce(request.received_at))
    }

    fn tells(&self, at: Timestamp) -> Option<(HeaderName, HeaderValue)> {
        (self.0.policy() == NoncePolicy::Required).then(|| self.0.nonce(at))
    }
}

/// Where no proof of a key is understood: sessions that are bound to one do not pass.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoKeyProof;

impl KeyProof for NoKeyProof {
    fn judge(&self, _: &str, _: &Half, _: &RequestView<'_>) -> Result<KeyProven, Denial> {
        Err(Denial::new(Code::DpopInvalid, "the session is bound to a key, and no proof of one is read here"))
    }
}
