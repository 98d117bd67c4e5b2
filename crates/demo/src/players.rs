//! The processes of those who take part: started, told what to do, and ended by their process ids.

use std::fs::OpenOptions;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use countersign_gateway::terminal::escape;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::time::timeout;

use crate::certificates::at;
use crate::failure::Failure;
use crate::orders::{Order, Report, Seen};

/// How long a start or an order may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long an end may take before it is forced.
const END: Duration = Duration::from_secs(5);

/// One who takes part. The process ends with this value.
pub(super) struct Player {
    name: &'static str,
    log: PathBuf,
    process: Child,
    orders: Sender,
    reports: BufReader<Receiver>,
}

impl Player {
    /// Starts this same program again, with a folder of its own, and waits until it is ready.
    pub(super) async fn start(scene: &str, name: &'static str, folder: &Path) -> Result<Self, Failure> {
        let folder = folder.join(name);
        let log = folder.join("log");
        let opened = OpenOptions::new().append(true).create(true).open(&log);
        let log_file = opened.map_err(|error| at(&log, &error))?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["demo", scene, "--as", name, "--directed", "--folder"]).arg(&folder);
        for (variable, _) in std::env::vars_os() {
            // Settings of another gateway are not for these.
            if variable.to_string_lossy().starts_with("COUNTERSIGN_") {
                command.env_remove(variable);
            }
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log_file);
        // Ctrl-C is for the director alone, who then ends everybody in order.
        command.process_group(0);
        let mut process = command.spawn()?;
        let pipes = (process.stdin.take(), process.stdout.take());
        let (Some(stdin), Some(stdout)) = pipes else { return Err(Failure::said("there are no pipes")) };
        let orders = Sender::from_owned_fd(OwnedFd::from(stdin))?;
        let reports = BufReader::new(Receiver::from_owned_fd(OwnedFd::from(stdout))?);
        let mut player = Self { name, log, process, orders, reports };
        player.report().await?;
        Ok(player)
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Gives an order, and waits until it has been followed.
    pub(super) async fn ask(&mut self, order: &Order) -> Result<Report, Failure> {
        let line = serde_json::to_string(order)? + "\n";
        self.orders.write_all(line.as_bytes()).await.map_err(|error| self.failed(&error.to_string()))?;
        self.report().await
    }

    /// What came in since the last time.
    pub(super) async fn seen(&mut self) -> Result<Vec<Seen>, Failure> {
        match self.ask(&Order::Seen).await? {
            Report::Seen(seen) => Ok(seen),
            other => Err(self.failed(&format!("{other:?}"))),
        }
    }

    async fn report(&mut self) -> Result<Report, Failure> {
        let mut line = String::new();
        let read = timeout(PATIENCE, self.reports.read_line(&mut line)).await;
        match read {
            Err(_) => Err(self.failed("no answer in time")),
            Ok(Err(error)) => Err(self.failed(&error.to_string())),
            Ok(Ok(0)) => Err(self.failed(&format!("it has ended. {}", self.last_words()))),
            Ok(Ok(_)) => match serde_json::from_str(&line)? {
                Report::Failed(why) => Err(self.failed(&why)),
                report => Ok(report),
            },
        }
    }

    fn failed(&self, why: &str) -> Failure {
        Failure::said(format!("{}: {why}", self.name))
    }

    /// The end of its log, whose folder may be gone soon.
    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().map(escape).collect();
        lines[lines.len().saturating_sub(3)..].join("\n  ")
    }

    /// Tells it to end.
    pub(super) fn dismiss(&self) {
        // Nobody has waited for it yet, so its id is still its own.
        if let Ok(pid) = i32::try_from(self.process.id())
            && let Some(pid) = Pid::from_raw(pid)
        {
            let _ = kill_process(pid, Signal::TERM);
        }
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        self.dismiss();
        let start = Instant::now();
        while let Ok(None) = self.process.try_wait() {
            if start.elapsed() > END {
                let _ = self.process.kill();
                let _ = self.process.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
