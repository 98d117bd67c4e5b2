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
//! 6. Where what was accepted is not in the file at all, since the file was put back from a copy or is a new one,
//!    all that may have been accepted is refused by its date (`and_all_before`). Where the clock was ahead and has
//!    been set back, what was accepted under it is told by its end (`and_the_clock_back`).
//! 7. A file that could not be written and is opened again by this process has its ledger still, in memory, and
//!    nobody else had the file meanwhile (`lock`).
//! 8. What the clock has shown is in the file with each commit, and with the word of a clean stop. A ledger forgets
//!    what has expired by then: were a clock that stands before that believed after a restart, it would be fresh again.
//!
//! A proof may come once as a light one and once as the other (the same `created`, another
//! `received_at`): both ways look into the ledger, and behind the cut-off, first.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use countersign::store::{Ledger, Spend, Spent, StoreError};
use countersign::time::{Clock, SKEW, Timestamp};
use tokio::sync::watch;

use super::closed;

/// How far the mark is ahead of the clock when it is written.
const LEAD: Duration = Duration::from_secs(2);
/// How near the clock may come to the mark before it is written again, while proofs are spent.
const REFRESH: Duration = Duration::from_secs(1);
/// How far a clock may be set back (by NTP) without being refused. Proofs are remembered for this
/// much longer, so that the step makes none of them fresh again.
const TOLERANCE: Duration = Duration::from_secs(2);
/// How often the newest moment seen is noted: not on each read, which would share a cache line.
const NOTED: Duration = Duration::from_millis(100);
/// What the clock shows is written at the latest when it is so much more than the file says, and somebody asked.
const UNWRITTEN: Duration = Duration::from_secs(60);
/// How long a spend waits for the mark.
const MARK_TIME_OUT: Duration = Duration::from_secs(2);

/// A clock that moves this much further than the mark has leapt, or nothing was spent for so long.
const LEAP: Duration = Duration::from_secs(60);
/// How long a proof without a date may have been good for: those of the issuer's clients say when they end.
const UNDATED: Duration = Duration::from_secs(3600);

/// What an open found about proofs.
pub(super) struct Found {
    pub(super) ledger: Ledger,
    pub(super) mark: Option<Timestamp>,
    /// What the clock has shown so far.
    pub(super) shown: Timestamp,
    pub(super) refused: Refused,
    pub(super) forgets_before: Option<Timestamp>,
}

/// Proofs that may have been accepted before by a ledger that is lost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Refused {
    /// Those made up to here.
    pub(super) cut_off: Option<Timestamp>,
    /// Those without a date that end by here.
    pub(super) undated: Option<Timestamp>,
    /// Those made up to the second that end at the first or later: accepted while the clock was ahead.
    pub(super) ahead: Option<(Timestamp, Timestamp)>,
}

/// The mark's last leap: nothing was accepted between the two, by the clock of the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leap {
    /// The mark before.
    pub(super) from: Timestamp,
    /// A moment before the first that was accepted after it.
    pub(super) to: Timestamp,
}

/// A mark to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NextMark {
    pub(super) mark: Timestamp,
    pub(super) leap: Option<Leap>,
}

impl Refused {
    /// Until when this proof cannot be told from a repeated one.
    fn refuses(&self, spend: &Spend) -> Option<Timestamp> {
        let Some(created) = spend.created else {
            return self.undated.filter(|undated| spend.until <= *undated);
        };
        let ahead = self.ahead.filter(|(from, until)| *from <= spend.until && created <= *until);
        self.cut_off.filter(|cut_off| created <= *cut_off).max(ahead.map(|(_, until)| until))
    }

    /// Also all that can have been accepted before `now`: a proof may have been dated [`SKEW`] ahead.
    pub(super) fn and_all_before(self, now: Timestamp) -> Self {
        let (cut_off, undated) = (self.cut_off.max(Some(now.plus(SKEW))), now.plus(UNDATED));
        Self { cut_off, undated: self.undated.max(Some(undated)), ..self }
    }

    /// The clock goes back to `now`, after it had shown `newest`.
    ///
    /// What was accepted before it leapt was made by `now`, or by the mark of that time (in the table of spent
    /// proofs otherwise). What was accepted after it leapt ends after the moment to which it did, and was made by
    /// the last mark. If nobody knows when it leapt, everything up to the mark stays refused.
    pub(super) fn and_the_clock_back(
        self,
        now: Timestamp,
        mark: Option<Timestamp>,
        leap: Option<Leap>,
        newest: Timestamp,
    ) -> Self {
        let reached = mark.max(self.cut_off).max(Some(newest));
        let undated = self.undated.max(reached);
        let Some(leap) = leap.filter(|leap| now < leap.to) else {
            return Self { cut_off: self.cut_off.max(mark).max(Some(now)), undated, ..self };
        };
        let (from, until) = self.ahead.unwrap_or((leap.to, leap.to));
        let ahead = Some((from.min(leap.to), until.max(reached.unwrap_or(until))));
        let cut_off = self.cut_off.filter(|cut_off| *cut_off < leap.to).max(Some(now.max(leap.from)));
        Self { cut_off, undated, ahead }
    }
}

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
    /// Settled by the open, and by whoever accepts a clock that went back.
    refused: RwLock<Refused>,
    /// The mark that is in the file, in milliseconds.
    mark: AtomicU64,
    /// For those who wait: the same, and how often it could not be written.
    mark_grew: watch::Sender<(u64, u64)>,
    /// Somebody waits for the mark, and the writer has been told.
    wanted: AtomicBool,
    /// A proof was spent since the mark was last written: an idle gateway writes nothing.
    spending: AtomicBool,
    /// The newest moment that the clock has shown, in milliseconds.
    newest: AtomicU64,
    /// The clock stands before `newest`, and it has been said.
    regressed: AtomicBool,
    closed: AtomicBool,
}

