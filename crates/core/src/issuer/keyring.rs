//! Signing keys that are made, used and retired by themselves.
//!
//! A key is *published* before anything is signed with it, so that whoever keeps a copy of the public keys
//! has it in time; then it is *active*; then *retained* as long as something that it signed may live; then
//! gone. Private halves are sealed in the store; all processes on one store use the same keys.

mod record;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};

use self::record::{Entry, Record};
use crate::crypto::jwt::{JwtAlgorithm, JwtHeader, JwtKey, sign};
use crate::crypto::{Algorithm, Random, SealKey, SigningKey, VerifyingKey};
use crate::denial::{Code, Denial};
use crate::store::{Id, Space, Store, StoreError};
use crate::time::Timestamp;

/// Where keyrings are kept, sealed.
pub const KEYRINGS: Space = Space::durable("keyrings");
/// Every purpose for which a gateway keeps a keyring: of assertions, of callback URLs, of our tokens.
pub const PURPOSES: [&str; 3] = ["assertion", "callback", "issuer"];
/// How old a copy in memory may be: within this time a rotation elsewhere is known here.
pub const FRESH: Duration = Duration::from_secs(5);

/// What a keyring is for, and the lives of its keys.
#[derive(Clone, Copy, Debug)]
pub struct KeyringTerms {
    /// Names it: two purposes never share a key.
    pub purpose: &'static str,
    /// What its keys sign with: Ed25519 or ECDSA on P-256.
    pub algorithm: Algorithm,
    /// How long a key is active.
    pub rotate_every: Duration,
    /// How long before that it is published: longer than anybody keeps a copy of the public keys.
    pub publish_before: Duration,
    /// How long after that it still verifies: longer than anything that it signed lives.
    pub retain: Duration,
}

/// The keys of one purpose, in a store.
pub struct Keyring<S> {
    store: S,
    seal: SealKey,
    random: Arc<dyn Random>,
    terms: KeyringTerms,
    copy: RwLock<Option<Copied>>,
}

/// What a keyring was when it was read.
struct Copied {
    read_at: Timestamp,
    keys: Arc<Keys>,
    /// Nothing was to be made: whoever signs may go by it.
    is_tended: bool,
}

/// A keyring at one moment.
#[derive(Debug)]
pub struct Keys {
    signing: (String, SigningKey),
    verifying: HashMap<String, JwtKey>,
    public: Value,
    states: Vec<(String, KeyState)>,
}

/// What a key is at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyState {
    /// Known to whoever verifies, and not yet used.
    Published,
    /// Signs.
    Active,
    /// Signs no more; what it signed is good.
    Retained,
}

impl<S: Store> Keyring<S> {
    /// A keyring in `store`, whose private keys are sealed with `seal`.
    #[must_use]
    pub fn new(store: S, seal: SealKey, random: Arc<dyn Random>, terms: KeyringTerms) -> Self {
        Self { store, seal, random, terms, copy: RwLock::new(None) }
    }

    /// The keys at `now`, for whoever signs or publishes: from memory, where a copy is fresh. Makes the first key, and
    /// the next when its time has come.
    ///
    /// # Errors
    /// `store_unavailable`; `keys_unavailable` where what is there cannot be opened.
    pub async fn keys(&self, now: Timestamp) -> Result<Arc<Keys>, Denial> {
        match self.copied(now, |copied| copied.is_tended) {
            Some(keys) => Ok(keys),
            None => self.read(now, false).await,
        }
    }

    /// The same, for whoever verifies: nothing is written, for nobody has proven anything yet, and `now` may be a moment
    /// that somebody only asks about. `None`: there is no key yet.
    ///
    /// # Errors
    /// As [`Keyring::keys`].
    pub async fn look(&self, now: Timestamp) -> Result<Option<Arc<Keys>>, Denial> {
        if let Some(keys) = self.copied(now, |_| true) {
            return Ok(Some(keys));
        }
        let Some(stored) = self.store.get(KEYRINGS, place(self.terms.purpose)).await? else {
            return Ok(None);
        };
        let mut record = Record::decode(&stored)?;
        let is_tended = self.begins_next(&record, now, false).is_none();
        self.retire(&mut record, now);
        match record.entries.is_empty() {
            true => Ok(None),
            false => self.keep(&record, now, is_tended).map(Some),
        }
    }

