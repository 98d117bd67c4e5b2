//! What callers cost that read nothing, and callers whose bodies nobody reads: the figures are printed, and bounded.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use countersign_testing::raw::{Upstream, read_head, resident, routes};
use countersign_testing::tls::with_tls;
use countersign_testing::{Gateway, eventually};
use http::Request;
use http_body_util::{Empty, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};

const CALLERS: usize = 400;
/// More than all buffers of the system hold.
const LARGE: usize = 32 * 1024 * 1024;

/// Answers every request with a large body, as fast as it is taken.
fn large() -> Upstream {
    Upstream::start(|mut stream| {
        while read_head(&mut stream).is_some() {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n");
            let _ = stream.write_all(head.as_bytes());
            for _ in 0..LARGE / 65_536 {
                if stream.write_all(&[b'x'; 65_536]).is_err() {
                    return;
                }
            }
        }
    })
}

/// As many files as this machine allows, for the processes that are started from here too.
fn many_files() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
}

/// A caller whose system takes as little as it can.
async fn narrow(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(address).await.unwrap()
}

/// Resident memory once it no longer grows, in KiB.
async fn settled(gateway: &Gateway) -> usize {
    let mut last = 0;
    for _ in 0..40 {
        tokio::time::sleep(Duration::from_millis(250)).await;
        let now = resident(gateway.pid());
        if now.abs_diff(last) < 64 {
            return now;
        }
        last = now;
    }
    last
}

/// What each of `count` costs in KiB, printed.
fn cost(what: &str, before: usize, after: usize, count: usize) -> usize {
    let each = after.saturating_sub(before) / count;
    eprintln!("{what}: {before} -> {after} KiB, {each} KiB for each of {count}");
    each
}

/// What a stream may cost in KiB in a build for tests: its pieces, and a connection to the upstream.
const A_STREAM: usize = 64;

const GET: &[u8] = b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n";

#[tokio::test]
async fn callers_that_read_nothing_cost_at_most_128_kib_each() {
    many_files();
    let upstream = large();
    let gateway = Gateway::started(&routes(&upstream.url(), ""));
    let before = settled(&gateway).await;
    let mut held = Vec::new();
    for _ in 0..CALLERS {
        let mut stream = narrow(gateway.address).await;
        stream.write_all(GET).await.unwrap();
        held.push(stream);
    }
    eventually("all are answered", || upstream.connections() == CALLERS);
    let each = cost("HTTP/1, nothing is read", before, settled(&gateway).await, CALLERS);
    assert!(each <= 128, "{each} KiB");
}

#[tokio::test]
async fn callers_over_tls_that_read_nothing_cost_at_most_128_kib_each() {
    many_files();
    let upstream = large();
    let (gateway, callers) = with_tls(&routes(&upstream.url(), ""));
    let before = settled(&gateway).await;
    let mut held = Vec::new();
    for _ in 0..CALLERS {
        let mut stream = callers.connect(narrow(gateway.address).await).await;
        stream.write_all(GET).await.unwrap();
        held.push(stream);
    }
    eventually("all are answered", || upstream.connections() == CALLERS);
    let each = cost("HTTP/1 over TLS, nothing is read", before, settled(&gateway).await, CALLERS);
    assert!(each <= 128, "{each} KiB");
}

/// Reads heads and nothing else, and says nothing.
fn silent() -> Upstream {
    Upstream::start(|mut stream| {
        read_head(&mut stream);
        // The thread keeps the connection.
        std::thread::sleep(Duration::from_secs(300));
    })
}

