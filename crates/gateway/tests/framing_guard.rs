//! A real hyper server behind the guard, driven with raw bytes: what two parsers could read differently is
//! answered 400 in its turn, and nothing behind it is ever read as a request.

use std::convert::Infallible;
use std::future::pending;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use countersign_gateway::guard::{
    Admitted, ConnectionState, GuardOptions, GuardedIo, InFlight, Protocol, detect,
};
use countersign_http1::ViolationKind;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// What the service behind the guard saw: methods and paths, then bodies or why they failed.
type Seen = Arc<Mutex<Vec<String>>>;

struct Server {
    address: std::net::SocketAddr,
    seen: Seen,
}

fn options() -> GuardOptions {
    GuardOptions { linger_timeout: Duration::from_millis(200), ..GuardOptions::default() }
}

async fn server(options: GuardOptions) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let seen = Seen::default();
    let options = Arc::new(options);
    tokio::spawn({
        let seen = Arc::clone(&seen);
        async move {
            while let Ok((socket, _)) = listener.accept().await {
                let guarded = GuardedIo::new(socket, Vec::new(), Arc::clone(&options));
                let (connection, seen) = (guarded.connection(), Arc::clone(&seen));
                let service =
                    service_fn(move |request| serve(request, connection.clone(), Arc::clone(&seen)));
                let builder = hyper::server::conn::http1::Builder::new();
                tokio::spawn(builder.serve_connection(guarded, service).with_upgrades());
            }
        }
    });
    Server { address, seen }
}

fn answer(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response
}

fn refusal(kind: ViolationKind, reason: &'static str) -> Response<Full<Bytes>> {
    let status = match kind {
        ViolationKind::Framing => StatusCode::BAD_REQUEST,
        ViolationKind::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        ViolationKind::Timeout => StatusCode::REQUEST_TIMEOUT,
    };
    let mut response = answer(status, format!("refused: {reason}"));
    response.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    response
}

async fn serve(
    mut request: Request<Incoming>,
    connection: ConnectionState,
    seen: Seen,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let note = |line: String| seen.lock().expect("sound").push(line);
    let Admitted { head, in_flight, upgrade } = connection.admit(&request);
    if let Err(violation) = head {
        return Ok(refusal(violation.kind, violation.reason));
    }
    let path = request.uri().path().to_owned();
    note(format!("{} {path}", request.method()));
    match (path.as_str(), upgrade) {
        ("/upgrade", Some(decision)) => {
            let upgraded = hyper::upgrade::on(&mut request);
            tokio::spawn(async move {
                let mut upgraded = TokioIo::new(upgraded.await.expect("upgraded"));
                let mut start = [0; 5];
                upgraded.read_exact(&mut start).await.expect("the other protocol's bytes");
                upgraded.write_all(&start).await.expect("written");
                upgraded.shutdown().await.expect("closed");
            });
            tokio::time::sleep(Duration::from_millis(50)).await;
            decision.accept();
            let mut response = answer(StatusCode::SWITCHING_PROTOCOLS, "");
            response.headers_mut().insert(header::UPGRADE, header::HeaderValue::from_static("x"));
            return Ok(response);
        }
        ("/slow", _) => tokio::time::sleep(Duration::from_millis(400)).await,
        ("/never", _undecided) => {
            let _note = NoteOnDrop(Arc::clone(&seen));
            pending::<()>().await;
        }
        ("/early", _) => return Ok(answer(StatusCode::UNAUTHORIZED, "early")),
        _ => {}
    }
    Ok(read_body(request, &in_flight, note).await)
}

struct NoteOnDrop(Seen);

impl Drop for NoteOnDrop {
    fn drop(&mut self) {
        self.0.lock().expect("sound").push("dropped".to_owned());
    }
}

async fn read_body(
    request: Request<Incoming>,
    in_flight: &InFlight,
    note: impl Fn(String),
) -> Response<Full<Bytes>> {
    match (request.into_body().collect().await, in_flight.body_violation()) {
        (Ok(body), None) => {
            let body = body.to_bytes();
            if !body.is_empty() {
                note(format!("body {}", String::from_utf8_lossy(&body)));
            }
            answer(StatusCode::OK, "ok")
        }
        (Err(_), Some(violation)) => {
            note("body refused".to_owned());
            refusal(violation.kind, violation.reason)
        }
        (read, violation) => {
            note(format!("body failed: {} {violation:?}", read.is_ok()));
            answer(StatusCode::INTERNAL_SERVER_ERROR, "")
        }
    }
}

