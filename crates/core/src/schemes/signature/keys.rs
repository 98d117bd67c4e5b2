//! The keys that `keyid` names, from the registry: read for each request, parsed once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::base::signature_base;
use super::explain::with_base;
use super::judge::Holder;
use super::message::Message;
use super::signed::Signed;
use super::verify::verify;
use crate::crypto::{Digest, SealKey, VerifyingKey, sha256};
use crate::denial::{Code, Denial};
use crate::principal::{KeyId, Permissions, Principal, Subject};
use crate::request::RequestView;
use crate::schemes::api_key::{KEYS, KeyRecord, LastUses};
use crate::spending::Note;
use crate::store::{Store, StoreError};
use crate::time::Timestamp;

/// How many parsed keys are remembered.
const PARSED: usize = 4096;

/// The keys in a store, for whoever verifies signatures.
///
/// The record is read each time, so that a revocation counts at once; what was parsed from the same
/// bytes before is not parsed again.
pub struct RegisteredKeys<S> {
    store: S,
    seal: Option<SealKey>,
    uses: Arc<LastUses>,
    parsed: Mutex<HashMap<KeyId, Parsed>>,
    bound: usize,
    stranger: VerifyingKey,
}

struct Parsed {
    /// SHA-256 of the record.
    of: Digest,
    key: Arc<VerifyingKey>,
    name: Option<Subject>,
}

/// A key that has not lapsed. Whether the signature is its own is still to be seen.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its name.
    pub id: KeyId,
    /// Whether it is an API key, so that its signature satisfies `api-key` too.
    pub is_api_key: bool,
    /// What its holder may do.
    pub permissions: Permissions,
    /// From when on it is not valid.
    pub expires: Option<Timestamp>,
    /// What verifies its signatures.
    pub key: Arc<VerifyingKey>,
    /// By its thumbprint, as a token may name it; `None` for an HMAC secret.
    pub name: Option<Subject>,
}

impl Found {
    /// Whom a signature by this key proves.
    #[must_use]
    pub fn principal(&self) -> Principal {
        let mut principal = Principal::vouch_for(Subject::Key(self.id));
        principal.key.clone_from(&self.name);
        principal.permissions = self.permissions.clone();
        principal.expires = self.expires;
        principal
    }
}

/// An operator is shown what would have been signed.
impl Holder for Found {
    fn signed(&self, signed: &Signed, message: &Message<'_>) -> Result<(), Denial> {
        verify(signed, message, &self.key).map_err(|denial| with_base(&denial, signed, message))
    }
}

impl<S: Store> RegisteredKeys<S> {
    /// The keys in `store`, whose HMAC secrets `seal` opens; uses are noted in `uses`.
    ///
    /// # Panics
    /// Never: the public key of RFC 8032's first example is one.
    #[must_use]
    pub fn new(store: S, uses: Arc<LastUses>, seal: Option<SealKey>) -> Self {
        let stranger = VerifyingKey::from_ed25519(STRANGER).expect("a point of RFC 8032");
        Self { store, seal, uses, parsed: Mutex::default(), bound: PARSED, stranger }
    }

    /// The key that `keyid` names: one read of the store, none for what is no name.
    ///
    /// # Errors
    /// `signature_invalid` if there is none, or it has lapsed: the cause says which. `keys_unavailable`
    /// if it is there and cannot be had, and whatever [`StoreError`] becomes.
    pub async fn find(&self, keyid: &str, now: Timestamp) -> Result<Found, Denial> {
        let invalid = |cause: String| Denial::new(Code::SignatureInvalid, cause);
        let id = KeyId::parse(keyid).ok_or_else(|| {
            let cause = "keyid is not 12 letters and digits, so it names no registered key";
            Denial::new(Code::SignatureInvalid, cause)
        })?;
        let Some(bytes) = self.store.get(KEYS, KeyRecord::place(id)).await? else {
            self.parsed().remove(&id);
            return Err(invalid(format!("no key is called {id}")));
        };
        let record = KeyRecord::decode(&bytes)?;
        if let Some(lapsed) = record.lapsed(now) {
            // A secret stays no longer in memory than it is good for something.
            self.parsed().remove(&id);
            return Err(invalid(format!("{id} is {}", lapsed.as_str())));
        }
        let (key, name) = self.parse(&record, &bytes)?;
        Ok(Found {
            id,
            is_api_key: record.kind.is_api_key(),
            permissions: record.granted(),
            expires: record.terms.expires,
            key,
            name,
        })
    }

