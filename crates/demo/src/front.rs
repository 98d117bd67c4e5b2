//! Where TLS ends: passes requests on to the gateway behind it, and notes what passes by. It is the log
//! that the demonstration is drawn from, and the log that Eve has read.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use countersign::{ChosenBy, Fetch as _, FetchRequest};
use countersign_gateway::config::TlsFiles;
use countersign_gateway::tls::server_config;
use countersign_io::egress::{EgressPolicy, GuardedClient};
use http::{HeaderMap, StatusCode};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::failure::Failure;
use crate::orders::{Headers, Seen};

/// Bodies here are small.
pub(super) const LONGEST: usize = 64 * 1024;
/// What is written anew on each connection.
pub(super) const FRAMING: [&str; 4] = ["connection", "keep-alive", "transfer-encoding", "content-length"];
/// How long anything may take here.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// What came in, until somebody asks.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<Seen>>>);

impl Log {
    /// Everything since the last time.
    pub(super) fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note(&self, seen: Seen) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody asks while it stays up, or in a container.
        if all.len() >= 256 {
            all.clear();
        }
        all.push(seen);
    }
}

/// Connections on which TLS has been agreed upon, with the certificate in a folder.
pub(super) struct Tls {
    agreed: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    address: SocketAddr,
}

impl Tls {
    /// Speaks HTTP/1.1 alone: what passes by is noted as it is written there.
    pub(super) fn over(listener: TcpListener, folder: &Path) -> Result<Self, Failure> {
        let files = TlsFiles { cert_file: folder.join("tls.pem"), key_file: folder.join("tls.key") };
        let mut config = (*server_config(&files)?).clone();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let address = listener.local_addr()?;
        let (sender, agreed) = mpsc::channel(16);
        tokio::spawn(async move {
            let mut listener = listener;
            while !sender.is_closed() {
                let (stream, peer) = axum::serve::Listener::accept(&mut listener).await;
                let (acceptor, sender) = (acceptor.clone(), sender.clone());
                // Browsers connect before they know what to ask for: nobody waits for them.
                tokio::spawn(async move {
                    if let Ok(Ok(stream)) = timeout(PATIENCE, acceptor.accept(stream)).await {
                        let _ = sender.send((stream, peer)).await;
                    }
                });
            }
        });
        Ok(Self { agreed, address })
    }
}

impl axum::serve::Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        match self.agreed.recv().await {
            Some(agreed) => agreed,
            // Whoever listened is gone, and with it the runtime.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        Ok(self.address)
    }
}

#[derive(Clone)]
struct Front {
    log: Log,
    behind: Option<(GuardedClient, SocketAddr)>,
}

/// Listens at `address` for what is passed on to `behind`; without anybody behind, everything is welcome.
pub(super) async fn open(
    folder: &Path,
    address: SocketAddr,
    behind: Option<SocketAddr>,
) -> Result<Log, Failure> {
    let tls = Tls::over(listen(address).await?, folder)?;
    let log = Log::default();
    let front = Front { log: log.clone(), behind: behind.map(|address| (loopback_client(), address)) };
    let service = axum::Router::new().fallback(pass).with_state(front);
    tokio::spawn(async move { drop(axum::serve(tls, service).await) });
    Ok(log)
}

pub(super) async fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address)
        .await
        .map_err(|error| Failure::said(format!("cannot listen on {address}: {error}")))
}

/// Calls applications and gateways on this machine, and nobody else.
pub(super) fn loopback_client() -> GuardedClient {
    GuardedClient::new(EgressPolicy { allow_http_loopback: true, ..EgressPolicy::default() })
}

async fn pass(State(front): State<Front>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LONGEST).await else {
        return status(StatusCode::PAYLOAD_TOO_LARGE);
    };
    let mut seen = Seen {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        headers: texts(&head.headers),
        body: String::from_utf8_lossy(&body).into_owned(),
        status: 200,
        answer_headers: Headers::new(),
        answer: String::new(),
    };
    let Some((client, address)) = &front.behind else {
        front.log.note(seen);
        return status(StatusCode::OK);
    };
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let Ok(url) = format!("http://{address}{path}").parse() else { return status(StatusCode::BAD_REQUEST) };
    let request = FetchRequest {
        method: head.method,
        url,
        headers: head.headers,
        body,
        chosen_by: ChosenBy::Configuration,
        timeout: PATIENCE,
        max_bytes: LONGEST,
        repeatable: false,
    };
    let response = match client.fetch(request).await {
        Ok(answer) => {
            seen.status = answer.status.as_u16();
            seen.answer_headers = texts(&answer.headers);
            seen.answer = String::from_utf8_lossy(&answer.body).into_owned();
            let mut response = status(answer.status);
            *response.headers_mut() = answer.headers;
            for name in FRAMING {
                response.headers_mut().remove(name);
            }
            *response.body_mut() = Body::from(answer.body);
            response
        }
        Err(error) => {
            seen.status = 502;
            seen.answer = error.to_string();
            status(StatusCode::BAD_GATEWAY)
        }
    };
    front.log.note(seen);
    response
}

fn status(status: StatusCode) -> Response {
    let mut response = Response::default();
    *response.status_mut() = status;
    response
}

fn texts(headers: &HeaderMap) -> Headers {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
}
