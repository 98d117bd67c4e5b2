//! Processes on processors of their own: started pinned, measured through `/proc`, ended with their handle.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Failure;

/// The name under which this program is the gateway.
pub(crate) const GATEWAY: &str = "countersign";

/// Where a process runs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// What is measured has a core for itself.
    Server,
    /// The load generator.
    Load,
    /// The upstream: a third core where there is one, else beside the load generator.
    Upstream,
}

impl Place {
    /// The core, as far as this machine has so many.
    pub(crate) fn core(self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let wanted = match self {
            Self::Server => 0,
            Self::Load => 1,
            Self::Upstream => 2,
        };
        wanted.min(cores - 1)
    }
}

/// A command that will run where it belongs; anywhere if there is no `taskset`.
pub(crate) fn pinned(place: Place, program: impl AsRef<Path>) -> Command {
    if !crate::machine::has("taskset") {
        return Command::new(program.as_ref());
    }
    let mut command = Command::new("taskset");
    command.arg("-c").arg(place.core().to_string()).arg(program.as_ref());
    command
}

/// A process that ends with its handle.
pub(crate) struct Process(Child);

impl Process {
    /// Starts it, and waits until `address` accepts connections.
    pub(crate) fn start(mut command: Command, address: SocketAddr) -> Result<Self, Failure> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let mut process = Self(child.map_err(|error| format!("{command:?}: {error}"))?);
        let start = Instant::now();
        while TcpStream::connect(address).is_err() {
            if process.0.try_wait()?.is_some() || start.elapsed() > Duration::from_secs(30) {
                return Err(format!("{command:?} does not listen on {address}").into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(process)
    }

    /// What its threads have computed so far, in user and system mode.
    pub(crate) fn cpu_time(&self) -> Result<Duration, Failure> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id()))?;
        // The second field is a name in parentheses, with whatever in it; proc(5) counts from 1.
        let fields: Vec<&str> =
            stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect()).unwrap_or_default();
        let ticks = |field: usize| -> Option<u64> { fields.get(field - 3)?.parse().ok() };
        let spent = ticks(14).zip(ticks(15)).ok_or("/proc/<pid>/stat cannot be read")?;
        let per_second = rustix::param::clock_ticks_per_second();
        Ok(Duration::from_millis((spent.0 + spent.1) * 1000 / per_second))
    }

    /// Its memory, in KiB.
    pub(crate) fn resident(&self) -> Result<u64, Failure> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
        Ok(number.ok_or("/proc/<pid>/status cannot be read")?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An address on loopback that is free at this moment.
pub(crate) fn free_address() -> Result<SocketAddr, Failure> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
