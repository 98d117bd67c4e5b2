//! Processes that end with their handles, and the addresses that they listen on.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long anything that is started may take to answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// An address on loopback that is free at this moment, from below the ports that the system gives to
/// outgoing connections: one of those would otherwise take it before the gateway does.
pub fn free_address() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        // Tests run side by side, each in a process of its own: they begin far apart.
        let number = std::process::id().wrapping_mul(7919) + NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 10_240 + u16::try_from(number % 22_000).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

/// A process that ends with its handle.
pub struct Process(pub Child);

impl Process {
    pub fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }

    pub fn signal(&self, signal: &str) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until `address` accepts connections.
pub fn wait_for(address: SocketAddr) {
    let start = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(start.elapsed() < PATIENCE, "nothing listens on {address}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until `done` says so.
pub fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "{what} did not happen in {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The folder of this repository.
pub fn root() -> PathBuf {
    std::path::absolute(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).expect("a folder")
}

/// What `./test` has installed in `target/`.
pub fn installed(name: &str) -> PathBuf {
    let path = root().join("target").join(name);
    assert!(path.exists(), "./test makes target/node and target/python, with what peers and examples need");
    path
}

/// Whether a program is installed.
pub fn has(program: &str) -> bool {
    std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .any(|folder| folder.join(program).is_file())
        || Path::new("/usr/sbin").join(program).is_file()
}
