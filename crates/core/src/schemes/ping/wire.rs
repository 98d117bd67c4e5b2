//! `Ping: <name> <number>`: bytes to and from a credential.

use std::fmt;

use http::HeaderName;

/// The header that carries it.
pub const PING: HeaderName = HeaderName::from_static("ping");

/// A name and a number, as they were sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Who it is said to be: lower-case letters.
    pub name: String,
    /// What makes it another than the one before.
    pub number: u64,
}

impl Credential {
    /// Reads a header's value.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (name, number) = text.split_once(' ')?;
        let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase());
        let number = number.parse().ok().filter(|_| is_name)?;
        let read = Self { name: name.to_owned(), number };
        // One spelling each.
        (read.to_string() == text).then_some(read)
    }
}

impl fmt::Display for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.number)
    }
}
