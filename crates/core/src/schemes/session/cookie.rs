//! The cookie that holds one half: read, set, cleared.

use std::borrow::Cow;
use std::time::Duration;

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

use super::half::Half;
use crate::PublicUrl;

/// Which cookie holds the half.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SessionCookie {
    /// `__Host-session`: a browser takes it only over TLS, from this very host, for all of its paths.
    Host,
    /// `session`: for plain HTTP on loopback, where a browser takes no `__Host-` cookie.
    Loopback,
}

impl SessionCookie {
    /// The cookie for an address that callers use.
    #[must_use]
    pub fn of(public: &PublicUrl) -> Self {
        if *public.scheme() == http::uri::Scheme::HTTP { Self::Loopback } else { Self::Host }
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Host => "__Host-session",
            Self::Loopback => "session",
        }
    }

    /// The cookie of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Host, Self::Loopback].into_iter().find(|cookie| cookie.name() == name)
    }

    /// `Set-Cookie` for a new session: HttpOnly, SameSite=Lax, for all paths, gone after `lifetime`.
    #[must_use]
    pub fn set(self, half: &Half, lifetime: Duration) -> HeaderValue {
        self.header(half.reveal().expose(), lifetime)
    }

    /// `Set-Cookie` that makes a browser forget it.
    #[must_use]
    pub fn clear(self) -> HeaderValue {
        self.header("", Duration::ZERO)
    }

    fn header(self, value: &str, lifetime: Duration) -> HeaderValue {
        let secure = match self {
            Self::Host => "; Secure",
            Self::Loopback => "",
        };
        let (name, seconds) = (self.name(), lifetime.as_secs());
        let text = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly{secure}; SameSite=Lax");
        // A name, base64url and fixed words: a header value always. Without one no cookie is set.
        let mut header = HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""));
        header.set_sensitive(true);
        header
    }

    /// Whether a `Set-Cookie` that somebody else wrote would set this cookie, or what is read as it: a cookie
    /// without a name is sent as its value alone, which may look like a name and a value. Browsers compare
    /// the prefix `__Host-` without regard to case, and so is all of it here.
    #[must_use]
    pub fn is_set_by(self, set_cookie: &[u8]) -> bool {
        let pair = set_cookie.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let pair = pair.strip_prefix(b"=").unwrap_or(pair).trim_ascii();
        let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii();
        name.eq_ignore_ascii_case(self.name().as_bytes())
    }

    /// The raw values of this cookie in a request, in order. Other cookies may hold any bytes.
    pub fn values(self, headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
        let lines = headers.get_all(COOKIE).iter();
        lines
            .flat_map(|line| line.as_bytes().split(|byte| *byte == b';'))
            .filter_map(move |pair| self.value(pair))
    }

    /// A `Cookie` header without this cookie; the rest keeps its bytes and its order. `None`: nothing is left.
    pub(super) fn removed(self, line: &[u8]) -> Option<Cow<'_, [u8]>> {
        let pairs = || line.split(|byte| *byte == b';');
        if !pairs().any(|pair| self.value(pair).is_some()) {
            return Some(Cow::Borrowed(line));
        }
        let kept: Vec<&[u8]> = pairs().filter(|pair| self.value(pair).is_none()).collect();
        let left = kept.join(&b';').trim_ascii().to_vec();
        (!left.is_empty()).then_some(Cow::Owned(left))
    }

    /// The value, if `pair` is this cookie: names are compared byte for byte (RFC 6265 §5.4 sends them so).
    fn value(self, pair: &[u8]) -> Option<&[u8]> {
        let pair = pair.trim_ascii();
        pair.strip_prefix(self.name().as_bytes())?.strip_prefix(b"=")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SystemRandom;

    fn removed(line: &str) -> Option<String> {
        let left = SessionCookie::Host.removed(line.as_bytes())?;
        Some(String::from_utf8(left.into_owned()).unwrap())
    }

    #[test]
    fn the_cookie_is_set_as_a_browser_must_keep_it() {
        let half = Half::generate(&SystemRandom);
        let text = half.reveal();
        let set = |cookie: SessionCookie| {
            let header = cookie.set(&half, Duration::from_secs(60));
            assert!(header.is_sensitive());
            header.to_str().unwrap().replace(text.expose(), "HALF")
        };
        assert_eq!(
            set(SessionCookie::Host),
            "__Host-session=HALF; Path=/; Max-Age=60; HttpOnly; Secure; SameSite=Lax"
        );
        assert_eq!(set(SessionCookie::Loopback), "session=HALF; Path=/; Max-Age=60; HttpOnly; SameSite=Lax");
        let cleared = SessionCookie::Host.clear();
        assert_eq!(cleared, "__Host-session=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax");
    }

    #[test]
    fn the_scheme_of_the_public_address_decides_the_name() {
        let name = |url: &str| SessionCookie::of(&PublicUrl::parse(url).unwrap()).name();
        assert_eq!(name("https://bob.example"), "__Host-session");
        assert_eq!(name("http://127.0.0.1:8080"), "session");
    }

    #[test]
    fn our_cookie_is_taken_out_and_the_rest_keeps_its_bytes() {
        assert_eq!(removed("a=1; __Host-session=x; b=2").as_deref(), Some("a=1; b=2"));
        assert_eq!(removed("__Host-session=x; b=\"2\"").as_deref(), Some("b=\"2\""));
        assert_eq!(removed("a=1;__Host-session="), Some("a=1".into()));
        assert_eq!(removed("__Host-session=x; __Host-session=y"), None);
        for theirs in ["", "a=1;; b", "session=x", "__host-session=x", "a__Host-session=x", "__Host-session"]
        {
            assert_eq!(removed(theirs).as_deref(), Some(theirs), "{theirs}");
        }
    }

    #[test]
    fn what_would_set_our_cookie_is_recognised() {
        for ours in [
            "__Host-session=x; Path=/",
            " __Host-session = x",
            "__host-SESSION=x",
            "=__Host-session=x",
            "= __Host-session=x; HttpOnly",
            "__Host-session",
        ] {
            assert!(SessionCookie::Host.is_set_by(ours.as_bytes()), "{ours}");
        }
        for theirs in ["session=x", "a=__Host-session=x", "__Host-session2=x", "", "; __Host-session=x"] {
            assert!(!SessionCookie::Host.is_set_by(theirs.as_bytes()), "{theirs}");
        }
        assert!(SessionCookie::Loopback.is_set_by(b"session=x"));
    }

    proptest::proptest! {
        #[test]
        fn what_is_taken_out_is_exactly_what_would_be_read(
            line in "((__Host-session|session|a)?=?[a-z]{0,3}[; ]{0,2}){0,6}",
        ) {
            let count = |line: &[u8]| {
                let mut headers = HeaderMap::new();
                headers.insert(COOKIE, HeaderValue::from_bytes(line).unwrap());
                SessionCookie::Host.values(&headers).count()
            };
            let left = SessionCookie::Host.removed(line.as_bytes());
            if let Some(left) = &left {
                proptest::prop_assert_eq!(count(left), 0);
            }
            proptest::prop_assert_eq!(
                count(line.as_bytes()) == 0,
                left.as_deref() == Some(line.as_bytes())
            );
        }
    }
}
