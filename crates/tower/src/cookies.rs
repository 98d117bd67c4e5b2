//! No `Set-Cookie` of ours that is not ours.

use countersign::schemes::session::SessionCookie;
use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue};

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
