//! The file: how it is opened, its tables, and reading from them.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use bytes::Bytes;
use countersign::store::{Envelope, Id, Ledger, StoreError};
use countersign::time::Timestamp;
use redb::backends::FileBackend;
use redb::{
    Database, DatabaseError, ReadTransaction, ReadableDatabase as _, ReadableTable as _, TableDefinition,
    TableError, WriteTransaction,
};

use super::cache::Key;
use crate::OpenError;

/// The key of every table of entries: an identifier's bytes.
pub(super) type Slot<'a> = &'a [u8; 32];

/// Proofs spent durably, as entries. Spaces are named `[a-z-]+`: an underscore cannot collide.
pub(super) const SPENT: &str = "_spent";

/// Moments in milliseconds: [`MARK`], [`CUT_OFF`], [`CLEAN`].
const MOMENTS: TableDefinition<'_, &str, u64> = TableDefinition::new("_moments");
/// No proof made after this was accepted without a write.
const MARK: &str = "mark";
/// No proof made up to this is accepted: the ledger of that time was lost.
const CUT_OFF: &str = "cut-off";
/// The word of a clean stop: when it was. [`SAVED`] is complete if, and only if, it is there.
const CLEAN: &str = "clean";
/// The ledger as a clean stop left it, in chunks of entries of [`SAVED_ENTRY`] bytes.
const SAVED: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("_saved");
const SAVED_ENTRY: usize = 16 + 1 + 4;
const SAVED_CHUNK: usize = 3_000;

/// What redb may keep of the file in memory, beside our own cache.
const FILE_CACHE: usize = 16 << 20;

/// What an open found about proofs.
pub(super) struct Found {
    pub(super) ledger: Ledger,
    pub(super) mark: Option<Timestamp>,
    pub(super) cut_off: Option<Timestamp>,
}

/// The table of a space.
pub(super) fn table(space: &str) -> TableDefinition<'_, Slot<'static>, &'static [u8]> {
    TableDefinition::new(space)
}

/// What redb said, as what it means for a caller.
pub(super) fn unavailable(error: impl Into<redb::Error>) -> StoreError {
    match error.into() {
        redb::Error::Corrupted(what) => StoreError::Corrupt(what),
        other => StoreError::Unavailable(other.to_string()),
    }
}

/// Opens or makes the file, and settles what a clean or an unclean stop has left in it.
pub(super) fn open(path: &Path, now: Timestamp) -> Result<(Database, Found), OpenError> {
    let failed = |reason: String| OpenError::File { path: path.to_owned(), reason };
    let is_new = !path.exists();
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    let file = file.map_err(|error| failed(error.to_string()))?;
    // redb panics on some damaged files; a gateway that does not start has to say why.
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let backend = FileBackend::new(file)?;
        redb::Builder::new().set_cache_size(FILE_CACHE).create_with_backend(backend)
    }));
    let database = match opened {
        Ok(Ok(database)) => database,
        Ok(Err(DatabaseError::DatabaseAlreadyOpen)) => return Err(OpenError::AlreadyOpen(path.to_owned())),
        Ok(Err(error)) => return Err(failed(error.to_string())),
        Err(_) => return Err(failed(String::from("the file is damaged"))),
    };
    if is_new {
        // The name of a new file lives in its folder, which has to be durable too.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| failed(error.to_string()))?;
    }
    let found = settle(&database, now).map_err(|error| failed(error.to_string()))?;
    Ok((database, found))
}

/// Reads what the last stop has left, and erases its word durably before anything is answered:
/// from here on, only another clean stop can vouch for the ledger.
fn settle(database: &Database, now: Timestamp) -> Result<Found, StoreError> {
    let ledger = Ledger::default();
    let transaction = begin_write(database)?;
    let mark;
    let mut cut_off;
    {
        let mut moments = transaction.open_table(MOMENTS).map_err(unavailable)?;
        let moment = |name: &str| -> Result<Option<Timestamp>, StoreError> {
            let found = moments.get(name).map_err(unavailable)?;
            Ok(found.map(|millis| Timestamp::from_millis(millis.value())))
        };
        mark = moment(MARK)?;
        cut_off = moment(CUT_OFF)?;
        if moment(CLEAN)?.is_some() {
            restore(&transaction, &ledger)?;
        } else {
            // The cut-off stays in the file: were it only in memory, a clean stop soon after this
            // open would vouch for a ledger that never knew what the crash has lost.
            cut_off = cut_off.max(mark);
        }
        moments.remove(CLEAN).map_err(unavailable)?;
        if let Some(cut_off) = cut_off {
            moments.insert(CUT_OFF, cut_off.as_millis()).map_err(unavailable)?;
        }
        let spent = transaction.open_table(table(SPENT)).map_err(unavailable)?;
        for entry in spent.iter().map_err(unavailable)? {
            let (id, bytes) = entry.map_err(unavailable)?;
            let envelope = Envelope::decode(&Bytes::copy_from_slice(bytes.value()))?;
            if let Some(until) = envelope.until.filter(|until| now < *until) {
                ledger.spend(Id::from_bytes(*id.value()), until, now);
            }
        }
    }
    transaction.delete_table(SAVED).map_err(unavailable)?;
    transaction.commit().map_err(unavailable)?;
    Ok(Found { ledger, mark, cut_off })
}

