//! The embedded store: one redb file for what must last, memory for the rest.
//!
//! - `file`: the file, its tables, and what an open finds in it
//! - `change`: one atomic operation inside a write transaction
//! - `writer`: the one thread that writes, gathering what is queued into one commit
//! - `cache`: envelopes in memory, kept coherent with the file
//! - `proofs`: the ledger of spent proofs, and why no restart lets one pass twice
//! - `moments`: the few numbers of the file that this rests on
//! - `lock`: one process at a time, also while the file cannot be opened
//! - `beside`: the mark beside the file, by which one that was put back from a copy is known
//! - `fault`, `contain`: what can be wrong with the file, and how redb's panics become that
//! - `trouble`, `reopen`: what is answered meanwhile, and how a file comes back
//! - `sweep`: expired entries leave the file when there is nothing better to do

mod beside;
mod cache;
mod change;
mod contain;
mod fault;
mod file;
mod lock;
mod moments;
mod proofs;
mod reopen;
mod sweep;
mod trouble;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use countersign::store::{
    Envelope, Id, Inventory, Kept, MemoryStore, Space, Spend, Spent, Store, StoreError,
};
use countersign::time::{Clock, Timestamp};
use redb::Database;

use self::beside::Written;
use self::cache::{Cache, Key, Lookup};
use self::change::{Answer, Change, Operation};
use self::contain::contain;
use self::fault::Fault;
use self::file::Opened;
use self::proofs::{Proofs, Weight};
use self::trouble::Trouble;
pub use self::writer::ClockAccepted;
use self::writer::Writer;
use crate::OpenError;

/// The embedded store. One process has the file open at a time.
///
/// Reads are answered from memory where possible; writes are durable before they are
/// acknowledged, and many callers share one commit. What is [`Kept::Briefly`] never
/// touches the file.
pub struct RedbStore {
    shared: Arc<Shared>,
    writer: Writer,
    brief: MemoryStore<Arc<dyn Clock>>,
}

/// What callers and the writer both look at.
struct Shared {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    /// `None` once closed, and while it is opened anew: dropping the database gives the file's lock back.
    database: RwLock<Option<Database>>,
    trouble: Trouble,
    cache: Cache,
    proofs: Proofs,
    forgets_before: Option<Timestamp>,
}

impl Shared {
    /// Runs `work` on the database, unless the store is closed or in trouble. A fault of the file is trouble for all.
    fn with_database<T>(&self, work: impl FnOnce(&Database) -> Result<T, Fault>) -> Result<T, StoreError> {
        self.trouble.check()?;
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let Some(database) = database.as_ref() else {
            self.trouble.check()?;
            return Err(closed());
        };
        let why = match contain(|| work(database)) {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(Fault::Entry(error))) => return Err(error),
            Ok(Err(Fault::System(why) | Fault::Damage(why))) => why,
            Err(panic) => format!("the database gave up: {panic}"),
        };
        self.trouble.begin(&self.path, &why);
        Err(StoreError::Unavailable(why))
    }

    fn drop_database(&self) {
        let dropped = self.database.write().unwrap_or_else(PoisonError::into_inner).take();
        // Closing writes, and what is broken may panic once more.
        let _ = contain(|| drop(dropped));
    }

    fn put_database(&self, database: Database) {
        *self.database.write().unwrap_or_else(PoisonError::into_inner) = Some(database);
    }

    /// The later of the present and what the clock has shown.
    fn later(&self) -> Timestamp {
        self.proofs.later(self.clock.now())
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable(String::from("the store is closed"))
}

impl RedbStore {
    /// How long a caller waits for a commit before the answer is that nobody knows.
    const WRITE_TIME_OUT: Duration = Duration::from_secs(5);