/// Writes bodies until nobody takes more, and says what each costs.
async fn unread_uploads(head: &str) -> usize {
    let upstream = silent();
    let gateway = Gateway::started(&routes(&upstream.url(), ""));
    let before = settled(&gateway).await;
    let mut held = Vec::new();
    for _ in 0..CALLERS {
        let mut stream = TcpStream::connect(gateway.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        held.push(tokio::spawn(async move {
            let piece = [b"8000\r\n".to_vec(), vec![b'x'; 0x8000], b"\r\n".to_vec()].concat();
            for _ in 0..LARGE / piece.len() {
                if stream.write_all(&piece).await.is_err() {
                    return;
                }
            }
        }));
    }
    eventually("all are asked", || upstream.connections() == CALLERS);
    let after = settled(&gateway).await;
    for task in held {
        assert!(!task.is_finished(), "it waits for somebody to read");
        task.abort();
    }
    cost("HTTP/1, a body that nobody reads", before, after, CALLERS)
}

#[tokio::test]
async fn bodies_that_the_upstream_does_not_read_cost_at_most_128_kib_each() {
    many_files();
    for framing in ["Transfer-Encoding: chunked".to_owned(), format!("Content-Length: {LARGE}")] {
        let each = unread_uploads(&format!("POST /x HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n")).await;
        assert!(each <= 128, "{framing}: {each} KiB");
    }
}

/// A connection that is read up to a point, and no further.
struct Deaf {
    io: TcpStream,
    hears: usize,
}

impl AsyncRead for Deaf {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.hears == 0 {
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(context, buffer))?;
        self.hears = self.hears.saturating_sub(buffer.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Deaf {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

/// Opens `streams` on each of `connections` whose callers allow `window` and read nothing; says what a connection costs.
async fn unread_streams(connections: usize, streams: usize, window: u32) -> usize {
    let upstream = large();
    let gateway = Gateway::started(&routes(&upstream.url(), ""));
    let before = settled(&gateway).await;
    let mut held = tokio::task::JoinSet::new();
    for _ in 0..connections {
        let io = Deaf { io: narrow(gateway.address).await, hears: 64 };
        let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
        builder.initial_stream_window_size(window).initial_connection_window_size(window);
        let (client, connection) = builder.handshake(TokioIo::new(io)).await.unwrap();
        held.spawn(async move { drop(connection.await) });
        for _ in 0..streams {
            let url = format!("http://{}/large", gateway.address);
            let request = Request::get(url).body(Empty::<Bytes>::new()).unwrap();
            let mut client = client.clone();
            held.spawn(async move { drop(client.send_request(request).await) });
        }
    }
    eventually("all are asked", || upstream.connections() == connections * streams);
    let after = settled(&gateway).await;
    held.abort_all();
    let what = format!("HTTP/2, {streams} streams, windows of {window}, nothing is read");
    cost(&what, before, after, connections)
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_read_nothing_cost_little_each() {
    many_files();
    for (connections, streams) in [(200, 1), (20, 20), (4, 100)] {
        for window in [65_535, 16 * 1024 * 1024] {
            let each = unread_streams(connections, streams, window).await;
            assert!(each <= 64 + A_STREAM * streams, "{streams} streams: {each} KiB");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_streams_that_the_upstream_does_not_read_cost_at_most_the_window() {
    many_files();
    let upstream = silent();
    let gateway = Gateway::started(&routes(&upstream.url(), "[limits]\nhttp2_window = \"128KiB\"\n"));
    let (connections, streams) = (40, 10);
    let before = settled(&gateway).await;
    let mut held = tokio::task::JoinSet::new();
    let large = Bytes::from(vec![b'x'; LARGE]);
    for _ in 0..connections {
        let io = TokioIo::new(TcpStream::connect(gateway.address).await.unwrap());
        let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), io);
        let (client, connection) = handshake.await.unwrap();
        held.spawn(async move { drop(connection.await) });
        for _ in 0..streams {
            let url = format!("http://{}/large", gateway.address);
            let request = Request::post(url).body(Full::new(large.clone())).unwrap();
            let mut client = client.clone();
            held.spawn(async move { drop(client.send_request(request).await) });
        }
    }
    eventually("all are asked", || upstream.connections() == connections * streams);
    let after = settled(&gateway).await;
    held.abort_all();
    let each = cost("HTTP/2, 10 bodies that nobody reads, a window of 128 KiB", before, after, connections);
    assert!(each <= 64 + A_STREAM * streams + 128, "{each} KiB");
}