fn restore(transaction: &WriteTransaction, ledger: &Ledger) -> Result<(), StoreError> {
    let saved = transaction.open_table(SAVED).map_err(unavailable)?;
    for chunk in saved.iter().map_err(unavailable)? {
        let (_, bytes) = chunk.map_err(unavailable)?;
        ledger.restore(bytes.value().chunks_exact(SAVED_ENTRY).filter_map(|entry| {
            let (id, rest) = entry.split_first_chunk::<16>()?;
            let (number, until) = rest.split_first()?;
            Some((*id, *number, u32::from_be_bytes(until.try_into().ok()?)))
        }));
    }
    Ok(())
}

/// A write transaction that recovers quickly after a crash: without `quick_repair` the next open
/// would walk the whole file.
pub(super) fn begin_write(database: &Database) -> Result<WriteTransaction, StoreError> {
    let mut transaction = database.begin_write().map_err(unavailable)?;
    transaction.set_quick_repair(true);
    Ok(transaction)
}

/// Writes the mark, within a transaction.
pub(super) fn write_mark(transaction: &WriteTransaction, mark: Timestamp) -> Result<(), StoreError> {
    let mut moments = transaction.open_table(MOMENTS).map_err(unavailable)?;
    moments.insert(MARK, mark.as_millis()).map_err(unavailable)?;
    Ok(())
}

/// Saves the ledger and the word of a clean stop: both, or neither.
pub(super) fn save(database: &Database, ledger: &Ledger, now: Timestamp) -> Result<(), StoreError> {
    let transaction = begin_write(database)?;
    transaction.delete_table(SAVED).map_err(unavailable)?;
    {
        let mut saved = transaction.open_table(SAVED).map_err(unavailable)?;
        let alive = ledger.alive(now);
        let mut bytes = Vec::with_capacity(SAVED_ENTRY * alive.len().min(SAVED_CHUNK));
        for (number, chunk) in (0_u32..).zip(alive.chunks(SAVED_CHUNK)) {
            bytes.clear();
            for (id, shard, until) in chunk {
                bytes.extend_from_slice(id);
                bytes.push(*shard);
                bytes.extend_from_slice(&until.to_be_bytes());
            }
            saved.insert(number, bytes.as_slice()).map_err(unavailable)?;
        }
        let mut moments = transaction.open_table(MOMENTS).map_err(unavailable)?;
        moments.insert(CLEAN, now.as_millis()).map_err(unavailable)?;
    }
    transaction.commit().map_err(unavailable)
}

/// The entry under `key`, expired or not.
pub(super) fn read(database: &Database, key: Key) -> Result<Option<Envelope>, StoreError> {
    let transaction = database.begin_read().map_err(unavailable)?;
    let Some(table) = open_for_reading(&transaction, key.space)? else {
        return Ok(None);
    };
    let found = table.get(key.id.as_bytes()).map_err(unavailable)?;
    found.map(|bytes| Envelope::decode(&Bytes::copy_from_slice(bytes.value()))).transpose()
}

/// Up to `limit` living entries of a space after `after`, in order.
pub(super) fn list(
    database: &Database,
    space: &str,
    after: Option<Id>,
    limit: usize,
    now: Timestamp,
) -> Result<Vec<(Id, Bytes)>, StoreError> {
    let transaction = database.begin_read().map_err(unavailable)?;
    let mut listed = Vec::new();
    let Some(table) = open_for_reading(&transaction, space)? else {
        return Ok(listed);
    };
    let first = after.as_ref().map_or(&[0; 32], Id::as_bytes);
    for entry in table.range::<Slot<'_>>(first..).map_err(unavailable)? {
        if listed.len() >= limit {
            break;
        }
        let (id, bytes) = entry.map_err(unavailable)?;
        let id = Id::from_bytes(*id.value());
        let envelope = Envelope::decode(&Bytes::copy_from_slice(bytes.value()))?;
        if after != Some(id) && envelope.lives(now) {
            listed.push((id, envelope.value));
        }
    }
    Ok(listed)
}

/// A table of entries; `None` if nothing was ever put in that space.
pub(super) fn open_for_reading(
    transaction: &ReadTransaction,
    space: &str,
) -> Result<Option<redb::ReadOnlyTable<Slot<'static>, &'static [u8]>>, StoreError> {
    match transaction.open_table(table(space)) {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(unavailable(error)),
    }
}