impl Server {
    async fn connect(&self) -> TcpStream {
        let socket = TcpStream::connect(self.address).await.expect("connected");
        socket.set_nodelay(true).expect("set");
        socket
    }

    /// Sends `bytes` on a fresh connection; returns the statuses that came back until the server closed.
    async fn exchange(&self, bytes: impl AsRef<[u8]>) -> Vec<u16> {
        let mut socket = self.connect().await;
        socket.write_all(bytes.as_ref()).await.expect("sent");
        statuses(&read_to_end(&mut socket).await)
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().expect("sound").clone()
    }

    /// Waits for the service to have seen `line`.
    async fn sees(&self, line: &str) {
        for _ in 0..100 {
            if self.seen().iter().any(|seen| seen == line) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never saw {line}: {:?}", self.seen());
    }
}

async fn read_to_end(socket: &mut TcpStream) -> String {
    let mut received = Vec::new();
    let read = timeout(Duration::from_secs(5), socket.read_to_end(&mut received)).await;
    read.expect("the server closes").expect("without a reset");
    String::from_utf8_lossy(&received).into_owned()
}

fn statuses(received: &str) -> Vec<u16> {
    // A reason in a body may name a version too, with no number behind it.
    received.split("HTTP/1.").filter_map(|rest| rest.get(2..5)?.parse().ok()).collect()
}

/// A request that must never be seen: what an attacker would smuggle.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

fn post(fields: &str, body: &str) -> String {
    format!("POST /in HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}")
}

fn post_chunks(chunks: &str) -> String {
    post("Transfer-Encoding: chunked\r\n", chunks)
}

#[tokio::test]
async fn every_head_that_two_parsers_read_differently_is_400_and_ends_the_connection() {
    let long_length = format!("Content-Length: {}\r\n", SMUGGLED.len());
    let cases = [
        post(&format!("{long_length}Transfer-Encoding: chunked\r\n"), "0\r\n\r\n"),
        post(&format!("Transfer-Encoding: chunked\r\n{long_length}"), "0\r\n\r\n"),
        post("Content-Length: 0\r\nContent-Length: 36\r\n", ""),
        post("Content-Length: 0\r\nContent-Length: 0\r\n", ""),
        post("Content-Length: 0, 0\r\n", ""),
        post("Content-Length: +0\r\n", ""),
        post("Content_Length: 36\r\n", ""),
        post("Transfer_Encoding: chunked\r\n", ""),
        post("Content-Length : 36\r\n", ""),
        post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"),
        post("Transfer-Encoding: identity\r\n", ""),
        post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"),
        post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n"),
        post("Transfer-Encoding:\x0bchunked\r\n", "0\r\n\r\n"),
        post("a: b\r\n Transfer-Encoding: chunked\r\n", ""),
        post("a: b\nTransfer-Encoding: chunked\r\n", ""),
        post("a: b\rTransfer-Encoding: chunked\r\n", ""),
        post("a: b\0\r\n", ""),
        post("Connection: Content-Length\r\nContent-Length: 0\r\n", ""),
        "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\n\n".to_owned(),
        "GET / HTTP/1.1\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned(),
        "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        "GET /#a HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        "GET / HTTP/2.0\r\nHost: a\r\n\r\n".to_owned(),
        "GET / HTTP/1.2\r\nHost: a\r\n\r\n".to_owned(),
        "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        "\x16\x03\x01\x02\x00\x01".to_owned(),
    ];
    for case in cases {
        let server = server(options()).await;
        assert_eq!(server.exchange(format!("{case}{SMUGGLED}")).await, [400], "{case:?}");
        assert_eq!(server.seen(), [""; 0], "{case:?}");
    }
}

#[tokio::test]
async fn every_body_that_two_parsers_read_differently_is_400_and_ends_the_connection() {
    let cases = [
        "5;a=b\r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        "-1\r\nhello\r\n0\r\n\r\n",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
        "ffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello!\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "0\r\nContent-Length: 5\r\n\r\n",
        "0\r\nTransfer-Encoding: chunked\r\n\r\n",
        "0\r\na : b\r\n\r\n",
        "0\r\na: b\n\r\n",
        "0\r\na: b\r\n c: d\r\n\r\n",
        "0\r\n\n",
    ];
    for case in cases {
        let server = server(options()).await;
        let statuses = server.exchange(post_chunks(&format!("{case}{SMUGGLED}"))).await;
        assert_eq!(statuses, [400], "{case:?}");
        assert_eq!(server.seen(), ["POST /in", "body refused"], "{case:?}");
    }
}

#[tokio::test]
async fn a_refused_request_is_answered_behind_the_earlier_ones() {
    let server = server(options()).await;
    let bad = post("Content-Length: 1\r\nContent-Length: 1\r\n", "x");
    let pipeline = format!("{}{}{bad}{SMUGGLED}", get("/slow"), post("Content-Length: 3\r\n", "abc"));
    assert_eq!(server.exchange(pipeline).await, [200, 200, 400]);
    assert_eq!(server.seen(), ["GET /slow", "POST /in", "body abc"]);
}

#[tokio::test]
async fn a_body_refused_half_way_is_never_followed_by_a_request() {
    let server = server(options()).await;
    let mut socket = server.connect().await;
    socket.write_all(post_chunks("5\r\nhello\r\n").as_bytes()).await.expect("sent");
    server.sees("POST /in").await;
    socket.write_all(format!("zz\r\n{SMUGGLED}").as_bytes()).await.expect("sent");
    let received = read_to_end(&mut socket).await;
    assert_eq!(statuses(&received), [400]);
    assert!(received.ends_with("refused: a chunk's size is not hexadecimal digits"), "{received}");
    assert_eq!(server.seen(), ["POST /in", "body refused"]);
}

#[tokio::test]
async fn a_large_head_is_431() {
    let server = server(options()).await;
    let field = format!("GET / HTTP/1.1\r\nHost: a\r\na: {}\r\n\r\n", "x".repeat(40_000));
    assert_eq!(server.exchange(field).await, [431]);
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "a: b\r\n".repeat(100));
    assert_eq!(server.exchange(many).await, [431]);
    assert_eq!(server.seen(), [""; 0]);
}

