//! The one thread that writes: it gathers what is queued into one transaction, commits, and only
//! then answers every caller.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use countersign::store::{Envelope, StoreError};
use countersign::time::Timestamp;
use redb::Database;
use tokio::sync::oneshot;

use super::beside::{Mark, Written};
use super::cache::Key;
use super::change::{Answer, Operation, Outcome};
use super::fault::{Fault, fault};
use super::proofs::{NextMark, Refused};
use super::reopen::Reopening;
use super::sweep::Sweeper;
use super::{Shared, closed, file};

/// At most this many operations share a commit.
const GATHERED: usize = 256;
/// At most this many wait; more are refused at once.
const QUEUED: usize = 8_192;
/// How long the thread sleeps when nothing comes, before it looks at the mark and sweeps.
const TICK: Duration = Duration::from_millis(250);

/// What it was when a clock that went back was believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockAccepted {
    /// What it shows.
    pub now: Timestamp,
    /// What it had shown.
    pub shown: Timestamp,
    /// Proofs made up to here are refused. `None`: it had not gone back, and nothing changed.
    pub cut_off: Option<Timestamp>,
}

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

enum Request {
    Write(Operation, Reply<Answer>),
    /// Somebody waits for the mark.
    RaiseMark,
    /// Show that a transaction can be begun.
    Probe(Reply<()>),
    /// Believe the clock, though it went back.
    AcceptClock(Reply<ClockAccepted>),
    Close(Reply<()>),
}

/// The handle on the thread. Dropping it ends the thread, without the word of a clean stop.
pub(super) struct Writer {
    requests: Option<SyncSender<Request>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    pub(super) fn start(shared: Arc<Shared>, written: Written) -> std::io::Result<Self> {
        let (requests, queue) = sync_channel(QUEUED);
        let (sweeper, reopening) = (Sweeper::default(), Reopening::default());
        let scribe = Scribe { shared, queue, sweeper, reopening, written };
        let thread = std::thread::Builder::new().name(String::from("store-writer")).spawn(|| scribe.run())?;
        Ok(Self { requests: Some(requests), thread: Mutex::new(Some(thread)) })
    }

    pub(super) async fn write(&self, operation: Operation, time_out: Duration) -> Result<Answer, StoreError> {
        self.ask(time_out, |reply| Request::Write(operation, reply)).await
    }

    pub(super) async fn ready(&self, time_out: Duration) -> Result<(), StoreError> {
        self.ask(time_out, Request::Probe).await
    }

    pub(super) async fn accept_clock(&self, time_out: Duration) -> Result<ClockAccepted, StoreError> {
        self.ask(time_out, Request::AcceptClock).await
    }

    /// Waits as long as it takes: giving up would turn a clean stop into an unclean one.
    pub(super) async fn close(&self) -> Result<(), StoreError> {
        self.ask(Duration::MAX, Request::Close).await
    }

    pub(super) fn raise_mark(&self) -> Result<(), StoreError> {
        self.send(Request::RaiseMark)
    }

    async fn ask<T>(
        &self,
        time_out: Duration,
        request: impl FnOnce(Reply<T>) -> Request,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(request(reply))?;
        match tokio::time::timeout(time_out, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(gone()),
            Err(_) => Err(StoreError::Unavailable(String::from("the write took too long"))),
        }
    }

    fn send(&self, request: Request) -> Result<(), StoreError> {
        self.requests.as_ref().ok_or_else(closed)?.try_send(request).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Unavailable(String::from("too many writes are waiting")),
            TrySendError::Disconnected(_) => gone(),
        })
    }
}

fn gone() -> StoreError {
    StoreError::Unavailable(String::from("the writer has stopped"))
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.requests.take());
        // Waits for the commit under way, so that the file's lock is free when this returns.
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the store's writer had panicked");
        }
    }
}

/// What runs in the thread.
struct Scribe {
    shared: Arc<Shared>,
    queue: Receiver<Request>,
    sweeper: Sweeper,
    reopening: Reopening,
    /// The last, so that the lock is given back when the database has been dropped.
    written: Written,
}

