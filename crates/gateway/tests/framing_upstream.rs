//! hyper's client, alone and behind the guard, against upstreams that answer so that two parsers could
//! disagree.
//!
//! What hyper does alone is asserted too: the reference page says it, and a newer hyper may do otherwise.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use countersign_gateway::guard::UpstreamIo;
use countersign_http1::{Limits, Violation};
use http::{Method, Request, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tower_service::Service;

/// Connects through the guard.
#[derive(Clone)]
struct Guarded;

impl Service<Uri> for Guarded {
    type Response = UpstreamIo<TcpStream>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(async move {
            let address = uri.authority().expect("an authority").as_str().to_owned();
            Ok(UpstreamIo::new(TcpStream::connect(address).await?, Limits::default()))
        })
    }
}

/// An upstream that answers the first request with `first`, and the second on the same connection with
/// `second`.
async fn upstream(first: String, second: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let (first, second) = (first.clone(), second.clone());
            tokio::spawn(async move {
                for answer in [first, second] {
                    read_head(&mut socket).await;
                    let _ = socket.write_all(answer.trim_end_matches("<close>").as_bytes()).await;
                    if answer.ends_with("<close>") {
                        return;
                    }
                }
                read_head(&mut socket).await;
            });
        }
    });
    address
}

async fn read_head(socket: &mut TcpStream) {
    let mut seen = Vec::new();
    while !seen.ends_with(b"\r\n\r\n") {
        match socket.read_u8().await {
            Ok(byte) => seen.push(byte),
            Err(_) => return,
        }
    }
}

/// The body, or the violation for which it was refused, or that it failed otherwise.
async fn ask<C>(client: &Client<C, Full<Bytes>>, method: &Method, address: SocketAddr) -> String
where
    C: hyper_util::client::legacy::connect::Connect + Clone + Send + Sync + 'static,
{
    let request = Request::builder().method(method).uri(format!("http://{address}/"));
    let request = request.body(Full::new(Bytes::new())).expect("a request");
    let asking = async {
        match client.request(request).await {
            Err(error) => Err(reason(&error)),
            Ok(response) => {
                let status = response.status().as_u16();
                let body = response.into_body().collect().await.map_err(|error| reason(&error))?;
                Ok(format!("{status} {}", String::from_utf8_lossy(&body.to_bytes())))
            }
        }
    };
    match tokio::time::timeout(Duration::from_millis(500), asking).await {
        Ok(answer) => answer.unwrap_or_else(|reason| reason),
        Err(_) => "hangs".to_owned(),
    }
}

