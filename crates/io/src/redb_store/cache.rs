//! Envelopes in memory. The writer puts every committed value here before it acknowledges the
//! write, so a hit is never older than the last acknowledged write.
//!
//! A reader that missed fills the cache from the file. Between its read and its fill a write may
//! have been committed and applied here; the fill would then put the old value back. So a miss
//! takes a ticket, the shard's number of writes so far, and a fill with an outdated ticket is
//! dropped. (A fill between a commit and its application is overwritten by that application,
//! which comes before the acknowledgement.)
//!
//! Eviction is by two generations: entries enter the young one; when it is full the old one is
//! dropped and the young one becomes old; a hit in the old one brings an entry back.

use std::collections::{HashMap, HashSet};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use countersign::store::{Envelope, Id};

/// Names an entry: a space (a table of the file) and an identifier.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) space: &'static str,
    pub(super) id: Id,
}

/// What the cache knows.
pub(super) enum Lookup {
    /// This is what the file holds, absence included; expiry is the reader's to judge.
    Known(Option<Envelope>),
    /// Look into the file, and come back with this.
    Unknown(Ticket),
}

/// How many writes a shard had seen when a reader missed.
#[derive(Clone, Copy)]
pub(super) struct Ticket(u64);

pub(super) struct Cache {
    shards: [RwLock<Shard>; Cache::SHARDS],
    /// The most that one generation of one shard may hold, by `cost`.
    generation: usize,
}

#[derive(Default)]
struct Shard {
    young: Generation,
    old: Generation,
    /// Names that the file does not hold: apart, so that guessing names evicts no entry.
    absent: HashSet<Key>,
    writes: u64,
}

#[derive(Default)]
struct Generation {
    entries: HashMap<Key, Envelope>,
    cost: usize,
}

impl Default for Cache {
    fn default() -> Self {
        Self::holding(32 << 20)
    }
}

impl Cache {
    const SHARDS: usize = 64;
    const ABSENT: usize = 256;
    /// Key, envelope, hash table and allocation, roughly, beside the value itself.
    const OVERHEAD: usize = 192;

    /// A cache of about this many bytes.
    fn holding(bytes: usize) -> Self {
        Self {
            shards: std::array::from_fn(|_| RwLock::default()),
            generation: (bytes / Self::SHARDS / 2).max(1),
        }
    }

    fn shard(&self, key: Key) -> &RwLock<Shard> {
        &self.shards[usize::from(key.id.as_bytes()[31]) % Self::SHARDS]
    }

    fn read(&self, key: Key) -> RwLockReadGuard<'_, Shard> {
        self.shard(key).read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, key: Key) -> RwLockWriteGuard<'_, Shard> {
        self.shard(key).write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, key: Key) -> Lookup {
        let shard = self.read(key);
        if let Some(entry) = shard.young.entries.get(&key) {
            return Lookup::Known(Some(entry.clone()));
        }
        if shard.absent.contains(&key) {
            return Lookup::Known(None);
        }
        let ticket = Ticket(shard.writes);
        let Some(entry) = shard.old.entries.get(&key).cloned() else {
            return Lookup::Unknown(ticket);
        };
        drop(shard);
        self.fill(key, ticket, Some(entry.clone()));
        Lookup::Known(Some(entry))
    }

    /// Remembers what a reader found in the file, if nothing was written since its ticket.
    pub(super) fn fill(&self, key: Key, ticket: Ticket, found: Option<Envelope>) {
        let mut shard = self.write(key);
        if shard.writes == ticket.0 {
            shard.put(key, found, self.generation);
        }
    }

    /// What the file holds from now on: after the commit, before the acknowledgement.
    pub(super) fn apply(&self, key: Key, committed: Option<Envelope>) {
        let mut shard = self.write(key);
        shard.writes += 1;
        shard.put(key, committed, self.generation);
    }

    /// Nobody knows what the file holds: it was opened anew.
    pub(super) fn clear(&self) {
        for shard in &self.shards {
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            *shard = Shard { writes: shard.writes + 1, ..Shard::default() };
        }
    }

    /// Nobody knows what the file holds: a commit failed.
    pub(super) fn forget(&self, key: Key) {
        let mut shard = self.write(key);
        shard.writes += 1;
        shard.remove(key);
    }
}

