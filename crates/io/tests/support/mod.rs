//! What the tests of this crate share: moments, proofs, and a Redis of their own.
#![allow(dead_code, reason = "each test file uses its part")]

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use countersign::store::{Id, Spend};
use countersign::time::{Clock, ManualClock, Timestamp};
use countersign_io::{OpenError, RedbStore, RedisStore, StoreUrl, SystemClock};
use tempfile::TempDir;

pub(crate) fn id(name: &str) -> Id {
    Id::of(&[name.as_bytes()])
}

pub(crate) fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// A proof made at `created`, received at `received_at`, good for a minute.
pub(crate) fn proof(name: &str, created: Option<Timestamp>, received_at: Timestamp) -> Spend {
    Spend { id: id(name), created, received_at, until: received_at.plus(Duration::from_secs(60)) }
}

/// A proof made, and received, right now.
pub(crate) fn fresh(name: &str, clock: &dyn Clock) -> Spend {
    proof(name, Some(clock.now()), clock.now())
}

pub(crate) fn open_redb(path: &Path, clock: &Arc<ManualClock>) -> RedbStore {
    RedbStore::open(path, Arc::clone(clock) as Arc<dyn Clock>).expect("the file opens")
}

/// A `redis-server` on a free port of the loopback, ended with this value.
pub(crate) struct Redis {
    child: Child,
    arguments: Vec<String>,
    folder: TempDir,
    port: u16,
}

impl Redis {
    /// One that forgets everything when it ends.
    pub(crate) fn forgetful() -> Self {
        Self::start(&["--save", "", "--appendonly", "no"])
    }

    pub(crate) fn start(arguments: &[&str]) -> Self {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let child = spawn(&arguments, folder.path(), port);
        Self { child, arguments, folder, port }
    }

    pub(crate) fn url(&self) -> StoreUrl {
        format!("redis://127.0.0.1:{}/0", self.port).parse().unwrap()
    }

    /// A store that is patient: whoever tests something else must not fail because the machine is busy.
    pub(crate) async fn store(&self) -> RedisStore {
        self.store_within(Duration::from_secs(2)).await.expect("Redis lets us in")
    }

    /// A store that waits so long for an answer.
    pub(crate) async fn store_within(&self, timeout: Duration) -> Result<RedisStore, OpenError> {
        let StoreUrl::Redis(url) = self.url() else { unreachable!("it is a Redis address") };
        RedisStore::open(&url.with_timeout(timeout), Arc::new(SystemClock)).await
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Where it keeps its files.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Ends the server in good order.
    pub(crate) fn shut_down(&mut self) {
        self.cli(&["SHUTDOWN"]);
        let _ = self.child.wait();
    }

    /// Ends the server as a power cut would.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again on the same port and folder.
    pub(crate) fn start_again(&mut self) {
        self.kill();
        self.child = spawn(&self.arguments, self.folder.path(), self.port);
    }

    /// The same with other settings.
    pub(crate) fn start_again_with(&mut self, arguments: &[&str]) {
        self.arguments = arguments.iter().map(ToString::to_string).collect();
        self.start_again();
    }

    /// Stops it without closing its connections, or lets it go on.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// What `redis-cli` answers.
    pub(crate) fn cli(&self, arguments: &[&str]) -> String {
        let port = self.port.to_string();
        let output = Command::new("redis-cli").args(["-p", &port]).args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(arguments: &[String], folder: &Path, port: u16) -> Child {
    let child = Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--dir"])
        .arg(folder)
        .args(arguments)
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server is installed");
    // It listens before it has read its files.
    let answers = || {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.write_all(b"EXISTS any\r\n")?;
        let mut answer = [0];
        stream.read_exact(&mut answer)?;
        std::io::Result::Ok(answer != *b"-" || arguments.iter().any(|argument| argument == "--requirepass"))
    };
    let start = Instant::now();
    while !answers().unwrap_or(false) {
        assert!(start.elapsed() < Duration::from_secs(10), "redis-server does not answer");
        std::thread::sleep(Duration::from_millis(10));
    }
    child
}
