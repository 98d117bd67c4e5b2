//! What verifiers remember: the `Store` trait, the envelope that every store writes, and `MemoryStore`.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use crate::crypto::hash_parts;
use crate::denial::{Code, Denial};
use crate::time::{Clock, Timestamp};

/// Whether what a space holds must outlive the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kept {
    /// On disk before it is acknowledged.
    Durably,
    /// In memory, or wherever is fast: lost with the process (on Redis, with the server).
    Briefly,
}

/// A named part of a store. Two spaces never see each other's entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Space {
    name: &'static str,
    kept: Kept,
}

impl Space {
    /// A space whose entries are on disk before they are acknowledged.
    #[must_use]
    pub const fn durable(name: &'static str) -> Self {
        Self { name, kept: Kept::Durably }
    }

    /// A space whose entries may be lost with the process.
    #[must_use]
    pub const fn volatile(name: &'static str) -> Self {
        Self { name, kept: Kept::Briefly }
    }

    /// The name, `[a-z-]+`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// Whether entries outlive the process.
    #[must_use]
    pub const fn kept(self) -> Kept {
        self.kept
    }
}

/// The identifier of an entry: a SHA-256 over length-prefixed parts, so that no two names collide.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id([u8; 32]);

impl Id {
    /// The identifier named by `parts`.
    #[must_use]
    pub fn of(parts: &[&[u8]]) -> Self {
        Self(hash_parts(parts))
    }

    /// An identifier read back from a store.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..8].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Why a store gave no answer. Every variant is a 503 for the caller: never a permit, never a 401.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The store did not answer, or answered that it cannot.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// The store holds something that this version cannot read.
    #[error("the store holds an entry that cannot be read: {0}")]
    Corrupt(String),
    /// The clock stands before a moment that the store has already seen.
    #[error("the clock went back behind a moment that the store has seen")]
    ClockRegressed,
}

/// A store that does not answer closes the gate.
impl From<StoreError> for Denial {
    fn from(error: StoreError) -> Self {
        let code = match error {
            StoreError::Unavailable(_) | StoreError::Corrupt(_) => Code::StoreUnavailable,
            StoreError::ClockRegressed => Code::ClockRegressed,
        };
        Self::new(code, error.to_string())
    }
}

/// A proof to be spent: it may pass once until it expires by itself.
#[derive(Clone, Copy, Debug)]
pub struct Spend {
    /// Names the proof: signer and nonce, hashed.
    pub id: Id,
    /// When the claimant made it, if the proof says so (and is bound to what it says).
    pub created: Option<Timestamp>,
    /// When its request came in.
    pub received_at: Timestamp,
    /// Until when it would be accepted; remembered at least that long.
    pub until: Timestamp,
}

/// What came of spending a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spent {
    /// It was fresh, and is now spent.
    Once,
    /// It had been spent before.
    Replayed,
    /// It was made before the ledger lost its memory, so nobody can know. Making a new one
    /// after this long helps.
    PredatesBoot(Duration),
}

