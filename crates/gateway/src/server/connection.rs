//! Accepts connections, tells HTTP/1 from HTTP/2, and lives with each until it ends.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::rt::{Read, Write};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;

use crate::config::Limits;
use crate::http1::{self as framing, ConnectionState, GuardOptions, GuardedIo, Protocol};
use crate::proxy::body::ResponseBody;
use crate::server::service::handle;
use crate::state::Gateway;

/// What listens for callers.
pub struct Listener {
    /// The socket.
    pub socket: TcpListener,
    /// TLS, if it speaks that; a reload replaces it.
    pub tls: Arc<ArcSwapOption<rustls::ServerConfig>>,
}

/// What a request needs to know of its connection.
pub(super) struct Peer {
    pub(super) gateway: Arc<Gateway>,
    pub(super) address: IpAddr,
    /// What the guard found; `None` on HTTP/2, whose framing has one reading.
    pub(super) framing: Option<ConnectionState>,
}

/// Accepts callers until the gateway drains, then waits until the last connection has ended.
pub async fn serve(gateway: Arc<Gateway>, listener: Listener) {
    let limits = gateway.runtime.load().config.limits.clone();
    let places = Arc::new(Semaphore::new(limits.max_connections));
    let mut draining = gateway.draining.subscribe();
    let (alive, mut all_gone) = tokio::sync::mpsc::channel::<()>(1);
    loop {
        let accepted = tokio::select! {
            accepted = listener.socket.accept() => accepted,
            _ = draining.wait_for(|draining| *draining) => break,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, mostly: give what is open a moment to close.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            gateway.metrics.connections_refused.inc();
            continue;
        };
        let (gateway, tls, alive) = (gateway.clone(), listener.tls.load_full(), alive.clone());
        tokio::spawn(async move {
            gateway.metrics.connections.inc();
            let counted = gateway.clone();
            if let Err(error) = connection(gateway, stream, address, tls).await {
                tracing::debug!(%address, %error, "a connection failed");
            }
            counted.metrics.connections.dec();
            drop((place, alive));
        });
    }
    drop((listener, alive));
    let _ = all_gone.recv().await;
}

async fn connection(
    gateway: Arc<Gateway>,
    mut stream: TcpStream,
    address: SocketAddr,
    tls: Option<Arc<rustls::ServerConfig>>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let limits = gateway.runtime.load().config.limits.clone();
    let patience = limits.header_timeout;
    let address = address.ip().to_canonical();
    match tls {
        Some(config) => {
            let accepted = timeout(patience, TlsAcceptor::from(config).accept(stream)).await;
            let stream = accepted.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
            let protocol = match stream.get_ref().1.alpn_protocol() {
                Some(b"h2") => Protocol::Http2,
                _ => Protocol::Http1,
            };
            speak(gateway, stream, Vec::new(), protocol, address, &limits).await
        }
        None => {
            // A connection that has said nothing yet costs a socket, and no buffers.
            let mut draining = gateway.draining.subscribe();
            let idle_until = Instant::now() + limits.idle_timeout;
            let detected = tokio::select! {
                detected = framing::detect(&mut stream, idle_until) => detected,
                _ = draining.wait_for(|draining| *draining) => return Ok(()),
            };
            let (protocol, read) = match detected {
                Err(error) if error.kind() == io::ErrorKind::TimedOut => return Ok(()),
                other => other?,
            };
            speak(gateway, stream, read, protocol, address, &limits).await
        }
    }
}

async fn speak<T>(
    gateway: Arc<Gateway>,
    stream: T,
    read: Vec<u8>,
    protocol: Protocol,
    address: IpAddr,
    limits: &Limits,
) -> io::Result<()>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let options = Arc::new(GuardOptions {
        limits: framing::Limits {
            max_head_bytes: limits.max_head,
            max_fields: limits.max_headers,
            ..framing::Limits::default()
        },
        header_timeout: limits.header_timeout,
        idle_timeout: limits.idle_timeout,
        write_timeout: limits.write_timeout,
        ..GuardOptions::default()
    });
    let (draining, ending) = (gateway.draining.subscribe(), gateway.ending.subscribe());
    let outcome = match protocol {
        Protocol::Http1 => {
            let io = GuardedIo::new(stream, read, options);
            let framing = Some(io.connection());
            let peer = Arc::new(Peer { gateway, address, framing });
            http1_connection(io, peer, limits, draining, ending).await
        }
        Protocol::Http2 => {
            let io = GuardedIo::pass_through(stream, read, options);
            let peer = Arc::new(Peer { gateway, address, framing: None });
            http2_connection(io, peer, limits, draining, ending).await
        }
    };
    outcome.map_err(io::Error::other)
}

async fn http1_connection<T: Read + Write + Unpin + Send + 'static>(
    io: T,
    peer: Arc<Peer>,
    limits: &Limits,
    mut draining: watch::Receiver<bool>,
    mut ending: watch::Receiver<bool>,
) -> hyper::Result<()> {
    let service = service_fn(move |request| answer(peer.clone(), request));
    let connection = http1::Builder::new()
        // The guard keeps both, and answers in our words.
        .header_read_timeout(None)
        .max_headers(limits.max_headers + 1)
        .max_buf_size(limits.max_head.max(8192) + 8192)
        .serve_connection(io, service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return ended,
        _ = draining.wait_for(|draining| *draining) => connection.as_mut().graceful_shutdown(),
        _ = ending.wait_for(|ending| *ending) => return Ok(()),
    }
    tokio::select! {
        ended = connection => ended,
        _ = ending.wait_for(|ending| *ending) => Ok(()),
    }
}

async fn http2_connection<T: Read + Write + Unpin + Send + 'static>(
    io: T,
    peer: Arc<Peer>,
    limits: &Limits,
    mut draining: watch::Receiver<bool>,
    mut ending: watch::Receiver<bool>,
) -> hyper::Result<()> {
    let service = service_fn(move |request| answer(peer.clone(), request));
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.max_streams)
        .max_header_list_size(u32::try_from(limits.max_head).unwrap_or(u32::MAX))
        .max_send_buf_size(256 * 1024)
        // A peer that is gone does not answer, and a peer that is idle does.
        .keep_alive_interval(limits.idle_timeout)
        .keep_alive_timeout(limits.header_timeout)
        .serve_connection(io, service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return ended,
        _ = draining.wait_for(|draining| *draining) => connection.as_mut().graceful_shutdown(),
        _ = ending.wait_for(|ending| *ending) => return Ok(()),
    }
    tokio::select! {
        ended = connection => ended,
        _ = ending.wait_for(|ending| *ending) => Ok(()),
    }
}

async fn answer(peer: Arc<Peer>, request: Request<Incoming>) -> Result<Response<ResponseBody>, Infallible> {
    Ok(handle(&peer, request).await)
}
