//! Expired entries leave the file in small steps, while the writer has nothing better to do.

use std::time::{Duration, Instant};

use bytes::Bytes;
use countersign::store::Envelope;
use countersign::time::Timestamp;
use redb::{Database, ReadableDatabase as _, TableHandle as _};

use super::fault::{Fault, fault};
use super::file;

/// Entries looked at in one step.
const STEP: usize = 2_000;
/// How long to rest after the last table.
const REST: Duration = Duration::from_secs(60);
/// How long after its expiry an entry leaves: well beyond what a clock may be set back unnoticed.
const MARGIN: Duration = Duration::from_secs(60);
/// How long a moment must have been shown before entries leave that had expired by then: what a clock says that
/// is ahead for a while throws nothing away that is needed when it is set back, such as that a callback was used.
const BELIEVED: Duration = Duration::from_secs(900);

/// Where the sweep stands.
#[derive(Default)]
pub(super) struct Sweeper {
    /// The table to go on with, and the last identifier looked at.
    at: Option<(String, [u8; 32])>,
    rests_since: Option<Instant>,
    /// What the clock showed, and when that was.
    shown: Option<(Instant, Timestamp)>,
    /// What it showed long ago.
    believed: Option<Timestamp>,
}

impl Sweeper {
    /// One step, by what the clock showed long enough ago. With what leaves, the file says what it has `shown` since.
    pub(super) fn sweep(
        &mut self,
        database: &Database,
        now: Timestamp,
        shown: Timestamp,
    ) -> Result<usize, Fault> {
        match self.believe(now, BELIEVED) {
            Some(believed) => self.step(database, believed, shown),
            None => Ok(0),
        }
    }

    fn believe(&mut self, now: Timestamp, after: Duration) -> Option<Timestamp> {
        match self.shown {
            Some((since, _)) if since.elapsed() < after => {}
            shown => {
                self.believed = shown.map(|(_, shown)| shown);
                self.shown = Some((Instant::now(), now));
            }
        }
        self.believed = self.believed.map(|believed| believed.min(now));
        self.believed
    }

    /// One step: looks at no more than [`STEP`] entries, and removes the expired ones in one commit.
    fn step(&mut self, database: &Database, now: Timestamp, shown: Timestamp) -> Result<usize, Fault> {
        if self.rests_since.is_some_and(|since| since.elapsed() < REST) {
            return Ok(0);
        }
        self.rests_since = None;
        let Some((table, expired, last)) = self.look(database, now)? else {
            self.at = None;
            self.rests_since = Some(Instant::now());
            return Ok(0);
        };
        if !expired.is_empty() {
            let transaction = file::begin_write(database)?;
            {
                let mut entries = transaction.open_table(file::table(&table)).map_err(fault)?;
                for id in &expired {
                    entries.remove(id).map_err(fault)?;
                }
            }
            file::write_shown(&transaction, shown)?;
            transaction.commit().map_err(fault)?;
        }
        self.at = Some((table, last));
        Ok(expired.len())
    }

    /// The next table with entries behind where we stand, those of them that have expired, and how
    /// far we looked. `None`: there is no further table.
    #[expect(clippy::type_complexity, reason = "read once, just above")]
    fn look(
        &self,
        database: &Database,
        now: Timestamp,
    ) -> Result<Option<(String, Vec<[u8; 32]>, [u8; 32])>, Fault> {
        let transaction = database.begin_read().map_err(fault)?;
        let mut tables: Vec<String> =
            transaction.list_tables().map_err(fault)?.map(|table| String::from(table.name())).collect();
        tables.retain(|name| !name.starts_with('_') || name == file::SPENT);
        tables.sort_unstable();
        for table in tables {
            let after = match &self.at {
                Some((at, _)) if table < *at => continue,
                Some((at, last)) if table == *at => Some(*last),
                _ => None,
            };
            let Some(entries) = file::open_for_reading(&transaction, &table)? else {
                continue;
            };
            let (mut expired, mut seen) = (Vec::new(), None);
            let from = after.unwrap_or([0; 32]);
            for entry in entries.range::<file::Slot<'_>>(&from..).map_err(fault)?.take(STEP) {
                let (id, bytes) = entry.map_err(fault)?;
                let id = *id.value();
                if after == Some(id) {
                    continue;
                }
                seen = Some(id);
                // What cannot be read is not ours to throw away.
                let envelope = Envelope::decode(&Bytes::copy_from_slice(bytes.value()));
                if envelope.is_ok_and(|envelope| !envelope.lives(now.minus(MARGIN))) {
                    expired.push(id);
                }
            }
            if let Some(last) = seen {
                return Ok(Some((table, expired, last)));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use redb::ReadableTableMetadata as _;

    use super::*;
    use crate::redb_store::moments::{MOMENTS, Moments};

    fn count(database: &Database, table: &str) -> u64 {
        let transaction = database.begin_read().unwrap();
        file::open_for_reading(&transaction, table).unwrap().unwrap().len().unwrap()
    }

    #[test]
    fn expired_entries_leave_every_table_step_by_step_and_the_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        let opened = file::open(&folder.path().join("s.redb"), Timestamp::from_secs(1), false).unwrap();
        let database = opened.database;
        let transaction = database.begin_write().unwrap();
        for name in ["keys", file::SPENT, "users"] {
            let mut entries = transaction.open_table(file::table(name)).unwrap();
            for number in 0..3_000_u64 {
                let mut id = [0; 32];
                id[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
                let until = (number % 3 != 0).then(|| Timestamp::from_secs(100 + number % 3));
                entries.insert(&id, Envelope::encode(b"value", until).as_slice()).unwrap();
            }
        }
        transaction.commit().unwrap();
        let mut sweeper = Sweeper::default();
        let mut swept = Vec::new();
        for _ in 0..10 {
            let (now, shown) = (Timestamp::from_secs(101).plus(MARGIN), Timestamp::from_secs(5_000));
            swept.push(sweeper.step(&database, now, shown).unwrap());
        }
        assert!(swept.iter().all(|step| *step <= STEP));
        assert_eq!(swept.iter().sum::<usize>(), 3_000, "those that expired at 101 and no others");
        for name in ["keys", file::SPENT, "users"] {
            assert_eq!(count(&database, name), 2_000);
        }
        let transaction = database.begin_read().unwrap();
        let moments = Moments::read(&transaction.open_table(MOMENTS).unwrap()).unwrap();
        assert_eq!(
            moments.shown,
            Some(Timestamp::from_secs(5_000)),
            "by a clock behind that, some were alive"
        );
    }

    #[test]
    fn nothing_leaves_by_a_moment_that_was_shown_a_short_while_ago_or_is_no_longer_shown() {
        let (mut sweeper, ahead) = (Sweeper::default(), Timestamp::from_secs(5_000));
        let right = Timestamp::from_secs(1_000);
        assert_eq!(sweeper.believe(right, Duration::ZERO), None);
        assert_eq!(sweeper.believe(ahead, Duration::from_secs(60)), None, "only just shown");
        assert_eq!(sweeper.believe(ahead, Duration::ZERO), Some(right));
        assert_eq!(sweeper.believe(ahead, Duration::ZERO), Some(ahead));
        assert_eq!(sweeper.believe(right, Duration::from_secs(60)), Some(right), "the clock was set back");
    }
}
