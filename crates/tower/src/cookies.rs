//! One Cookie line, whatever the caller sent.

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

/// Joins several Cookie lines into one: HTTP/2 splits them, and they are joined before anything reads
/// them (RFC 9113 §8.2.3).
///
/// ```
/// use countersign_tower::join_cookies;
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
