//! E-mail addresses, by which people are found and never known.

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization as _;

use crate::store::Id;

/// The longest address that mail can be sent to, RFC 5321 §4.5.3.1 (with its erratum 1690), in bytes.
const LONGEST_EMAIL: usize = 254;
/// An e-mail address: what somebody types to sign in, and never who they are.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Email(String);

impl Email {
    /// Reads an address: something, an `@`, something, in at most 254 bytes, without spaces or control
    /// characters. It is lower-cased and composed (NFC), so that nobody has it a second time in capitals.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > 2 * LONGEST_EMAIL {
            return None;
        }
        let email: String = text.trim().nfc().collect::<String>().to_lowercase().nfc().collect();
        let (local, domain) = email.rsplit_once('@')?;
        let plain = !email.chars().any(|c| c.is_whitespace() || c.is_control());
        let whole = !local.is_empty() && !domain.is_empty() && !local.contains('@');
        (plain && whole && email.len() <= LONGEST_EMAIL).then_some(Self(email))
    }

    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn place(&self) -> Id {
        Id::of(&[b"user-email", self.0.as_bytes()])
    }
}
