//! What is kept of a key: hashes, public halves and sealed secrets, never a secret in the open.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::crypto::{Digest, SealKey, VerifyingKey, derive_ed25519, sha256};
use crate::principal::Permissions;
use crate::store::{Id, Space, StoreError};
use crate::time::Timestamp;

use super::kind::{KeyKind, KeyUnavailable};
use super::wire::ApiKey;
use crate::principal::KeyId;

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
    /// It may sign, and refuses to be sent as itself. So it is with every registered key.
    #[serde(default)]
    pub signed_only: bool,
    /// Which callback URLs it may mint: none, unless it is said.
    #[serde(default)]
    pub mint: MintRights,
}

/// Which callback URLs a key may mint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MintRights {
    /// For these routes, by their templates.
    #[serde(default)]
    pub routes: Vec<String>,
    /// For these users of the application; [`MintRights::ANY`] for all.
    #[serde(default)]
    pub users: Vec<String>,
}

impl MintRights {
    /// Stands for every user.
    pub const ANY: &'static str = "*";

    /// Whether a callback for this route and user may be minted.
    #[must_use]
    pub fn allow(&self, route: &str, user: &str) -> bool {
        self.routes.iter().any(|allowed| allowed == route)
            && self.users.iter().any(|allowed| allowed == user || allowed == Self::ANY)
    }
}

/// What is kept of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// Its name.
    pub id: KeyId,
    /// What its maker decided.
    pub terms: KeyTerms,
    /// What it is.
    pub kind: KeyKind,
    /// When it was made, or registered.
    pub created: Timestamp,
    /// When it was revoked, if it was.
    pub revoked: Option<Timestamp>,
    /// The key that follows it, if it was rotated.
    pub successor: Option<KeyId>,
}

/// Terms of versions 1 and 2, when no key could mint.
#[derive(Deserialize)]
struct EarlierTerms {
    label: String,
    owner: Option<String>,
    permissions: Vec<String>,
    expires: Option<Timestamp>,
    signed_only: bool,
}

impl From<EarlierTerms> for KeyTerms {
    fn from(earlier: EarlierTerms) -> Self {
        let EarlierTerms { label, owner, permissions, expires, signed_only } = earlier;
        Self { label, owner, permissions, expires, signed_only, mint: MintRights::default() }
    }
}

/// A record of version 2.
#[derive(Deserialize)]
struct SecondRecord {
    id: KeyId,
    terms: EarlierTerms,
    kind: KeyKind,
    created: Timestamp,
    revoked: Option<Timestamp>,
    successor: Option<KeyId>,
}

impl From<SecondRecord> for KeyRecord {
    fn from(second: SecondRecord) -> Self {
        let SecondRecord { id, terms, kind, created, revoked, successor } = second;
        Self { id, terms: terms.into(), kind, created, revoked, successor }
    }
}

/// A record of version 1, when every key was an API key.
#[derive(Deserialize)]
struct FirstRecord {
    id: KeyId,
    terms: EarlierTerms,
    secret_digest: Digest,
    public_key: [u8; 32],
    created: Timestamp,
    revoked: Option<Timestamp>,
    successor: Option<KeyId>,
}

impl From<FirstRecord> for KeyRecord {
    fn from(first: FirstRecord) -> Self {
        let FirstRecord { id, terms, secret_digest, public_key, created, revoked, successor } = first;
        let kind = KeyKind::ApiKey { secret_digest, public_key };
        Self { id, terms: terms.into(), kind, created, revoked, successor }
    }
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
    const VERSION: u8 = 3;

    /// The record of a new API key.
    #[must_use]
    pub fn new(key: &ApiKey, terms: KeyTerms, created: Timestamp) -> Self {
        let secret = key.secret.expose();
        let (_, public_key) = derive_ed25519(secret, DERIVATION);
        let kind = KeyKind::ApiKey { secret_digest: sha256(secret), public_key };
        Self { id: key.id, terms, kind, created, revoked: None, successor: None }
    }

    /// The record of a key that somebody else made. It can sign and nothing else.
    pub(super) fn registered(id: KeyId, kind: KeyKind, terms: KeyTerms, created: Timestamp) -> Self {
        let terms = KeyTerms { signed_only: true, ..terms };
        Self { id, terms, kind, created, revoked: None, successor: None }
    }

    /// What verifies signatures by this key; of an API key it is the Ed25519 public half.
    ///
    /// # Errors
    /// [`KeyUnavailable`] without the sealing key that an HMAC secret needs, or if nothing can be read.
    pub fn verifying_key(&self, seal: Option<&SealKey>) -> Result<VerifyingKey, KeyUnavailable> {
        self.kind.verifying_key(self.id, seal)
    }

    /// Whether it opens what it opens to whoever saw a request that carried it.
    #[must_use]
    pub const fn is_bearer_class(&self) -> bool {
        self.kind.is_api_key() && !self.terms.signed_only
    }

