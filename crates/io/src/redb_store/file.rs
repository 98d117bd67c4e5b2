//! The file: how it is opened, its tables, and reading from them.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, ErrorKind, Read as _};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use countersign::store::{Envelope, Id, Ledger};
use countersign::time::Timestamp;
use redb::backends::FileBackend;
use redb::{
    Database, DatabaseError, ReadTransaction, ReadableDatabase as _, ReadableTable as _, TableDefinition,
    TableError, TableHandle as _, WriteTransaction,
};

use super::beside::{Age, Beside, Mark};
use super::cache::Key;
use super::contain::contain;
use super::fault::{Fault, fault};
use super::lock::lock;
use super::moments::{MOMENTS, Moments, Writing};
use super::proofs::{Found, NextMark, Refused};
use crate::OpenError;

/// The key of every table of entries: an identifier's bytes.
pub(super) type Slot<'a> = &'a [u8; 32];

/// Proofs spent durably, as entries. Spaces are named `[a-z-]+`: an underscore cannot collide.
pub(super) const SPENT: &str = "_spent";

/// The ledger as a clean stop left it, in chunks of entries of [`SAVED_ENTRY`] bytes.
const SAVED: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("_saved");
const SAVED_ENTRY: usize = 16 + 1 + 4;
const SAVED_CHUNK: usize = 3_000;

/// Written and taken out again to see that there is room.
const ROOM: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("_room");
/// How much room there must be for a store that gave up to begin again: one that would give up at once is better
/// left alone.
const ENOUGH: usize = 1 << 20;

/// What redb may keep of the file in memory, beside our own cache.
const FILE_CACHE: usize = 16 << 20;

/// A file that has been opened.
pub(super) struct Opened {
    /// Where it is, whatever link led to it.
    pub(super) path: PathBuf,
    pub(super) database: Database,
    pub(super) found: Found,
    pub(super) beside: Beside,
    pub(super) mark: Mark,
    /// Behind the database: it is given back last.
    pub(super) lock: File,
}

/// The table of a space.
pub(super) fn table(space: &str) -> TableDefinition<'_, Slot<'static>, &'static [u8]> {
    TableDefinition::new(space)
}

/// Opens or makes the file, and settles what a clean or an unclean stop has left in it. With `restored`, also a
/// file that is older than its mark.
pub(super) fn open(path: &Path, now: Timestamp, restored: bool) -> Result<Opened, OpenError> {
    let failed = |error: std::io::Error| OpenError::File { path: path.to_owned(), reason: error.to_string() };
    let place = place(path).map_err(failed)?;
    let path = &*place;
    let failed = |error: std::io::Error| OpenError::File { path: path.to_owned(), reason: error.to_string() };
    let lock = lock(path)?;
    let mut beside = Beside::of(path);
    let file = open_or_make(path).map_err(failed)?;
    let mut is_new = file.metadata().map_err(failed)?.len() == 0;
    if !is_new && matches!(beside.read(), Ok(None)) && was_never_begun(&file).map_err(failed)? {
        file.set_len(0).map_err(failed)?;
        is_new = true;
    }
    let database = database(path, file)?;
    if is_new {
        // The name of a new file lives in its folder, which has to be durable too.
        File::open(folder(path)).and_then(|folder| folder.sync_all()).map_err(failed)?;
    }
    match within(path, &database, |database| settle(database, path, &mut beside, now, restored)) {
        Ok((found, mark)) => Ok(Opened { path: place, database, found, beside, mark, lock }),
        Err(error) => {
            let _ = contain(|| drop(database));
            Err(error)
        }
    }
}

