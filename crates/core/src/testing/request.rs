//! A request in parts, each of which a test may spoil.

use std::net::IpAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, Uri};

use crate::request::{Body, RequestView};
use crate::schemes::api_key::ApiKey;
use crate::source::Source;
use crate::time::Timestamp;

/// What a caller sends.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Scheme, authority, path and query.
    pub target: Uri,
    /// The headers, none but those that a test wants.
    pub headers: HeaderMap,
    /// The body, empty for none.
    pub body: Bytes,
    /// What is known of the body beforehand; `None`: what its bytes say.
    pub announced: Option<Body>,
    /// Who sends it, if that is known.
    pub source: Option<Source>,
    /// Whether nobody waits for an answer: a [`World`](super::World) then says what would become of it.
    pub is_explained: bool,
}

impl Request {
    /// A request to `https://bob.example`, where `target` is a path, or to wherever it says.
    ///
    /// # Panics
    /// If one of the two is none.
    #[must_use]
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.parse().expect("a method"),
            target: uri(target),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            announced: None,
            source: None,
            is_explained: false,
        }
    }

    /// A GET.
    #[must_use]
    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// A POST of `body`.
    #[must_use]
    pub fn post(target: &str, body: impl Into<Bytes>) -> Self {
        Self::new("POST", target).body(body)
    }

    /// The same with a line more.
    ///
    /// # Panics
    /// If it is no header.
    #[must_use]
    pub fn with(mut self, name: impl AsRef<str>, value: &str) -> Self {
        let name: HeaderName = name.as_ref().parse().expect("a header's name");
        self.headers.append(name, value.parse().expect("a header's value"));
        self
    }

    /// The same without these headers, which are there.
    ///
    /// # Panics
    /// If one of them is not.
    #[must_use]
    pub fn without(mut self, names: &[&str]) -> Self {
        for name in names {
            self.headers.remove(*name).unwrap_or_else(|| panic!("{name} is there"));
        }
        self
    }

    /// The same with this key in `Authorization`.
    #[must_use]
    pub fn bearing(self, key: &ApiKey) -> Self {
        self.with("authorization", &format!("Bearer {}", key.reveal().expose()))
    }

    /// The same with another body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// The same to another target.
    ///
    /// # Panics
    /// If it is none.
    #[must_use]
    pub fn to(mut self, target: &str) -> Self {
        self.target = uri(target);
        self
    }

    /// The same with another method.
    #[must_use]
    pub fn by(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    /// The same, saying something else of its body than its bytes do.
    #[must_use]
    pub fn announcing(mut self, body: Body) -> Self {
        self.announced = Some(body);
        self
    }

    /// The same from this address.
    #[must_use]
    pub fn from(mut self, source: impl Into<IpAddr>) -> Self {
        self.source = Some(Source::from(source.into()));
        self
    }

    /// The same, for which nobody waits.
    #[must_use]
    pub fn explained(mut self) -> Self {
        self.is_explained = true;
        self
    }

    /// The value of a header that is there.
    ///
    /// # Panics
    /// If it is not, or is no text.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).unwrap_or_else(|| panic!("{name} is there"));
        value.to_str().expect("text")
    }

    /// As verifiers see it.
    #[must_use]
    pub fn view(&self, received_at: Timestamp) -> RequestView<'_> {
        let told = if self.body.is_empty() { Body::Absent } else { Body::Announced };
        RequestView {
            method: &self.method,
            target: &self.target,
            headers: &self.headers,
            body: self.announced.unwrap_or(told),
            source: self.source,
            received_at,
        }
    }
}

fn uri(target: &str) -> Uri {
    let is_whole = target.starts_with("https://") || target.starts_with("http://");
    let whole = if is_whole { target.to_owned() } else { format!("https://bob.example{target}") };
    whole.parse().expect("a target")
}
