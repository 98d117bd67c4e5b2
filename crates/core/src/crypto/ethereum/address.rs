//! The name of an Ethereum account: 20 bytes, written with or without a checksum (EIP-55).

use std::fmt;
use std::str::FromStr;

use super::hex::{decode_hex, encode_hex};
use super::keccak256;

/// An Ethereum address: the last 20 bytes of the public key's Keccak-256. `Display` shows `0x` and
/// lower-case digits, so that one account has one name; [`Address::checksummed`] is for people.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address([u8; 20]);

/// Why something is not an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not `0x` and 40 hexadecimal digits.
    #[error("an address is 0x and 40 hexadecimal digits")]
    Form,
    /// Mixed case whose pattern is not the address's own: most likely a typing error.
    #[error("the address is in mixed case, and its checksum (EIP-55) is wrong")]
    Checksum,
}

impl Address {
    /// The address of these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// The address of an uncompressed public key: its two coordinates, 32 bytes each.
    #[must_use]
    pub fn of_public_key(coordinates: &[u8; 64]) -> Self {
        let mut bytes = [0; 20];
        bytes.copy_from_slice(&keccak256(coordinates)[12..]);
        Self(bytes)
    }

    /// The 20 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// Reads an address: all lower case, all upper case, or with its checksum (EIP-55).
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let digits = text.strip_prefix("0x").ok_or(AddressError::Form)?;
        let address = decode_hex(digits).map(Self).ok_or(AddressError::Form)?;
        let has = |case: fn(&u8) -> bool| digits.as_bytes().iter().any(case);
        let is_mixed = has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase);
        if is_mixed && address.checksummed() != text {
            return Err(AddressError::Checksum);
        }
        Ok(address)
    }

    /// The address with its checksum (EIP-55): a letter is a capital where the same digit of the
    /// lower-case text's Keccak-256 is 8 or more.
    #[must_use]
    pub fn checksummed(&self) -> String {
        let digits = encode_hex(&self.0);
        let hash = keccak256(digits.as_bytes());
        let capital = |index: usize| {
            let byte = hash[index / 2];
            (if index.is_multiple_of(2) { byte >> 4 } else { byte & 15 }) >= 8
        };
        let cased = digits.chars().enumerate().map(|(index, digit)| match capital(index) {
            true => digit.to_ascii_uppercase(),
            false => digit,
        });
        "0x".chars().chain(cased).collect()
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0x")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