    fn copied(&self, now: Timestamp, will_do: impl Fn(&Copied) -> bool) -> Option<Arc<Keys>> {
        let copy = self.copy.read().unwrap_or_else(PoisonError::into_inner);
        let fresh = |copied: &&Copied| copied.read_at <= now && now.since(copied.read_at) < FRESH;
        copy.as_ref().filter(fresh).filter(|copied| will_do(copied)).map(|copied| copied.keys.clone())
    }

    /// Publishes the next key now; it becomes active when it has been published for as long as the terms say.
    /// Where one is published already, that one is the next.
    ///
    /// # Errors
    /// As [`Keyring::keys`].
    pub async fn rotate(&self, now: Timestamp) -> Result<Arc<Keys>, Denial> {
        self.read(now, true).await
    }

    async fn read(&self, now: Timestamp, rotate: bool) -> Result<Arc<Keys>, Denial> {
        let id = place(self.terms.purpose);
        loop {
            let stored = self.store.get(KEYRINGS, id).await?;
            let before = stored.as_deref().map(Record::decode).transpose()?.unwrap_or_default();
            let after = self.tended(&before, now, rotate)?;
            if after == before {
                return self.keep(&after, now, true);
            }
            let written = Bytes::from(after.encode());
            let won = match stored {
                None => self.store.insert(KEYRINGS, id, written, None).await?,
                Some(stored) => self.store.replace(KEYRINGS, id, stored, written, None).await?,
            };
            // Whoever lost reads what the other wrote.
            if won {
                return self.keep(&after, now, true);
            }
        }
    }

    /// The keys as they should be at `now`.
    fn tended(&self, before: &Record, now: Timestamp, rotate: bool) -> Result<Record, Denial> {
        let mut after = before.clone();
        if let Some(active_from) = self.begins_next(before, now, rotate) {
            after.entries.push(self.new_entry(active_from)?);
        }
        self.retire(&mut after, now);
        Ok(after)
    }

    /// When a key begins that is to be made now, if one is.
    fn begins_next(&self, before: &Record, now: Timestamp, rotate: bool) -> Option<Timestamp> {
        let terms = &self.terms;
        let Some(newest) = before.entries.iter().map(|entry| entry.active_from).max() else {
            return Some(now);
        };
        let is_due = now.plus(terms.publish_before) >= newest.plus(terms.rotate_every);
        let planned = if rotate { now } else { newest.plus(terms.rotate_every) };
        (newest <= now && (is_due || rotate)).then(|| planned.max(now.plus(terms.publish_before)))
    }

    /// Without the keys of which nothing lives any more that they signed.
    fn retire(&self, record: &mut Record, now: Timestamp) {
        let active = record.entries.iter().map(|entry| entry.active_from).filter(|from| *from <= now).max();
        if let Some(active) = active.filter(|active| active.plus(self.terms.retain) <= now) {
            record.entries.retain(|entry| entry.active_from >= active);
        }
    }

    fn new_entry(&self, active_from: Timestamp) -> Result<Entry, Denial> {
        let unavailable = || Denial::new(Code::KeysUnavailable, "a key could not be made");
        let (key, private) =
            SigningKey::generate(self.terms.algorithm, &*self.random).ok_or_else(unavailable)?;
        let mut kid = key.verifying_key().thumbprint().ok_or_else(unavailable)?;
        // Short enough for a URL; of several keys none will share so much.
        kid.truncate(16);
        let sealed =
            self.seal.seal(&*self.random, &sealed_for(self.terms.purpose), kid.as_bytes(), private.expose());
        let public = key.verifying_key().encode().ok_or_else(unavailable)?;
        Ok(Entry { kid, public, sealed, active_from })
    }