impl Proofs {
    pub(super) fn new(found: Found) -> Self {
        let mark = found.mark.unwrap_or_default();
        Self {
            ledger: found.ledger,
            refused: RwLock::new(found.refused),
            mark: AtomicU64::new(mark.as_millis()),
            mark_grew: watch::Sender::new((mark.as_millis(), 0)),
            wanted: AtomicBool::new(false),
            spending: AtomicBool::new(false),
            // Writing the mark saw a clock that showed this much.
            newest: AtomicU64::new(mark.minus(LEAD).max(found.shown).as_millis()),
            regressed: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        }
    }

    /// Refuses while the clock stands before what it has shown.
    pub(super) fn check(&self, now: Timestamp) -> Result<(), StoreError> {
        if self.later(now) > now.plus(TOLERANCE) { Err(StoreError::ClockRegressed) } else { Ok(()) }
    }

    /// The later of the present and what the clock has shown: what had expired does not live again.
    pub(super) fn later(&self, now: Timestamp) -> Timestamp {
        let newest = self.newest();
        if now > newest.plus(NOTED) {
            self.newest.fetch_max(now.as_millis(), Ordering::Relaxed);
        }
        let regressed = now.plus(TOLERANCE) < newest;
        if regressed != self.regressed.load(Ordering::Relaxed)
            && regressed != self.regressed.swap(regressed, Ordering::Relaxed)
        {
            match regressed {
                true => tracing::error!(
                    %now, shown = %newest,
                    "the clock went back: proofs are refused until it has caught up, or until `countersign store accept-clock`"
                ),
                false => tracing::info!("the clock is right again"),
            }
        }
        now.max(newest)
    }

    /// The newest moment that the clock has shown, as far as it was noted.
    pub(super) fn newest(&self) -> Timestamp {
        Timestamp::from_millis(self.newest.load(Ordering::Relaxed))
    }

    /// Whether the clock has shown much more than the file says, which is `written`.
    pub(super) fn shown_due(&self, written: Timestamp) -> bool {
        self.newest() > written.plus(UNWRITTEN)
    }

    /// From here on the clock may show `now`, and `refused` keeps what was accepted from passing again.
    pub(super) fn accept_clock(&self, refused: Refused, now: Timestamp) {
        *self.refused.write().unwrap_or_else(PoisonError::into_inner) = refused;
        self.newest.store(now.as_millis(), Ordering::SeqCst);
        self.mark_is_durable(now);
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
        let refused = self.refused.read().unwrap_or_else(PoisonError::into_inner);
        refused.refuses(spend).map(|until| until.since(now).max(Duration::from_secs(1)))
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
        let failures = grew.borrow().1;
        // Only the first of those who wait sends a message. The writer clears `wanted` before it
        // reads the clock, so whoever found it set is covered by the mark to come.
        if !self.wanted.swap(true, Ordering::SeqCst)
            && let Err(error) = raise()
        {
            self.wanted.store(false, Ordering::SeqCst);
            return Err(error);
        }
        let settled = grew.wait_for(|(mark, failed)| created.as_millis() <= *mark || *failed != failures);
        match tokio::time::timeout(MARK_TIME_OUT, settled).await {
            Ok(Ok(settled)) if created.as_millis() <= settled.0 => Ok(()),
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
    pub(super) fn mark_due(&self, clock: &dyn Clock) -> Option<NextMark> {
        let wanted = self.wanted.swap(false, Ordering::SeqCst);
        let (now, mark) = (clock.now(), Timestamp::from_millis(self.mark.load(Ordering::SeqCst)));
        let stale = mark < now.plus(REFRESH) && self.spending.load(Ordering::Relaxed);
        (wanted || stale).then(|| {
            self.spending.store(false, Ordering::Relaxed);
            // Whoever waits for the mark came in a little earlier than now.
            let leapt = mark.plus(LEAP) < now;
            let leap = leapt.then(|| Leap { from: mark, to: now.minus(MARK_TIME_OUT + TOLERANCE) });
            NextMark { mark: mark.max(now.plus(LEAD)), leap }
        })
    }

    /// The mark is in the file.
    pub(super) fn mark_is_durable(&self, mark: Timestamp) {
        self.mark.store(mark.as_millis(), Ordering::SeqCst);
        self.mark_grew.send_modify(|(grown, _)| *grown = mark.as_millis());
    }

    /// It could not be written: whoever waits for it is told now.
    pub(super) fn mark_failed(&self) {
        self.mark_grew.send_modify(|(_, failures)| *failures += 1);
    }
}

#[cfg(test)]
mod tests;
