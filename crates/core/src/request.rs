//! A request as verifiers see it: parsed once, addressed as configuration says, with one time.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use http::header::COOKIE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

use crate::denial::{Code, Denial};
use crate::redaction::{redact_method, redact_path};
use crate::source::Source;
use crate::time::Timestamp;

/// What is known of the body before any of it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// The request announces none.
    Absent,
    /// One is announced, by a length above zero, by chunks, or by an open HTTP/2 stream.
    Announced,
    /// A front proxy kept it: whatever needs it must be refused.
    Withheld,
}

/// A request's head, and the moment at which it came in.
#[derive(Clone)]
pub struct RequestView<'a> {
    /// The method, as sent.
    pub method: &'a Method,
    /// Scheme and authority from configuration; path and query as the caller sent them, byte for byte.
    pub target: &'a Uri,
    /// The headers, Cookie lines joined.
    pub headers: &'a HeaderMap,
    /// Whether there is a body.
    pub body: Body,
    /// Who opened the connection, or whom a trusted proxy names.
    pub source: Option<Source>,
    /// The only clock that a verifier sees.
    pub received_at: Timestamp,
}

/// Nothing that could be a credential: neither query nor headers, and the path redacted.
impl fmt::Debug for RequestView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestView")
            .field("method", &redact_method(self.method))
            .field("path", &redact_path(self.target.path()))
            .field("body", &self.body)
            .field("source", &self.source)
            .field("received_at", &self.received_at)
            .finish_non_exhaustive()
    }
}

impl RequestView<'_> {
    /// The one value of a header that may be sent once.
    ///
    /// # Errors
    /// `credential_ambiguous` if it is there twice, `credential_malformed` if it is not visible ASCII.
    pub fn single_header(&self, name: &HeaderName) -> Result<Option<&str>, Denial> {
        let mut values = self.headers.get_all(name).iter();
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(Denial::new(Code::CredentialAmbiguous, format!("{name} is there twice")));
        }
        value
            .to_str()
            .map(|value| Some(value.trim_matches([' ', '\t'])))
            .map_err(|_| Denial::new(Code::CredentialMalformed, format!("{name} is not visible ASCII")))
    }

    /// The raw value of a query parameter that may be sent once. Names and values are compared as
    /// sent, not decoded.
    ///
    /// # Errors
    /// `credential_ambiguous` if it is there twice.
    pub fn single_parameter(&self, name: &str) -> Result<Option<&str>, Denial> {
        let mut found = query_parameters(self.target.query()).filter(|(key, _)| *key == name);
        let Some((_, value)) = found.next() else { return Ok(None) };
        if found.next().is_some() {
            return Err(Denial::new(
                Code::CredentialAmbiguous,
                format!("the parameter {name} is there twice"),
            ));
        }
        Ok(Some(value))
    }
}

/// Joins several Cookie lines into one: HTTP/2 splits them, and they are joined before anything reads
/// them (RFC 9113 §8.2.3).
///
/// ```
/// use countersign::request::join_cookies;
/// use http::{HeaderMap, HeaderValue};
///
/// let mut headers = HeaderMap::new();
/// headers.append("cookie", HeaderValue::from_static("a=1"));
/// headers.append("cookie", HeaderValue::from_static("b=2"));
/// join_cookies(&mut headers);
/// assert_eq!(headers.get_all("cookie").iter().collect::<Vec<_>>(), ["a=1; b=2"]);
/// ```
pub fn join_cookies(headers: &mut HeaderMap) {
    let mut values = headers.get_all(COOKIE).iter();
    let (Some(first), Some(second)) = (values.next(), values.next()) else { return };
    let mut joined = first.as_bytes().to_vec();
    for value in std::iter::once(second).chain(values) {
        joined.extend_from_slice(b"; ");
        joined.extend_from_slice(value.as_bytes());
    }
    // What was read from header values makes a header value.
    if let Ok(joined) = HeaderValue::from_bytes(&joined) {
        headers.insert(COOKIE, joined);
    }
}

