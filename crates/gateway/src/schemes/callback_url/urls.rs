//! The URLs of ours that are credentials: a callback's token is a segment of its path.

use countersign::PublicUrl;
use countersign::copies::unescaped;
use countersign::path::Template;
use memchr::memmem::Finder;

/// The paths of the routes that take callback URLs, under our own name.
pub struct CallbackUrls {
    templates: Vec<Template>,
    /// How such a URL begins behind its scheme.
    host: Finder<'static>,
}

impl CallbackUrls {
    /// Those of `templates`, at `public_url`.
    pub fn new(public_url: &PublicUrl, templates: Vec<Template>) -> Self {
        let host = format!("://{}/", public_url.authority());
        Self { templates, host: Finder::new(&host).into_owned() }
    }

    /// Whether a path of ours has a token in it.
    pub fn are(&self, path: &str) -> bool {
        self.templates.iter().any(|template| template.values(path).is_some())
    }

    /// Whether one stands in `text`, as it is or escaped.
    pub fn stand_in(&self, text: &[u8]) -> bool {
        !self.templates.is_empty()
            && (self.stand_plainly_in(text)
                || unescaped(text).is_some_and(|text| self.stand_plainly_in(&text)))
    }

    fn stand_plainly_in(&self, text: &[u8]) -> bool {
        let mut urls = self.host.find_iter(text).peekable();
        std::iter::from_fn(|| urls.next().map(|at| (at, urls.peek().copied()))).any(|(at, next)| {
            // As long as a path goes on (RFC 3986, 3.3), and no further than to the next URL: each byte is walked once.
            let of_path = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~%!$&'()*+;=:@".contains(&byte);
            let path = &text[at + self.host.needle().len() - 1..next.unwrap_or(text.len())];
            let path = &path[..path.iter().position(|byte| !of_path(*byte)).unwrap_or(path.len())];
            std::str::from_utf8(path).is_ok_and(|path| self.are(path.trim_end_matches('/')))
        })
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
        ] {
            assert!(urls.stand_in(text.as_bytes()), "{text}");
        }
        for text in [
            "",
            "https://bob.example/v1/results/42",
            "https://bob.example/v1/results/42/abc/more",
            "https://carol.example/v1/results/42/abc",
            "/v1/results/42/abc",
        ] {
            assert!(!urls.stand_in(text.as_bytes()), "{text}");
        }
        // If each URL walked the rest, this would take minutes.
        let many = "://bob.example/".repeat(150_000);
        assert!(!urls.stand_in(many.as_bytes()));
        assert!(
            !CallbackUrls::new(&public_url, Vec::new()).stand_in(b"https://bob.example/v1/results/42/abc")
        );
    }
}
