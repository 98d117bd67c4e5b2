//! One Cookie line, whatever the caller sent; and no `Set-Cookie` of ours that is not ours.

use countersign::schemes::session::SessionCookie;
use http::header::{COOKIE, SET_COOKIE};
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

/// Drops from a response what would set our cookie: whoever sets it chooses whose session its browser is in.
pub fn keep_their_cookies(headers: &mut HeaderMap, cookie: SessionCookie) {
    let sets_ours = |line: &HeaderValue| cookie.is_set_by(line.as_bytes());
    if !headers.get_all(SET_COOKIE).iter().any(sets_ours) {
        return;
    }
    let lines: Vec<HeaderValue> = headers.get_all(SET_COOKIE).iter().cloned().collect();
    headers.remove(SET_COOKIE);
    for line in lines.into_iter().filter(|line| !sets_ours(line)) {
        headers.append(SET_COOKIE, line);
    }
}
