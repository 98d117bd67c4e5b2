//! Accepts connections, tells HTTP/1 from HTTP/2, and lives with each until it ends.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::config::Limits;
use crate::guard::{
    ENCRYPTED_AND_UNSENT, Flow, GuardOptions, GuardedIo, Metered, OverTcp, Protocol, detect, refuses_trailer,
};
use crate::http2::CalmIo;
use crate::open::Opened;
use crate::proxy::body::{ResponseBody, Streams};
use crate::server::lent::{Lent, Returned};
use crate::server::peer::Peer;
use crate::server::service::handle;

/// What listens for callers.
pub(crate) struct Listener {
    /// The socket.
    pub socket: TcpListener,
    /// TLS, if it speaks that; a reload replaces it.
    pub tls: Arc<ArcSwapOption<rustls::ServerConfig>>,
}

/// How long a caller that has connected and not spoken yet may take to do so when the gateway drains.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// A connection that was accepted.
struct Accepted {
    opened: Arc<Opened>,
    address: IpAddr,
    limits: Limits,
    place: Arc<OwnedSemaphorePermit>,
}

/// Accepts callers until the gateway drains, then waits until the last connection has ended.
pub(crate) async fn serve(opened: Arc<Opened>, listener: Listener) {
    let Listener { socket, tls } = listener;
    let limits = opened.live.load().config.limits.clone();
    let places = Arc::new(Semaphore::new(limits.max_connections));
    let mut draining = opened.shared.life.draining();
    let (alive, mut all_gone) = tokio::sync::mpsc::channel::<()>(1);
    let receive = |stream, address: SocketAddr| {
        let Ok(place) = places.clone().try_acquire_owned() else {
            opened.shared.recorder.metrics.connections_refused.inc();
            return;
        };
        let accepted = Accepted {
            opened: opened.clone(),
            address: address.ip().to_canonical(),
            limits: opened.live.load().config.limits.clone(),
            place: Arc::new(place),
        };
        tokio::spawn(live(accepted, stream, tls.load_full(), alive.clone()));
    };
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            _ = draining.wait_for(|draining| *draining) => break,
        };
        match accepted {
            Ok((stream, address)) => receive(stream, address),
            Err(error) => {
                // Out of file descriptors, mostly: give what is open a moment to close.
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
    // Whoever the kernel has let in already is served; the runtime may not have heard of them yet.
    if let Ok(socket) = socket.into_std() {
        while let Ok((stream, address)) = socket.accept() {
            let ready = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
            if let Ok(stream) = ready {
                receive(stream, address);
            }
        }
    }
    drop(alive);
    let _ = all_gone.recv().await;
}

async fn live(
    accepted: Accepted,
    stream: TcpStream,
    tls: Option<Arc<rustls::ServerConfig>>,
    alive: tokio::sync::mpsc::Sender<()>,
) {
    let (opened, address) = (accepted.opened.clone(), accepted.address);
    opened.shared.recorder.metrics.connections.inc();
    let outcome = match tls {
        Some(config) => Box::pin(encrypted(accepted, stream, config)).await,
        None => plain(accepted, stream).await,
    };
    if let Err(error) = outcome {
        tracing::debug!(%address, %error, "a connection failed");
    }
    opened.shared.recorder.metrics.connections.dec();
    drop(alive);
}

async fn encrypted(
    accepted: Accepted,
    stream: TcpStream,
    config: Arc<rustls::ServerConfig>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let patience = accepted.limits.header_timeout;
    let stream = Metered::new(stream);
    let flow = stream.flow();
    flow.encrypt();
    let stream = timeout(patience, TlsAcceptor::from(config).accept(stream)).await;
    let mut stream = stream.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    stream.get_mut().1.set_buffer_limit(Some(ENCRYPTED_AND_UNSENT));
    match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => Box::pin(speak_http2(accepted, stream, Vec::new())).await,
        _ => Box::pin(speak_http1(accepted, stream, flow, Vec::new())).await,
    }
}

async fn plain(accepted: Accepted, stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    // A connection that has said nothing yet costs a socket, and no buffers.
    let mut draining = accepted.opened.shared.life.draining();
    let last_words = async {
        let _ = draining.wait_for(|draining| *draining).await;
        sleep(LAST_WORDS).await;
    };
    let mut first = [0];
    tokio::select! {
        spoken = timeout(accepted.limits.idle_timeout, stream.peek(&mut first)) => match spoken {
            Ok(Ok(1..)) => {}
            Ok(Err(error)) => return Err(error),
            _ => return Ok(()),
        },
        () = last_words => return Ok(()),
    }
    // From here on it has begun to say something.
    let until = Instant::now() + accepted.limits.header_timeout;
    let mut stream = Metered::new(stream);
    let flow = stream.flow();
    match detect(&mut stream, until).await? {
        (_, read) if read.is_empty() => Ok(()),
        (Protocol::Http1, read) => Box::pin(speak_http1(accepted, stream, flow, read)).await,
        (Protocol::Http2, read) => Box::pin(speak_http2(accepted, stream, read)).await,
    }
}

fn guard_options(limits: &Limits) -> Arc<GuardOptions> {
    Arc::new(GuardOptions {
        limits: countersign_http1::Limits {
            max_head_bytes: limits.max_head,
            max_fields: limits.max_headers,
            refuses_trailer,
            ..countersign_http1::Limits::default()
        },
        header_timeout: limits.header_timeout,
        idle_timeout: limits.idle_timeout,
        write_timeout: limits.write_timeout,
        ..GuardOptions::default()
    })
}