/// The violation somewhere below `error`, as the proxy finds it for its operator.
fn reason(error: &(dyn std::error::Error + 'static)) -> String {
    let mut source = Some(error);
    while let Some(error) = source {
        if let Some(violation) = error.downcast_ref::<Violation>() {
            return violation.reason.to_owned();
        }
        let io = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if let Some(violation) = io.and_then(|inner| inner.downcast_ref::<Violation>()) {
            return violation.reason.to_owned();
        }
        source = error.source();
    }
    "fails".to_owned()
}

async fn alone(method: &Method, answer: &str) -> String {
    let address = upstream(answer.to_owned(), String::new()).await;
    let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
    ask(&client, method, address).await
}

async fn guarded(method: &Method, answer: &str) -> String {
    let address = upstream(answer.to_owned(), String::new()).await;
    ask(&Client::builder(TokioExecutor::new()).build(Guarded), method, address).await
}

fn ok(fields: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{fields}\r\n{body}")
}

const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";
const CHUNKS: &str = "2\r\nhi\r\n0\r\n\r\n";

#[tokio::test]
async fn sound_responses_pass() {
    let cases = [
        (Method::GET, ok("Content-Length: 2\r\n", "hi"), "200 hi"),
        (Method::GET, ok(CHUNKED, CHUNKS), "200 hi"),
        (Method::GET, ok(CHUNKED, "2\r\nhi\r\n0\r\na: b\r\n\r\n"), "200 hi"),
        (Method::GET, ok("", "hi<close>"), "200 hi"),
        (Method::HEAD, ok("Content-Length: 2\r\n", ""), "200 "),
        (Method::GET, "HTTP/1.1 204\r\nContent-Length: 0\r\n\r\n".to_owned(), "204 "),
        (Method::GET, "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n".to_owned(), "304 "),
        (
            Method::GET,
            format!("HTTP/1.1 100 Continue\r\n\r\n{}", ok("Content-Length: 2\r\n", "hi")),
            "200 hi",
        ),
        (Method::GET, "HTTP/1.0 200 OK\r\n\r\nhi<close>".to_owned(), "200 hi"),
        (Method::GET, ok("Content-Length: 5\r\n", "hi<close>"), "fails"),
        (Method::GET, "HTTP/1.1 200 OK\r\nConte<close>".to_owned(), "fails"),
    ];
    for (method, answer, expected) in cases {
        assert_eq!(alone(&method, &answer).await, expected, "{answer:?}");
        assert_eq!(guarded(&method, &answer).await, expected, "{answer:?}");
    }
}

#[tokio::test]
async fn responses_that_two_parsers_read_differently_are_refused_though_hyper_takes_them() {
    let beside = "Content-Length beside Transfer-Encoding";
    let coding = "Transfer-Encoding is not exactly `chunked`";
    let no_body = "a response that has no body announces one";
    let cases = [
        (ok("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", CHUNKS), "200 hi", beside),
        (ok("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", CHUNKS), "200 hi", beside),
        (ok("Content-Length: 2\r\nContent-Length: 2\r\n", "hi"), "200 hi", "Content-Length occurs twice"),
        (ok("Content-Length: 2, 2\r\n", "hi"), "200 hi", "Content-Length is not one decimal number"),
        (
            ok("Content-Length: 2\r\nContent_Length: 5\r\n", "hi"),
            "200 hi",
            "a field that looks like Content-Length",
        ),
        (ok("Transfer-Encoding: gzip, chunked\r\n", CHUNKS), "200 hi", coding),
        (ok("Transfer-Encoding: identity\r\nContent-Length: 2\r\n", "hi!<close>"), "200 hi!", coding),
        (
            ok("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", CHUNKS),
            "200 hi",
            "Transfer-Encoding occurs twice",
        ),
        ("HTTP/1.1 200 OK\nContent-Length: 2\n\nhi".to_owned(), "200 hi", "a line ends with LF alone"),
        (
            format!("\r\n\n{}", ok("Content-Length: 2\r\n", "hi")),
            "200 hi",
            "the status line is not version, three digits and a reason",
        ),
        (ok(CHUNKED, "2 \r\nhi\r\n0\r\n\r\n"), "200 hi", "a chunk's size is not hexadecimal digits"),
        (
            ok(CHUNKED, "2\r\nhi\r\n0\r\nContent-Length: 5\r\n\r\n"),
            "200 hi",
            "a trailer that frames, routes or authenticates",
        ),
        (ok(CHUNKED, "2\r\nhi\r\n0\r\na: b\n\r\n"), "hangs", "a line ends with LF alone"),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nhi".to_owned(), "204 ", no_body),
        ("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(), "204 ", no_body),
        (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n".to_owned(),
            "101 ",
            "an upgrade that was not asked for",
        ),
        (
            ok("Connection: content-length\r\nContent-Length: 2\r\n", "hi"),
            "200 hi",
            "Connection names a field that frames or routes the message",
        ),
    ];
    for (answer, by_hyper, by_us) in cases {
        assert_eq!(alone(&Method::GET, &answer).await, by_hyper, "{answer:?}");
        assert_eq!(guarded(&Method::GET, &answer).await, by_us, "{answer:?}");
    }
}

#[tokio::test]
async fn chunk_extensions_of_upstreams_are_ignored_however_many_there_are() {
    let long = format!("2;a=\"{}\"\r\nhi\r\n0\r\n\r\n", "x".repeat(1000));
    for (chunks, body) in [
        ("2;x=y\r\nhi\r\n0\r\n\r\n", "200 hi"),
        ("2;x\r\nhi\r\n0;y\r\n\r\n", "200 hi"),
        ("2 ; x = y\r\nhi\r\n0\r\n\r\n", "200 hi"),
        ("2;a=\"b;\\\"c\"\r\nhi\r\n0;\r\na: b\r\n\r\n", "200 hi"),
        ("2;a=\"\\r\\n0\\r\\n\"\r\nhi\r\n0\r\n\r\n", "200 hi"),
        (&long, "200 hi"),
    ] {
        assert_eq!(guarded(&Method::GET, &ok(CHUNKED, chunks)).await, body, "{chunks:?}");
    }
    // hyper alone gives up after 16 KiB of them, in all of a body.
    let many = format!("{}0\r\n\r\n", format!("1;a={}\r\nx\r\n", "y".repeat(200)).repeat(1000));
    let whole = format!("200 {}", "x".repeat(1000));
    assert_eq!(guarded(&Method::GET, &ok(CHUNKED, &many)).await, whole);
    assert_eq!(alone(&Method::GET, &ok(CHUNKED, &many)).await, "fails");
}

#[tokio::test]
async fn chunk_extensions_with_two_readings_are_refused() {
    let long = format!("2;a={}\r\nhi\r\n0\r\n\r\n", "x".repeat(1024));
    for (chunks, reason) in [
        ("2;a=\"\r\n0\r\n\r\n\"\r\nhi\r\n0\r\n\r\n", "a chunk extension ends within quotes"),
        ("2;a=\"\\\"\r\nhi\r\n0\r\n\r\n", "a chunk extension ends within quotes"),
        ("2;a\nhi\r\n0\r\n\r\n", "a line ends with LF alone"),
        ("2;a\rb\r\nhi\r\n0\r\n\r\n", "a chunk's size does not end with CRLF"),
        ("2;a\0b\r\nhi\r\n0\r\n\r\n", "a control character in a chunk extension"),
        ("2 a=b\r\nhi\r\n0\r\n\r\n", "a chunk's size is not hexadecimal digits"),
        (";a=b\r\nhi\r\n0\r\n\r\n", "a chunk extension"),
        (&long, "a chunk extension is longer than the limit"),
    ] {
        assert_eq!(guarded(&Method::GET, &ok(CHUNKED, chunks)).await, reason, "{chunks:?}");
    }
}

#[tokio::test]
async fn responses_that_hyper_refuses_are_refused() {
    let fields = [
        "Content-Length: 2\r\nContent-Length: 3\r\n",
        "Content-Length: +2\r\n",
        "Content-Length : 2\r\n",
        "A: b\r\n c\r\nContent-Length: 2\r\n",
        "A: b\0\r\nContent-Length: 2\r\n",
        "A: b\rc\r\nContent-Length: 2\r\n",
    ];
    for fields in fields {
        assert_eq!(alone(&Method::GET, &ok(fields, "hi")).await, "fails", "{fields:?}");
        assert_ne!(guarded(&Method::GET, &ok(fields, "hi")).await, "200 hi", "{fields:?}");
    }
}

/// A response that a later request must never get.
const POISON: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL";

#[tokio::test]
async fn a_body_behind_204_answers_the_next_request_in_hyper_and_not_here() {
    let first = format!("HTTP/1.1 204 No Content\r\nContent-Length: {}\r\n\r\n", POISON.len());
    let address = upstream(first.clone(), POISON.to_owned()).await;
    let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
    assert_eq!(ask(&client, &Method::GET, address).await, "204 ");
    assert_eq!(ask(&client, &Method::GET, address).await, "200 EVIL");

    let address = upstream(first, POISON.to_owned()).await;
    let client = Client::builder(TokioExecutor::new()).build(Guarded);
    let refused = "a response that has no body announces one";
    assert_eq!(ask(&client, &Method::GET, address).await, refused);
    assert_eq!(ask(&client, &Method::GET, address).await, refused);
}

#[tokio::test]
async fn what_comes_behind_a_response_answers_nobody() {
    let answer = format!("{}{POISON}", ok("Content-Length: 2\r\n", "hi"));
    let address = upstream(answer, POISON.to_owned()).await;
    let client = Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(Guarded);
    for _ in 0..3 {
        assert_eq!(ask(&client, &Method::GET, address).await, "200 hi");
    }
}

#[tokio::test]
async fn a_connection_serves_many_requests() {
    let answer = ok("Content-Length: 2\r\n", "hi");
    let address = upstream(answer.clone(), ok(CHUNKED, CHUNKS)).await;
    let client = Client::builder(TokioExecutor::new()).build(Guarded);
    assert_eq!(ask(&client, &Method::HEAD, address).await, "200 ");
    assert_eq!(ask(&client, &Method::GET, address).await, "200 hi");
}

#[tokio::test]
async fn requests_are_counted_however_the_socket_takes_them() {
    let (near, mut far) = tokio::io::duplex(7);
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(UpstreamIo::new(near, Limits::default()))
            .await
            .expect("shaken");
    tokio::spawn(connection);
    let body = "0123456789".repeat(100);
    for (method, answer) in
        [(Method::PUT, ok("Content-Length: 2\r\n", "hi")), (Method::HEAD, ok("Content-Length: 2\r\n", ""))]
    {
        let request = Request::builder().method(&method).uri("/").header("host", "a");
        let sending =
            sender.send_request(request.body(Full::new(Bytes::from(body.clone()))).expect("a request"));
        let answering = async {
            let mut taken = Vec::new();
            while !taken.ends_with(body.as_bytes()) {
                taken.push(far.read_u8().await.expect("a byte"));
            }
            far.write_all(answer.as_bytes()).await.expect("written");
        };
        let receiving = async {
            let response = sending.await.expect("a response");
            response.into_body().collect().await.expect("a body").to_bytes()
        };
        let (received, ()) = tokio::join!(receiving, answering);
        assert_eq!(received, if method == Method::HEAD { "" } else { "hi" });
        while !sender.is_ready() {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn bytes_that_answer_no_request_end_the_connection_for_reading_and_writing() {
    let (near, mut far) = tokio::io::duplex(1024);
    let mut guarded = UpstreamIo::new(near, Limits::default());
    let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    guarded.write_all(request).await.expect("written");
    let answer = ok("Content-Length: 2\r\n", "hi");
    far.write_all(format!("{answer}{POISON}").as_bytes()).await.expect("written");
    let mut received = Vec::new();
    let error = guarded.read_to_end(&mut received).await.expect_err("refused");
    assert_eq!(String::from_utf8_lossy(&received), answer);
    assert_eq!(reason(&error), "bytes that answer no request");
    let error = guarded.write_all(request).await.expect_err("refused");
    assert_eq!(reason(&error), "bytes that answer no request");
}

#[tokio::test]
async fn what_the_socket_takes_in_parts_is_counted_once() {
    let (near, mut far) = tokio::io::duplex(7);
    let mut guarded = UpstreamIo::new(near, Limits::default());
    let request = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0123456789".repeat(3);
    let taking = async {
        let mut taken = vec![0; request.len()];
        far.read_exact(&mut taken).await.expect("taken");
        assert_eq!(taken, request.as_bytes());
    };
    let (written, ()) = tokio::join!(guarded.write_all(request.as_bytes()), taking);
    written.expect("written");
}

#[tokio::test]
async fn a_request_that_could_be_read_twice_does_not_leave() {
    let (near, mut far) = tokio::io::duplex(1024);
    let mut guarded = UpstreamIo::new(near, Limits::default());
    let request = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n";
    let error = guarded.write_all(request).await.expect_err("refused");
    assert_eq!(reason(&error), "Content-Length beside Transfer-Encoding");
    drop(guarded);
    let mut left = Vec::new();
    far.read_to_end(&mut left).await.expect("closed");
    assert_eq!(left, b"");
}

#[tokio::test]
async fn bytes_behind_an_upgrade_are_the_other_protocols() {
    let (near, mut far) = tokio::io::duplex(1024);
    let mut guarded = TokioIo::new(TokioIo::new(UpstreamIo::new(near, Limits::default())));
    let request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
    guarded.write_all(request).await.expect("written");
    let answer = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n\0\n";
    far.write_all(answer).await.expect("written");
    let mut received = vec![0; answer.len()];
    guarded.read_exact(&mut received).await.expect("read");
    assert_eq!(received, answer);
    guarded.write_all(b"\n\0").await.expect("another protocol");
}

#[tokio::test]
async fn a_head_whose_body_is_known_to_be_broken_does_not_go_on() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let length = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    for (head, behind, ends, goes_on) in [
        (chunked, "ZZ\r\n", false, false),
        (chunked, "2\r\nok\r\nZZ\r\n", false, false),
        (chunked, "2\r\nok\r\n", true, false),
        (length, "", true, false),
        (length, "shor", true, false),
        (chunked, "", false, true),
        (chunked, "2\r\nok\r\n", false, true),
        (length, "", false, true),
        (length, "whole", true, true),
        // Behind a whole answer, what comes says nothing against it.
        (length, "wholeHTTP/1.1 200", false, true),
        ("HTTP/1.1 200 OK\r\n\r\n", "until it closes", true, true),
    ] {
        let (ours, mut theirs) = tokio::io::duplex(4096);
        let mut guarded = UpstreamIo::new(ours, Limits::default());
        guarded.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        theirs.write_all(format!("{head}{behind}").as_bytes()).await.unwrap();
        if ends {
            theirs.shutdown().await.unwrap();
        }
        let mut buffer = [0; 1024];
        let read = guarded.read(&mut buffer).await;
        assert_eq!(read.is_ok(), goes_on, "{head}{behind}: {read:?}");
        assert!(!goes_on || buffer.starts_with(head.as_bytes()));
    }
}
