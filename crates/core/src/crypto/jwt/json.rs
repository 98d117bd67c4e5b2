//! JSON in which no object has a name twice, at any depth: two readers would disagree about which counts. Text
//! stays where it was read, unless it was written with escapes.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// A value, which borrows from what it was read from.
#[derive(Clone, Debug, PartialEq)]
pub enum Json<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number.
    Number(Number),
    /// Text, its escapes undone.
    Text(Cow<'a, str>),
    /// A list.
    List(Vec<Json<'a>>),
    /// An object.
    Object(Members<'a>),
}

/// The members of an object, in the order in which they were written. Each name is there once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Members<'a>(Vec<(Cow<'a, str>, Json<'a>)>);

/// Room for the claims of most tokens; what more there is makes more room.
const ROOM: usize = 12;
/// Up to so many names are compared with each other; more are sorted, so that nobody's object takes the square of
/// its size.
const FEW: usize = 16;

impl<'a> Json<'a> {
    /// Reads one value, and nothing after it.
    #[must_use]
    pub fn parse(json: &'a [u8]) -> Option<Self> {
        // As text at once: else each string would be looked through by itself.
        let text = std::str::from_utf8(json).ok()?;
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let value = Strict.deserialize(&mut deserializer).ok()?;
        deserializer.end().ok().map(|()| value)
    }

    /// Its text, if it is text.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether it is `text`, or a list of texts that has it; `None` if it is neither a text nor such a list.
    #[must_use]
    pub fn names(&self, text: &str) -> Option<bool> {
        match self {
            Self::Text(own) => Some(own == text),
            Self::List(members) => {
                members.iter().try_fold(false, |found, member| Some(found | (member.as_str()? == text)))
            }
            _ => None,
        }
    }

    /// Itself, if it is a whole number from 0 to 2^64 - 1.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Number(number) => number.as_u64(),
            _ => None,
        }
    }

    /// Its members, if it is an object.
    #[must_use]
    pub const fn as_object(&self) -> Option<&Members<'a>> {
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }

    /// The same, for whoever keeps it longer than what it was read from.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Number(number) => Value::Number(number.clone()),
            Self::Text(text) => Value::String(text.clone().into_owned()),
            Self::List(members) => members.iter().map(Self::to_value).collect(),
            Self::Object(members) => Value::Object(members.to_map()),
        }
    }
}

impl<'a> Members<'a> {
    /// The value of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Json<'a>> {
        self.0.iter().find_map(|(known, value)| (known == name).then_some(value))
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Json<'a>)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }

    /// The same, for whoever keeps them longer than what they were read from.
    #[must_use]
    pub fn to_map(&self) -> Map<String, Value> {
        self.iter().map(|(name, value)| (name.to_owned(), value.to_value())).collect()
    }

    fn has_a_name_twice(&self) -> bool {
        let names = self.0.iter().map(|(name, _)| &**name);
        if self.0.len() <= FEW {
            return names
                .clone()
                .enumerate()
                .any(|(at, name)| names.clone().skip(at + 1).any(|other| other == name));
        }
        let mut sorted: Vec<&str> = names.collect();
        sorted.sort_unstable();
        sorted.windows(2).any(|pair| pair[0] == pair[1])
    }
}

impl<'a> IntoIterator for Members<'a> {
    type Item = (Cow<'a, str>, Json<'a>);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// Builds a [`Json`] and refuses names that are there twice; serde_json would keep the last.
struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Json<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Json<'de>, E> {
        Number::from_f64(value).map(Json::Number).ok_or_else(|| E::custom("a number without a value"))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Json<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = access.next_element_seed(Strict)? {
            members.push(member);
        }
        Ok(Json::List(members))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Json<'de>, A::Error> {
        let mut members = Members(Vec::with_capacity(ROOM));
        while let Some(name) = access.next_key_seed(Name)? {
            members.0.push((name, access.next_value_seed(Strict)?));
        }
        if members.has_a_name_twice() {
            return Err(A::Error::custom("a name is there twice"));
        }
        Ok(Json::Object(members))
    }
}

/// A member's name.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(value.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_there_twice_is_found_among_few_and_among_many() {
        for (others, first, second) in
            [(0, "a", "a"), (14, "a", "\\u0061"), (15, "a", "a"), (400, "é", "\\u00e9")]
        {
            let many: String = (0..others).map(|number| format!("\"{number}\":0,")).collect();
            let written = |second: &str| format!("{{\"{first}\":1,{many}\"{second}\":2}}");
            assert!(Json::parse(written("b").as_bytes()).is_some());
            assert_eq!(Json::parse(written(second).as_bytes()), None, "{others}");
            let within = format!("[{{\"x\":{}}}]", written(second));
            assert_eq!(Json::parse(within.as_bytes()), None, "{others}, within");
        }
    }

    #[test]
    fn what_is_no_json_alone_and_in_utf_8_is_not_read() {
        for text in [&b""[..], b"{}x", b"{} {}", b"\"\xff\"", b"{\"\xff\":1}", b"1e999", b"'a'", &[b'['; 200]]
        {
            assert_eq!(Json::parse(text), None, "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn it_is_read_as_serde_json_reads_it(text in "[\\[\\]{}:,\"a-c\\\\ 0-9.eu-]{0,24}", noise in "\\PC{0,20}") {
            for text in [text, serde_json::json!({"a": [noise, 1.5, -3, null, true]}).to_string()] {
                if let Some(read) = Json::parse(text.as_bytes()) {
                    proptest::prop_assert_eq!(Some(read.to_value()), serde_json::from_str(&text).ok());
                }
            }
        }
    }
}
