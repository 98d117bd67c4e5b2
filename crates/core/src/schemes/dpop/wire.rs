//! The `DPoP` header, and what a proof says of the request that it is for.

use http::header::HeaderName;
use http::uri::Scheme;
use http::{Method, Uri};

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

/// What `htu` says of a target: no query and no fragment (RFC 9449 §4.2).
#[must_use]
pub fn htu(target: &Uri) -> String {
    let scheme = target.scheme_str().unwrap_or_default();
    let authority = target.authority().map_or("", http::uri::Authority::as_str);
    format!("{scheme}://{authority}{}", target.path())
}

/// Whether `htu` means `target`: as RFC 9449 §4.3 says, without query and fragment, and after RFC 3986
/// §6.2.2.1 and §6.2.3: scheme and host are compared without regard to case, the scheme's own port is no
/// port, and an empty path is `/`. The rest of the path is compared byte for byte, for that is how it is
/// routed.
#[must_use]
pub(super) fn means(htu: &str, target: &Uri) -> bool {
    let Ok(said) = htu.parse::<Uri>() else { return false };
    let (Some(scheme), Some(other_scheme)) = (said.scheme(), target.scheme()) else { return false };
    let (Some(authority), Some(other)) = (said.authority(), target.authority()) else { return false };
    scheme == other_scheme
        && !authority.as_str().contains('@')
        && authority.host().eq_ignore_ascii_case(other.host())
        && port(authority, scheme) == port(other, other_scheme)
        && said.path() == target.path()
}

fn port(authority: &http::uri::Authority, scheme: &Scheme) -> Option<u16> {
    let own = if *scheme == Scheme::HTTPS { 443 } else { 80 };
    // A colon without a number is no port either (RFC 3986 §6.2.3); one that is no number never is one.
    match authority.port() {
        Some(port) => Some(port.as_u16()),
        None => Some(own),
    }
}

/// Whether `htm` is the method: methods differ by case (RFC 9110 §9.1).
#[must_use]
pub(super) fn is_method(htm: &str, method: &Method) -> bool {
    htm == method.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_resource_has_several_spellings_and_no_others() {
        let target = Uri::from_static("https://bob.example/orders/42?page=2");
        for same in [
            "https://bob.example/orders/42",
            "https://bob.example/orders/42?other=1",
            "https://bob.example/orders/42#top",
            "HTTPS://BOB.example:443/orders/42",
            "https://bob.example:/orders/42",
        ] {
            assert!(means(same, &target), "{same}");
        }
        for other in [
            "http://bob.example/orders/42",
            "https://bob.example:8443/orders/42",
            "https://bob.example.evil/orders/42",
            "https://bob.example@evil.example/orders/42",
            "https://evil@bob.example/orders/42",
            "https://bob.example/orders/042",
            "https://bob.example/orders/42/",
            "https://bob.example/Orders/42",
            "https://bob.example/orders/%34%32",
            "https://bob.example/x/../orders/42",
            "https://bob.example",
            "/orders/42",
            "bob.example",
            "",
        ] {
            assert!(!means(other, &target), "{other}");
        }
        let root = Uri::from_static("http://127.0.0.1:80/");
        assert!(means("http://127.0.0.1", &root));
        assert!(!means("https://127.0.0.1", &root));
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_for_a_target_means_it(
            host in "[a-z]{1,8}\\.example", port in proptest::option::of(1_u16..), path in "(/[a-z0-9%._~-]{0,6}){1,4}",
            query in proptest::option::of("[a-z=&]{0,8}"), noise in "\\PC{0,30}",
        ) {
            let port = port.map_or_else(String::new, |port| format!(":{port}"));
            let query = query.map_or_else(String::new, |query| format!("?{query}"));
            let target: Uri = format!("https://{host}{port}{path}{query}").parse().unwrap();
            proptest::prop_assert!(means(&htu(&target), &target));
            let another: Uri = format!("https://{host}{port}{path}x").parse().unwrap();
            proptest::prop_assert!(!means(&htu(&another), &target));
            proptest::prop_assert!(!means(&noise, &target));
        }
    }
}
