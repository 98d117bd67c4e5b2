//! The claimant's half: sending a key as itself.

use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};

use super::wire::ApiKey;

/// Puts `key` into a request's headers as `Authorization: Bearer cs_…`. The value is marked
/// sensitive, so that HTTP libraries neither print nor index it.
///
/// # Panics
/// Never: a key is letters, digits and underscores.
pub fn send_as_itself(key: &ApiKey, headers: &mut HeaderMap) {
    let text = format!("Bearer {}", key.reveal().expose());
    let mut value = HeaderValue::try_from(text).expect("a key is visible ASCII");
    value.set_sensitive(true);
    headers.insert(AUTHORIZATION, value);
}