    /// Takes as long as verifying takes, and learns nothing: where [`RegisteredKeys::find`] found no
    /// key, so that an unknown key costs what a wrong one costs.
    pub fn lose_time(&self, signed: &Signed, message: &Message<'_>) {
        if let Ok(base) = signature_base(&signed.components, signed.signature_params(), message) {
            let _ = self.stranger.verify(base.as_bytes(), &signed.signature);
        }
    }

    /// What is noted of a request that a signature by this key lets pass. Whoever names a key without its signature
    /// has not used it.
    #[must_use]
    pub fn use_of(&self, found: &Found, request: &RequestView<'_>) -> Note {
        LastUses::noting(&self.uses, found.id, request.received_at)
    }

    /// Whether the key of this name still passes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn still_holds(&self, id: KeyId, now: Timestamp) -> Result<bool, StoreError> {
        let Some(bytes) = self.store.get(KEYS, KeyRecord::place(id)).await? else { return Ok(false) };
        Ok(KeyRecord::decode(&bytes)?.lapsed(now).is_none())
    }

    fn parse(
        &self,
        record: &KeyRecord,
        bytes: &[u8],
    ) -> Result<(Arc<VerifyingKey>, Option<Subject>), Denial> {
        let of = sha256(bytes);
        if let Some(parsed) = self.parsed().get(&record.id).filter(|parsed| parsed.of == of) {
            return Ok((parsed.key.clone(), parsed.name.clone()));
        }
        let key = Arc::new(record.verifying_key(self.seal.as_ref())?);
        let name = key.thumbprint().map(|thumbprint| Subject::Thumbprint(thumbprint.into()));
        let mut parsed = self.parsed();
        if parsed.len() >= self.bound && !parsed.contains_key(&record.id) {
            // Whichever: to parse a key again costs microseconds.
            let evicted = parsed.keys().next().copied();
            evicted.and_then(|id| parsed.remove(&id));
        }
        parsed.insert(record.id, Parsed { of, key: key.clone(), name: name.clone() });
        Ok((key, name))
    }

    fn parsed(&self) -> MutexGuard<'_, HashMap<KeyId, Parsed>> {
        self.parsed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The public key of RFC 8032 §7.1, test 1. Everybody has its private half: no signature under it is
/// worth more than the time that it takes.
const STRANGER: [u8; 32] = [
    0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a, 0x0e,
    0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SystemRandom;
    use crate::schemes::api_key::{KeyRegistry, KeyTerms};
    use crate::store::MemoryStore;
    use crate::time::ManualClock;

    #[tokio::test]
    async fn so_many_keys_are_remembered_and_no_more_and_none_that_lapsed() {
        let now = Timestamp::from_secs(1000);
        let store = Arc::new(MemoryStore::new(ManualClock::new(now)));
        let registry = KeyRegistry::new(store.clone());
        let mut keys = RegisteredKeys::new(store, Arc::default(), None);
        keys.bound = 2;
        let mut ids = Vec::new();
        for _ in 0..4 {
            let terms = KeyTerms { label: "x".into(), ..KeyTerms::default() };
            let (key, _) = registry.create(terms, now, &SystemRandom).await.unwrap();
            assert!(keys.find(key.id.as_str(), now).await.is_ok());
            assert!(keys.parsed().contains_key(&key.id) && keys.parsed().len() <= 2);
            ids.push(key.id);
        }
        assert_eq!(keys.parsed().len(), 2);
        let last = ids[3];
        registry.revoke(last, now).await.unwrap();
        assert!(keys.find(last.as_str(), now).await.is_err());
        assert!(!keys.parsed().contains_key(&last));
    }
}