async fn speak_http1<T>(accepted: Accepted, stream: T, flow: Flow, read: Vec<u8>) -> io::Result<()>
where
    T: AsyncRead + AsyncWrite + OverTcp + Unpin + Send + 'static,
{
    let Accepted { opened, address, limits, place } = accepted;
    let (mut draining, mut ending) = (opened.shared.life.draining(), opened.shared.life.ending());
    let io = GuardedIo::new(stream, read, guard_options(&limits));
    let framing = Some(io.connection());
    let streams = Arc::default();
    let peer = Arc::new(Peer { opened, address, framing, flow: Some(flow.clone()), streams, place });
    let connection = Lent::new(io);
    loop {
        // What has already come is served, also when the gateway drains.
        let speaks = tokio::select! {
            biased;
            speaks = connection.speaks() => speaks,
            _ = draining.wait_for(|draining| *draining) => false,
        };
        if !speaks {
            return tokio::select! {
                closed = connection.close() => closed,
                _ = ending.wait_for(|ending| *ending) => Ok(()),
            };
        }
        let session = http1_session(connection.clone(), peer.clone(), &limits, &mut draining);
        let mut session = Box::pin(session);
        let returned = tokio::select! {
            returned = connection.until_silent(session.as_mut()) => returned,
            _ = ending.wait_for(|ending| *ending) => return Ok(()),
        };
        if flow.is_cut() {
            connection.cut();
        }
        if returned.map_err(io::Error::other)? != Returned::Silent {
            return Ok(());
        }
    }
}

async fn http1_session<T>(
    io: Lent<T>,
    peer: Arc<Peer>,
    limits: &Limits,
    draining: &mut watch::Receiver<bool>,
) -> hyper::Result<()>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // Boxed, so that it is freed with its request and not with its connection.
    let service = service_fn(move |request| Box::pin(answer(peer.clone(), request)));
    let connection = http1::Builder::new()
        // Whether a caller that has closed its side is gone, the guard finds out.
        .half_close(true)
        // The guard keeps both, and answers in our words.
        .header_read_timeout(None)
        .max_headers(limits.max_headers + 1)
        .max_buf_size(limits.max_head.max(8192) + 8192)
        .serve_connection(io, service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        // hyper reads what there is before it is told to end.
        biased;
        ended = connection.as_mut() => return ended,
        _ = draining.wait_for(|draining| *draining) => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}

async fn speak_http2<T>(accepted: Accepted, stream: T, read: Vec<u8>) -> io::Result<()>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Accepted { opened, address, limits, place } = accepted;
    let (mut draining, mut ending) = (opened.shared.life.draining(), opened.shared.life.ending());
    let io = GuardedIo::pass_through(stream, read, guard_options(&limits));
    let flooding = opened.shared.recorder.metrics.clone();
    let io = CalmIo::new(io, move || {
        flooding.connections_flooding.inc();
        tracing::info!(%address, "an HTTP/2 connection sent too many frames that carry nothing");
    });
    let streams = Arc::new(Streams::default());
    let peer = Arc::new(Peer { opened, address, framing: None, flow: None, streams: streams.clone(), place });
    // Boxed, so that it is freed when the head of the response has gone.
    let service = service_fn(move |request| Box::pin(answer(peer.clone(), request)));
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.max_streams)
        .initial_stream_window_size(limits.http2_window)
        .initial_connection_window_size(limits.http2_window)
        .max_header_list_size(u32::try_from(limits.max_head).unwrap_or(u32::MAX))
        // One piece of a body waits to be sent, and one to be given.
        .max_send_buf_size(1024)
        // A peer that is gone does not answer.
        .keep_alive_interval(limits.idle_timeout)
        .keep_alive_timeout(limits.header_timeout)
        .serve_connection(TokioIo::new(io), service);
    let mut connection = std::pin::pin!(connection);
    let idle = tokio::select! {
        ended = connection.as_mut() => return ended.map_err(io::Error::other),
        _ = draining.wait_for(|draining| *draining) => false,
        () = without_streams(&streams, limits.idle_timeout) => true,
        _ = ending.wait_for(|ending| *ending) => return Ok(()),
    };
    connection.as_mut().graceful_shutdown();
    let patience = async {
        match idle {
            // Nothing is lost by not waiting for long.
            true => sleep(limits.header_timeout).await,
            false => std::future::pending().await,
        }
    };
    tokio::select! {
        ended = connection => ended.map_err(io::Error::other),
        () = patience => Ok(()),
        _ = ending.wait_for(|ending| *ending) => Ok(()),
    }
}

/// Returns once there was no request for `patience`, within a fourth of it.
async fn without_streams(streams: &Streams, patience: Duration) {
    let mut ticks = interval((patience / 4).max(Duration::from_millis(10)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut before, mut silent) = (None, 0);
    while silent < 4 {
        ticks.tick().await;
        let now = streams.idle_since();
        silent = if now.is_some() && now == before { silent + 1 } else { 0 };
        before = now;
    }
}

async fn answer(peer: Arc<Peer>, request: Request<Incoming>) -> Result<Response<ResponseBody>, Infallible> {
    Ok(handle(&peer, request).await)
}
