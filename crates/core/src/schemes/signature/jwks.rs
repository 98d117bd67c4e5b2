//! What an agent answers when it is asked for its keys: a JWK set (RFC 7517 §5), and for how long.

use std::sync::Arc;
use std::time::Duration;

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::agent_key::{AgentKey, Keys};
use crate::crypto::{Algorithm, VerifyingKey};
use crate::fetch::FetchResponse;
use crate::time::Timestamp;

/// A directory's media type.
pub(super) const MEDIA_TYPE: &str = "application/http-message-signatures-directory+json";
/// How long a directory is fresh, at least and at most.
const BOUNDS: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(24 * 3600));
/// How long, where the agent does not say.
const USUAL: Duration = Duration::from_secs(3600);

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

/// The keys that an answer lists, and how long they are fresh. Keys that are none here are passed over, for
/// others may use them (RFC 7517 §5). An empty list is a list: so an agent withdraws its keys.
///
/// # Errors
/// What is wrong with the answer, for the operator.
pub(super) fn read(response: &FetchResponse) -> Result<(Keys, Duration), String> {
    if response.status != StatusCode::OK {
        return Err(format!("it answered {}", response.status.as_u16()));
    }
    let media_type = response.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = media_type.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case(MEDIA_TYPE) {
        return Err(format!("its media type is not {MEDIA_TYPE}"));
    }
    let set: KeySet = serde_json::from_slice(&response.body).map_err(|_| "it is no JWK set".to_owned())?;
    let keys = set.keys.into_iter().filter_map(key).collect();
    Ok((keys, life(&response.headers)))
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

/// From `Cache-Control` (RFC 9111 §5.2.2), within bounds.
pub(in crate::schemes) fn life(headers: &HeaderMap) -> Duration {
    let lines = headers.get_all(CACHE_CONTROL).iter().filter_map(|line| line.to_str().ok());
    let mut life = USUAL;
    for directive in lines.flat_map(|line| line.split(',')) {
        let (name, value) = directive.trim().split_once('=').unwrap_or((directive.trim(), ""));
        match &*name.to_ascii_lowercase() {
            "no-store" | "no-cache" => return BOUNDS.0,
            "max-age" => {
                let seconds = value.trim_matches('"').parse();
                life = seconds.map_or(life, Duration::from_secs);
            }
            _ => {}
        }
    }
    life.clamp(BOUNDS.0, BOUNDS.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_fresh_for_as_long_as_it_says_from_a_minute_to_a_day() {
        for (line, seconds) in [
            ("max-age=7200", 7200),
            ("public, Max-Age=\"120\"", 120),
            ("max-age=5", 60),
            ("max-age=31536000", 86400),
            ("max-age=18446744073709551615", 86400),
            ("no-cache, max-age=7200", 60),
            ("max-age=7200, no-store", 60),
            ("s-maxage=7200", 3600),
            ("max-age=soon", 3600),
        ] {
            let headers = HeaderMap::from_iter([(CACHE_CONTROL, line.parse().unwrap())]);
            assert_eq!(life(&headers), Duration::from_secs(seconds), "{line}");
        }
        assert_eq!(life(&HeaderMap::new()), USUAL);
    }

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
