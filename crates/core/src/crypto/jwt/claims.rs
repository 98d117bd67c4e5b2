//! A token's claims: JSON in which no name is there twice, at any depth.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::JwtError;
use crate::time::Timestamp;

/// The claims of a token (RFC 7519 §4), each once.
#[derive(Clone, PartialEq)]
pub struct Claims(Map<String, Value>);

impl Claims {
    /// Reads a JSON object.
    ///
    /// # Errors
    /// [`JwtError::Claims`].
    pub fn parse(json: &[u8]) -> Result<Self, JwtError> {
        match parse_json(json) {
            Some(Value::Object(members)) => Ok(Self(members)),
            _ => Err(JwtError::Claims),
        }
    }

    /// A claim, whatever its type.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// A claim that is a string.
    ///
    /// # Errors
    /// It is something else. The name is given back.
    pub fn text<'n>(&self, name: &'n str) -> Result<Option<&str>, &'n str> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(name),
        }
    }

    /// A claim that is a NumericDate (RFC 7519 §2): seconds since 1970, which may have a fraction.
    ///
    /// # Errors
    /// It is something else, or before 1970. The name is given back.
    pub fn moment<'n>(&self, name: &'n str) -> Result<Option<Timestamp>, &'n str> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        if let Some(seconds) = value.as_u64() {
            return Ok(Some(Timestamp::from_secs(seconds)));
        }
        match value.as_f64() {
            // Beyond 2^53 seconds, which no clock will show, a fraction means nothing.
            Some(seconds) if (0.0..9.0e15).contains(&seconds) => {
                Ok(Some(Timestamp::from_millis((seconds * 1000.0) as u64)))
            }
            _ => Err(name),
        }
    }

    /// Whether `audience` is the token's, or among them (RFC 7519 §4.1.3).
    ///
    /// # Errors
    /// `aud` is there and neither a string nor a list of strings.
    pub fn is_for(&self, audience: &str) -> Result<bool, &'static str> {
        match self.0.get("aud") {
            None => Ok(false),
            Some(Value::String(text)) => Ok(text == audience),
            Some(Value::Array(members)) if members.iter().all(Value::is_string) => {
                Ok(members.iter().any(|member| member == audience))
            }
            Some(_) => Err("aud"),
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.0.iter()
    }

    /// All of them, as JSON.
    #[must_use]
    pub fn into_members(self) -> Map<String, Value> {
        self.0
    }
}

/// Their names alone: values may say more about a person than a log should hold.
impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Reads JSON in which no object has a name twice. Two readers would disagree about which counts.
#[must_use]
pub fn parse_json(json: &[u8]) -> Option<Value> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let value = Strict.deserialize(&mut deserializer).ok()?;
    deserializer.end().ok().map(|()| value)
}

/// JSON in which no object has a name twice, within other JSON.
#[derive(Clone)]
pub(super) struct Once(pub(super) Value);

impl<'de> serde::Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Strict.deserialize(deserializer).map(Self)
    }
}

/// Builds a [`Value`] and refuses names that are there twice; serde_json would keep the last.
struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = access.next_element_seed(Strict)? {
            members.push(member);
        }
        Ok(Value::Array(members))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            let value = access.next_value_seed(Strict)?;
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("a name is there twice"));
            }
        }
        Ok(Value::Object(members))
    }
}
