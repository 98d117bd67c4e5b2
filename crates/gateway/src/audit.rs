//! The audit log: one JSON line a decision and a change of keys, without secrets.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use countersign::{Decision, Timestamp};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::config::AuditConfig;
use crate::terminal;

/// Lines that may wait for the disk. Beyond that, requests wait for it too.
const QUEUE: usize = 16_384;
/// How long a line may wait in the buffer.
const FLUSH: Duration = Duration::from_millis(200);

/// Writes the audit log on a thread of its own.
pub struct Audit {
    queue: SyncSender<Entry>,
    decisions: bool,
    failures: Arc<AtomicU64>,
}

enum Entry {
    Decision(Arc<Decision>),
    /// A line that must be on disk before it is acknowledged.
    Change(Value, oneshot::Sender<Result<(), String>>),
    Reopen,
    Flush(oneshot::Sender<Result<(), String>>),
}

impl Audit {
    /// Opens the log for appending; a new file has mode 0600.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(config: &AuditConfig) -> io::Result<Self> {
        let (queue, entries) = sync_channel(QUEUE);
        let failures = Arc::new(AtomicU64::new(0));
        let mut writer = Writer {
            path: config.file.clone(),
            sink: Sink::open(config.file.as_ref())?,
            failures: failures.clone(),
        };
        std::thread::Builder::new().name("audit".into()).spawn(move || writer.run(&entries))?;
        Ok(Self { queue, decisions: config.decisions, failures })
    }

    /// Queues a decision; waits while the queue is full, so that no line is lost.
    pub async fn decision(&self, decision: &Arc<Decision>) {
        if !self.decisions {
            return;
        }
        let mut entry = Entry::Decision(decision.clone());
        while let Err(TrySendError::Full(returned)) = self.queue.try_send(entry) {
            tokio::time::sleep(Duration::from_millis(1)).await;
            entry = returned;
        }
    }

    /// Writes down a change of keys; it is on disk when this answers.
    ///
    /// # Errors
    /// Why it is not; the change must not be acknowledged.
    pub async fn change(&self, at: Timestamp, what: &str, details: &Value) -> Result<(), String> {
        let line = json!({ "at": at.to_string(), "change": what, "details": details });
        let (answer, written) = oneshot::channel();
        self.send(Entry::Change(line, answer)).await?;
        written.await.map_err(|_| String::from("the audit log's writer has stopped"))?
    }

    /// Opens the file anew, for whoever rotates it.
    pub async fn reopen(&self) {
        let _ = self.send(Entry::Reopen).await;
    }

    /// Waits until everything queued so far is on disk.
    ///
    /// # Errors
    /// Why it is not.
    pub async fn flush(&self) -> Result<(), String> {
        let (answer, written) = oneshot::channel();
        self.send(Entry::Flush(answer)).await?;
        written.await.map_err(|_| String::from("the audit log's writer has stopped"))?
    }

    /// How many lines could not be written.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    async fn send(&self, mut entry: Entry) -> Result<(), String> {
        loop {
            match self.queue.try_send(entry) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Disconnected(_)) => return Err("the audit log's writer has stopped".into()),
                Err(TrySendError::Full(returned)) => entry = returned,
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

enum Sink {
    File {
        file: BufWriter<File>,
        /// Pipes and devices have no disk to be on.
        is_regular: bool,
        /// The last line may have broken off: another must not continue it.
        is_torn: bool,
    },
    Standard(io::Stdout),
}

impl Sink {
    fn open(path: Option<&PathBuf>) -> io::Result<Self> {
        let Some(path) = path else { return Ok(Self::Standard(io::stdout())) };
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        let is_regular = file.metadata()?.is_file();
        // A crash may have cut off the last line.
        let is_torn = is_regular && !ends_with_line(path)?;
        Ok(Self::File { file: BufWriter::with_capacity(64 * 1024, file), is_regular, is_torn })
    }

    /// Leaves a line for the next flush. A line is written as a whole, so that the buffer holds whole
    /// lines and a crash between two writes tears none.
    fn write(&mut self, line: &Value) -> io::Result<()> {
        let line = terminal::json(line) + "\n";
        match self {
            Self::File { file, is_torn, .. } => {
                if std::mem::take(is_torn) {
                    file.write_all(b"\n")?;
                }
                file.write_all(line.as_bytes())
            }
            Self::Standard(out) => out.lock().write_all(line.as_bytes()),
        }
    }

