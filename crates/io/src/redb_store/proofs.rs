//! The ledger of spent proofs in memory, and the few durable moments that let it be lost.
//!
//! Nothing accepted before a crash is accepted again, though most proofs are never written:
//!
//! 1. A *light* proof says when it was made, and not that it was after its request came in. It is
//!    answered `Once` only when its `created` is at or before the mark that is already in the
//!    file (`wait_for_mark`, before `remember`).
//! 2. The mark only grows, and it is read from the file, never guessed.
//! 3. After an unclean stop the cut-off becomes that mark, and stays in the file. By 1, each light
//!    proof that was ever answered `Once` has `created <= mark <= cut-off`, and is refused
//!    (`predates_boot`) for good.
//! 4. Every other proof (without `created`, or from the future) is in the table of spent proofs,
//!    committed, before it is answered `Once`; each open loads that table into the ledger.
//! 5. After a clean stop the ledger itself is back, and what an earlier crash has lost is still
//!    behind the cut-off. The word that says so is durably erased before an open returns, so it
//!    never vouches for a run that it has not seen the end of.
//!
//! A proof may come once as a light one and once as the other (the same `created`, another
//! `received_at`): both ways look into the ledger, and behind the cut-off, first.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use countersign::store::{Ledger, Spend, Spent, StoreError};
use countersign::time::Timestamp;
use tokio::sync::watch;

use super::closed;
use super::file::Found;

/// How far the mark is ahead of the clock when it is written.
const LEAD: Duration = Duration::from_secs(2);
/// How near the clock may come to the mark before it is written again, while proofs are spent.
const REFRESH: Duration = Duration::from_secs(1);
/// How far a clock may be set back (by NTP) without being refused. Proofs are remembered for this
/// much longer, so that the step makes none of them fresh again.
const TOLERANCE: Duration = Duration::from_secs(2);
/// How often the newest moment seen is noted: not on each read, which would share a cache line.
const NOTED: Duration = Duration::from_millis(100);
/// How long a spend waits for the mark.
const MARK_TIME_OUT: Duration = Duration::from_secs(2);

/// What remembering a proof costs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    /// Memory, behind the mark.
    Light { created: Timestamp },
    /// A commit.
    Durable,
}

/// Which of the two a proof is.
pub(super) fn weigh(spend: &Spend, now: Timestamp) -> Weight {
    match spend.created {
        // A mark of `now + LEAD` has to reach `created`, else waiting for it would never end.
        Some(created) if created <= spend.received_at && created <= now.plus(LEAD) => {
            Weight::Light { created }
        }
        _ => Weight::Durable,
    }
}

/// Until when a proof is remembered.
pub(super) fn kept_until(spend: &Spend) -> Timestamp {
    spend.until.plus(TOLERANCE)
}

/// The ledger, and what is known about the moments in the file.
pub(super) struct Proofs {
    ledger: Ledger,
    /// Proofs made up to here are refused. Settled by the open.
    cut_off: Option<Timestamp>,
    /// The mark that is in the file, in milliseconds; and the same for those who wait.
    mark: AtomicU64,
    mark_grew: watch::Sender<u64>,
    /// Somebody waits for the mark, and the writer has been told.
    wanted: AtomicBool,
    /// A proof was spent since the mark was last written: an idle gateway writes nothing.
    spending: AtomicBool,
    /// The newest moment that the clock has shown, in milliseconds.
    newest: AtomicU64,
    closed: AtomicBool,
}

impl Proofs {
    pub(super) fn new(found: Found) -> Self {
        let mark = found.mark.unwrap_or_default();
        Self {
            ledger: found.ledger,
            cut_off: found.cut_off,
            mark: AtomicU64::new(mark.as_millis()),
            mark_grew: watch::Sender::new(mark.as_millis()),
            wanted: AtomicBool::new(false),
            spending: AtomicBool::new(false),
            // Writing the mark saw a clock that showed this much.
            newest: AtomicU64::new(mark.minus(LEAD).as_millis()),
            closed: AtomicBool::new(false),
        }
    }

    /// Refuses when the store is closed, and while the clock stands before what it has shown.
    pub(super) fn check(&self, now: Timestamp) -> Result<(), StoreError> {
        self.still_open()?;
        let newest = Timestamp::from_millis(self.newest.load(Ordering::Relaxed));
        if now.plus(TOLERANCE) < newest {
            return Err(StoreError::ClockRegressed);
        }
        if now > newest.plus(NOTED) {
            self.newest.fetch_max(now.as_millis(), Ordering::Relaxed);
        }
        Ok(())
    }

    pub(super) fn still_open(&self) -> Result<(), StoreError> {
        if self.closed.load(Ordering::SeqCst) { Err(closed()) } else { Ok(()) }
    }

    /// After this, no proof is answered `Once` unless a snapshot of the ledger taken later has it.
    ///
    /// A spend remembers first and looks at `closed` last; closing sets it first and takes the
    /// snapshot last. If a spend came too late for its shard's snapshot, its lock of the shard
    /// followed the snapshot's, so it sees `closed`.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    /// How long until a proof made then would do, if this one was made before the ledger was lost.
    pub(super) fn predates_boot(&self, spend: &Spend, now: Timestamp) -> Option<Duration> {
        let cut_off = self.cut_off?;
        let lost = spend.created.is_some_and(|created| created <= cut_off);
        lost.then(|| cut_off.since(now).max(Duration::from_secs(1)))
    }

    /// Returns once the file's mark is at or after `created`; `raise` asks the writer for that.
    pub(super) async fn wait_for_mark(
        &self,
        created: Timestamp,
        raise: impl FnOnce() -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        if !self.spending.load(Ordering::Relaxed) {
            self.spending.store(true, Ordering::Relaxed);
        }
        if created.as_millis() <= self.mark.load(Ordering::SeqCst) {
            return Ok(());
        }
        let mut grew = self.mark_grew.subscribe();
        // Only the first of those who wait sends a message. The writer clears `wanted` before it
        // reads the clock, so whoever found it set is covered by the mark to come.
        if !self.wanted.swap(true, Ordering::SeqCst)
            && let Err(error) = raise()
        {
            self.wanted.store(false, Ordering::SeqCst);
            return Err(error);
        }
        match tokio::time::timeout(MARK_TIME_OUT, grew.wait_for(|mark| created.as_millis() <= *mark)).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(StoreError::Unavailable(String::from("the mark of spent proofs could not be written"))),
        }
    }

    /// Marks a proof as spent in memory.
    pub(super) fn remember(&self, spend: &Spend, now: Timestamp) -> Spent {
        self.ledger.spend(spend.id, kept_until(spend), now)
    }

    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The mark to write with the next commit, if it is time.
    pub(super) fn mark_due(&self, clock: &dyn countersign::time::Clock) -> Option<Timestamp> {
        let wanted = self.wanted.swap(false, Ordering::SeqCst);
        let (now, mark) = (clock.now(), Timestamp::from_millis(self.mark.load(Ordering::SeqCst)));
        let stale = mark < now.plus(REFRESH) && self.spending.load(Ordering::Relaxed);
        (wanted || stale).then(|| {
            self.spending.store(false, Ordering::Relaxed);
            mark.max(now.plus(LEAD))
        })
    }

    /// The mark is in the file.
    pub(super) fn mark_is_durable(&self, mark: Timestamp) {
        self.mark.store(mark.as_millis(), Ordering::SeqCst);
        self.mark_grew.send_replace(mark.as_millis());
    }
}