/// Where a store is: one file has one lock and one mark, whatever link leads to it. Of one that is not there yet, its
/// folder is.
fn place(path: &Path) -> std::io::Result<PathBuf> {
    match (path.canonicalize(), path.file_name()) {
        (Err(error), Some(name)) if error.kind() == ErrorKind::NotFound => {
            Ok(folder(path).canonicalize()?.join(name))
        }
        (found, _) => found,
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// None is made through a link that leads nowhere: in another user's folder, that is wherever they like.
fn open_or_make(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    match options.open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => options.create_new(true).mode(0o600).open(path),
        opened => opened,
    }
}

/// Whether the file is what a kill has left while redb made it: its length, and a head without the magic number, which
/// is written last. Nothing is in it, and without this it would be taken for damaged for ever. Of a store that had
/// anything in it there are pages behind the head, and the mark beside it.
fn was_never_begun(file: &File) -> std::io::Result<bool> {
    /// What of the head may be there: all but the magic number.
    const WRITTEN: Range<usize> = 9..512;
    for (at, byte) in BufReader::new(file).bytes().enumerate() {
        if byte? != 0 && !WRITTEN.contains(&at) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Opens the file again that this process has written up to `least`, and sees that it can be written.
///
/// The ledger is where it was, in memory, so that nothing is lost of it: no proof is refused for this.
pub(super) fn open_again(
    path: &Path,
    beside: &mut Beside,
    least: Mark,
    shown: Timestamp,
) -> Result<(Database, Mark), OpenError> {
    let failed = |error: std::io::Error| OpenError::File { path: path.to_owned(), reason: error.to_string() };
    // Never made anew: what was acknowledged is not in an empty file.
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(failed)?;
    let database = database(path, file)?;
    match within(path, &database, |database| resume(database, path, beside, least, shown)) {
        Ok(mark) => Ok((database, mark)),
        Err(error) => {
            let _ = contain(|| drop(database));
            Err(error)
        }
    }
}

fn within<T>(
    path: &Path,
    database: &Database,
    work: impl FnOnce(&Database) -> Result<T, OpenError>,
) -> Result<T, OpenError> {
    contain(|| work(database)).unwrap_or_else(|panic| Err(Fault::Damage(panic).opening(path)))
}

fn database(path: &Path, file: File) -> Result<Database, OpenError> {
    let opened = contain(|| {
        let backend = FileBackend::new(file)?;
        // Every page against its checksum: what was changed behind our back is found here, and not later by
        // whoever reads it. It costs some seconds for a gibibyte.
        redb::Builder::new()
            .set_cache_size(FILE_CACHE)
            .set_check_integrity_on_open(true)
            .create_with_backend(backend)
    });
    match opened {
        Ok(Ok(database)) => Ok(database),
        Ok(Err(DatabaseError::DatabaseAlreadyOpen)) => Err(OpenError::AlreadyOpen(path.to_owned())),
        Ok(Err(error)) => Err(fault(error).opening(path)),
        Err(panic) => Err(Fault::Damage(panic).opening(path)),
    }
}

/// Reads what the last stop has left, and erases its word durably before anything is answered:
/// from here on, only another clean stop can vouch for the ledger.
fn settle(
    database: &Database,
    path: &Path,
    beside: &mut Beside,
    now: Timestamp,
    restored: bool,
) -> Result<(Found, Mark), OpenError> {
    let failed = |error: Fault| error.opening(path);
    let ledger = Ledger::default();
    let transaction = begin_write(database).map_err(failed)?;
    let is_fresh = !transaction
        .list_tables()
        .map_err(|error| failed(fault(error)))?
        .any(|table| table.name() == MOMENTS.name());
    let mut moments = {
        let table = transaction.open_table(MOMENTS).map_err(|error| failed(fault(error)))?;
        Moments::read(&table).map_err(failed)?
    };
    let age = Age { path, is_fresh, file: moments.beside, now };
    let (last, lost) = age.judge(beside, restored)?;
    let mark = Mark { generation: last.generation + 1, ..last };
    let settled = || -> Result<Found, Fault> {
        let shown = moments.shown.max(moments.clean).max(Some(now)).unwrap_or(now);
        if moments.clean.is_some() {
            restore(&transaction, &ledger)?;
        } else {
            // The cut-off stays in the file: were it only in memory, a clean stop soon after this
            // open would vouch for a ledger that never knew what the crash has lost.
            moments.refused.cut_off = moments.refused.cut_off.max(moments.mark);
        }
        if lost {
            moments.refused = moments.refused.and_all_before(now);
            moments.forgets_before = moments.forgets_before.max(Some(now));
        }
        {
            let mut table = transaction.open_table(MOMENTS).map_err(fault)?;
            let mut writing = Writing(&mut table);
            writing.clean(None)?;
            writing.refused(&moments.refused)?;
            writing.forgets_before(moments.forgets_before)?;
            writing.shown(shown)?;
            writing.beside(mark)?;
        }
        load_spent(&transaction, &ledger, now)?;
        transaction.delete_table(SAVED).map_err(fault)?;
        transaction.commit().map_err(fault)?;
        Ok(Found {
            ledger,
            mark: moments.mark,
            shown,
            refused: moments.refused,
            forgets_before: moments.forgets_before,
        })
    };
    let found = settled().map_err(failed)?;
    // Only now, where it was put back: until the file says so itself, its mark goes on refusing it.
    let written = if restored { beside.make(mark) } else { beside.write(mark).and_then(|()| beside.sync()) };
    written.map_err(|error| OpenError::File { path: beside.path().to_owned(), reason: error.to_string() })?;
    Ok((found, mark))
}

/// Sees that the file is the one we wrote, and that it can be written.
fn resume(
    database: &Database,
    path: &Path,
    beside: &mut Beside,
    least: Mark,
    shown: Timestamp,
) -> Result<Mark, OpenError> {
    let failed = |error: Fault| error.opening(path);
    let transaction = begin_write(database).map_err(failed)?;
    let found = {
        let table = transaction.open_table(MOMENTS).map_err(|error| failed(fault(error)))?;
        Moments::read(&table).map_err(failed)?
    };
    // Only another process can have written that it stopped well, where nothing locks the file between two attempts,
    // and the ledger that it saved knows nothing of what was used here.
    if found.clean.is_some() {
        let why = String::from("another process has worked on it meanwhile: start this one anew");
        return Err(OpenError::Older { path: path.to_owned(), why });
    }
    let found = found.beside;
    // A commit whose outcome nobody knew may be there, so the file may be further than we know.
    let Some(found) = found.filter(|found| found.born == least.born && found.generation >= least.generation)
    else {
        let why = String::from("this process has written more than it holds");
        return Err(OpenError::Older { path: path.to_owned(), why });
    };
    let mark = Mark { generation: found.generation + 1, ..found };
    let resumed = || -> Result<(), Fault> {
        write_progress(&transaction, mark, shown)?;
        {
            let mut room = transaction.open_table(ROOM).map_err(fault)?;
            room.insert(0, vec![0; ENOUGH].as_slice()).map_err(fault)?;
        }
        transaction.commit().map_err(fault)?;
        let transaction = begin_write(database)?;
        transaction.delete_table(ROOM).map_err(fault)?;
        transaction.commit().map_err(fault)
    };
    resumed().map_err(failed)?;
    let written = beside.write(mark);
    written.map_err(|error| OpenError::File { path: beside.path().to_owned(), reason: error.to_string() })?;
    Ok(mark)
}

/// Puts what was spent durably into the ledger, as far as it could be presented again at `now`.
fn load_spent(transaction: &WriteTransaction, ledger: &Ledger, now: Timestamp) -> Result<(), Fault> {
    let spent = transaction.open_table(table(SPENT)).map_err(fault)?;
    for entry in spent.iter().map_err(fault)? {
        let (id, bytes) = entry.map_err(fault)?;
        let envelope = Envelope::decode(&Bytes::copy_from_slice(bytes.value()))?;
        if let Some(until) = envelope.until.filter(|until| now < *until) {
            ledger.spend(Id::from_bytes(*id.value()), until, now);
        }
    }
    Ok(())
}

fn restore(transaction: &WriteTransaction, ledger: &Ledger) -> Result<(), Fault> {
    let saved = transaction.open_table(SAVED).map_err(fault)?;
    for chunk in saved.iter().map_err(fault)? {
        let (_, bytes) = chunk.map_err(fault)?;
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
pub(super) fn begin_write(database: &Database) -> Result<WriteTransaction, Fault> {
    let mut transaction = database.begin_write().map_err(fault)?;
    transaction.set_quick_repair(true);
    Ok(transaction)
}

/// Writes how far the file is, and what the clock has shown, within a transaction.
pub(super) fn write_progress(
    transaction: &WriteTransaction,
    mark: Mark,
    shown: Timestamp,
) -> Result<(), Fault> {
    write_shown(transaction, shown)?;
    let mut table = transaction.open_table(MOMENTS).map_err(fault)?;
    Writing(&mut table).beside(mark)
}

/// Writes what the clock has shown, within a transaction.
pub(super) fn write_shown(transaction: &WriteTransaction, shown: Timestamp) -> Result<(), Fault> {
    let mut table = transaction.open_table(MOMENTS).map_err(fault)?;
    Writing(&mut table).shown(shown)
}

/// Writes the mark of proofs, and the leap that led to it if it was one, within a transaction.
pub(super) fn write_mark(transaction: &WriteTransaction, next: NextMark) -> Result<(), Fault> {
    let mut table = transaction.open_table(MOMENTS).map_err(fault)?;
    let mut writing = Writing(&mut table);
    writing.mark(next.mark)?;
    if next.leap.is_some() {
        writing.leap(next.leap)?;
    }
    Ok(())
}

/// Saves the ledger as of `now`, and the word of a clean stop with what the clock has shown: both, or neither.
pub(super) fn save(
    database: &Database,
    ledger: &Ledger,
    now: Timestamp,
    shown: Timestamp,
    mark: Mark,
) -> Result<(), Fault> {
    let transaction = begin_write(database)?;
    transaction.delete_table(SAVED).map_err(fault)?;
    {
        let mut saved = transaction.open_table(SAVED).map_err(fault)?;
        let alive = ledger.alive(now);
        let mut bytes = Vec::with_capacity(SAVED_ENTRY * alive.len().min(SAVED_CHUNK));
        for (number, chunk) in (0_u32..).zip(alive.chunks(SAVED_CHUNK)) {
            bytes.clear();
            for (id, shard, until) in chunk {
                bytes.extend_from_slice(id);
                bytes.push(*shard);
                bytes.extend_from_slice(&until.to_be_bytes());
            }
            saved.insert(number, bytes.as_slice()).map_err(fault)?;
        }
        let mut table = transaction.open_table(MOMENTS).map_err(fault)?;
        let mut writing = Writing(&mut table);
        writing.clean(Some(shown))?;
        writing.beside(mark)?;
    }
    transaction.commit().map_err(fault)
}

/// Goes back to `now` durably: the mark, and what is refused so that nothing passes twice.
pub(super) fn accept_clock(
    database: &Database,
    ledger: &Ledger,
    newest: Timestamp,
    now: Timestamp,
    mark: Mark,
) -> Result<Refused, Fault> {
    let transaction = begin_write(database)?;
    let refused;
    {
        let mut table = transaction.open_table(MOMENTS).map_err(fault)?;
        let moments = Moments::read(&table)?;
        refused = moments.refused.and_the_clock_back(now, moments.mark, moments.leap, newest);
        let mut writing = Writing(&mut table);
        writing.refused(&refused)?;
        writing.mark(now)?;
        writing.shown(now)?;
        writing.leap(None)?;
        writing.beside(mark)?;
    }
    // Some had expired by the clock that was ahead, and have not by this one.
    load_spent(&transaction, ledger, now)?;
    transaction.commit().map_err(fault)?;
    Ok(refused)
}

/// The entry under `key`, expired or not.
pub(super) fn read(database: &Database, key: Key) -> Result<Option<Envelope>, Fault> {
    let transaction = database.begin_read().map_err(fault)?;
    let Some(table) = open_for_reading(&transaction, key.space)? else {
        return Ok(None);
    };
    let found = table.get(key.id.as_bytes()).map_err(fault)?;
    let decoded = found.map(|bytes| Envelope::decode(&Bytes::copy_from_slice(bytes.value())));
    Ok(decoded.transpose()?)
}

/// Up to `limit` living entries of a space after `after`, in order.
pub(super) fn list(
    database: &Database,
    space: &str,
    after: Option<Id>,
    limit: usize,
    now: Timestamp,
) -> Result<Vec<(Id, Bytes)>, Fault> {
    let transaction = database.begin_read().map_err(fault)?;
    let mut listed = Vec::new();
    let Some(table) = open_for_reading(&transaction, space)? else {
        return Ok(listed);
    };
    let first = after.as_ref().map_or(&[0; 32], Id::as_bytes);
    for entry in table.range::<Slot<'_>>(first..).map_err(fault)? {
        if listed.len() >= limit {
            break;
        }
        let (id, bytes) = entry.map_err(fault)?;
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
) -> Result<Option<redb::ReadOnlyTable<Slot<'static>, &'static [u8]>>, Fault> {
    match transaction.open_table(table(space)) {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(fault(error)),
    }
}
