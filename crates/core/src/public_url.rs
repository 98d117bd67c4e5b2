//! What callers address: every proof is bound to it, and it comes from configuration alone.

use std::fmt;

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Uri};

/// `https://bob.example`, without path: the scheme and authority that every request is judged by,
/// whatever its `Host` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    scheme: Scheme,
    authority: Authority,
    host: HeaderValue,
}

/// A public URL that cannot be.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct PublicUrlError(&'static str);

impl PublicUrl {
    /// Reads `https://host[:port]`. The host is lower-cased, and the scheme's own port left out, as
    /// in an origin (RFC 6454 §6.1).
    ///
    /// # Errors
    /// Anything else: another scheme, user information, a path, a query.
    pub fn parse(text: &str) -> Result<Self, PublicUrlError> {
        let uri: Uri = text.parse().map_err(|_| PublicUrlError("not a URL: write https://host[:port]"))?;
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return Err(PublicUrlError("not an absolute URL: write https://host[:port]"));
        };
        let default_port = match scheme.as_str() {
            "https" => 443,
            "http" => 80,
            _ => return Err(PublicUrlError("the scheme is neither https nor http")),
        };
        if authority.as_str().contains('@') {
            return Err(PublicUrlError("user information is not part of a public URL"));
        }
        if uri.path() != "/" || uri.query().is_some() || text.contains('#') {
            return Err(PublicUrlError("a public URL ends with its host or port: no path and no query"));
        }
        let host = authority.host().to_ascii_lowercase();
        let port = authority.port_u16().filter(|port| *port != default_port);
        let authority = port.map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
        let bad = |_| PublicUrlError("the host cannot be read");
        let host =
            HeaderValue::from_str(&authority).map_err(|_| PublicUrlError("the host cannot be read"))?;
        Ok(Self { scheme: scheme.clone(), authority: authority.parse().map_err(bad)?, host })
    }

    /// The scheme.
    #[must_use]
    pub const fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// Host and port.
    #[must_use]
    pub const fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The port of the scheme, where the authority names none.
    #[must_use]
    pub fn default_port(&self) -> u16 {
        if self.scheme == Scheme::HTTPS { 443 } else { 80 }
    }

    /// Host and port as a header value.
    #[must_use]
    pub const fn host_header(&self) -> &HeaderValue {
        &self.host
    }

    /// The URL that a caller addressed with this request target: its path and query byte for byte,
    /// under our own scheme and authority. An authority alone (`CONNECT`, RFC 9112 §3.2.3) has no path, and gets
    /// none that a rule could be for: `*` is refused as [no path at all](crate::path::check_path).
    #[must_use]
    pub fn target(&self, requested: &Uri) -> Uri {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query =
            requested.path_and_query().cloned().or_else(|| Some(PathAndQuery::from_static("*")));
        Uri::from_parts(parts).unwrap_or_default()
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_read_and_the_rest_refused() {
        for (text, shown) in [
            ("https://bob.example", "https://bob.example"),
            ("HTTPS://Bob.Example:443", "https://bob.example"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://[::1]:80", "http://[::1]"),
            ("https://bob.example/", "https://bob.example"),
        ] {
            assert_eq!(PublicUrl::parse(text).unwrap().to_string(), shown);
        }
        for text in
            ["bob.example", "/x", "ftp://b", "https://u@b", "https://b//", "https://b/x", "https://b?q", ""]
        {
            assert!(PublicUrl::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_target_keeps_its_bytes_and_loses_its_host() {
        let public = PublicUrl::parse("https://bob.example").unwrap();
        let requested: Uri = "http://evil.example/a%20b?x=%2F&&y".parse().unwrap();
        assert_eq!(public.target(&requested), "https://bob.example/a%20b?x=%2F&&y");
        assert_eq!(public.target(&"http://evil.example".parse().unwrap()), "https://bob.example/");
    }

    #[test]
    fn an_authority_alone_is_no_path() {
        let public = PublicUrl::parse("https://bob.example").unwrap();
        for requested in ["evil.example:443", "evil.example", "*"] {
            let target = public.target(&requested.parse().unwrap());
            assert_eq!((target.host(), target.path()), (Some("bob.example"), "*"));
            assert!(crate::path::check_path(target.path()).is_err());
        }
    }
}