#[tokio::test]
async fn bytes_may_come_one_at_a_time() {
    let server = server(options()).await;
    let mut socket = server.connect().await;
    let chunked = post_chunks("5\r\nhello\r\n1\r\n!\r\n0\r\na: b\r\n\r\n");
    let stream = format!("{chunked}\r\n{}GET /end HTTP/1.0\r\n\r\n", post("Content-Length: 2\r\n", "hi"));
    for byte in stream.as_bytes() {
        socket.write_all(&[*byte]).await.expect("sent");
        tokio::time::sleep(Duration::from_micros(300)).await;
    }
    assert_eq!(statuses(&read_to_end(&mut socket).await), [200, 200, 200]);
    assert_eq!(server.seen(), ["POST /in", "body hello!", "POST /in", "body hi", "GET /end"]);
}

#[tokio::test]
async fn a_long_pipeline_keeps_count() {
    let server = server(options()).await;
    let mut pipeline = String::new();
    let mut expected = Vec::new();
    for number in 0..400 {
        pipeline += &get(&format!("/{number}"));
        pipeline += &post("Content-Length: 1\r\n", "x");
        expected.extend([format!("GET /{number}"), "POST /in".to_owned(), "body x".to_owned()]);
    }
    let statuses = server.exchange(pipeline + "GET / HTTP/1.1\r\n\r\n").await;
    assert_eq!(statuses.len(), 801);
    assert_eq!((statuses[799], statuses[800]), (200, 400));
    assert_eq!(server.seen(), expected);
}

#[tokio::test]
async fn a_large_body_passes_whole() {
    let server = server(options()).await;
    let body = "0123456789abcdef".repeat(100_000);
    let length = format!("Connection: close\r\nContent-Length: {}\r\n", body.len());
    assert_eq!(server.exchange(post(&length, &body)).await, [200]);
    assert_eq!(server.seen(), ["POST /in".to_owned(), format!("body {body}")]);
    let chunk = format!("{:x}\r\n{body}\r\n", body.len());
    let chunks =
        post("Connection: close\r\nTransfer-Encoding: chunked\r\n", &format!("{chunk}{chunk}0\r\n\r\n"));
    assert_eq!(server.exchange(chunks).await, [200]);
    assert_eq!(server.seen()[3], format!("body {body}{body}"));
}