    /// What its holder may do.
    #[must_use]
    pub fn granted(&self) -> Permissions {
        Permissions::Only(self.terms.permissions.iter().map(|name| Arc::from(name.as_str())).collect())
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

    /// Reads what [`KeyRecord::encode`] writes, what it wrote before keys could mint, and what it wrote before
    /// there were other keys than API keys.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] for another version or broken bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let corrupt = || StoreError::Corrupt(String::from("a key record of another version"));
        let read = match bytes {
            [Self::VERSION, rest @ ..] => postcard::from_bytes(rest),
            [2, rest @ ..] => postcard::from_bytes::<SecondRecord>(rest).map(Self::from),
            [1, rest @ ..] => postcard::from_bytes::<FirstRecord>(rest).map(Self::from),
            _ => return Err(corrupt()),
        };
        read.map_err(|_| corrupt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{Ed25519Key, Secret, SystemRandom};

    /// What version 1 wrote of the key `AAAAAAAAAAAA` with 32 sevens for its secret.
    const FIRST: &str = "010c41414141414141414141414107706172746e657201047468656d02016101620\
        1a846014bb06f8e4e3a7715d201d573d0aa423762e55dabd61a2c02278fa56cc6d294e0dd1206342107426427f9be6\
        6ff52b3cf63e4124e4b77e23f57b8db5e8e814de4e807018827010c424242424242424242424242";

    fn first() -> Vec<u8> {
        let digits = FIRST.as_bytes().chunks(2).map(|two| std::str::from_utf8(two).unwrap());
        digits.map(|two| u8::from_str_radix(two, 16).unwrap()).collect()
    }

    fn sevens() -> ApiKey {
        ApiKey { id: KeyId::parse("AAAAAAAAAAAA").unwrap(), secret: Secret::new([7; 32]) }
    }

    #[test]
    fn a_record_of_the_first_version_is_still_read() {
        let terms = KeyTerms {
            label: "partner".into(),
            owner: Some("them".into()),
            permissions: vec!["a".into(), "b".into()],
            expires: Some(Timestamp::from_secs(9)),
            signed_only: true,
            mint: MintRights::default(),
        };
        let mut record = KeyRecord::new(&sevens(), terms, Timestamp::from_secs(1));
        record.revoked = Some(Timestamp::from_secs(5));
        record.successor = KeyId::parse("BBBBBBBBBBBB");
        assert_eq!(KeyRecord::decode(&first()).unwrap(), record);
        assert_eq!(record.encode().unwrap()[0], 3, "and written as today's");
        for version in [0, 4, 255] {
            let mut other = first();
            other[0] = version;
            assert!(matches!(KeyRecord::decode(&other), Err(StoreError::Corrupt(_))));
        }
    }

    #[test]
    fn a_record_of_the_second_version_is_still_read() {
        let terms =
            KeyTerms { label: "partner".into(), permissions: vec!["a".into()], ..KeyTerms::default() };
        let mut record = KeyRecord::new(&sevens(), terms, Timestamp::from_secs(1));
        record.kind = KeyKind::Public { key: vec![1, 2, 3] };
        record.successor = KeyId::parse("BBBBBBBBBBBB");
        // What version 2 wrote has no rights to mint behind the terms: two lengths of zero, once the rest is
        // the same.
        let written = record.encode().unwrap().to_vec();
        let (label, permission) = (1 + 13 + 1 + 7 + 1, 1 + 1 + 1);
        let rights = label + permission + 2;
        assert_eq!(&written[rights..rights + 2], [0, 0]);
        let second = [&[2], &written[1..rights], &written[rights + 2..]].concat();
        assert_eq!(KeyRecord::decode(&second).unwrap(), record);
    }

    #[test]
    fn a_key_mints_for_the_routes_and_users_that_it_lists() {
        let rights = |routes: &[&str], users: &[&str]| MintRights {
            routes: routes.iter().map(ToString::to_string).collect(),
            users: users.iter().map(ToString::to_string).collect(),
        };
        assert!(!MintRights::default().allow("/a/{token}", "u"));
        assert!(!rights(&["/a/{token}"], &[]).allow("/a/{token}", "u"));
        assert!(!rights(&[], &["u"]).allow("/a/{token}", "u"));
        assert!(!rights(&["*"], &["u"]).allow("/a/{token}", "u"));
        let some = rights(&["/a/{token}"], &["u", "v"]);
        assert!(
            some.allow("/a/{token}", "v") && !some.allow("/a/{token}", "w") && !some.allow("/b/{token}", "u")
        );
        assert!(rights(&["/a/{token}"], &["*"]).allow("/a/{token}", "w"));
    }

    #[test]
    fn an_api_keys_signatures_are_those_of_the_key_derived_from_it() {
        let record = KeyRecord::new(&sevens(), KeyTerms::default(), Timestamp::from_secs(1));
        let (seed, _) = derive_ed25519(sevens().secret.expose(), DERIVATION);
        let signature = Ed25519Key::from_seed(seed).sign(b"message");
        let key = record.verifying_key(None).unwrap();
        assert!(key.verify(b"message", &signature) && !key.verify(b"massage", &signature));
    }

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
            let version = |version: u8| [&[version], &*bytes].concat();
            let today = one_kind(&bytes).encode().unwrap().to_vec();
            for bytes in [
                bytes.clone(),
                version(1),
                version(2),
                version(KeyRecord::VERSION),
                one_byte_wrong(first(), place, byte),
                one_byte_wrong(today, place, byte),
            ] {
                if let Ok(record) = KeyRecord::decode(&bytes) {
                    let written = record.encode().unwrap();
                    proptest::prop_assert_eq!(KeyRecord::decode(&written).unwrap(), record);
                }
            }
        }
    }

    /// A record of one of the kinds.
    fn one_kind(bytes: &[u8]) -> KeyRecord {
        let mut record = KeyRecord::new(&sevens(), KeyTerms::default(), Timestamp::from_secs(1));
        match bytes.len() % 3 {
            0 => {}
            1 => record.kind = KeyKind::Public { key: bytes.to_vec() },
            _ => record.kind = KeyKind::Hmac { sealed: bytes.to_vec() },
        }
        record
    }

    fn one_byte_wrong(mut bytes: Vec<u8>, place: usize, byte: u8) -> Vec<u8> {
        let place = place % bytes.len();
        bytes[place] = byte;
        bytes
    }
}
