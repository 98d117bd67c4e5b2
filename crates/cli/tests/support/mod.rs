//! A gateway as a process on real sockets, in a folder of its own, and what tests talk to it with.
//!
//! Every process that is started here is ended by its own pid when its handle is dropped.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part of this")]

pub mod callbacks;
pub mod http2;
pub mod oauth;
pub mod peer;
pub mod raw;
pub mod sealed;
pub mod tls;
pub mod webhook;

use std::io::{Read, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

pub mod keep_alive;
pub mod signed;

/// How long anything that is started may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

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
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command.args(arguments).env("NO_COLOR", "1");
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("COUNTERSIGN_") {
            command.env_remove(name);
        }
    }
    command
}

/// An HTTP/1.1 request, byte for byte.
pub struct Request<'a> {
    method: &'a str,
    target: &'a str,
    headers: Vec<(&'a str, &'a str)>,
    body: &'a [u8],
}

impl<'a> Request<'a> {
    pub fn new(method: &'a str, target: &'a str) -> Self {
        Self { method, target, headers: Vec::new(), body: b"" }
    }

    pub fn get(target: &'a str) -> Self {
        Self::new("GET", target)
    }

    pub fn header(mut self, name: &'a str, value: &'a str) -> Self {
        self.headers.push((name, value));
        self
    }

    pub fn body(mut self, body: &'a [u8]) -> Self {
        self.body = body;
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut head =
            format!("{} {} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n", self.method, self.target);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !self.body.is_empty() {
            head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        head.push_str("\r\n");
        [head.as_bytes(), self.body].concat()
    }

    pub fn send(&self, address: SocketAddr) -> Response {
        exchange(address, &self.bytes())
    }
}

/// Writes bytes to a fresh connection and reads one response from it.
pub fn exchange(address: SocketAddr, bytes: &[u8]) -> Response {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let _ = stream.write_all(bytes);
    Response::read(&mut stream)
}

/// An HTTP/1.1 response.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    /// Reads one response, and no byte behind it.
    pub fn read(stream: &mut impl Read) -> Self {
        Self::try_read(stream).expect("a whole response")
    }

    /// The same; `None` if the connection ends or fails first.
    pub fn try_read(stream: &mut impl Read) -> Option<Self> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if stream.read(&mut byte).ok()? == 0 {
                return None;
            }
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.lines();
        let status: u16 = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let mut response = Self { status, headers, body: Vec::new() };
        if response.header("transfer-encoding") == Some("chunked") {
            response.body = read_chunks(stream)?;
        } else if let Some(length) = response.header("content-length").and_then(|text| text.parse().ok()) {
            response.body = vec![0; length];
            stream.read_exact(&mut response.body).ok()?;
        } else if status != 101 && status != 204 && status != 304 && status >= 200 {
            stream.read_to_end(&mut response.body).ok()?;
        }
        Some(response)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }

    /// The code of a problem; empty if it is none.
    pub fn code(&self) -> String {
        let json: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        json["code"].as_str().unwrap_or_default().to_owned()
    }

    /// Asserts the exact status and code.
    #[track_caller]
    pub fn is(&self, status: u16, code: &str) -> &Self {
        assert_eq!((self.status, self.code().as_str()), (status, code), "{:?} {}", self.headers, self.text());
        self
    }
}

fn read_chunks(stream: &mut impl Read) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size = usize::from_str_radix(read_line(stream)?.trim(), 16).ok()?;
        if size == 0 {
            while !read_line(stream)?.trim().is_empty() {}
            return Some(body);
        }
        let start = body.len();
        body.resize(start + size, 0);
        stream.read_exact(&mut body[start..]).ok()?;
        read_line(stream)?;
    }
}

fn read_line(stream: &mut impl Read) -> Option<String> {
    let mut line = Vec::new();
    while !line.ends_with(b"\n") {
        let mut byte = [0];
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        line.push(byte[0]);
    }
    String::from_utf8(line).ok()
}

/// An upstream that answers each request with what it saw: method, target, headers and body as JSON.
#[derive(Clone)]
pub struct Echo {
    pub address: SocketAddr,
    seen: std::sync::Arc<std::sync::Mutex<Vec<Seen>>>,
}

/// A request as the upstream saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The head, byte for byte.
    pub head: String,
    pub body: Vec<u8>,
}

impl Seen {
    /// Reads a whole request; `None` if the connection ends first.
    pub fn read(mut stream: &TcpStream) -> Option<Self> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if stream.read(&mut byte).ok()? == 0 {
                return None;
            }
            head.push(byte[0]);
        }
        let mut seen = Self { head: String::from_utf8_lossy(&head).into_owned(), body: Vec::new() };
        if seen.header("transfer-encoding").is_some() {
            seen.body = read_chunks(&mut stream.try_clone().ok()?)?;
        } else if let Some(length) = seen.header("content-length").and_then(|text| text.parse().ok()) {
            seen.body = vec![0; length];
            stream.read_exact(&mut seen.body).ok()?;
        }
        Some(seen)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers(name).into_iter().next()
    }

    pub fn headers(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
    }

    pub fn request_line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }
}

impl Echo {
    /// Starts it on a thread; it lives as long as the test's process.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let kept = seen.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = kept.clone();
                std::thread::spawn(move || while echo(&stream, &kept).is_some() {});
            }
        });
        Self { address, seen }
    }

    /// The requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub fn last(&self) -> Seen {
        self.seen().pop().expect("a request")
    }

    /// `http://…`, for a configuration.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn echo(mut stream: &TcpStream, kept: &std::sync::Mutex<Vec<Seen>>) -> Option<()> {
    let seen = Seen::read(stream)?;
    let body = format!("{}\n", seen.request_line());
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let answer = if seen.request_line().starts_with("HEAD") {
        answer.trim_end_matches(&body).to_owned()
    } else {
        answer
    };
    kept.lock().unwrap().push(seen);
    stream.write_all(answer.as_bytes()).ok()
}

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

/// Whether a program is installed.
pub fn has(program: &str) -> bool {
    std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .any(|folder| folder.join(program).is_file())
        || Path::new("/usr/sbin").join(program).is_file()
}
