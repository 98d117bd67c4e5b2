//! A gateway with an upstream behind it, in a folder of its own.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::load::{self, Sample};
use crate::process::{GATEWAY, Place, Process, free_address, pinned};
use crate::script::{Script, Turns};
use crate::{Failure, machine};

/// Its `public_url`.
pub(crate) const PUBLIC: &str = "https://orders.example";

/// A folder for a measurement in which this program goes by the gateway's name.
pub(crate) fn folder() -> Result<TempDir, Failure> {
    if !machine::has("wrk") {
        return Err("wrk generates the load: install it with `apt-get install wrk`".into());
    }
    let folder = tempfile::Builder::new().prefix("countersign-bench-").tempdir()?;
    std::os::unix::fs::symlink(std::env::current_exe()?, folder.path().join(GATEWAY))?;
    Ok(folder)
}

/// An upstream that answers every request with a few bytes.
pub(crate) fn upstream() -> Result<(Process, SocketAddr), Failure> {
    let address = free_address()?;
    let mut command = pinned(Place::Upstream, std::env::current_exe()?);
    command.args(["upstream", &address.to_string()]);
    Ok((Process::start(command, address)?, address))
}

/// Writes a file that only its owner may read, as the gateway wants secrets to be.
pub(crate) fn secret_file(folder: &Path, name: &str, contents: &[u8]) -> Result<PathBuf, Failure> {
    use std::os::unix::fs::PermissionsExt as _;
    let file = folder.join(name);
    std::fs::write(&file, contents)?;
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600))?;
    Ok(file)
}

/// A gateway that runs.
pub(crate) struct Gateway {
    pub(crate) folder: TempDir,
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    pub(crate) upstream: SocketAddr,
    _upstream: Process,
}

impl Gateway {
    /// Starts one with an embedded store, no audit log, and what `settings` adds: `[server]` is its open table, and
    /// it is told the folder and the upstream's URL.
    pub(crate) fn start(
        settings: impl FnOnce(&Path, &str) -> Result<String, Failure>,
    ) -> Result<Self, Failure> {
        let folder = folder()?;
        let (_upstream, upstream) = upstream()?;
        let address = free_address()?;
        let text = format!(
            "[store]\nurl = \"redb:{}\"\n[audit]\ndecisions = false\n\
             [server]\nlisten = \"{address}\"\npublic_url = \"{PUBLIC}\"\n{}",
            folder.path().join("store.redb").display(),
            settings(folder.path(), &format!("http://{upstream}"))?,
        );
        let file = folder.path().join("countersign.toml");
        std::fs::write(&file, text)?;
        let mut command = pinned(Place::Server, folder.path().join(GATEWAY));
        command.args(["serve", "--config"]).arg(file).env("COUNTERSIGN_LOG", "error");
        Ok(Self { process: Process::start(command, address)?, folder, address, upstream, _upstream })
    }

    /// What the command line says with this gateway's configuration.
    pub(crate) fn run(&self, arguments: &[&OsStr]) -> Result<String, Failure> {
        let output = Command::new(self.folder.path().join(GATEWAY))
            .args(arguments)
            .arg("--config")
            .arg(self.folder.path().join("countersign.toml"))
            .output()?;
        match output.status.success() {
            true => Ok(String::from_utf8(output.stdout)?),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned().into()),
        }
    }

    /// Loads it for so many seconds with the requests that `write` adds for as many, after one of warming up.
    pub(crate) fn load(
        &self,
        turns: Turns,
        seconds: u64,
        write: impl FnMut(&mut Script, u64) -> Result<(), Failure>,
    ) -> Result<Sample, Failure> {
        self.load_another((&self.process, self.address), turns, seconds, write)
    }

    /// Loads another process in its place.
    pub(crate) fn load_another(
        &self,
        (process, address): (&Process, SocketAddr),
        turns: Turns,
        seconds: u64,
        mut write: impl FnMut(&mut Script, u64) -> Result<(), Failure>,
    ) -> Result<Sample, Failure> {
        let mut script = |name, seconds| {
            let mut script = Script::new(self.folder.path(), name)?;
            write(&mut script, seconds)?;
            script.finish(turns)
        };
        let (warm, sent) = (script("warm", 1)?, script("sent", seconds)?);
        load::measure(process, address, &warm, &sent, seconds)
    }
}