/// What verifiers and the gate remember. Every method is atomic; none can be done half.
///
/// An entry whose `until` has passed is absent, whether or not it has been swept.
/// After an error the outcome of a write is unknown: the caller answers 503 and does not retry.
pub trait Store: Send + Sync + 'static {
    /// The value under `id`.
    fn get(&self, space: Space, id: Id) -> impl Future<Output = Result<Option<Bytes>, StoreError>> + Send;

    /// Puts `value` where nothing is. `false`: something was there, and stays as it is.
    fn insert(
        &self,
        space: Space,
        id: Id,
        value: Bytes,
        until: Option<Timestamp>,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Puts `new` in the place of `old`. `false`: something else, or nothing, was there, and stays.
    fn replace(
        &self,
        space: Space,
        id: Id,
        old: Bytes,
        new: Bytes,
        until: Option<Timestamp>,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Takes the value out if it is `expected` (or whatever it is, with `None`), for single use.
    /// `None`: it was not there, or was another; a wrong `expected` burns nothing.
    fn take_if(
        &self,
        space: Space,
        id: Id,
        expected: Option<Bytes>,
    ) -> impl Future<Output = Result<Option<Bytes>, StoreError>> + Send;

    /// Spends a proof once across restarts of this store's ledger.
    fn spend(&self, spend: Spend) -> impl Future<Output = Result<Spent, StoreError>> + Send;

    /// What would come of spending a proof: nothing is spent by it.
    fn look(&self, spend: Spend) -> impl Future<Output = Result<Spent, StoreError>> + Send;

    /// The moment before which nobody knows all that was used, ended or revoked, if there is one: then the store
    /// was put back from a copy, or began anew in the place of another. What was given out before it, and would be
    /// ended by an entry, is not taken any more.
    fn forgets_before(&self) -> Option<Timestamp> {
        None
    }
}

/// Listing, for people. Verifiers are given a [`Store`] and cannot list.
pub trait Inventory: Send + Sync + 'static {
    /// Up to `limit` entries of `space` whose identifiers come after `after`, in order of identifier.
    fn list(
        &self,
        space: Space,
        after: Option<Id>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<(Id, Bytes)>, StoreError>> + Send;
}

impl<S: Store> Store for std::sync::Arc<S> {
    fn get(&self, space: Space, id: Id) -> impl Future<Output = Result<Option<Bytes>, StoreError>> + Send {
        (**self).get(space, id)
    }

    fn insert(
        &self,
        space: Space,
        id: Id,
        value: Bytes,
        until: Option<Timestamp>,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send {
        (**self).insert(space, id, value, until)
    }

    fn replace(
        &self,
        space: Space,
        id: Id,
        old: Bytes,
        new: Bytes,
        until: Option<Timestamp>,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send {
        (**self).replace(space, id, old, new, until)
    }

    fn take_if(
        &self,
        space: Space,
        id: Id,
        expected: Option<Bytes>,
    ) -> impl Future<Output = Result<Option<Bytes>, StoreError>> + Send {
        (**self).take_if(space, id, expected)
    }

    fn spend(&self, spend: Spend) -> impl Future<Output = Result<Spent, StoreError>> + Send {
        (**self).spend(spend)
    }

    fn look(&self, spend: Spend) -> impl Future<Output = Result<Spent, StoreError>> + Send {
        (**self).look(spend)
    }

    fn forgets_before(&self) -> Option<Timestamp> {
        (**self).forgets_before()
    }
}

impl<S: Inventory> Inventory for std::sync::Arc<S> {
    fn list(
        &self,
        space: Space,
        after: Option<Id>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<(Id, Bytes)>, StoreError>> + Send {
        (**self).list(space, after, limit)
    }
}

/// How every store writes an entry: a version byte, the expiry in milliseconds (big-endian `u64`,
/// all ones for none), the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Until when the entry is there; `None` for good.
    pub until: Option<Timestamp>,
    /// What was put in.
    pub value: Bytes,
}

impl Envelope {
    const VERSION: u8 = 1;
    const HEAD: usize = 9;

    /// The bytes that go into a store.
    #[must_use]
    pub fn encode(value: &[u8], until: Option<Timestamp>) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::HEAD + value.len());
        bytes.push(Self::VERSION);
        bytes.extend_from_slice(&until.map_or(u64::MAX, Timestamp::as_millis).to_be_bytes());
        bytes.extend_from_slice(value);
        bytes
    }

    /// Reads what [`Envelope::encode`] wrote.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] for another version or too few bytes.
    pub fn decode(bytes: &Bytes) -> Result<Self, StoreError> {
        let head = bytes.get(..Self::HEAD).filter(|head| head[0] == Self::VERSION);
        let Some(Ok(until)) = head.map(|head| <[u8; 8]>::try_from(&head[1..])) else {
            return Err(StoreError::Corrupt(String::from("an envelope of another version")));
        };
        let until = match u64::from_be_bytes(until) {
            u64::MAX => None,
            millis => Some(Timestamp::from_millis(millis)),
        };
        Ok(Self { until, value: bytes.slice(Self::HEAD..) })
    }

    /// Whether the entry is still there at `now`: expiry is the first moment at which it is gone.
    #[must_use]
    pub fn lives(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// A store that lives as long as the process: for tests, and for the volatile half of the embedded store.
///
/// Expired entries are swept as new ones come in, so memory follows what is alive.
pub struct MemoryStore<C> {
    clock: C,
    cut_off: Option<Timestamp>,
    spaces: Mutex<HashMap<&'static str, Entries>>,
    ledger: Ledger,
}

#[derive(Default)]
struct Entries {
    by_id: BTreeMap<Id, Envelope>,
    sweep_at: usize,
}

impl Entries {
    fn alive(&mut self, id: Id, now: Timestamp) -> Option<&Envelope> {
        if self.by_id.get(&id).is_some_and(|entry| !entry.lives(now)) {
            self.by_id.remove(&id);
        }
        self.by_id.get(&id)
    }

    fn put(&mut self, id: Id, entry: Envelope, now: Timestamp) {
        if self.by_id.len() >= self.sweep_at {
            self.by_id.retain(|_, entry| entry.lives(now));
            self.sweep_at = (self.by_id.len() * 2).max(1024);
        }
        self.by_id.insert(id, entry);
    }
}

impl<C: Clock> MemoryStore<C> {
    /// An empty store that reads expiry by `clock`.
    #[must_use]
    pub fn new(clock: C) -> Self {
        Self { clock, cut_off: None, spaces: Mutex::default(), ledger: Ledger::default() }
    }

    /// The same, refusing proofs made before `moment`: what a process that has forgotten its
    /// last run must do.
    #[must_use]
    pub fn refusing_proofs_before(mut self, moment: Timestamp) -> Self {
        self.cut_off = Some(moment);
        self
    }

    fn spaces(&self) -> MutexGuard<'_, HashMap<&'static str, Entries>> {
        self.spaces.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn predates_boot(&self, spend: &Spend) -> bool {
        self.cut_off.is_some_and(|cut_off| spend.created.is_some_and(|created| created < cut_off))
    }
}

impl<C: Clock> Store for MemoryStore<C> {
    async fn get(&self, space: Space, id: Id) -> Result<Option<Bytes>, StoreError> {
        let now = self.clock.now();
        let mut spaces = self.spaces();
        let entry = spaces.get_mut(space.name()).and_then(|entries| entries.alive(id, now));
        Ok(entry.map(|entry| entry.value.clone()))
    }

    async fn insert(
        &self,
        space: Space,
        id: Id,
        value: Bytes,
        until: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let mut spaces = self.spaces();
        let entries = spaces.entry(space.name()).or_default();
        if entries.alive(id, now).is_some() {
            return Ok(false);
        }
        entries.put(id, Envelope { until, value }, now);
        Ok(true)
    }

    async fn replace(
        &self,
        space: Space,
        id: Id,
        old: Bytes,
        new: Bytes,
        until: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let mut spaces = self.spaces();
        let entries = spaces.entry(space.name()).or_default();
        if entries.alive(id, now).is_none_or(|entry| entry.value != old) {
            return Ok(false);
        }
        entries.put(id, Envelope { until, value: new }, now);
        Ok(true)
    }

    async fn take_if(
        &self,
        space: Space,
        id: Id,
        expected: Option<Bytes>,
    ) -> Result<Option<Bytes>, StoreError> {
        let now = self.clock.now();
        let mut spaces = self.spaces();
        let entries = spaces.entry(space.name()).or_default();
        let matches = entries
            .alive(id, now)
            .is_some_and(|entry| expected.is_none_or(|expected| entry.value == expected));
        Ok(if matches { entries.by_id.remove(&id).map(|entry| entry.value) } else { None })
    }

    async fn spend(&self, spend: Spend) -> Result<Spent, StoreError> {
        Ok(match self.predates_boot(&spend) {
            true => Spent::PredatesBoot(Duration::from_secs(1)),
            false => self.ledger.spend(spend.id, spend.until, self.clock.now()),
        })
    }

    async fn look(&self, spend: Spend) -> Result<Spent, StoreError> {
        Ok(match self.predates_boot(&spend) {
            true => Spent::PredatesBoot(Duration::from_secs(1)),
            false => self.ledger.look(spend.id, self.clock.now()),
        })
    }

    fn forgets_before(&self) -> Option<Timestamp> {
        self.cut_off
    }
}

impl<C: Clock> Inventory for MemoryStore<C> {
    async fn list(
        &self,
        space: Space,
        after: Option<Id>,
        limit: usize,
    ) -> Result<Vec<(Id, Bytes)>, StoreError> {
        let now = self.clock.now();
        let spaces = self.spaces();
        let entries = spaces.get(space.name()).into_iter().flat_map(|entries| &entries.by_id);
        Ok(entries
            .filter(|(id, entry)| after.is_none_or(|after| **id > after) && entry.lives(now))
            .take(limit)
            .map(|(id, entry)| (*id, entry.value.clone()))
            .collect())
    }
}

/// The proofs that were spent and have not expired: 16 bytes of identifier and 4 of expiry each,
/// in shards, so that spending never waits long.
///
/// Half a SHA-256 is enough: making two proofs collide needs 2^64 work, and gains a refusal.
pub struct Ledger {
    shards: [Mutex<Shard>; Ledger::SHARDS],
}

#[derive(Default)]
struct Shard {
    /// Identifier to expiry, in whole seconds rounded up.
    spent: HashMap<[u8; 16], u32>,
    sweep_at: usize,
}

impl Shard {
    fn has(&self, key: &[u8; 16], now: u64) -> bool {
        self.spent.get(key).is_some_and(|until| u64::from(*until) > now)
    }
}

impl Default for Ledger {
    fn default() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::default()) }
    }
}

impl Ledger {
    const SHARDS: usize = 64;
    const FIRST_SWEEP: usize = 256;

    /// Marks `id` as spent until `until`. Never [`Spent::PredatesBoot`]: that is the store's to judge.
    pub fn spend(&self, id: Id, until: Timestamp, now: Timestamp) -> Spent {
        let (mut shard, key) = self.shard(id);
        let now = now.as_secs();
        if shard.has(&key, now) {
            return Spent::Replayed;
        }
        if shard.spent.len() >= shard.sweep_at {
            shard.spent.retain(|_, until| u64::from(*until) > now);
            shard.sweep_at = (shard.spent.len() * 2).max(Self::FIRST_SWEEP);
        }
        // A whole second more than rounding down, so that remembering outlasts the proof.
        let until = u32::try_from(until.as_secs() + 1).unwrap_or(u32::MAX);
        shard.spent.insert(key, until);
        Spent::Once
    }

    /// What [`Ledger::spend`] would say of `id`. Nothing is marked.
    pub fn look(&self, id: Id, now: Timestamp) -> Spent {
        let (shard, key) = self.shard(id);
        if shard.has(&key, now.as_secs()) { Spent::Replayed } else { Spent::Once }
    }

    fn shard(&self, id: Id) -> (MutexGuard<'_, Shard>, [u8; 16]) {
        let bytes = id.as_bytes();
        let mut key = [0_u8; 16];
        key.copy_from_slice(&bytes[..16]);
        let shard = &self.shards[usize::from(bytes[31]) % Self::SHARDS];
        (shard.lock().unwrap_or_else(PoisonError::into_inner), key)
    }

    /// Everything that has not expired at `now`: identifier (first half) and expiry in seconds.
    #[must_use]
    pub fn alive(&self, now: Timestamp) -> Vec<([u8; 16], u8, u32)> {
        let mut alive = Vec::new();
        for (number, shard) in self.shards.iter().enumerate() {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            let entries = shard.spent.iter().filter(|(_, until)| u64::from(**until) > now.as_secs());
            alive.extend(entries.map(|(key, until)| (*key, number as u8, *until)));
        }
        alive
    }

    /// Puts back what [`Ledger::alive`] gave. What does not fit a shard number is ignored.
    pub fn restore(&self, entries: impl IntoIterator<Item = ([u8; 16], u8, u32)>) {
        for (key, number, until) in entries {
            if let Some(shard) = self.shards.get(usize::from(number)) {
                shard.lock().unwrap_or_else(PoisonError::into_inner).spent.insert(key, until);
            }
        }
    }

    /// How many proofs are remembered, expired ones that are not yet swept included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).spent.len()).sum()
    }

    /// Whether nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_is_read_back_and_another_version_is_refused() {
        let until = Some(Timestamp::from_secs(5));
        let bytes = Bytes::from(Envelope::encode(b"value", until));
        let envelope = Envelope::decode(&bytes).unwrap();
        assert_eq!(envelope, Envelope { until, value: Bytes::from_static(b"value") });
        assert!(envelope.lives(Timestamp::from_millis(4_999)));
        assert!(!envelope.lives(Timestamp::from_secs(5)));
        assert!(Envelope::decode(&Bytes::from_static(b"\x02too short")).is_err());
        assert!(Envelope::decode(&Bytes::from_static(b"\x01")).is_err());
    }

    proptest::proptest! {
        #[test]
        fn whatever_bytes_are_an_envelope_are_what_would_be_written(
            version in 0..3_u8,
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..40),
        ) {
            let bytes = Bytes::from([&[version], &*bytes].concat());
            if let Ok(envelope) = Envelope::decode(&bytes) {
                proptest::prop_assert_eq!(Envelope::encode(&envelope.value, envelope.until), bytes);
            }
        }
    }

    #[test]
    fn a_ledger_remembers_until_the_proof_expires_and_forgets_after() {
        let ledger = Ledger::default();
        let (id, until) = (Id::of(&[b"nonce"]), Timestamp::from_millis(10_500));
        assert_eq!(ledger.look(id, Timestamp::from_secs(1)), Spent::Once);
        assert_eq!(ledger.spend(id, until, Timestamp::from_secs(1)), Spent::Once);
        assert_eq!(ledger.look(id, Timestamp::from_millis(10_499)), Spent::Replayed);
        assert_eq!(ledger.spend(id, until, Timestamp::from_millis(10_499)), Spent::Replayed);
        assert_eq!(ledger.spend(id, until, Timestamp::from_secs(12)), Spent::Once);
    }

    #[test]
    fn a_ledger_sweeps_what_expired_so_that_memory_follows_rate_times_window() {
        let ledger = Ledger::default();
        for second in 0..200_u64 {
            for nonce in 0..1_000_u64 {
                let id = Id::of(&[&second.to_be_bytes(), &nonce.to_be_bytes()]);
                let now = Timestamp::from_secs(second);
                ledger.spend(id, now.plus(Duration::from_secs(2)), now);
            }
        }
        assert!(ledger.len() < Ledger::SHARDS * Ledger::FIRST_SWEEP * 2, "{} remembered", ledger.len());
    }

    #[test]
    fn a_ledger_restored_elsewhere_still_refuses() {
        let (first, second) = (Ledger::default(), Ledger::default());
        let (id, until, now) = (Id::of(&[b"n"]), Timestamp::from_secs(60), Timestamp::from_secs(1));
        first.spend(id, until, now);
        second.restore(first.alive(now));
        assert_eq!(second.spend(id, until, now), Spent::Replayed);
    }
}
