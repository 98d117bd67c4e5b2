//! An upstream, and what it saw.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use crate::message::read_chunks;

/// An upstream that answers each request with what it saw: method, target, headers and body as JSON.
#[derive(Clone)]
pub struct Echo {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
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
        let seen = Arc::new(Mutex::new(Vec::new()));
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

fn echo(mut stream: &TcpStream, kept: &Mutex<Vec<Seen>>) -> Option<()> {
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
