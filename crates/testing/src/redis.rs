//! A Redis.

use std::net::SocketAddr;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::process::{Process, free_address, wait_for};

/// A real Redis of the test's own.
pub struct Redis {
    pub address: SocketAddr,
    folder: TempDir,
    process: Option<Process>,
}

impl Redis {
    pub fn start() -> Self {
        let mut redis = Self { address: free_address(), folder: tempfile::tempdir().unwrap(), process: None };
        redis.again();
        redis
    }

    /// Starts it again, with what it had written down.
    pub fn again(&mut self) {
        let mut command = Command::new("redis-server");
        command
            .args(["--port", &self.address.port().to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(["--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction"])
            .args(["--dir", &self.folder.path().display().to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        self.process = Some(Process::start(&mut command));
        wait_for(self.address);
    }

    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Ends it in good order.
    pub fn shut_down(&mut self) {
        self.cli(&["SHUTDOWN"]);
        self.stop();
    }

    pub fn signal(&self, signal: &str) {
        self.process.as_ref().expect("it runs").signal(signal);
    }

    /// What `redis-cli` answers.
    pub fn cli(&self, arguments: &[&str]) -> String {
        let port = self.address.port().to_string();
        let output = Command::new("redis-cli").args(["-p", &port]).args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }
}
