//! The members of the header, as the seed's package reads them: names in any case, numbers also as text, times also
//! without a zone. Whatever could be read in two ways is refused.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::Value;

use crate::time::Timestamp;

/// What a header holds.
pub(super) struct Members {
    pub(super) public_key: String,
    pub(super) signature: String,
    pub(super) timestamp: String,
    pub(super) nonce: u64,
}

/// Reads a header's value; or says what is wrong with it, without repeating it.
pub(super) fn read(value: &str) -> Result<Members, String> {
    // The library would also take an array for an object's members in their order.
    if !value.starts_with('{') {
        return Err("the header is no JSON object".to_owned());
    }
    let members: Raw = serde_json::from_str(value).map_err(|error| {
        // Not the library's words, which may repeat the credential's.
        let column = error.column();
        format!("the header is not the four members, each once, as JSON: column {column}")
    })?;
    let text = |value: Option<Value>| match value {
        Some(Value::String(text)) => Some(text),
        _ => None,
    };
    let nonce = match &members.nonce {
        Some(Value::String(text)) => decimal(text),
        Some(value) => value.as_u64(),
        None => None,
    };
    let wrong = |name: &str| format!("{name} is missing, or of another type than it is to have");
    Ok(Members {
        public_key: text(members.public_key).ok_or_else(|| wrong("PublicKey"))?,
        signature: text(members.signature).ok_or_else(|| wrong("Signature"))?,
        timestamp: text(members.timestamp).ok_or_else(|| wrong("Timestamp"))?,
        nonce: nonce.ok_or_else(|| wrong("Nonce"))?,
    })
}

/// A decimal number in its one spelling.
pub(super) fn decimal(text: &str) -> Option<u64> {
    let is_canonical = text == "0" || !text.starts_with(['0', '+']);
    text.parse().ok().filter(|_| is_canonical)
}

/// A moment as RFC 3339 writes it; without a zone it is of UTC. Nothing signs it, and the nonce, which is
/// signed, lies as near: whoever meant another zone is refused by the clock.
pub(super) fn moment(text: &str) -> Option<Timestamp> {
    Timestamp::parse_rfc3339(text).or_else(|| Timestamp::parse_rfc3339(&format!("{text}Z")))
}

/// The members as they stand there.
#[derive(Default)]
struct Raw {
    public_key: Option<Value>,
    signature: Option<Value>,
    timestamp: Option<Value>,
    nonce: Option<Value>,
    network: Option<Value>,
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the members of a credential")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut raw = Raw::default();
        while let Some(name) = map.next_key::<String>()? {
            let slot = match &*name.to_ascii_lowercase() {
                "publickey" => &mut raw.public_key,
                "signature" => &mut raw.signature,
                "timestamp" => &mut raw.timestamp,
                "nonce" => &mut raw.nonce,
                // Which chain its sender is on. The package has it and signs it not; nothing here depends on it.
                "network" => &mut raw.network,
                _ => return Err(A::Error::custom("a member that nobody knows")),
            };
            if slot.replace(map.next_value()?).is_some() {
                return Err(A::Error::custom("a member that is there twice"));
            }
        }
        Ok(raw)
    }
}
