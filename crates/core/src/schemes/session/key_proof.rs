//! The place where a session that is bound to a key asks for a proof of that key.

use std::sync::Arc;

use http::{HeaderName, HeaderValue};

use super::half::Half;
use super::wire::one_subprotocol;
use crate::denial::{Code, Denial};
use crate::dpop::{DPOP, Dpop, NoncePolicy, Possession, Proof};
use crate::request::RequestView;
use crate::spending::Spending;
use crate::time::Timestamp;

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

/// Whether a request brings the proof of a key, good or not.
pub(super) fn is_presented(request: &RequestView<'_>) -> bool {
    // Two of them are none that is read, and are refused by whoever reads it.
    let offered = one_subprotocol(request, DPOP_SUBPROTOCOL);
    request.headers.contains_key(DPOP) || !matches!(offered, Ok(None))
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::header::{SEC_WEBSOCKET_PROTOCOL, UPGRADE};
    use http::{HeaderMap, Method, Uri};

    use super::*;
    use crate::crypto::{Secret, SystemRandom};
    use crate::dpop::DpopSigner;
    use crate::testing::{NOW, Request, ed25519};

    fn key(seed: u8) -> DpopSigner {
        DpopSigner::new(ed25519(seed), Arc::new(SystemRandom)).unwrap()
    }

    fn judge(policy: NoncePolicy) -> DpopKeyProof {
        DpopKeyProof(Arc::new(Dpop::new(&Secret::new([1; 32]), policy)))
    }

    fn target() -> Uri {
        Uri::from_static("https://bob.example/orders")
    }

    fn proof(signer: &DpopSigner, token: &Half) -> String {
        signer.prove(&Method::GET, &target(), Some(token.reveal().expose()), None, NOW).unwrap()
    }

    fn headers(lines: &[(HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn with<T>(headers: &HeaderMap, asked: impl FnOnce(&RequestView<'_>) -> T) -> T {
        let request = Request { headers: headers.clone(), ..Request::get("/orders") };
        asked(&request.view(NOW))
    }

    #[test]
    fn a_proof_is_of_the_bound_key_over_this_half_and_once_there() {
        let (browser, eve) = (key(1), key(2));
        let (token, other) = (Half::generate(&SystemRandom), Half::generate(&SystemRandom));
        let judged = |lines: &[(HeaderName, &str)]| {
            let judged = |request: &RequestView<'_>| {
                judge(NoncePolicy::Accepted).judge(browser.thumbprint(), &token, request)
            };
            with(&headers(lines), judged)
        };
        let good = proof(&browser, &token);
        let KeyProven { spends, fresh_until } = judged(&[(DPOP, &good)]).unwrap();
        assert_eq!((spends.len(), fresh_until), (1, Some(NOW.plus(Duration::from_secs(90)))));
        let offered = format!("chat, {DPOP_SUBPROTOCOL}{good}");
        let upgrade = (UPGRADE, "websocket");
        let socket = [(SEC_WEBSOCKET_PROTOCOL, offered.as_str()), upgrade.clone()];
        assert_eq!(judged(&socket).unwrap().spends.len(), 1);

        let (again, foreign, over_other) =
            (proof(&browser, &token), proof(&eve, &token), proof(&browser, &other));
        let no_ath = browser.prove(&Method::GET, &target(), None, None, NOW).unwrap();
        let offered_twice = format!("{offered}, {DPOP_SUBPROTOCOL}{again}");
        for lines in [
            &[][..],
            &[(DPOP, foreign.as_str())],
            &[(DPOP, over_other.as_str())],
            &[(DPOP, no_ath.as_str())],
            &[(DPOP, good.as_str()), (DPOP, again.as_str())],
            &[(DPOP, again.as_str()), (SEC_WEBSOCKET_PROTOCOL, offered.as_str()), upgrade.clone()],
            &[(SEC_WEBSOCKET_PROTOCOL, offered_twice.as_str()), upgrade.clone()],
            &[(SEC_WEBSOCKET_PROTOCOL, offered.as_str())],
        ] {
            assert_eq!(judged(lines).unwrap_err().code(), Code::DpopInvalid, "{lines:?}");
        }
    }

    #[test]
    fn whoever_makes_proofs_or_has_to_is_given_a_nonce() {
        let token = Half::generate(&SystemRandom);
        let proof = proof(&key(1), &token);
        let offered = format!("{DPOP_SUBPROTOCOL}{proof}");
        let asks = |policy, lines: &[(HeaderName, &str)]| {
            with(&headers(lines), |request| judge(policy).asks(request)).is_some()
        };
        let socket = [(SEC_WEBSOCKET_PROTOCOL, offered.as_str()), (UPGRADE, "websocket")];
        assert!(asks(NoncePolicy::Accepted, &[(DPOP, &proof)]));
        assert!(asks(NoncePolicy::Accepted, &socket));
        assert!(asks(NoncePolicy::Required, &[]));
        assert!(!asks(NoncePolicy::Accepted, &[]));
        assert!(judge(NoncePolicy::Required).tells(NOW).is_some());
        assert!(judge(NoncePolicy::Accepted).tells(NOW).is_none());
    }

    #[test]
    fn where_no_proof_is_understood_none_passes() {
        let token = Half::generate(&SystemRandom);
        let sent = headers(&[(DPOP, &proof(&key(1), &token))]);
        let judged = with(&sent, |request| NoKeyProof.judge(key(1).thumbprint(), &token, request));
        assert_eq!(judged.unwrap_err().code(), Code::DpopInvalid);
        assert!(with(&sent, |request| NoKeyProof.asks(request)).is_none() && NoKeyProof.tells(NOW).is_none());
    }
}
