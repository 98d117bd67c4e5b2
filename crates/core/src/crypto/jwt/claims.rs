//! A token's claims: JSON in which no name is there twice, at any depth.

use std::fmt;

use serde_json::{Map, Value};

use super::JwtError;
use super::json::{Json, Members};
use crate::time::Timestamp;

/// The claims of a token (RFC 7519 §4), each once, as they stand in the token.
#[derive(Clone, PartialEq)]
pub struct Claims<'a>(Members<'a>);

impl<'a> Claims<'a> {
    /// Reads a JSON object.
    ///
    /// # Errors
    /// [`JwtError::Claims`].
    pub fn parse(json: &'a [u8]) -> Result<Self, JwtError> {
        match Json::parse(json) {
            Some(Json::Object(members)) => Ok(Self(members)),
            _ => Err(JwtError::Claims),
        }
    }

    /// A claim, whatever its type.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Json<'a>> {
        self.0.get(name)
    }

    /// A claim that is a string.
    ///
    /// # Errors
    /// It is something else. The name is given back.
    pub fn text<'n>(&self, name: &'n str) -> Result<Option<&str>, &'n str> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Json::Text(text)) => Ok(Some(text)),
            Some(_) => Err(name),
        }
    }

    /// A claim that is a NumericDate (RFC 7519 §2): seconds since 1970, which may have a fraction.
    ///
    /// # Errors
    /// It is something else, or before 1970. The name is given back.
    pub fn moment<'n>(&self, name: &'n str) -> Result<Option<Timestamp>, &'n str> {
        let number = match self.0.get(name) {
            None => return Ok(None),
            Some(Json::Number(number)) => number,
            Some(_) => return Err(name),
        };
        if let Some(seconds) = number.as_u64() {
            return Ok(Some(Timestamp::from_secs(seconds)));
        }
        match number.as_f64() {
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
        self.0.get("aud").map_or(Ok(false), |aud| aud.names(audience).ok_or("aud"))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Json<'a>)> {
        self.0.iter()
    }

    /// All of them, for whoever keeps them longer than the token.
    #[must_use]
    pub fn to_map(&self) -> Map<String, Value> {
        self.0.to_map()
    }
}

/// Their names alone: values may say more about a person than a log should hold.
impl fmt::Debug for Claims<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(|(name, _)| name)).finish()
    }
}