    /// Opens the file at `path`, or makes it (mode 0600). Blocks while the file is read; needs
    /// no runtime, but every method does.
    ///
    /// # Errors
    /// [`OpenError::AlreadyOpen`] if another process has it open, [`OpenError::Older`] if it was put back from a
    /// copy, [`OpenError::Damaged`], else [`OpenError::File`].
    pub fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        Self::open_as(path, clock, false)
    }

    /// The same, for a file that was put back from a copy: proofs made so far are refused.
    ///
    /// # Errors
    /// As [`RedbStore::open`], but never [`OpenError::Older`].
    pub fn open_restored(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        Self::open_as(path, clock, true)
    }

    fn open_as(path: &Path, clock: Arc<dyn Clock>, restored: bool) -> Result<Self, OpenError> {
        let Opened { path, database, found, beside, mark, lock } = file::open(path, clock.now(), restored)?;
        let shown = found.shown;
        let shared = Arc::new(Shared {
            path: path.clone(),
            clock: Arc::clone(&clock),
            database: RwLock::new(Some(database)),
            trouble: Trouble::default(),
            cache: Cache::default(),
            forgets_before: found.forgets_before,
            proofs: Proofs::new(found),
        });
        let writer = Writer::start(Arc::clone(&shared), Written { beside, mark, shown, lock })
            .map_err(|error| OpenError::File { path, reason: error.to_string() })?;
        Ok(Self { shared, writer, brief: MemoryStore::new(clock) })
    }

    /// Stops cleanly: the ledger is saved durably, the file's lock given back. Everything that is
    /// asked afterwards is [`StoreError::Unavailable`]. Dropping a store without this is what a
    /// crash is: the next open refuses the proofs made so far.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the ledger could not be saved.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.shared.proofs.close();
        self.writer.close().await
    }

    /// Whether the file can be written.
    ///
    /// # Errors
    /// Why not.
    pub async fn ready(&self) -> Result<(), StoreError> {
        self.present()?;
        self.writer.ready(Self::WRITE_TIME_OUT).await
    }

    /// The latest moment that the clock has shown: a clock that stands before it went back.
    #[must_use]
    pub fn latest(&self) -> Timestamp {
        self.shared.later()
    }

    /// Believes a clock that went back, durably: proofs are judged again, and those that may have been accepted
    /// are refused. Where the clock did not go back, nothing changes.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn accept_clock(&self) -> Result<ClockAccepted, StoreError> {
        self.present()?;
        self.writer.accept_clock(Self::WRITE_TIME_OUT).await
    }

    /// By when expiry is judged, if the store is open and can be used: the later of the present and what the clock
    /// has shown, so that nothing that had expired lives again.
    fn present(&self) -> Result<Timestamp, StoreError> {
        self.shared.proofs.still_open()?;
        self.shared.trouble.check()?;
        Ok(self.shared.later())
    }

    /// The same, for what is put in until `until`.
    fn present_until(&self, until: Option<Timestamp>) -> Result<(), StoreError> {
        let (judged_by, now) = (self.present()?, self.shared.clock.now());
        // It would be gone before it is there.
        match until.is_some_and(|until| now < until && until <= judged_by) {
            true => Err(StoreError::ClockRegressed),
            false => Ok(()),
        }
    }

    async fn write(&self, space: Space, id: Id, change: Change) -> Result<Answer, StoreError> {
        self.writer
            .write(Operation { key: Key { space: space.name(), id }, change }, Self::WRITE_TIME_OUT)
            .await
    }

    /// Reads the file, and leaves what it finds in the cache for the next reader.
    fn read_through(&self, key: Key, ticket: cache::Ticket) -> Result<Option<Envelope>, StoreError> {
        let found = self.shared.with_database(|database| file::read(database, key))?;
        self.shared.cache.fill(key, ticket, found.clone());
        Ok(found)
    }
}