impl Shard {
    fn remove(&mut self, key: Key) {
        self.young.remove(key);
        self.old.remove(key);
        self.absent.remove(&key);
    }

    fn put(&mut self, key: Key, entry: Option<Envelope>, most: usize) {
        self.remove(key);
        let Some(entry) = entry else {
            if self.absent.len() >= Cache::ABSENT {
                self.absent.clear();
            }
            self.absent.insert(key);
            return;
        };
        let cost = entry.value.len() + Cache::OVERHEAD;
        if cost > most {
            return;
        }
        if self.young.cost + cost > most {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.cost += cost;
        self.young.entries.insert(key, entry);
    }
}

impl Generation {
    fn remove(&mut self, key: Key) {
        if let Some(entry) = self.entries.remove(&key) {
            self.cost -= entry.value.len() + Cache::OVERHEAD;
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn key(number: u32) -> Key {
        Key { space: "keys", id: Id::of(&[&number.to_be_bytes()]) }
    }

    fn entry(text: &'static str) -> Envelope {
        Envelope { until: None, value: Bytes::from_static(text.as_bytes()) }
    }

    fn ticket(cache: &Cache, key: Key) -> Ticket {
        match cache.get(key) {
            Lookup::Unknown(ticket) => ticket,
            Lookup::Known(_) => panic!("the cache knows already"),
        }
    }

    fn known(cache: &Cache, key: Key) -> Option<Envelope> {
        match cache.get(key) {
            Lookup::Known(entry) => entry,
            Lookup::Unknown(_) => panic!("the cache does not know"),
        }
    }

    #[test]
    fn a_slow_reader_cannot_put_back_what_a_write_has_replaced() {
        let cache = Cache::default();
        let slow = ticket(&cache, key(1));
        cache.apply(key(1), Some(entry("new")));
        cache.fill(key(1), slow, Some(entry("old")));
        assert_eq!(known(&cache, key(1)), Some(entry("new")));
        cache.apply(key(1), None);
        cache.fill(key(1), slow, Some(entry("old")));
        assert_eq!(known(&cache, key(1)), None);
    }

    #[test]
    fn a_slow_reader_cannot_fill_what_a_failed_commit_has_left_open() {
        let cache = Cache::default();
        let slow = ticket(&cache, key(1));
        cache.forget(key(1));
        cache.fill(key(1), slow, Some(entry("old")));
        ticket(&cache, key(1));
    }

    #[test]
    fn memory_stays_bounded_and_what_is_read_often_stays() {
        let cache = Cache::holding(1 << 20);
        cache.apply(key(0), Some(entry("often read")));
        for number in 1..50_000 {
            cache.apply(key(number), Some(entry("value")));
            if number % 8 == 0 {
                assert_eq!(known(&cache, key(0)), Some(entry("often read")));
            }
        }
        let cost: usize =
            cache.shards.iter().map(|s| s.read().map(|s| s.young.cost + s.old.cost).unwrap()).sum();
        assert!(cost <= 1 << 20, "{cost}");
    }

    #[test]
    fn guessing_names_evicts_no_entry_and_takes_bounded_memory() {
        let cache = Cache::holding(1 << 20);
        cache.apply(key(0), Some(entry("value")));
        for number in 1..100_000 {
            let ticket = ticket(&cache, key(number));
            cache.fill(key(number), ticket, None);
        }
        assert_eq!(known(&cache, key(0)), Some(entry("value")));
        let absent: usize = cache.shards.iter().map(|s| s.read().map(|s| s.absent.len()).unwrap()).sum();
        assert!(absent <= Cache::SHARDS * Cache::ABSENT, "{absent}");
    }
}