/// What one round has to do.
#[derive(Default)]
struct Round {
    operations: Vec<Operation>,
    replies: Vec<Reply<Answer>>,
    probes: Vec<Reply<()>>,
    clocks: Vec<Reply<ClockAccepted>>,
    close: Option<Reply<()>>,
}

impl Round {
    fn take(&mut self, request: Request) {
        match request {
            Request::Write(operation, reply) => {
                self.operations.push(operation);
                self.replies.push(reply);
            }
            Request::RaiseMark => {}
            Request::Probe(reply) => self.probes.push(reply),
            Request::AcceptClock(reply) => self.clocks.push(reply),
            Request::Close(reply) => self.close = Some(reply),
        }
    }

    /// Nothing after a close belongs to this round.
    fn is_full(&self) -> bool {
        self.close.is_some() || self.operations.len() >= GATHERED
    }
}

impl Scribe {
    fn run(mut self) {
        loop {
            let mut round = Round::default();
            match self.queue.recv_timeout(TICK) {
                Ok(first) => round.take(first),
                Err(RecvTimeoutError::Timeout) => {
                    self.reopen_if_due();
                    self.sweep();
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
            while !round.is_full()
                && let Ok(next) = self.queue.try_recv()
            {
                round.take(next);
            }
            if let Some(reply) = self.finish(round) {
                self.close(reply);
                return;
            }
        }
    }

    /// Commits a round and answers its callers. What is left is the reply to a close, if one came.
    fn finish(&mut self, round: Round) -> Option<Reply<()>> {
        let Round { operations, replies, probes, clocks, close } = round;
        self.reopen_if_due();
        let mark = self.shared.proofs.mark_due(&*self.shared.clock);
        let shown_is_due = self.shared.proofs.shown_due(self.written.shown);
        if !operations.is_empty() || mark.is_some() || shown_is_due {
            let keys: Vec<Key> = operations.iter().map(|operation| operation.key).collect();
            match self.commit(operations, mark, shown_is_due) {
                Ok(outcomes) => answer(&self.shared, &keys, outcomes, replies),
                Err(error) => {
                    keys.into_iter().for_each(|key| self.shared.cache.forget(key));
                    self.shared.proofs.mark_failed();
                    for reply in replies {
                        let _ = reply.send(Err(error.clone()));
                    }
                }
            }
        }
        for reply in clocks {
            let _ = reply.send(self.accept_clock());
        }
        for reply in probes {
            let _ = reply.send(self.probe());
        }
        close
    }

    /// Evaluates every operation in order inside one transaction, and commits it durably.
    /// An operation that finds an unreadable entry fails alone; all else fails together.
    fn commit(
        &mut self,
        operations: Vec<Operation>,
        mark: Option<NextMark>,
        shown_is_due: bool,
    ) -> Result<Vec<Result<Outcome, StoreError>>, StoreError> {
        let (next, now) = (self.next(), self.shared.later());
        let (outcomes, is_dirty) = self
            .shared
            .with_database(|database| write(database, operations, mark, shown_is_due, now, next))?;
        if is_dirty {
            self.reached(next, now);
        }
        if let Some(NextMark { mark, .. }) = mark {
            self.shared.proofs.mark_is_durable(mark);
        }
        Ok(outcomes)
    }

    fn next(&self) -> Mark {
        let mark = self.written.mark;
        Mark { generation: mark.generation + 1, ..mark }
    }

    /// The file is durably so far: its mark follows, and only then is anybody told.
    fn reached(&mut self, mark: Mark, shown: Timestamp) {
        (self.written.mark, self.written.shown) = (mark, shown);
        if let Err(error) = self.written.beside.write(mark)
            && self.reopening.is_first_failure_of_the_mark()
        {
            let path = self.written.beside.path().display();
            tracing::error!(%path, %error, "the mark cannot be written: a copy that is put back would not be noticed");
        }
    }

    fn probe(&self) -> Result<(), StoreError> {
        self.shared.with_database(|database| file::begin_write(database)?.abort().map_err(fault))
    }

    fn accept_clock(&mut self) -> Result<ClockAccepted, StoreError> {
        let (now, proofs) = (self.shared.clock.now(), &self.shared.proofs);
        let shown = proofs.later(now);
        let refused = match proofs.check(now) {
            Ok(()) => Refused::default(),
            Err(_) => {
                let next = self.next();
                let refused = self.shared.with_database(|database| {
                    file::accept_clock(database, proofs.ledger(), shown, now, next)
                })?;
                self.shared.proofs.accept_clock(refused.clone(), now);
                self.reached(next, now);
                refused
            }
        };
        Ok(ClockAccepted { now, shown, cut_off: refused.cut_off })
    }

    fn sweep(&mut self) {
        let now = self.shared.clock.now();
        let shown = now.max(self.shared.proofs.newest());
        // What stands in the way was told when it began.
        let _ = self.shared.with_database(|database| self.sweeper.sweep(database, now, shown));
    }

    fn reopen_if_due(&mut self) {
        self.reopening.try_if_due(&self.shared, &mut self.written);
    }

    /// Saves the ledger and gives the file back.
    fn close(mut self, reply: Reply<()>) {
        let next = self.next();
        let (now, shown) = (self.shared.clock.now(), self.shared.later());
        let saved = self
            .shared
            .with_database(|database| file::save(database, self.shared.proofs.ledger(), now, shown, next));
        if saved.is_ok() {
            self.reached(next, shown);
            let _ = self.written.beside.sync();
        }
        self.shared.drop_database();
        drop(self.written.lock);
        let _ = reply.send(saved);
    }
}

/// What came of each operation, and whether anything was written.
fn write(
    database: &Database,
    operations: Vec<Operation>,
    mark: Option<NextMark>,
    shown_is_due: bool,
    now: Timestamp,
    next: Mark,
) -> Result<(Vec<Result<Outcome, StoreError>>, bool), Fault> {
    let transaction = file::begin_write(database)?;
    let mut outcomes = Vec::with_capacity(operations.len());
    let mut is_dirty = mark.is_some() || shown_is_due;
    if let Some(mark) = mark {
        file::write_mark(&transaction, mark)?;
    }
    {
        let mut tables = HashMap::new();
        for Operation { key, change } in operations {
            let table = match tables.entry(key.space) {
                Entry::Occupied(table) => table.into_mut(),
                Entry::Vacant(place) => {
                    place.insert(transaction.open_table(file::table(key.space)).map_err(fault)?)
                }
            };
            let outcome = match change.carry_out(key.id.as_bytes(), table, now) {
                Ok(outcome) => Ok(outcome),
                Err(Fault::Entry(error)) => Err(error),
                Err(fault) => return Err(fault),
            };
            is_dirty |= outcome.as_ref().is_ok_and(|outcome| outcome.written.is_some());
            outcomes.push(outcome);
        }
    }
    if is_dirty {
        file::write_progress(&transaction, next, now)?;
        transaction.commit().map_err(fault)?;
    } else {
        transaction.abort().map_err(fault)?;
    }
    Ok((outcomes, is_dirty))
}

/// The cache first, then the callers: whoever was told about a write reads it.
fn answer(
    shared: &Shared,
    keys: &[Key],
    outcomes: Vec<Result<Outcome, StoreError>>,
    replies: Vec<Reply<Answer>>,
) {
    let mut answers = Vec::with_capacity(outcomes.len());
    for (key, outcome) in keys.iter().zip(outcomes) {
        answers.push(outcome.map(|Outcome { answer, written }| {
            if let Some(written) = written.filter(|_| key.space != file::SPENT) {
                remember(shared, *key, written);
            }
            answer
        }));
    }
    for (reply, answer) in replies.into_iter().zip(answers) {
        // A caller that has gone away does not undo its write.
        let _ = reply.send(answer);
    }
}

fn remember(shared: &Shared, key: Key, written: Option<Envelope>) {
    shared.cache.apply(key, written);
}
