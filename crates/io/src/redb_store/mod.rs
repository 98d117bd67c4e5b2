//! The embedded store: one redb file for what must last, memory for the rest.
//!
//! - `file`: the file, its tables, and what an open finds in it
//! - `change`: one atomic operation inside a write transaction
//! - `writer`: the one thread that writes, gathering what is queued into one commit
//! - `cache`: envelopes in memory, kept coherent with the file
//! - `proofs`: the ledger of spent proofs, and why no restart lets one pass twice
//! - `sweep`: expired entries leave the file when there is nothing better to do

mod cache;
mod change;
mod file;
mod proofs;
mod sweep;
mod writer;

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use countersign::store::{
    Envelope, Id, Inventory, Kept, MemoryStore, Space, Spend, Spent, Store, StoreError,
};
use countersign::time::{Clock, Timestamp};
use redb::Database;

use self::cache::{Cache, Key, Lookup};
use self::change::{Answer, Change, Operation};
use self::proofs::{Proofs, Weight};
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
    clock: Arc<dyn Clock>,
    /// `None` once closed: dropping the database gives the file's lock back.
    database: RwLock<Option<Database>>,
    cache: Cache,
    proofs: Proofs,
}

impl Shared {
    /// Runs `work` on the database, unless the store is closed.
    fn with_database<T>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        work(database.as_ref().ok_or_else(closed)?)
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
    /// [`OpenError::AlreadyOpen`] if another process has it open, else [`OpenError::File`].
    pub fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let (database, found) = file::open(path, clock.now())?;
        let shared = Arc::new(Shared {
            clock: Arc::clone(&clock),
            database: RwLock::new(Some(database)),
            cache: Cache::default(),
            proofs: Proofs::new(found),
        });
        let writer = Writer::start(Arc::clone(&shared))
            .map_err(|error| OpenError::File { path: path.to_owned(), reason: error.to_string() })?;
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

    /// The present moment, if the clock has not gone back and the store is open.
    fn present(&self) -> Result<Timestamp, StoreError> {
        let now = self.shared.clock.now();
        self.shared.proofs.check(now)?;
        Ok(now)
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
        let now = self.present()?;
        if space.kept() == Kept::Briefly {
            return self.brief.get(space, id).await;
        }
        let key = Key { space: space.name(), id };
        let entry = match self.shared.cache.get(key) {
            Lookup::Known(entry) => entry,
            Lookup::Unknown(ticket) => self.read_through(key, ticket)?,
        };
        Ok(entry.filter(|entry| entry.lives(now)).map(|entry| entry.value))
    }

    async fn insert(
        &self,
        space: Space,
        id: Id,
        value: Bytes,
        until: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        self.present()?;
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
        self.present()?;
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
        let now = self.present()?;
        let proofs = &self.shared.proofs;
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