#[tokio::test]
async fn a_head_that_takes_too_long_is_408() {
    let server = server(GuardOptions { header_timeout: Duration::from_millis(150), ..options() }).await;
    let begun = Instant::now();
    assert_eq!(server.exchange("GET / HTTP/1.1\r\nHo").await, [408]);
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert_eq!(server.exchange("").await, [0_u16; 0]);
    assert_eq!(server.seen(), [""; 0]);
}

#[tokio::test]
async fn a_head_dripped_over_the_time_out_is_408() {
    let server = server(GuardOptions { header_timeout: Duration::from_millis(200), ..options() }).await;
    let mut socket = server.connect().await;
    for byte in get("/").bytes().take(20) {
        let _ = socket.write_all(&[byte]).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(statuses(&read_to_end(&mut socket).await), [408]);
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_a_busy_one_is_not() {
    let idle_timeout = Duration::from_millis(150);
    let server = server(GuardOptions { idle_timeout, ..options() }).await;
    let begun = Instant::now();
    assert_eq!(server.exchange(get("/")).await, [200]);
    assert!(begun.elapsed() >= idle_timeout && begun.elapsed() < Duration::from_secs(1));
    let begun = Instant::now();
    assert_eq!(server.exchange(get("/slow")).await, [200]);
    assert!(begun.elapsed() >= Duration::from_millis(400) + idle_timeout);
}

#[tokio::test]
async fn an_early_answer_reaches_a_client_that_is_still_sending() {
    let server = server(options()).await;
    let mut socket = server.connect().await;
    let head = "POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n";
    socket.write_all(head.as_bytes()).await.expect("sent");
    server.sees("POST /early").await;
    for _ in 0..6 {
        socket.write_all(&[b'x'; 10_000]).await.expect("drained, not reset");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(statuses(&read_to_end(&mut socket).await), [401]);
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_dropped() {
    let (near, mut far) = tokio::io::duplex(64);
    let write_timeout = Duration::from_millis(100);
    let guarded = GuardedIo::new(near, Vec::new(), Arc::new(GuardOptions { write_timeout, ..options() }));
    let connection = guarded.connection();
    let service = service_fn(move |request: Request<Incoming>| {
        let admitted = connection.admit(&request);
        async move {
            drop(admitted);
            Ok::<_, Infallible>(answer(StatusCode::OK, "x".repeat(10_000)))
        }
    });
    far.write_all(get("/").as_bytes()).await.expect("sent");
    let serving = hyper::server::conn::http1::Builder::new().serve_connection(guarded, service);
    let error = timeout(Duration::from_secs(2), serving).await.expect("given up").expect_err("with an error");
    assert!(format!("{error:?}").contains("TimedOut"), "{error:?}");
}

/// A body whose only frame takes longer than a connection may be idle.
struct SlowBody(Option<Pin<Box<tokio::time::Sleep>>>);

impl Body for SlowBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(sleep) = &mut self.0 else { return Poll::Ready(None) };
        ready!(sleep.as_mut().poll(context));
        self.0 = None;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"slow")))))
    }
}

#[tokio::test]
async fn a_response_that_streams_slowly_is_not_idle() {
    let (near, mut far) = tokio::io::duplex(1024);
    let idle_timeout = Duration::from_millis(50);
    let guarded = GuardedIo::new(near, Vec::new(), Arc::new(GuardOptions { idle_timeout, ..options() }));
    let connection = guarded.connection();
    let service = service_fn(move |request: Request<Incoming>| {
        let admitted = connection.admit(&request);
        async move {
            let sleep = tokio::time::sleep(Duration::from_millis(300));
            let body = admitted.in_flight.with_body(SlowBody(Some(Box::pin(sleep))));
            Ok::<_, Infallible>(Response::new(body))
        }
    });
    far.write_all(get("/").as_bytes()).await.expect("sent");
    let serving = hyper::server::conn::http1::Builder::new().serve_connection(guarded, service);
    let reading = async {
        let mut received = Vec::new();
        far.read_to_end(&mut received).await.expect("read");
        assert!(received.ends_with(b"4\r\nslow\r\n0\r\n\r\n"), "{received:?}");
    };
    let both = async { tokio::join!(serving, reading) };
    let (served, ()) = timeout(Duration::from_secs(2), both).await.expect("closed when idle");
    served.expect("in order");
}

