//! The audit log: one JSON line a decision and a change of keys, without secrets.
//!
//! A thread of its own writes it. Decisions are left in a queue that the thread empties a few times
//! a second, so that a request pays for a lock and a pointer, not for a system call or a wake-up.

mod sink;

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use countersign::witness::Work;
use countersign::{Decision, Timestamp};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::audit::sink::Sink;

/// Decisions that may wait for the disk. Beyond that, requests wait for it too: no line is lost.
const QUEUE: usize = 16_384;
/// For how long decisions are gathered before they are written.
const GATHER: Duration = Duration::from_millis(50);

/// Writes the audit log.
pub struct Audit {
    shared: Arc<Shared>,
    decisions: bool,
}

struct Shared {
    queue: Mutex<Queue>,
    /// The queue is no longer empty, or has a command.
    filled: Condvar,
    failures: AtomicU64,
}

#[derive(Default)]
struct Queue {
    decisions: Vec<Arc<Decision>>,
    commands: Vec<Command>,
    closed: bool,
}

type Answer = oneshot::Sender<Result<(), String>>;

enum Command {
    /// A line that must be on disk before it is acknowledged.
    Write(Value, Answer),
    /// The file was renamed away: begin another.
    Reopen(Answer),
    /// Everything up to here must be on disk.
    Flush(Answer),
}

impl Audit {
    /// Opens the log for appending: a file, which if it is new has mode 0600, or standard output. `decisions`: it takes
    /// them too, not only changes.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(file: Option<PathBuf>, decisions: bool) -> io::Result<Self> {
        let shared =
            Arc::new(Shared { queue: Mutex::default(), filled: Condvar::new(), failures: AtomicU64::new(0) });
        let sink = Sink::open(file.as_ref())?;
        let mut writer = Writer { path: file, sink, shared: shared.clone() };
        std::thread::Builder::new().name("audit".into()).spawn(move || writer.run())?;
        Ok(Self { shared, decisions })
    }

    /// Queues a decision. While the queue is full, there is something to wait for.
    #[must_use]
    pub fn decision<'a>(&'a self, decision: &'a Arc<Decision>) -> Option<Work<'a>> {
        if !self.decisions || self.shared.push(decision) {
            return None;
        }
        Some(Box::pin(async move {
            while !self.shared.push(decision) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }))
    }

    /// Writes down a change of keys; it is on disk when this answers.
    ///
    /// # Errors
    /// Why it is not; the change must not be acknowledged.
    pub async fn change(&self, at: Timestamp, what: &str, details: &Value) -> Result<(), String> {
        let line = json!({ "at": at.to_string(), "change": what, "details": details });
        self.ask(|answer| Command::Write(line, answer)).await
    }

    /// Opens the file anew, for whoever rotates it.
    ///
    /// # Errors
    /// Why the old file stays open.
    pub async fn reopen(&self) -> Result<(), String> {
        self.ask(Command::Reopen).await
    }

    /// Waits until everything queued so far is on disk.
    ///
    /// # Errors
    /// Why it is not.
    pub async fn flush(&self) -> Result<(), String> {
        self.ask(Command::Flush).await
    }

    /// How many lines could not be written.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.shared.failures.load(Ordering::Relaxed)
    }

    async fn ask(&self, command: impl FnOnce(Answer) -> Command) -> Result<(), String> {
        let (answer, done) = oneshot::channel();
        self.shared.lock().commands.push(command(answer));
        self.shared.filled.notify_one();
        done.await.map_err(|_| String::from("the audit log's writer has stopped"))?
    }
}

/// The writer ends with the log, once it has written what was queued.
impl Drop for Audit {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.filled.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `false`: the queue is full.
    fn push(&self, decision: &Arc<Decision>) -> bool {
        let mut queue = self.lock();
        if queue.decisions.len() >= QUEUE {
            return false;
        }
        queue.decisions.push(decision.clone());
        let first = queue.decisions.len() == 1;
        drop(queue);
        if first {
            self.filled.notify_one();
        }
        true
    }

    /// What there is to write, once there is something: decisions after they were gathered for a
    /// while, commands at once and behind the decisions before them.
    fn next(&self) -> Queue {
        let idle =
            |queue: &mut Queue| queue.decisions.is_empty() && queue.commands.is_empty() && !queue.closed;
        let queue = self.filled.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
        let gathering = |queue: &mut Queue| {
            queue.commands.is_empty() && !queue.closed && queue.decisions.len() < QUEUE / 2
        };
        let gathered = self.filled.wait_timeout_while(queue, GATHER, gathering);
        let (mut queue, _) = gathered.unwrap_or_else(PoisonError::into_inner);
        let closed = queue.closed;
        Queue { closed, ..std::mem::take(&mut *queue) }
    }
}

struct Writer {
    path: Option<PathBuf>,
    sink: Sink,
    shared: Arc<Shared>,
}

impl Writer {
    fn run(&mut self) {
        loop {
            let Queue { decisions, commands, closed } = self.shared.next();
            for decision in &decisions {
                let written = self.sink.write(&decision.audit_line());
                self.note(written);
            }
            let flushed = self.sink.flush(false);
            self.note(flushed);
            for command in commands {
                self.obey(command);
            }
            if closed {
                let flushed = self.sink.flush(true);
                self.note(flushed);
                return;
            }
        }
    }

    fn obey(&mut self, command: Command) {
        let said = |error: io::Error| format!("the audit log cannot be written: {error}");
        let (done, answer) = match command {
            Command::Write(line, answer) => (self.sink.write_durably(&line), answer),
            Command::Flush(answer) => (self.sink.flush(true), answer),
            Command::Reopen(answer) => {
                let reopened = self.sink.flush(false).and_then(|()| Sink::open(self.path.as_ref()));
                (reopened.map(|sink| self.sink = sink), answer)
            }
        };
        // Whoever asked and went away has no use for the answer.
        let _ = answer.send(done.map_err(said));
    }

    fn note(&self, result: io::Result<()>) {
        if let Err(error) = result {
            // A full disk makes a line now and then, not one a request.
            if self.shared.failures.fetch_add(1, Ordering::Relaxed).is_multiple_of(10_000) {
                tracing::error!(%error, "the audit log cannot be written");
            }
        }
    }
}
