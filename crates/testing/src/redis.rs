//! A Redis.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use countersign_io::{OpenError, RedisStore, StoreUrl, SystemClock};
use tempfile::TempDir;

use crate::process::{Process, eventually, free_address};

/// A real Redis of the test's own, on loopback.
pub struct Redis {
    pub address: SocketAddr,
    arguments: Vec<String>,
    folder: TempDir,
    process: Option<Process>,
}

impl Redis {
    /// One that forgets everything when it ends.
    pub fn forgetful() -> Self {
        Self::start(&["--save", "", "--appendonly", "no"])
    }

    /// One that has written down whatever it acknowledged.
    pub fn durable() -> Self {
        let writes = ["--save", "", "--appendonly", "yes", "--appendfsync", "always"];
        Self::start(&[&writes[..], &["--maxmemory-policy", "noeviction"]].concat())
    }

    pub fn start(arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(ToString::to_string).collect();
        let folder = tempfile::tempdir().unwrap();
        let mut redis = Self { address: free_address(), arguments, folder, process: None };
        redis.start_again();
        redis
    }

    /// Starts it again, on the same port and with what it had written down.
    pub fn start_again(&mut self) {
        self.kill();
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--port", &self.address.port().to_string(), "--dir"]);
        command.arg(self.folder.path()).args(&self.arguments);
        self.process = Some(Process::start(command.stdout(Stdio::null()).stderr(Stdio::null())));
        eventually("redis-server's first answer", || self.answers().unwrap_or(false));
    }

    /// The same with other settings.
    pub fn start_again_with(&mut self, arguments: &[&str]) {
        self.arguments = arguments.iter().map(ToString::to_string).collect();
        self.start_again();
    }

    /// It listens before it has read its files.
    fn answers(&self) -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.write_all(b"EXISTS any\r\n")?;
        let mut answer = [0];
        stream.read_exact(&mut answer)?;
        Ok(answer != *b"-" || self.arguments.iter().any(|argument| argument == "--requirepass"))
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Ends it in good order.
    pub fn shut_down(&mut self) {
        self.cli(&["SHUTDOWN"]);
        if let Some(mut process) = self.process.take() {
            process.0.wait().unwrap();
        }
    }

    /// `-STOP` stops it without closing its connections, `-CONT` lets it go on.
    pub fn signal(&self, signal: &str) {
        self.process.as_ref().expect("it runs").signal(signal);
    }

    /// What `redis-cli` answers.
    pub fn cli(&self, arguments: &[&str]) -> String {
        let port = self.address.port().to_string();
        let output = Command::new("redis-cli").args(["-p", &port]).args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Where it keeps its files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// The same, read.
    pub fn store_url(&self) -> StoreUrl {
        self.url().parse().unwrap()
    }

    /// A store that is patient: whoever tests something else must not fail because the machine is busy.
    pub async fn store(&self) -> RedisStore {
        self.store_within(Duration::from_secs(2)).await.expect("Redis lets us in")
    }

    /// A store that waits so long for an answer.
    pub async fn store_within(&self, timeout: Duration) -> Result<RedisStore, OpenError> {
        let StoreUrl::Redis(url) = self.store_url() else { unreachable!("it is a Redis address") };
        RedisStore::open(&url.with_timeout(timeout), Arc::new(SystemClock)).await
    }
}
