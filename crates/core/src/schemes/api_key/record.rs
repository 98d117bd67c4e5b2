//! What is kept of a key: hashes and public halves, never the secret.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::crypto::{Digest, derive_ed25519, sha256};
use crate::store::{Id, Space, StoreError};
use crate::time::Timestamp;

use super::wire::{ApiKey, KeyId};

/// Where keys are kept.
pub const KEYS: Space = Space::durable("keys");
/// Where it is kept when each key was last used. Apart from [`KEYS`], so that noting it can never
/// undo a revocation.
pub const KEY_USE: Space = Space::durable("key-use");

/// The HKDF label under which an API key's Ed25519 key is derived.
pub const DERIVATION: &[u8] = b"countersign/api-key/ed25519/1";

/// What whoever makes a key decides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyTerms {
    /// What people call it.
    pub label: String,
    /// Who answers for it.
    #[serde(default)]
    pub owner: Option<String>,
    /// What it may do.
    #[serde(default)]
    pub permissions: Vec<String>,
    /// From when on it is not valid.
    #[serde(default)]
    pub expires: Option<Timestamp>,
    /// It may sign, and refuses to be sent as itself.
    #[serde(default)]
    pub signed_only: bool,
}

/// What is kept of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// Its name.
    pub id: KeyId,
    /// What its maker decided.
    pub terms: KeyTerms,
    /// SHA-256 of the 32 secret bytes.
    pub secret_digest: Digest,
    /// The public half of the Ed25519 key that is derived from the secret.
    pub public_key: [u8; 32],
    /// When it was made.
    pub created: Timestamp,
    /// When it was revoked, if it was.
    pub revoked: Option<Timestamp>,
    /// The key that follows it, if it was rotated.
    pub successor: Option<KeyId>,
}

/// Why a key that exists does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lapsed {
    /// It was revoked.
    Revoked,
    /// It has expired.
    Expired,
}

impl Lapsed {
    /// In words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::Expired => "expired",
        }
    }
}

impl KeyRecord {
    const VERSION: u8 = 1;

    /// The record of a new key.
    #[must_use]
    pub fn new(key: &ApiKey, terms: KeyTerms, created: Timestamp) -> Self {
        let secret = key.secret.expose();
        let (_, public_key) = derive_ed25519(secret, DERIVATION);
        Self {
            id: key.id,
            terms,
            secret_digest: sha256(secret),
            public_key,
            created,
            revoked: None,
            successor: None,
        }
    }

    /// Where the record of `id` is kept.
    #[must_use]
    pub fn place(id: KeyId) -> Id {
        Id::of(&[b"key", id.as_str().as_bytes()])
    }

    /// Whether the key has lapsed at `now`.
    #[must_use]
    pub fn lapsed(&self, now: Timestamp) -> Option<Lapsed> {
        if self.revoked.is_some() {
            Some(Lapsed::Revoked)
        } else if self.terms.expires.is_some_and(|expires| expires <= now) {
            Some(Lapsed::Expired)
        } else {
            None
        }
    }

    /// The bytes that are kept: a version byte, then postcard.
    ///
    /// # Errors
    /// None in practice; postcard fails only for types that this is not.
    pub fn encode(&self) -> Result<Bytes, StoreError> {
        let bytes = postcard::to_extend(self, vec![Self::VERSION]);
        bytes.map(Bytes::from).map_err(|error| StoreError::Corrupt(error.to_string()))
    }

    /// Reads what [`KeyRecord::encode`] wrote.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] for another version or broken bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let corrupt = || StoreError::Corrupt(String::from("a key record of another version"));
        let [Self::VERSION, rest @ ..] = bytes else { return Err(corrupt()) };
        postcard::from_bytes(rest).map_err(|_| corrupt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{Secret, SystemRandom};

    #[test]
    fn a_record_is_read_back_and_holds_no_secret() {
        let key = ApiKey::generate(&SystemRandom);
        let terms =
            KeyTerms { label: "partner".into(), permissions: vec!["a".into()], ..KeyTerms::default() };
        let record = KeyRecord::new(&key, terms, Timestamp::from_secs(1));
        let bytes = record.encode().unwrap();
        assert_eq!(KeyRecord::decode(&bytes).unwrap(), record);
        assert!(!bytes.windows(32).any(|window| window == key.secret.expose()));
        assert!(KeyRecord::decode(&bytes[..20]).is_err());
        assert!(KeyRecord::decode(&[]).is_err());
    }

    proptest::proptest! {
        #[test]
        fn whatever_bytes_are_read_they_mean_what_would_be_written(
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200),
            place in 0..200_usize,
            byte: u8,
        ) {
            for bytes in [bytes.clone(), [&[KeyRecord::VERSION], &*bytes].concat(), one_byte_wrong(place, byte)] {
                if let Ok(record) = KeyRecord::decode(&bytes) {
                    let written = record.encode().unwrap();
                    proptest::prop_assert_eq!(KeyRecord::decode(&written).unwrap(), record);
                }
            }
        }
    }

    fn one_byte_wrong(place: usize, byte: u8) -> Vec<u8> {
        let key = ApiKey { id: KeyId::parse("AAAAAAAAAAAA").unwrap(), secret: Secret::new([7; 32]) };
        let terms = KeyTerms { label: "x".into(), owner: Some("y".into()), ..KeyTerms::default() };
        let mut bytes = KeyRecord::new(&key, terms, Timestamp::from_secs(1)).encode().unwrap().to_vec();
        let place = place % bytes.len();
        bytes[place] = byte;
        bytes
    }
}
