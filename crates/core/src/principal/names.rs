//! Names of keys, users and sessions: random, they say nothing and open nothing.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::crypto::{Random, encode_base62};

/// The public name of a registered key: 12 base62 characters. The subject is `key:…`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId([u8; KeyId::LENGTH]);

impl KeyId {
    /// How many characters it has.
    pub const LENGTH: usize = 12;

    /// A new name, one of 62^12.
    #[must_use]
    pub fn generate(random: &dyn Random) -> Self {
        let mut id = [0_u8; Self::LENGTH];
        let mut filled = 0;
        while filled < Self::LENGTH {
            let mut bytes = [0_u8; 2 * Self::LENGTH];
            random.fill(&mut bytes);
            // 248 is the largest multiple of 62 in a byte: beyond it some characters would be likelier.
            for byte in bytes.into_iter().filter(|byte| *byte < 248).take(Self::LENGTH - filled) {
                [id[filled]] = encode_base62::<1>(&[byte % 62]);
                filled += 1;
            }
        }
        Self(id)
    }

    /// Reads a name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let id: [u8; Self::LENGTH] = text.as_bytes().try_into().ok()?;
        id.iter().all(u8::is_ascii_alphanumeric).then_some(Self(id))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Only ASCII letters and digits are ever put in.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> Self {
        id.as_str().to_owned()
    }
}

impl TryFrom<String> for KeyId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("a key id is 12 letters and digits")
    }
}

/// How many base 62 characters 128 bits take.
const CHARACTERS: usize = 22;

macro_rules! names {
    ($(#[$doc:meta])* $name:ident $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(into = "[u8; CHARACTERS]", try_from = "[u8; CHARACTERS]")]
        pub struct $name([u8; CHARACTERS]);

        impl $name {
            /// A new one.
            #[must_use]
            pub fn generate(random: &dyn Random) -> Self {
                let mut bytes = [0_u8; 16];
                random.fill(&mut bytes);
                Self(encode_base62(&bytes))
            }

            /// Reads what [`fmt::Display`] writes.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                let name: [u8; CHARACTERS] = text.strip_prefix($prefix)?.as_bytes().try_into().ok()?;
                Self::try_from(name).ok()
            }

            /// The characters after the prefix, as bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($prefix)?;
                // Only ASCII letters and digits are ever put in.
                f.write_str(std::str::from_utf8(&self.0).unwrap_or_default())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        /// In records: read with every request, and without a prefix that all of them have.
        impl From<$name> for [u8; CHARACTERS] {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl TryFrom<[u8; CHARACTERS]> for $name {
            type Error = &'static str;

            fn try_from(name: [u8; CHARACTERS]) -> Result<Self, Self::Error> {
                let all = name.iter().all(u8::is_ascii_alphanumeric);
                all.then_some(Self(name)).ok_or(concat!($prefix, "<22 letters and digits>"))
            }
        }
    };
}

names! {
    /// The name of a user, `usr_` and 22 letters and digits: given once, and never to another. The subject
    /// is `user:usr_…`.
    UserId "usr_"
}
names! {
    /// The name of a session, `ses_` and 22 letters and digits, by which it is listed and ended. It has
    /// nothing to do with its halves.
    SessionId "ses_"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SystemRandom;

    #[test]
    fn names_are_read_back_and_none_is_the_others() {
        let (user, session) = (UserId::generate(&SystemRandom), SessionId::generate(&SystemRandom));
        assert_eq!(UserId::parse(&user.to_string()), Some(user));
        assert_eq!(SessionId::parse(&session.to_string()), Some(session));
        assert_eq!(SessionId::parse(&user.to_string()), None);
        for text in ["", "usr_", "usr_short", "usr_0123456789012345678901\n", "usr_012345678901234567890é"] {
            assert_eq!(UserId::parse(text), None, "{text}");
        }
    }
}
