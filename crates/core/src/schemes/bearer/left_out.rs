//! Why members of an issuer's set of keys verify no tokens here: for whoever looks for a key that is there.

use std::fmt;

use serde_json::Value;

use crate::crypto::KeyError;
use crate::crypto::jwt::JwtAlgorithm;

/// How many are named.
const MOST_TOLD: usize = 4;

/// A member of a set that verifies no tokens here.
#[derive(Clone, Debug)]
pub(super) struct LeftOut {
    /// Its place in the set, from 1.
    number: usize,
    name: Option<String>,
    why: String,
}

impl LeftOut {
    pub(super) fn new(number: usize, name: Option<String>, jwk: &Value, error: &KeyError) -> Self {
        Self { number, name, why: reason(jwk, error) }
    }

    /// Whether a token may mean it by `kid`.
    pub(super) fn is_meant(&self, kid: Option<&str>) -> bool {
        kid.is_none() || self.name.is_none() || self.name.as_deref() == kid
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {}", self.number)?;
        if let Some(name) = &self.name {
            write!(f, ", {}", shown(name))?;
        }
        write!(f, ": {}", self.why)
    }
}

/// Names some, as the end of a sentence; nothing if there are none.
pub(super) fn told<'l>(left_out: impl Iterator<Item = &'l LeftOut>) -> String {
    let mut told: Vec<_> = left_out.map(ToString::to_string).collect();
    if told.is_empty() {
        return String::new();
    }
    let more = told.len().saturating_sub(MOST_TOLD);
    told.truncate(MOST_TOLD);
    if more > 0 {
        told.push(format!("and {more} more"));
    }
    format!("; left out of its set: {}", told.join("; "))
}

fn reason(jwk: &Value, error: &KeyError) -> String {
    let has = |name: &str| jwk.get(name).is_some();
    if has("x5c") && !has("n") && !has("x") {
        return "it holds a certificate (x5c) and not the key itself, which a JWK has (RFC 7517 §4.7)"
            .to_owned();
    }
    match jwk.get("alg").and_then(Value::as_str) {
        Some(alg) if matches!(error, KeyError::Jwk(_)) && JwtAlgorithm::from_name(alg).is_none() => {
            format!("its alg {} is none that tokens are signed with here", shown(alg))
        }
        _ => error.to_string(),
    }
}

/// What somebody else wrote, short and harmless enough for a line.
pub(super) fn shown(text: &str) -> String {
    format!("{:?}", text.chars().take(64).collect::<String>())
}
