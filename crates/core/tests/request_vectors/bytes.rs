//! HTTP/1.1 messages as their bytes, written and read by no code of the product.

use bytes::Bytes;
use countersign::RequestView;
use countersign::request::Body;
use countersign::time::Timestamp;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// Absolute, under what the receiver calls itself.
    pub(crate) target: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Request {
    pub(crate) fn new(method: &str, target: &str) -> Self {
        let target: Uri = target.parse().unwrap();
        let host = HeaderValue::from_str(target.authority().unwrap().as_str()).unwrap();
        let headers = HeaderMap::from_iter([(http::header::HOST, host)]);
        Self { method: method.parse().unwrap(), target, headers, body: Bytes::new() }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl AsRef<str>) -> Self {
        self.headers.append(HeaderName::from_static(name), value.as_ref().parse().unwrap());
        self
    }

    pub(crate) fn body(self, kind: &str, body: &str) -> Self {
        let body = Bytes::from(body.to_owned());
        let sized = self.with("content-type", kind).with("content-length", body.len().to_string());
        Self { body, ..sized }
    }

    pub(crate) fn write(&self) -> String {
        let target = self.target.path_and_query().map_or("/", |target| target.as_str());
        format!("{} {target} HTTP/1.1\r\n{}", self.method, self.rest())
    }

    fn rest(&self) -> String {
        let lines = self.headers.iter().map(|(name, value)| {
            let value = value.to_str().unwrap();
            format!("{}: {value}\r\n", spelled(name.as_str()))
        });
        lines.collect::<String>() + "\r\n" + std::str::from_utf8(&self.body).unwrap()
    }

    /// Reads what a receiver that is called `public_url` gets.
    pub(crate) fn read(text: &str, public_url: &str) -> Self {
        let (first, headers, body) = parts(text);
        let [method, target, "HTTP/1.1"] = first[..] else { panic!("{first:?}") };
        let target = format!("{public_url}{target}").parse().unwrap();
        Self { method: method.parse().unwrap(), target, headers, body }
    }

    pub(crate) fn view(&self, received_at: Timestamp) -> RequestView<'_> {
        RequestView {
            method: &self.method,
            target: &self.target,
            headers: &self.headers,
            body: if self.body.is_empty() { Body::Absent } else { Body::Announced },
            source: None,
            received_at,
        }
    }
}

/// Reads an answer: its status and its body.
pub(crate) fn answer(text: &str) -> (StatusCode, Bytes) {
    let (first, _, body) = parts(text);
    (first[1].parse().unwrap(), body)
}

fn parts(text: &str) -> (Vec<&str>, HeaderMap, Bytes) {
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let mut lines = head.split("\r\n");
    let first = lines.next().unwrap().split(' ').collect();
    let field = |line: &str| {
        let (name, value) = line.split_once(':').unwrap();
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        (name, HeaderValue::from_str(value.trim_matches([' ', '\t'])).unwrap())
    };
    let mut headers = HeaderMap::new();
    for (name, value) in lines.map(field) {
        headers.append(name, value);
    }
    let length = headers.get("content-length").map_or(0, |length| length.to_str().unwrap().parse().unwrap());
    assert_eq!(body.len(), length, "{text}");
    (first, headers, Bytes::from(body.to_owned()))
}

/// `Content-Type` for `content-type`.
fn spelled(name: &str) -> String {
    if name == "dpop" {
        return "DPoP".to_owned();
    }
    let word = |word: &str| word[..1].to_uppercase() + &word[1..];
    name.split('-').map(word).collect::<Vec<_>>().join("-")
}
