//! APIs at webhook URLs, as tests need them: honest, hostile, slow, or written by somebody else.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use countersign::crypto::SystemRandom;
use countersign::schemes::webhook::{Algorithm, Token, TokenHash};
use serde_json::Value;

use crate::process::{Process, free_address, installed, root, wait_for};
use crate::raw::{Upstream, read_head};

/// What an API at a webhook URL was asked: the path and the JSON.
pub type Asked = (String, Value);

/// An API at `http://127.0.0.1:port/<path>` that answers questions as a function of the test's says.
pub struct WebhookApi {
    server: Upstream,
    asked: Arc<Mutex<Vec<Asked>>>,
    most: Arc<AtomicUsize>,
}

impl WebhookApi {
    /// `answer` gets path and question, and returns a whole HTTP response.
    pub fn answering(answer: impl Fn(&str, &Value) -> String + Send + Sync + 'static) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (kept, now, most) = (asked.clone(), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let highest = most.clone();
        let server = Upstream::start(move |mut stream| {
            while let Some((path, question)) = read_question(&mut stream) {
                let in_flight = now.fetch_add(1, Ordering::SeqCst) + 1;
                highest.fetch_max(in_flight, Ordering::SeqCst);
                kept.lock().unwrap().push((path.clone(), question.clone()));
                let answer = answer(&path, &question);
                now.fetch_sub(1, Ordering::SeqCst);
                if stream.write_all(answer.as_bytes()).is_err() {
                    return;
                }
            }
        });
        Self { server, asked, most }
    }

    pub fn address(&self) -> SocketAddr {
        self.server.address
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.address)
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// How many questions it had at once at most.
    pub fn most_at_once(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

/// An API that keeps to the protocol: it confirms what it sent, once, to whom it sent it.
#[derive(Clone, Default)]
pub struct Book(Arc<Mutex<Vec<(String, String, String)>>>);

impl Book {
    /// Makes a token for `receiver`; its hash.
    pub fn token_for(&self, receiver: &str, algorithm: Algorithm) -> String {
        let token = Token::generate(&SystemRandom);
        let hash = TokenHash::of(&token, algorithm, &SystemRandom);
        let entry = (hash.as_str().to_owned(), receiver.to_owned(), token.reveal().to_owned());
        self.0.lock().unwrap().push(entry);
        hash.as_str().to_owned()
    }

    /// The answer to a question.
    pub fn answer(&self, question: &Value) -> String {
        let mut tokens = self.0.lock().unwrap();
        let found =
            tokens.iter().position(|(hash, url, _)| question["hash"] == **hash && question["url"] == **url);
        match found {
            Some(found) => response(200, &tokens.remove(found).2),
            None => response(404, ""),
        }
    }

    /// How many tokens wait.
    pub fn waiting(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

pub fn response(status: u16, body: &str) -> String {
    format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn read_question(stream: &mut TcpStream) -> Option<Asked> {
    let head = read_head(stream)?;
    let path = head.split(' ').nth(1)?.to_owned();
    let length = head.lines().filter_map(|line| line.split_once(':'));
    let length = length
        .filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .find_map(|(_, value)| value.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).ok()?;
    Some((path, serde_json::from_slice(&body).unwrap_or_default()))
}

/// `tests/peers/seed_peer.py`: a peer that somebody else could have written.
pub struct SeedPeer {
    pub address: SocketAddr,
    _process: Process,
}

impl SeedPeer {
    /// Starts it: as a requester it calls `receiver`, hashing at `cost`.
    pub fn start(receiver: &str, cost: u32) -> Self {
        Self::with(receiver, cost, &[])
    }

    /// The same, but it closes connections on which nothing was said for so many seconds.
    pub fn closing_after(seconds: &str, receiver: &str, cost: u32) -> Self {
        Self::with(receiver, cost, &[seconds])
    }

    fn with(receiver: &str, cost: u32, more: &[&str]) -> Self {
        let address = free_address();
        let mut command = Command::new(installed("python/bin/python"));
        command.arg(root().join("crates/cli/tests/peers/seed_peer.py")).arg(address.port().to_string());
        command.args([receiver, &format!("http://{address}/webhook"), &cost.to_string()]).args(more);
        let process = Process::start(command.stdout(Stdio::null()).stderr(Stdio::inherit()));
        wait_for(address);
        Self { address, _process: process }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}
