//! `cs_<id>_<secret><check>`: bytes to and from a credential. No keys, no I/O.

use zeroize::Zeroize as _;

use crate::crypto::{Random, Secret, decode_base62, encode_base62};
use crate::principal::KeyId;

const PREFIX: &[u8] = b"cs_";
const ID: usize = KeyId::LENGTH;
const SECRET: usize = 43;
const CHECK: usize = 6;
/// The length of a whole key in characters.
pub const LENGTH: usize = PREFIX.len() + ID + 1 + SECRET + CHECK;

/// Why a `cs_…` string is not a key. The caller learns `key_invalid` either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFormatError {
    /// Another length, prefix, separator or character.
    #[error("not of the form cs_<12 characters>_<49 characters>")]
    Form,
    /// The check characters are of another string: most likely a typing error.
    #[error("the check characters do not fit the rest: mistyped or cut")]
    Check,
}

/// A whole API key: its name and its secret.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// The public name.
    pub id: KeyId,
    /// The 32 secret bytes.
    pub secret: Secret<[u8; 32]>,
}

impl ApiKey {
    /// A new key.
    #[must_use]
    pub fn generate(random: &dyn Random) -> Self {
        let id = KeyId::generate(random);
        let mut secret = [0_u8; 32];
        random.fill(&mut secret);
        Self { id, secret: Secret::new(secret) }
    }

    /// Reads a key. The check characters are judged before anything else is made of it, so that a
    /// typing error costs no store read.
    ///
    /// # Errors
    /// [`KeyFormatError`].
    pub fn parse(text: &str) -> Result<Self, KeyFormatError> {
        let bytes: &[u8; LENGTH] = text.as_bytes().try_into().map_err(|_| KeyFormatError::Form)?;
        let (checked, check) = bytes.split_at(LENGTH - CHECK);
        let (head, secret) = checked.split_at(LENGTH - CHECK - SECRET);
        if !head.starts_with(PREFIX) || head[PREFIX.len() + ID] != b'_' {
            return Err(KeyFormatError::Form);
        }
        let id = std::str::from_utf8(&head[PREFIX.len()..PREFIX.len() + ID]).ok().and_then(KeyId::parse);
        let id = id.ok_or(KeyFormatError::Form)?;
        if check != check_characters(checked) {
            return Err(KeyFormatError::Check);
        }
        let secret = decode_base62::<32>(secret).ok_or(KeyFormatError::Form)?;
        Ok(Self { id, secret: Secret::new(secret) })
    }

    /// The whole key as it is shown once and sent.
    #[must_use]
    pub fn reveal(&self) -> Secret<String> {
        let mut text = Vec::with_capacity(LENGTH);
        text.extend_from_slice(PREFIX);
        text.extend_from_slice(self.id.as_str().as_bytes());
        text.push(b'_');
        let mut secret = encode_base62::<SECRET>(self.secret.expose());
        text.extend_from_slice(&secret);
        secret.zeroize();
        let check = check_characters(&text);
        text.extend_from_slice(&check);
        Secret::new(text.into_iter().map(char::from).collect())
    }
}

/// Whether `text` begins with what is written as a key is, mistyped or not.
#[must_use]
pub fn begins_as_key(text: &[u8]) -> bool {
    let Some((head, rest)) = text.split_at_checked(PREFIX.len() + ID) else { return false };
    let secret = rest.get(1..1 + SECRET + CHECK);
    head.starts_with(PREFIX)
        && rest.first() == Some(&b'_')
        && head[PREFIX.len()..].iter().all(u8::is_ascii_alphanumeric)
        && secret.is_some_and(|secret| secret.iter().all(u8::is_ascii_alphanumeric))
}

fn check_characters(text: &[u8]) -> [u8; CHECK] {
    encode_base62(&crc32fast::hash(text).to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SystemRandom;

    #[test]
    fn any_single_mistyped_character_is_noticed() {
        let key = ApiKey::generate(&SystemRandom).reveal();
        let key = key.expose();
        for position in 0..key.len() {
            let mut mistyped = key.clone().into_bytes();
            mistyped[position] = if mistyped[position] == b'x' { b'y' } else { b'x' };
            let mistyped = String::from_utf8(mistyped).unwrap();
            assert!(ApiKey::parse(&mistyped).is_err(), "position {position}");
        }
        assert!(ApiKey::parse(&key[1..]).is_err());
        assert!(ApiKey::parse(&format!("{key}0")).is_err());
    }

    #[test]
    fn a_secret_beyond_256_bits_is_refused() {
        let text = format!("cs_AAAAAAAAAAAA_{}", "z".repeat(43));
        let check = check_characters(text.as_bytes());
        let text = format!("{text}{}", std::str::from_utf8(&check).unwrap());
        assert_eq!(ApiKey::parse(&text).unwrap_err(), KeyFormatError::Form);
    }

    #[test]
    fn a_key_does_not_print() {
        let key = ApiKey::generate(&SystemRandom);
        assert_eq!(format!("{key:?}"), format!("ApiKey {{ id: {}, secret: [redacted] }}", key.id));
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read_back(id in "[0-9A-Za-z]{12}", secret: [u8; 32]) {
            let key = ApiKey { id: KeyId::parse(&id).unwrap(), secret: Secret::new(secret) };
            let read = ApiKey::parse(key.reveal().expose()).unwrap();
            proptest::prop_assert_eq!(read.id, key.id);
            proptest::prop_assert_eq!(read.secret.expose(), &secret);
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC*", tail in "cs_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}") {
            let _ = ApiKey::parse(&text);
            let _ = ApiKey::parse(&tail);
        }
    }
}
