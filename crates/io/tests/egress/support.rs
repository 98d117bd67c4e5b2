//! A resolver that says what a test wants, and a server that plays what a test wrote.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use countersign::{ChosenBy, FetchRequest};
use countersign_io::egress::{Answers, Dialer, EgressPolicy, GuardedClient, Resolve};
use http::{HeaderMap, Method};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// Answers look-ups with one list after another; the last one stays.
#[derive(Clone, Default)]
pub(crate) struct Names {
    answers: Arc<Vec<Vec<IpAddr>>>,
    asked: Arc<AtomicUsize>,
}

impl Names {
    pub(crate) fn answering(answers: &[&[&str]]) -> Self {
        let answers = answers.iter().map(|list| list.iter().map(|text| text.parse().unwrap()).collect());
        Self { answers: Arc::new(answers.collect()), asked: Arc::default() }
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Resolve for Names {
    fn resolve<'a>(&'a self, _host: &'a str, _port: u16) -> Answers<'a> {
        let turn = self.asked.fetch_add(1, Ordering::SeqCst);
        let answer = self.answers.get(turn).or(self.answers.last()).cloned();
        Box::pin(std::future::ready(answer.ok_or_else(|| io::Error::other("no such name"))))
    }
}

/// What a server does once it has read a request.
#[derive(Clone)]
pub(crate) struct Script {
    pub(crate) chunks: Vec<Vec<u8>>,
    /// Before each chunk but the first.
    pub(crate) pause: Duration,
    pub(crate) then: Then,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    ReadOn,
    /// In good order.
    Close,
    /// Without a word, as the network does.
    Cut,
    /// Sends the last chunk again and again.
    Repeat,
}

impl Script {
    pub(crate) fn once(text: impl Into<Vec<u8>>) -> Self {
        Self { chunks: vec![text.into()], pause: Duration::ZERO, then: Then::ReadOn }
    }

    pub(crate) fn ok(body: &str) -> Self {
        Self::once(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
    }

    pub(crate) fn then(self, then: Then) -> Self {
        Self { then, ..self }
    }
}

/// A server on loopback, ended with this value.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    seen: Arc<Seen>,
    task: JoinHandle<()>,
}

/// The server name and the protocol of a TLS handshake.
pub(crate) type Handshake = (Option<String>, Option<Vec<u8>>);

#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) accepted: AtomicUsize,
    pub(crate) ended: AtomicUsize,
    pub(crate) requests: Mutex<Vec<String>>,
    pub(crate) handshakes: Mutex<Vec<Handshake>>,
}

impl Server {
    pub(crate) async fn playing(script: Script) -> Self {
        Self::start(([127, 0, 0, 1], 0).into(), None, vec![script]).await
    }

    /// On `at`, with the next script for each request over all connections; the last one stays. Without any,
    /// it accepts and says nothing.
    pub(crate) async fn start(at: SocketAddr, tls: Option<TlsAcceptor>, scripts: Vec<Script>) -> Self {
        let listener = TcpListener::bind(at).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let shared = Arc::clone(&seen);
        let scripts = Arc::new(scripts);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                shared.accepted.fetch_add(1, Ordering::SeqCst);
                let (seen, scripts, tls) = (Arc::clone(&shared), Arc::clone(&scripts), tls.clone());
                connections.spawn(async move {
                    match tls {
                        None => play(stream, &seen, &scripts).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                let session = stream.get_ref().1;
                                let name = session.server_name().map(str::to_owned);
                                let protocol = session.alpn_protocol().map(<[u8]>::to_vec);
                                seen.handshakes.lock().unwrap().push((name, protocol));
                                play(stream, &seen, &scripts).await;
                            }
                        }
                    }
                    seen.ended.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, seen, task }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook?token=hunter2", self.address)
    }

    pub(crate) fn seen(&self) -> &Seen {
        &self.seen
    }

    pub(crate) fn accepted(&self) -> usize {
        self.seen.accepted.load(Ordering::SeqCst)
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.seen.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn play(mut stream: impl AsyncRead + AsyncWrite + Unpin, seen: &Seen, scripts: &[Script]) {
    while let Some(request) = read_request(&mut stream).await {
        let turn = {
            let mut requests = seen.requests.lock().unwrap();
            requests.push(request);
            requests.len() - 1
        };
        let Some(script) = scripts.get(turn).or(scripts.last()) else { continue };
        for (index, chunk) in script.chunks.iter().enumerate() {
            if index > 0 {
                tokio::time::sleep(script.pause).await;
            }
            if stream.write_all(chunk).await.is_err() || stream.flush().await.is_err() {
                return;
            }
        }
        match (script.then, script.chunks.last()) {
            (Then::ReadOn, _) => {}
            (Then::Cut, _) => return,
            (Then::Repeat, Some(chunk)) => {
                while stream.write_all(chunk).await.is_ok() {
                    tokio::time::sleep(script.pause).await;
                }
                return;
            }
            _ => {
                let _ = stream.shutdown().await;
                return;
            }
        }
    }
}

/// A head and as much body as it announces; nothing once the peer has gone.
async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return Some(text.into_owned());
            }
        }
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(length) => bytes.extend_from_slice(&buffer[..length]),
        }
    }
}

/// Plain http to loopback is allowed, and nothing besides what is strict.
pub(crate) fn lab() -> EgressPolicy {
    EgressPolicy { allow_http_loopback: true, ..EgressPolicy::default() }
}

pub(crate) fn client(policy: EgressPolicy) -> GuardedClient {
    client_knowing(policy, Names::default())
}

pub(crate) fn client_knowing(policy: EgressPolicy, names: Names) -> GuardedClient {
    GuardedClient::over(Dialer::with_resolver(policy, names))
}

pub(crate) fn get(url: &str) -> FetchRequest {
    FetchRequest {
        method: Method::GET,
        url: url.parse().unwrap(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
        chosen_by: ChosenBy::Request,
        timeout: Duration::from_secs(5),
        max_bytes: 8 << 10,
        repeatable: false,
    }
}

pub(crate) fn configured(url: &str) -> FetchRequest {
    FetchRequest { chosen_by: ChosenBy::Configuration, ..get(url) }
}

pub(crate) fn loopback(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, last)
}

/// Waits until `condition` holds, five seconds at most.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    for _ in 0..500 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never held");
}