impl Store for RedbStore {
    async fn get(&self, space: Space, id: Id) -> Result<Option<Bytes>, StoreError> {
        let judged_by = self.present()?;
        if space.kept() == Kept::Briefly {
            return self.brief.get(space, id).await;
        }
        let key = Key { space: space.name(), id };
        let entry = match self.shared.cache.get(key) {
            Lookup::Known(entry) => entry,
            Lookup::Unknown(ticket) => self.read_through(key, ticket)?,
        };
        match entry {
            Some(entry) if entry.lives(judged_by) => Ok(Some(entry.value)),
            // It has ended by what the clock has shown alone, which may have been wrong: nobody knows.
            Some(entry) if entry.lives(self.shared.clock.now()) => {
                self.shared.proofs.check(self.shared.clock.now()).map(|()| None)
            }
            _ => Ok(None),
        }
    }

    async fn insert(
        &self,
        space: Space,
        id: Id,
        value: Bytes,
        until: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        self.present_until(until)?;
        if space.kept() == Kept::Briefly {
            return self.brief.insert(space, id, value, until).await;
        }
        Ok(self.write(space, id, Change::Insert { value, until }).await?.is_done())
    }

    async fn replace(
        &self,
        space: Space,
        id: Id,
        old: Bytes,
        new: Bytes,
        until: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        self.present_until(until)?;
        if space.kept() == Kept::Briefly {
            return self.brief.replace(space, id, old, new, until).await;
        }
        Ok(self.write(space, id, Change::Replace { old, new, until }).await?.is_done())
    }

    async fn take_if(
        &self,
        space: Space,
        id: Id,
        expected: Option<Bytes>,
    ) -> Result<Option<Bytes>, StoreError> {
        self.present()?;
        if space.kept() == Kept::Briefly {
            return self.brief.take_if(space, id, expected).await;
        }
        Ok(match self.write(space, id, Change::Take { expected }).await? {
            Answer::Taken(value) => Some(value),
            Answer::Done | Answer::NotDone => None,
        })
    }

    async fn spend(&self, spend: Spend) -> Result<Spent, StoreError> {
        self.present()?;
        let (now, proofs) = (self.shared.clock.now(), &self.shared.proofs);
        proofs.check(now)?;
        if let Some(wait) = proofs.predates_boot(&spend, now) {
            return Ok(Spent::PredatesBoot(wait));
        }
        let weight = proofs::weigh(&spend, now);
        if let Weight::Light { created } = weight {
            proofs.wait_for_mark(created, || self.writer.raise_mark()).await?;
        }
        if proofs.remember(&spend, now) == Spent::Replayed {
            return Ok(Spent::Replayed);
        }
        if weight == Weight::Durable {
            let key = Key { space: file::SPENT, id: spend.id };
            let change = Change::Insert { value: Bytes::new(), until: Some(proofs::kept_until(&spend)) };
            let operation = Operation { key, change };
            if !self.writer.write(operation, Self::WRITE_TIME_OUT).await?.is_done() {
                return Ok(Spent::Replayed);
            }
        }
        // Last of all: see `Proofs::close`.
        proofs.still_open()?;
        Ok(Spent::Once)
    }

    async fn look(&self, spend: Spend) -> Result<Spent, StoreError> {
        self.present()?;
        let (now, proofs) = (self.shared.clock.now(), &self.shared.proofs);
        proofs.check(now)?;
        Ok(match proofs.predates_boot(&spend, now) {
            Some(wait) => Spent::PredatesBoot(wait),
            // Each open has loaded what is in the file.
            None => proofs.ledger().look(spend.id, now),
        })
    }

    fn forgets_before(&self) -> Option<Timestamp> {
        self.shared.forgets_before
    }
}

impl Inventory for RedbStore {
    async fn list(
        &self,
        space: Space,
        after: Option<Id>,
        limit: usize,
    ) -> Result<Vec<(Id, Bytes)>, StoreError> {
        let now = self.present()?;
        if space.kept() == Kept::Briefly {
            return self.brief.list(space, after, limit).await;
        }
        self.shared.with_database(|database| file::list(database, space.name(), after, limit, now))
    }
}