    /// Opens the keys and keeps a copy.
    fn keep(&self, record: &Record, now: Timestamp, is_tended: bool) -> Result<Arc<Keys>, Denial> {
        let cannot = |what: &str| {
            let cause = format!("a key for {} {what}", self.terms.purpose);
            Denial::new(Code::KeysUnavailable, cause)
        };
        let begun = record.entries.iter().filter(|entry| entry.active_from <= now);
        // The first key may have been made by a request that came later, or by a clock that is ahead.
        let first = || record.entries.iter().min_by_key(|entry| entry.active_from);
        let active = begun.max_by_key(|entry| entry.active_from).or_else(first);
        let active = active.ok_or_else(|| cannot("is not there"))?;
        let sealed_for = sealed_for(self.terms.purpose);
        let private = self.seal.open(&sealed_for, active.kid.as_bytes(), &active.sealed);
        let private = private.map_err(|_| cannot("does not open: is it the seal key that sealed it?"))?;
        let signing = SigningKey::from_private_bytes(self.terms.algorithm, &private);
        let signing = signing.ok_or_else(|| cannot("cannot be read"))?;
        let (mut verifying, mut public, mut states) = (HashMap::new(), Vec::new(), Vec::new());
        for entry in &record.entries {
            let key = VerifyingKey::decode(&entry.public).map_err(|_| cannot("cannot be read"))?;
            public.push(public_jwk(&entry.kid, &key).ok_or_else(|| cannot("has no public form"))?);
            states.push((
                entry.kid.clone(),
                match entry.active_from {
                    from if from == active.active_from => KeyState::Active,
                    from if from > now => KeyState::Published,
                    _ => KeyState::Retained,
                },
            ));
            verifying.insert(entry.kid.clone(), JwtKey::from(key));
        }
        let public = json!({ "keys": public });
        let keys = Arc::new(Keys { signing: (active.kid.clone(), signing), verifying, public, states });
        let copied = Copied { read_at: now, keys: keys.clone(), is_tended };
        *self.copy.write().unwrap_or_else(PoisonError::into_inner) = Some(copied);
        Ok(keys)
    }
}

fn place(purpose: &str) -> Id {
    Id::of(&[b"keyring/1", purpose.as_bytes()])
}

/// What the private halves of a keyring are bound to, besides their `kid`.
fn sealed_for(purpose: &str) -> String {
    format!("keyring/{purpose}")
}

/// The private keys of the keyring for `purpose`: how many `seal` opens, and the names of those that it does not.
pub(crate) async fn opened_by<S: Store>(
    store: &S,
    purpose: &str,
    seal: &SealKey,
) -> Result<(usize, Vec<String>), StoreError> {
    let Some(stored) = store.get(KEYRINGS, place(purpose)).await? else { return Ok((0, Vec::new())) };
    let entries = Record::decode(&stored)?.entries;
    let all = entries.len();
    let closed = entries.into_iter().filter(|entry| !entry.opens_with(purpose, seal));
    let closed: Vec<String> = closed.map(|entry| entry.kid).collect();
    Ok((all - closed.len(), closed))
}

/// Takes out of the keyring for `purpose` what `seal` does not open. What those keys signed is good no more.
pub(crate) async fn forget_closed<S: Store>(
    store: &S,
    purpose: &str,
    seal: &SealKey,
) -> Result<(), StoreError> {
    loop {
        let Some(stored) = store.get(KEYRINGS, place(purpose)).await? else { return Ok(()) };
        let mut record = Record::decode(&stored)?;
        record.entries.retain(|entry| entry.opens_with(purpose, seal));
        let left = Bytes::from(record.encode());
        // An empty keyring makes its first key again when it is needed.
        if left == stored || store.replace(KEYRINGS, place(purpose), stored, left, None).await? {
            return Ok(());
        }
    }
}

impl Entry {
    fn opens_with(&self, purpose: &str, seal: &SealKey) -> bool {
        seal.open(&sealed_for(purpose), self.kid.as_bytes(), &self.sealed).is_ok()
    }
}

fn public_jwk(kid: &str, key: &VerifyingKey) -> Option<Value> {
    let mut jwk: Value = serde_json::from_str(&key.to_jwk()?).ok()?;
    jwk["kid"] = kid.into();
    jwk["use"] = "sig".into();
    jwk["alg"] = JwtAlgorithm::of(key.algorithm()).as_str().into();
    Some(jwk)
}

impl Keys {
    /// A token of type `typ` over `claims`, by the active key. `None` if they are no JSON object.
    #[must_use]
    pub fn sign(&self, typ: &str, claims: &impl Serialize) -> Option<String> {
        let (kid, key) = &self.signing;
        sign(key, &JwtHeader { typ: Some(typ), kid: Some(kid), jwk: None }, claims)
    }

    /// The key that is called so, if what it signed is still good.
    #[must_use]
    pub fn find(&self, kid: &str) -> Option<&JwtKey> {
        self.verifying.get(kid)
    }

    /// The public keys, as a JWK set (RFC 7517 §5).
    #[must_use]
    pub const fn jwks(&self) -> &Value {
        &self.public
    }

    /// What the active key is called.
    #[must_use]
    pub fn signing_kid(&self) -> &str {
        &self.signing.0
    }

    /// Every key and its state, the oldest first.
    #[must_use]
    pub fn states(&self) -> &[(String, KeyState)] {
        &self.states
    }
}

#[cfg(test)]
mod tests;
