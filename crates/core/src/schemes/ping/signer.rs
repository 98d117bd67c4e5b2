//! The claimant's half.

use http::{HeaderMap, HeaderValue};

use super::wire::{Credential, PING};

/// Adds the proof to a request's headers; `false` if the name cannot be one.
#[must_use]
pub fn prove(headers: &mut HeaderMap, name: &str, number: u64) -> bool {
    let text = Credential { name: name.to_owned(), number }.to_string();
    let value = Credential::parse(&text).and_then(|_| HeaderValue::try_from(text).ok());
    value.map(|value| headers.insert(PING, value)).is_some()
}
