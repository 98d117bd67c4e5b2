//! Making, rotating, revoking and listing keys: the operator's side.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use crate::crypto::{KeyError, Random};
use crate::spending::Note;
use crate::store::{Id, Inventory, Store, StoreError};
use crate::time::Timestamp;

use super::record::{KEY_USE, KEYS, KeyRecord, KeyTerms, MintRights};
use super::wire::ApiKey;
use crate::principal::KeyId;

/// Why a key was not made or changed.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// There is no key of this name.
    #[error("there is no key {0}")]
    Unknown(KeyId),
    /// The key was revoked, has expired, or was rotated already.
    #[error("the key {0} cannot be rotated: it is {1}")]
    NotRotatable(KeyId, &'static str),
    /// Only its holder can make another.
    #[error("{0} is {1}, which only its holder can replace: add the new key and revoke the old one")]
    OnlyItsHolder(KeyId, &'static str),
    /// The same public key has a name already: revoking one of two would change nothing.
    #[error("this public key is registered already, as {0}")]
    AlreadyRegistered(KeyId),
    /// What was given is no key to register.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// What was asked for cannot be.
    #[error("{0}")]
    Terms(&'static str),
    /// The store gave no answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The keys in a store.
pub struct KeyRegistry<S> {
    pub(super) store: S,
}

/// A page of a listing.
const PAGE: usize = 1000;

impl<S: Store> KeyRegistry<S> {
    /// The keys in `store`.
    pub const fn new(store: S) -> Self {
        Self { store }
    }

    /// Makes an API key. It is durable when this answers; the whole key is in the answer and nowhere else.
    ///
    /// # Errors
    /// [`RegistryError::Terms`] for an empty label or permission, or an expiry in the past.
    pub async fn create(
        &self,
        terms: KeyTerms,
        now: Timestamp,
        random: &dyn Random,
    ) -> Result<(ApiKey, KeyRecord), RegistryError> {
        check_terms(&terms, now)?;
        loop {
            let key = ApiKey::generate(random);
            let record = KeyRecord::new(&key, terms.clone(), now);
            if self.store.insert(KEYS, KeyRecord::place(key.id), record.encode()?, None).await? {
                return Ok((key, record));
            }
        }
    }

    /// The record of `id`.
    ///
    /// # Errors
    /// [`RegistryError::Unknown`] or [`RegistryError::Store`].
    pub async fn get(&self, id: KeyId) -> Result<KeyRecord, RegistryError> {
        Ok(self.read(id).await?.1)
    }

    /// Makes a successor that inherits everything but name and secret; the old key stays valid for
    /// `overlap`, unless it ends before.
    ///
    /// # Errors
    /// [`RegistryError::NotRotatable`] if it lapsed or has a successor, [`RegistryError::OnlyItsHolder`]
    /// if it is no API key.
    pub async fn rotate(
        &self,
        id: KeyId,
        overlap: Duration,
        now: Timestamp,
        random: &dyn Random,
    ) -> Result<(ApiKey, KeyRecord), RegistryError> {
        // The successor first: a crash between the two leaves a key that nobody has seen, not a
        // caller without one.
        let (key, record) = self.succeed(id, now, random).await?;
        if let Err(error) = self.retire(id, key.id, overlap, now).await {
            self.revoke(key.id, now).await?;
            return Err(error);
        }
        Ok((key, record))
    }

    /// The first half of [`KeyRegistry::rotate`], for whoever must write it down in between: a key
    /// that inherits everything but name and secret. The old one is as it was.
    ///
    /// # Errors
    /// [`RegistryError::NotRotatable`] if it lapsed or has a successor, [`RegistryError::OnlyItsHolder`]
    /// if it is no API key.
    pub async fn succeed(
        &self,
        id: KeyId,
        now: Timestamp,
        random: &dyn Random,
    ) -> Result<(ApiKey, KeyRecord), RegistryError> {
        let (_, old) = self.read(id).await?;
        check_rotatable(&old, now)?;
        self.create(old.terms, now, random).await
    }

    /// The second half: names the successor, and ends the old key after `overlap`, unless it ends
    /// before.
    ///
    /// # Errors
    /// [`RegistryError::NotRotatable`] if it lapsed or got a successor meanwhile; this one's must
    /// then be revoked.
    pub async fn retire(
        &self,
        id: KeyId,
        successor: KeyId,
        overlap: Duration,
        now: Timestamp,
    ) -> Result<(), RegistryError> {
        loop {
            let (bytes, mut old) = self.read(id).await?;
            check_rotatable(&old, now)?;
            let end = now.plus(overlap);
            old.terms.expires = Some(old.terms.expires.map_or(end, |expires| expires.min(end)));
            old.successor = Some(successor);
            if self.store.replace(KEYS, KeyRecord::place(id), bytes, old.encode()?, None).await? {
                return Ok(());
            }
        }
    }

    /// Revokes a key: from this answer on it does not pass. Revoking twice keeps the first moment.
    ///
    /// # Errors
    /// [`RegistryError::Unknown`] or [`RegistryError::Store`].
    pub async fn revoke(&self, id: KeyId, now: Timestamp) -> Result<KeyRecord, RegistryError> {
        loop {
            let (bytes, mut record) = self.read(id).await?;
            if record.revoked.is_some() {
                return Ok(record);
            }
            record.revoked = Some(now);
            if self.store.replace(KEYS, KeyRecord::place(id), bytes, record.encode()?, None).await? {
                return Ok(record);
            }
        }
    }

    pub(super) async fn read(&self, id: KeyId) -> Result<(Bytes, KeyRecord), RegistryError> {
        let bytes = self.store.get(KEYS, KeyRecord::place(id)).await?.ok_or(RegistryError::Unknown(id))?;
        let record = KeyRecord::decode(&bytes)?;
        Ok((bytes, record))
    }

    /// Writes down when keys were last used.
    ///
    /// # Errors
    /// [`StoreError`]; what was not written comes again with the key's next use.
    pub async fn note_uses(&self, uses: HashMap<KeyId, Timestamp>) -> Result<(), StoreError> {
        for (id, used) in uses {
            let (place, new) = (KeyRecord::place(id), Bytes::from(used.as_millis().to_be_bytes().to_vec()));
            match self.store.get(KEY_USE, place).await? {
                None => drop(self.store.insert(KEY_USE, place, new, None).await?),
                Some(old) if old < new => drop(self.store.replace(KEY_USE, place, old, new, None).await?),
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// When `id` was last used, as far as it has been written down.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn last_used(&self, id: KeyId) -> Result<Option<Timestamp>, StoreError> {
        let bytes = self.store.get(KEY_USE, KeyRecord::place(id)).await?;
        let millis = bytes.and_then(|bytes| <[u8; 8]>::try_from(bytes.as_ref()).ok());
        Ok(millis.map(|millis| Timestamp::from_millis(u64::from_be_bytes(millis))))
    }
}

impl<S: Store + Inventory> KeyRegistry<S> {
    /// Every key, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list(&self) -> Result<Vec<KeyRecord>, StoreError> {
        let mut records = Vec::new();
        let mut after: Option<Id> = None;
        loop {
            let page = self.store.list(KEYS, after, PAGE).await?;
            for (_, bytes) in &page {
                records.push(KeyRecord::decode(bytes)?);
            }
            match page.last() {
                Some((id, _)) if page.len() == PAGE => after = Some(*id),
                _ => break,
            }
        }
        records.sort_by_key(|record| (record.created, record.id));
        Ok(records)
    }
}

pub(super) fn check_terms(terms: &KeyTerms, now: Timestamp) -> Result<(), RegistryError> {
    let is_name =
        |text: &str| !text.trim().is_empty() && text.len() <= 200 && !text.chars().any(char::is_control);
    if !is_name(&terms.label) {
        return Err(RegistryError::Terms("a label is 1 to 200 bytes of text without control characters"));
    }
    if terms.owner.as_deref().is_some_and(|owner| !is_name(owner)) {
        return Err(RegistryError::Terms("an owner is 1 to 200 bytes of text without control characters"));
    }
    let is_permission = |text: &String| is_name(text) && !text.contains(char::is_whitespace);
    if terms.permissions.len() > 100 || !terms.permissions.iter().all(is_permission) {
        return Err(RegistryError::Terms("permissions are at most 100 words of 1 to 200 bytes"));
    }
    if terms.expires.is_some_and(|expires| expires <= now) {
        return Err(RegistryError::Terms("the expiry is not in the future"));
    }
    let MintRights { routes, users } = &terms.mint;
    if routes.len().max(users.len()) > 100 || !routes.iter().chain(users).all(is_permission) {
        return Err(RegistryError::Terms(
            "rights to mint are at most 100 routes and users of 1 to 200 bytes",
        ));
    }
    if routes.is_empty() != users.is_empty() {
        return Err(RegistryError::Terms(
            "a right to mint names routes and users: one without the other would allow nothing",
        ));
    }
    Ok(())
}

fn check_rotatable(record: &KeyRecord, now: Timestamp) -> Result<(), RegistryError> {
    if !record.kind.is_api_key() {
        return Err(RegistryError::OnlyItsHolder(record.id, record.kind.in_words()));
    }
    match (record.lapsed(now), record.successor) {
        (Some(lapsed), _) => Err(RegistryError::NotRotatable(record.id, lapsed.as_str())),
        (None, Some(_)) => Err(RegistryError::NotRotatable(record.id, "rotated already")),
        (None, None) => Ok(()),
    }
}

/// When keys were used, until somebody writes it down. Uses are noted to the second: one write to a
/// map for each request would be enough to notice.
#[derive(Default)]
pub struct LastUses {
    shards: [Mutex<HashMap<KeyId, Timestamp>>; 16],
}

impl LastUses {
    /// Notes a use.
    pub fn note(&self, id: KeyId, now: Timestamp) {
        let shard = id.as_str().bytes().last().map_or(0, usize::from) % self.shards.len();
        let mut uses = self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner);
        let used = uses.entry(id).or_insert(now);
        *used = now.max(*used);
    }

    /// The note of a use that has not passed yet.
    pub(crate) fn noting(uses: &Arc<Self>, id: KeyId, now: Timestamp) -> Note {
        let uses = uses.clone();
        Note::Told(Box::new(move || uses.note(id, now)))
    }

    /// What was noted since this was last asked.
    #[must_use]
    pub fn take(&self) -> HashMap<KeyId, Timestamp> {
        let mut taken = HashMap::new();
        for shard in &self.shards {
            taken.extend(shard.lock().unwrap_or_else(PoisonError::into_inner).drain());
        }
        taken
    }
}
