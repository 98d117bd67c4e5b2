//! A gateway as a process on real sockets, in a folder of its own.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::message::{Request, Response};
use crate::process::{PATIENCE, Process, free_address};

/// A gateway: its folder, its configuration, and, while it runs, its process.
pub struct Gateway {
    pub folder: TempDir,
    pub address: SocketAddr,
    pub admin: SocketAddr,
    process: Option<Process>,
}

impl Gateway {
    /// A gateway in a new folder. `more` follows `[server]` in its configuration; `{folder}` in it is
    /// replaced.
    pub fn new(more: &str) -> Self {
        Self::with_server("", more)
    }

    /// The same, with more lines in `[server]`.
    pub fn with_server(server: &str, more: &str) -> Self {
        Self::in_folder("countersign-", server, more)
    }

    /// The same, in a folder whose name begins so.
    pub fn in_folder(prefix: &str, server: &str, more: &str) -> Self {
        let folder = tempfile::Builder::new().prefix(prefix).tempdir().unwrap();
        let gateway = Self { address: free_address(), admin: free_address(), folder, process: None };
        gateway.configure(server, more);
        gateway
    }

    /// Started already.
    pub fn started(more: &str) -> Self {
        let mut gateway = Self::new(more);
        gateway.start();
        gateway
    }

    /// Writes the configuration, by a rename as an operator would.
    pub fn configure(&self, server: &str, more: &str) {
        let text = format!(
            "[server]\nlisten = \"{}\"\nadmin_listen = \"{}\"\n{server}\n{more}\n",
            self.address, self.admin
        );
        let text = text.replace("{folder}", &self.folder.path().display().to_string());
        let next = self.path("countersign.toml.next");
        std::fs::write(&next, text).unwrap();
        std::fs::rename(next, self.path("countersign.toml")).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts it and waits until it is ready. Its log goes to `log` in the folder.
    pub fn start(&mut self) {
        let mut command = self.command(&["serve"]);
        self.start_with(&mut command);
    }

    /// The same, with another command line or environment.
    pub fn start_with(&mut self, command: &mut Command) {
        let log = std::fs::OpenOptions::new().append(true).create(true).open(self.path("log")).unwrap();
        command.stdout(log.try_clone().unwrap()).stderr(log);
        self.process = Some(Process::start(command));
        let start = Instant::now();
        while !self.ready() {
            let ended = self.process.as_mut().unwrap().0.try_wait().unwrap();
            assert!(ended.is_none() && start.elapsed() < PATIENCE, "not ready: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn ready(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(self.admin) else { return false };
        let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
        let _ = stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).is_ok() && answer.starts_with("HTTP/1.1 200")
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    pub fn process(&self) -> &Process {
        self.process.as_ref().expect("a running gateway")
    }

    pub fn pid(&self) -> u32 {
        self.process().0.id()
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// SIGTERM, and waits for the end, which must be a good one.
    pub fn stop(&mut self) {
        let status = self.end();
        assert!(status.success(), "{status}: {}", self.log());
    }

    /// SIGTERM, and waits for the end; says how it ended.
    pub fn end(&mut self) -> std::process::ExitStatus {
        let mut process = self.process.take().unwrap();
        let start = Instant::now();
        // It may have ended already.
        let pid = process.0.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).stderr(Stdio::null()).status();
        loop {
            if let Some(status) = process.0.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "SIGTERM did not end it: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The command line, in the gateway's folder and with its configuration.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = countersign(arguments);
        command.current_dir(self.folder.path());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// `serve`, which must end by itself: what it said and its exit code.
    pub fn refuses_to_start(&self, more: &[&str]) -> Output {
        let mut command = self.command(&[&["serve"], more].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let start = Instant::now();
        while child.try_wait().unwrap().is_none() {
            if start.elapsed() > PATIENCE {
                let _ = child.kill();
                panic!("it started");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        child.wait_with_output().unwrap()
    }

    /// Runs a command that must succeed and print JSON.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["--json"]].concat());
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Runs a command that prints JSON, whatever its exit code.
    pub fn json_of(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["--json"]].concat());
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr)))
    }

    /// A new key: its id and the whole key.
    pub fn key(&self, permissions: &[&str]) -> (String, String) {
        let mut arguments = vec!["key", "new", "--label", "test"];
        for permission in permissions {
            arguments.extend(["--permission", permission]);
        }
        let made = self.json(&arguments);
        (made["id"].as_str().unwrap().to_owned(), made["key"].as_str().unwrap().to_owned())
    }

    /// Asks management over the socket.
    pub fn explain_latest(&self) -> Value {
        let output = self.run(&["explain", "latest", "--json"]);
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
    }

    /// One request on a connection of its own.
    pub fn send(&self, request: &Request<'_>) -> Response {
        request.send(self.address)
    }

    /// `GET path` with an API key.
    pub fn get(&self, path: &str, key: Option<&str>) -> Response {
        let bearer = key.map(|key| format!("Bearer {key}"));
        let mut request = Request::get(path);
        if let Some(bearer) = &bearer {
            request = request.header("Authorization", bearer);
        }
        self.send(&request)
    }
}

/// The command line of this build.
pub fn countersign(arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.args(arguments).env("NO_COLOR", "1");
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("COUNTERSIGN_") {
            command.env_remove(name);
        }
    }
    command
}

/// The program `countersign` of this build: Cargo puts it beside the folder that test executables are in.
pub fn program() -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    let program = test.ancestors().nth(2).expect("target/debug").join("countersign");
    assert!(program.is_file(), "{} is built with the tests of countersign-cli", program.display());
    program
}
