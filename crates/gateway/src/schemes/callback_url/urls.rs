//! The URLs of ours that are credentials: a callback's token is a segment of its path.

use countersign::PublicUrl;
use countersign::copies::unescaped;
use countersign::path::Template;
use memchr::memmem::Finder;
use memchr::{memchr, memrchr};

/// What stands before the host of a URL.
const SLASHES: &[u8] = b"//";

/// The paths of the routes that take callback URLs, under our own name.
pub struct CallbackUrls {
    templates: Vec<Template>,
    /// Our own host, and its port where that is said.
    host: String,
    port: Option<u16>,
    /// The port that needs not be said.
    usual_port: u16,
    slashes: Finder<'static>,
}

impl CallbackUrls {
    /// Those of `templates`, at `public_url`.
    pub fn new(public_url: &PublicUrl, templates: Vec<Template>) -> Self {
        let authority = public_url.authority();
        Self {
            templates,
            host: authority.host().to_owned(),
            port: authority.port_u16(),
            usual_port: public_url.default_port(),
            slashes: Finder::new(SLASHES),
        }
    }

    /// Whether there are no such routes.
    pub fn is_empty(&self) -> bool {
        self.templates.is_empty()
    }

    /// Whether a path of ours has a token in it.
    pub fn are(&self, path: &str) -> bool {
        self.templates.iter().any(|template| template.values(path).is_some())
    }

    /// Whether one stands in `text`, as it is or escaped.
    pub fn stand_in(&self, text: &[u8]) -> bool {
        !self.is_empty()
            && (self.stand_plainly_in(text)
                || unescaped(text).is_some_and(|text| self.stand_plainly_in(&text)))
    }

    fn stand_plainly_in(&self, text: &[u8]) -> bool {
        let mut urls = self.slashes.find_iter(text).peekable();
        std::iter::from_fn(|| urls.next().map(|at| (at, urls.peek().copied()))).any(|(at, next)| {
            // No further than to the next URL: each byte is walked once.
            let url = &text[at + SLASHES.len()..next.unwrap_or(text.len())];
            let Some(slash) = memchr(b'/', url) else { return false };
            let (authority, path) = url.split_at(slash);
            // As long as a path goes on (RFC 3986, 3.3).
            let of_path = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~%!$&'()*+;=:@".contains(&byte);
            let path = &path[..path.iter().position(|byte| !of_path(*byte)).unwrap_or(path.len())];
            self.is_ours(authority)
                && std::str::from_utf8(path).is_ok_and(|path| self.are(path.trim_end_matches('/')))
        })
    }

    /// Whether an authority is ours, as whoever follows the URL compares it (RFC 3986, 3.2 and 6.2.3).
    fn is_ours(&self, authority: &[u8]) -> bool {
        let host = memrchr(b'@', authority).map_or(authority, |at| &authority[at + 1..]);
        let ours = self.host.as_bytes();
        let Some((host, port)) = host.split_at_checked(ours.len()) else { return false };
        let port = match port {
            [] | [b':'] => None,
            [b':', port @ ..] => match std::str::from_utf8(port).ok().and_then(|port| port.parse().ok()) {
                Some(port) => Some(port),
                None => return false,
            },
            _ => return false,
        };
        let usual = |port: Option<u16>| port.unwrap_or(self.usual_port);
        host.eq_ignore_ascii_case(ours) && usual(port) == usual(self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callback_url_is_found_in_whatever_holds_it() {
        let public_url = PublicUrl::parse("https://bob.example").unwrap();
        let urls = CallbackUrls::new(&public_url, vec![Template::parse("/v1/results/{id}/{token}").unwrap()]);
        for text in [
            "https://bob.example/v1/results/42/abc",
            "https://bob.example/v1/results/42/abc?x=1#y",
            "<https://bob.example/v1/results/42/abc>; rel=x",
            "https://bob.example/1,https://bob.example/v1/results/42/abc,https://bob.example/2",
            "https://a.example/?next=https%3A%2F%2Fbob.example%2Fv1%2Fresults%2F42%2Fabc",
            "HTTPS://BOB.Example/v1/results/42/abc",
            "next=https%3a%2f%2fBob.Example%2fv1%2fresults%2f42%2fabc",
            "https://bob.example:443/v1/results/42/abc",
            "https://bob.example:/v1/results/42/abc",
            "https://u:p@bob.example/v1/results/42/abc",
            "href=//bob.example/v1/results/42/abc",
        ] {
            assert!(urls.stand_in(text.as_bytes()), "{text}");
        }
        for text in [
            "",
            "https://bob.example/v1/results/42",
            "https://bob.example/v1/results/42/abc/more",
            "https://carol.example/v1/results/42/abc",
            "https://bob.example.evil/v1/results/42/abc",
            "https://xbob.example/v1/results/42/abc",
            "https://bob.example:8443/v1/results/42/abc",
            "https://bob.example:x/v1/results/42/abc",
            "https://bob.example@carol.example/v1/results/42/abc",
            "/v1/results/42/abc",
        ] {
            assert!(!urls.stand_in(text.as_bytes()), "{text}");
        }
        // If each URL walked the rest, this would take minutes.
        for many in ["://bob.example/", "//", "//bob.example", "//@", "//bob.example/v1/"] {
            assert!(!urls.stand_in(many.repeat(150_000).as_bytes()), "{many}");
        }
        let lab = PublicUrl::parse("http://127.0.0.1:8080").unwrap();
        let urls = CallbackUrls::new(&lab, vec![Template::parse("/v1/results/{id}/{token}").unwrap()]);
        assert!(urls.stand_in(b"http://127.0.0.1:8080/v1/results/42/abc"));
        assert!(!urls.stand_in(b"http://127.0.0.1/v1/results/42/abc"));
        assert!(
            !CallbackUrls::new(&public_url, Vec::new()).stand_in(b"https://bob.example/v1/results/42/abc")
        );
    }
}
