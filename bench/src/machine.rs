//! What is measured on and with, for the reader of the figures.

use std::path::Path;
use std::process::Command;

/// Whether a program is installed. Debian keeps servers where a user's `PATH` does not lead.
pub(crate) fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
        || Path::new("/usr/sbin").join(program).is_file()
}

/// Its whole path, where that is not on `PATH`.
pub(crate) fn server(program: &str) -> std::path::PathBuf {
    let path = Path::new("/usr/sbin").join(program);
    if path.is_file() { path } else { program.into() }
}

/// The profile that this program, and with it the gateway, was built with: the folder that Cargo put it in.
pub(crate) fn profile() -> String {
    let program = std::env::current_exe().unwrap_or_default();
    let folder = program.parent().and_then(Path::file_name);
    folder.map_or("an unknown one".into(), std::ffi::OsStr::to_string_lossy).into_owned()
}

/// Processor, cores and kernel, and what was built for them.
pub(crate) fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("an unknown processor", |(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{model}, {cores} cores, Linux {}, profile {}", kernel.trim(), profile())
}

/// The versions of everything that takes part.
pub(crate) fn versions() -> String {
    let mut versions = vec![format!("countersign {}", env!("CARGO_PKG_VERSION"))];
    versions.extend(["hyper", "tokio", "redb"].into_iter().filter_map(locked));
    for (program, flag) in [("nginx", "-v"), ("haproxy", "-v"), ("wrk", "-v"), ("rustc", "--version")] {
        let output = Command::new(server(program)).arg(flag).output();
        let Ok(output) = output else { continue };
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        // The first word with a digit is the version: `nginx version: nginx/1.22.1`.
        let version = text.split_whitespace().find(|word| word.contains(|c: char| c.is_ascii_digit()));
        let version = version.map_or("", |word| word.rsplit('/').next().unwrap_or(word));
        versions.push(format!("{program} {version}"));
    }
    versions.join(", ")
}

/// The version of a crate that this was built with.
fn locked(name: &str) -> Option<String> {
    let lock = include_str!("../../Cargo.lock");
    let entry = lock.split("[[package]]").find(|entry| entry.contains(&format!("name = \"{name}\"\n")))?;
    let version = entry.lines().find_map(|line| line.strip_prefix("version = \""))?;
    Some(format!("{name} {}", version.trim_end_matches('"')))
}
