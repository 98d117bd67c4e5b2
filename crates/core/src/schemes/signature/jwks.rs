//! What an agent answers when it is asked for its keys: a JWK set (RFC 7517 §5), and for how long.

use std::sync::Arc;

use http::header::CONTENT_TYPE;
use serde_json::{Map, Value};

use super::agent_key::{AgentKey, Keys};
use crate::crypto::{Algorithm, VerifyingKey};
use crate::fetch::FetchResponse;
use crate::remote_keys::{Published, jwk_set, life};
use crate::time::Timestamp;

/// A directory's media type.
pub(super) const MEDIA_TYPE: &str = "application/http-message-signatures-directory+json";
/// The keys that an answer lists, and how long they are fresh. Keys that are none here are passed over, for
/// others may use them (RFC 7517 §5). An empty list is a list: so an agent withdraws its keys.
///
/// # Errors
/// What is wrong with the answer, for the operator.
pub(super) fn read(response: &FetchResponse) -> Result<Published<Keys>, String> {
    let media_type = response.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = media_type.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case(MEDIA_TYPE) {
        return Err(format!("its media type is not {MEDIA_TYPE}"));
    }
    let keys = jwk_set(&response.body)?.into_iter().filter_map(key).collect();
    Ok(Published { keys, life: life(&response.headers) })
}

/// A key under its own thumbprint, whatever `kid` it says that it has.
fn key(jwk: Value) -> Option<(String, AgentKey)> {
    let Value::Object(mut members) = jwk else { return None };
    // `nbf` and `exp` are the draft's; RFC 7517 has none.
    let (begins, expires) = (moment(&members, "nbf"), moment(&members, "exp"));
    // Directories name algorithms by the registry of message signatures, JWKs by that of JOSE.
    let named = members.get("alg").and_then(Value::as_str).and_then(Algorithm::from_name);
    if named.is_some() {
        members.remove("alg");
    }
    let key = VerifyingKey::from_jwk(&Value::Object(members).to_string(), named).ok()?;
    Some((key.thumbprint()?, AgentKey { key: Arc::new(key), begins, expires }))
}

fn moment(members: &Map<String, Value>, name: &str) -> Option<Timestamp> {
    members.get(name).and_then(Value::as_u64).map(Timestamp::from_secs)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode};

    use super::*;

    proptest::proptest! {
        #[test]
        fn no_answer_makes_reading_panic(noise in "\\PC{0,60}", member in "[a-z0-9\":,{}\\[\\]]{0,40}") {
            for body in [noise, format!("{{\"keys\":[{{\"kty\":\"OKP\",{member}}}]}}")] {
                let headers = HeaderMap::from_iter([(CONTENT_TYPE, MEDIA_TYPE.parse().unwrap())]);
                let _ = read(&FetchResponse { status: StatusCode::OK, headers, body: body.into() });
            }
        }
    }
}
