//! The `DPoP` header, and the method that a proof is for.

use http::Method;
use http::header::HeaderName;

use crate::denial::{Code, Denial};
use crate::request::RequestView;

/// The header that carries a proof (RFC 9449 §4.1).
pub const DPOP: HeaderName = HeaderName::from_static("dpop");
/// The header that hands out a nonce (RFC 9449 §8.1).
pub const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");
/// A proof's type (RFC 9449 §4.2).
pub const TYPE: &str = "dpop+jwt";

/// A proof as it came, read no further: it says nothing until [`Dpop::verify`](super::Dpop::verify)
/// judged it.
#[derive(Clone, Copy)]
pub struct Proof<'a>(pub(super) &'a str);

impl<'a> Proof<'a> {
    /// The proof in a request's `DPoP` header; `None` if there is no such header.
    ///
    /// # Errors
    /// `dpop_invalid` if there are two (RFC 9449 §4.3), or if it is not visible ASCII.
    pub fn of(request: &'a RequestView<'_>) -> Result<Option<Self>, Denial> {
        let proof = request.single_header(&DPOP).map_err(|denial| {
            let cause = format!("form: {}", denial.cause());
            Denial::new(Code::DpopInvalid, cause)
        })?;
        Ok(proof.map(Self))
    }

    /// A proof that travelled otherwise.
    #[must_use]
    pub const fn new(proof: &'a str) -> Self {
        Self(proof)
    }

    /// As it came.
    #[must_use]
    pub const fn as_str(&self) -> &'a str {
        self.0
    }
}

/// A proof may not have passed yet.
impl std::fmt::Debug for Proof<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Proof([redacted])")
    }
}

/// Whether `htm` is the method: methods differ by case (RFC 9110 §9.1).
#[must_use]
pub(super) fn is_method(htm: &str, method: &Method) -> bool {
    htm == method.as_str()
}
