//! What the tests of stores put in and spend.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use countersign::store::{Id, Spend};
use countersign::time::{Clock, ManualClock, Timestamp};
use countersign_io::RedbStore;

pub fn id(name: &str) -> Id {
    Id::of(&[name.as_bytes()])
}

pub fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// A proof made at `created`, received at `received_at`, good for a minute.
pub fn proof(name: &str, created: Option<Timestamp>, received_at: Timestamp) -> Spend {
    Spend { id: id(name), created, received_at, until: received_at.plus(Duration::from_secs(60)) }
}

/// A proof made, and received, right now.
pub fn fresh(name: &str, clock: &dyn Clock) -> Spend {
    proof(name, Some(clock.now()), clock.now())
}

pub fn open_redb(path: &Path, clock: &Arc<ManualClock>) -> RedbStore {
    RedbStore::open(path, Arc::clone(clock) as Arc<dyn Clock>).expect("the file opens")
}