/// Splits a raw query into names and values, undecoded.
pub fn query_parameters(query: Option<&str>) -> impl Iterator<Item = (&str, &str)> {
    query
        .unwrap_or_default()
        .split('&')
        .filter(|parameter| !parameter.is_empty())
        .map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")))
}

/// A raw query without the parameters of these names; what is left keeps its bytes and its order.
/// `None`: there was no query, or nothing of it is left. What a scheme signs without its own parameters
/// and what is forwarded without them must be the same bytes, and both are made here.
#[must_use]
pub fn query_without<'a>(query: Option<&'a str>, names: &[&str]) -> Option<Cow<'a, str>> {
    let goes = |parameter: &str| parameter.split('=').next().is_some_and(|name| names.contains(&name));
    query_where(query?, |parameter| !goes(parameter))
}

/// The same, of the parameters that `stays` takes, each as it is written.
#[must_use]
pub fn query_where(query: &str, stays: impl Fn(&str) -> bool) -> Option<Cow<'_, str>> {
    if query.split('&').all(&stays) {
        return Some(Cow::Borrowed(query));
    }
    let kept: Vec<&str> = query.split('&').filter(|parameter| stays(parameter)).collect();
    if kept.is_empty() { None } else { Some(Cow::Owned(kept.join("&"))) }
}

/// Reads a body once a verifier has shown that it is worth reading.
pub trait BodySource: Send {
    /// The whole body, kept for whoever forwards it.
    ///
    /// Fails with `body_too_large` beyond `limit` bytes, and with `framing` if it breaks off.
    fn read(&mut self, limit: usize) -> Pin<Box<dyn Future<Output = Result<Bytes, Denial>> + Send + '_>>;
}

/// A body that is already in memory.
impl BodySource for Bytes {
    fn read(&mut self, limit: usize) -> Pin<Box<dyn Future<Output = Result<Bytes, Denial>> + Send + '_>> {
        let whole = if self.len() > limit {
            Err(Denial::new(Code::BodyTooLarge, format!("{} bytes, at most {limit}", self.len())))
        } else {
            Ok(self.clone())
        };
        Box::pin(std::future::ready(whole))
    }
}

/// Where a credential travels: what must be taken out before a request is forwarded or shown.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Carrier {
    /// A header field.
    Header(HeaderName),
    /// A query parameter, by its raw name.
    Parameter(&'static str),
    /// Query parameters, by their raw names, that together are one credential where the parameter
    /// `marker` has this value, and that are the upstream's own elsewhere.
    Parameters {
        /// A raw name and value.
        marker: (&'static str, &'static str),
        /// The raw names of all of them, the marker's included.
        names: &'static [&'static str],
    },
    /// A segment of the path, by its number from zero: taken out together with its slash.
    Segment(usize),
    /// A cookie, by its name; the others stay.
    Cookie(&'static str),
    /// The WebSocket subprotocols that begin so (RFC 6455 §11.3.4); the others stay.
    Subprotocol(&'static str),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_parameters_are_split_and_not_decoded() {
        let parameters: Vec<_> = query_parameters(Some("a=1&&b=%26&c&d=x=y")).collect();
        assert_eq!(parameters, [("a", "1"), ("b", "%26"), ("c", ""), ("d", "x=y")]);
        assert_eq!(query_parameters(None).count(), 0);
    }

    #[test]
    fn parameters_are_left_out_whole_and_the_rest_keeps_its_bytes() {
        let without = |query| query_without(query, &["a", "nonce"]);
        assert_eq!(without(None), None);
        assert_eq!(without(Some("")).as_deref(), Some(""));
        assert_eq!(without(Some("a=1&b=%20&nonce")), Some("b=%20".into()));
        assert_eq!(without(Some("a=1&nonce=2&a")), None);
        assert_eq!(without(Some("&a=1")).as_deref(), Some(""), "an empty parameter is one");
        assert_eq!(without(Some("aa=1&x=a=1&Nonce=2&%61=3")).as_deref(), Some("aa=1&x=a=1&Nonce=2&%61=3"));
    }
}