    /// Writes a line at once. One that cannot be written is not kept for later: what it would say
    /// will have been refused.
    fn write_durably(&mut self, line: &Value) -> io::Result<()> {
        self.flush(false)?;
        if let Self::File { file, is_torn, .. } = self {
            let start = if *is_torn { "\n" } else { "" };
            let line = format!("{start}{}\n", terminal::json(line));
            *is_torn = true;
            file.get_mut().write_all(line.as_bytes())?;
            *is_torn = false;
        } else {
            self.write(line)?;
        }
        self.flush(true)
    }

    fn flush(&mut self, durably: bool) -> io::Result<()> {
        match self {
            Self::File { file, is_regular, .. } => {
                file.flush()?;
                if durably && *is_regular { file.get_ref().sync_data() } else { Ok(()) }
            }
            Self::Standard(out) => out.flush(),
        }
    }
}

fn ends_with_line(path: &Path) -> io::Result<bool> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        // One that may be written and not read is an audit log too.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(true),
        Err(error) => return Err(error),
    };
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

struct Writer {
    path: Option<PathBuf>,
    sink: Sink,
    failures: Arc<AtomicU64>,
}

impl Writer {
    fn run(&mut self, entries: &Receiver<Entry>) {
        let mut waiting = false;
        loop {
            let entry = match waiting {
                true => entries.recv_timeout(FLUSH),
                false => entries.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match entry {
                Ok(Entry::Decision(decision)) => {
                    let written = self.sink.write(&decision.to_json());
                    self.note(written);
                    waiting = true;
                }
                Ok(Entry::Change(line, answer)) => {
                    let written = self.sink.write_durably(&line);
                    let written =
                        written.map_err(|error| format!("the audit log cannot be written: {error}"));
                    let _ = answer.send(written);
                }
                Ok(Entry::Flush(answer)) => {
                    let flushed = self.sink.flush(true).map_err(|error| error.to_string());
                    let _ = answer.send(flushed);
                    waiting = false;
                }
                Ok(Entry::Reopen) => {
                    let flushed = self.sink.flush(false);
                    self.note(flushed);
                    match Sink::open(self.path.as_ref()) {
                        Ok(sink) => self.sink = sink,
                        Err(error) => self.note(Err(error)),
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    let flushed = self.sink.flush(false);
                    self.note(flushed);
                    waiting = false;
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let flushed = self.sink.flush(true);
                    self.note(flushed);
                    return;
                }
            }
        }
    }

    fn note(&self, result: io::Result<()>) {
        if let Err(error) = result {
            // A full disk makes one line a second, not one a request.
            if self.failures.fetch_add(1, Ordering::Relaxed).is_multiple_of(10_000) {
                tracing::error!(%error, "the audit log cannot be written");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &Path) -> Vec<Value> {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    #[test]
    fn a_line_that_broke_off_is_not_continued() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        std::fs::write(&path, "{\"a\":1}\n{\"b\":").unwrap();
        let mut sink = Sink::open(Some(&path)).unwrap();
        sink.write_durably(&json!({ "c": 3 })).unwrap();
        drop(sink);
        std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{").unwrap();
        let mut sink = Sink::open(Some(&path)).unwrap();
        sink.write(&json!({ "d": 4 })).unwrap();
        sink.write(&json!({ "e": 5 })).unwrap();
        sink.flush(false).unwrap();
        assert_eq!(
            lines(&path),
            [json!({ "a": 1 }), json!({ "c": 3 }), json!({ "d": 4 }), json!({ "e": 5 })]
        );
    }

    #[test]
    fn a_line_that_was_refused_is_not_written_later() {
        let mut sink = Sink::open(Some(&PathBuf::from("/dev/full"))).unwrap();
        assert!(sink.write_durably(&json!({ "refused": true })).is_err());
        let Sink::File { file, .. } = &sink else { panic!("a file") };
        assert_eq!(file.buffer(), b"");
    }
}