#[test]
fn an_idle_connection_takes_little_memory() {
    assert!(size_of::<GuardedIo<TcpStream>>() <= 640, "{}", size_of::<GuardedIo<TcpStream>>());
}

const UPGRADE: &str = "Connection: upgrade\r\nUpgrade: x\r\n\r\n";

#[tokio::test]
async fn bytes_behind_an_accepted_upgrade_are_the_other_protocols() {
    let server = server(options()).await;
    let mut socket = server.connect().await;
    let stream = format!("GET /upgrade HTTP/1.1\r\nHost: a\r\n{UPGRADE}\0\r\n\0\n");
    socket.write_all(stream.as_bytes()).await.expect("sent");
    let received = read_to_end(&mut socket).await;
    assert!(received.starts_with("HTTP/1.1 101"), "{received}");
    assert!(received.ends_with("\r\n\r\n\0\r\n\0\n"), "{received:?}");
    assert_eq!(server.seen(), ["GET /upgrade"]);
}

#[tokio::test]
async fn bytes_behind_a_refused_upgrade_are_the_next_request() {
    let server = server(options()).await;
    let asks = format!("GET /slow HTTP/1.1\r\nHost: a\r\n{UPGRADE}");
    let body = post("Connection: upgrade\r\nUpgrade: x\r\nContent-Length: 2\r\n", "hi");
    let stream = format!("{asks}{}{body}GET / HTTP/1.1\r\n\r\n", get("/a"));
    assert_eq!(server.exchange(stream).await, [200, 200, 200, 400]);
    assert_eq!(server.seen(), ["GET /slow", "GET /a", "POST /in", "body hi"]);
}

#[tokio::test]
async fn a_peer_that_goes_away_while_its_upgrade_is_decided_is_noticed() {
    let server = server(options()).await;
    let mut socket = server.connect().await;
    let stream = format!("GET /never HTTP/1.1\r\nHost: a\r\n{UPGRADE}");
    socket.write_all(stream.as_bytes()).await.expect("sent");
    server.sees("GET /never").await;
    drop(socket);
    server.sees("dropped").await;
}

#[tokio::test]
async fn a_peer_that_goes_away_while_it_is_served_is_noticed() {
    let server = server(options()).await;
    let mut socket = server.connect().await;
    socket.write_all(get("/never").as_bytes()).await.expect("sent");
    server.sees("GET /never").await;
    drop(socket);
    server.sees("dropped").await;
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_has_closed_its_side() {
    let server = server(options()).await;
    let mut socket = server.connect().await;
    socket.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("sent");
    socket.shutdown().await.expect("closed");
    assert_eq!(statuses(&read_to_end(&mut socket).await), [400]);
}

#[tokio::test]
async fn the_first_bytes_tell_the_protocols_apart() {
    let preface: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let cases = [
        (preface, Protocol::Http2),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", Protocol::Http1),
        (b"PRI * HTTP/1.1\r\n\r\n", Protocol::Http1),
        (b"PRI", Protocol::Http1),
        (b"", Protocol::Http1),
    ];
    let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
    for (bytes, protocol) in cases {
        let (detected, start) = detect(&mut &bytes[..], deadline).await.expect("read");
        assert_eq!(detected, protocol, "{bytes:?}");
        assert!(bytes.starts_with(&start));
        let (mut far, near) = tokio::io::duplex(64);
        far.write_all(&bytes[start.len()..]).await.expect("sent");
        drop(far);
        let mut whole = Vec::new();
        let mut guarded = GuardedIo::pass_through(near, start, Arc::new(options()));
        guarded.read_to_end(&mut whole).await.expect("replayed");
        assert_eq!(whole, bytes);
    }
    let (mut near, _far) = tokio::io::duplex(64);
    let soon = tokio::time::Instant::now() + Duration::from_millis(20);
    let error = detect(&mut near, soon).await.expect_err("nothing came");
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
}

#[tokio::test]
async fn bytes_read_ahead_are_scanned_like_the_others() {
    let (mut far, near) = tokio::io::duplex(1024);
    far.write_all(b"a\r\n\r\nGET /").await.expect("sent");
    drop(far);
    let start = b"GET / HTTP/1.1\r\nHost: ".to_vec();
    let mut guarded = GuardedIo::new(near, start, Arc::new(options()));
    let mut given = Vec::new();
    guarded.read_to_end(&mut given).await.expect("read");
    assert_eq!(given, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
}
