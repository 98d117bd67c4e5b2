//! HTTP/2 from callers, over TLS and with prior knowledge; upstreams read HTTP/1.1.

use std::io::Write as _;
use std::pin::Pin;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use countersign_testing::raw::{Upstream, ok, read_all, read_bytes, read_head, routes};
use countersign_testing::{Echo, Gateway};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};

async fn client<B>(gateway: &Gateway) -> SendRequest<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let stream = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
    let (client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    client
}

fn get(gateway: &Gateway, path: &str) -> Request<Empty<Bytes>> {
    Request::get(format!("http://{}{path}", gateway.address)).body(Empty::new()).unwrap()
}

/// A body that is fed by the test; it ends when the other half is dropped.
struct Fed(tokio::sync::mpsc::Receiver<Frame<Bytes>>);

impl Body for Fed {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(context).map(|frame| frame.map(Ok))
    }
}

async fn text(response: Response<Incoming>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn what_we_answer_ourselves_has_no_body_for_head() {
    let gateway = Gateway::started("");
    let mut request = get(&gateway, "/.well-known/jwks.json");
    *request.method_mut() = http::Method::HEAD;
    let answer = client(&gateway).await.send_request(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let length: usize = answer.headers()["content-length"].to_str().unwrap().parse().unwrap();
    assert!(length > 100);
    assert_eq!(text(answer).await, "");
}

#[test]
fn over_tls_the_protocol_is_negotiated() {
    let echo = Echo::start();
    let server =
        "public_url = \"https://localhost\"\ntls = { cert_file = \"tls.pem\", key_file = \"tls.key\" }";
    let mut gateway = Gateway::with_server(server, &routes(&echo.url(), ""));
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(gateway.path("tls.pem"), made.cert.pem()).unwrap();
    std::fs::write(gateway.path("tls.key"), made.signing_key.serialize_pem()).unwrap();
    Command::new("chmod").arg("600").arg(gateway.path("tls.key")).status().unwrap();
    gateway.start();
    for (flag, version) in [("--http2", "2"), ("--http1.1", "1.1")] {
        let output = Command::new("curl")
            .args(["-sS", "--noproxy", "*", flag, "--cacert"])
            .arg(gateway.path("tls.pem"))
            .args(["--connect-to", &format!("localhost:443:{}", gateway.address)])
            .args(["-w", "%{http_code} %{http_version}", "-d", "body", "https://localhost/x"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(said, format!("POST /x HTTP/1.1\n200 {version}"), "{output:?}");
        let seen = echo.last();
        assert_eq!((seen.body.as_slice(), seen.header("content-length")), (&b"body"[..], Some("4")));
        assert_eq!(seen.header("x-forwarded-proto"), Some("https"));
    }
}

#[tokio::test]
async fn cookie_crumbs_are_joined_and_identity_is_ours() {
    let echo = Echo::start();
    let gateway = Gateway::started(&routes(&echo.url(), ""));
    let mut request = get(&gateway, "/x");
    for crumb in ["a=1", "b=2", "c=3"] {
        request.headers_mut().append("cookie", HeaderValue::from_static(crumb));
    }
    request.headers_mut().insert("countersign-subject", HeaderValue::from_static("key:admin"));
    let response = client(&gateway).await.send_request(request).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(echo.last().headers("cookie"), ["a=1; b=2; c=3"]);
    assert_eq!(echo.last().headers("countersign-subject"), [""; 0]);
    assert_eq!(echo.last().headers("host"), [echo.address.to_string()]);
}

#[tokio::test]
async fn a_signed_request_passes_once_and_unchanged() {
    use countersign_testing::signed::{Lab, PUBLIC, order};
    let (lab, key) = Lab::keyed();
    let mut client = client(&lab.gateway).await;
    let draft = order("/signature/1?a=b").signed(&key);
    let request = |target: &str, body: &[u8]| {
        let mut request = Request::new(Full::new(Bytes::copy_from_slice(body)));
        *request.method_mut() = draft.method.clone();
        *request.uri_mut() = format!("{PUBLIC}{target}").parse().unwrap();
        *request.headers_mut() = draft.headers.clone();
        request.headers_mut().remove("host");
        request
    };
    for (target, body, status, said) in [
        ("/signature/1?a=c", &draft.body[..], 401, "signature_invalid"),
        ("/signature/1?a=b", b"{\"amount\":2}", 401, "content_digest"),
        ("/signature/1?a=b", b"", 401, "content_digest"),
        (&draft.target, &draft.body, 200, ""),
        (&draft.target, &draft.body, 401, "signature_replayed"),
    ] {
        let response = client.send_request(request(target, body)).await.unwrap();
        assert_eq!(response.status(), status, "{target}");
        let answer = text(response).await;
        assert!(answer.contains(said), "{answer}");
    }
    let seen = lab.echo.seen();
    assert_eq!((seen.len(), &seen[0].body), (1, &draft.body));
    assert_eq!(seen[0].header("countersign-subject"), Some(&*format!("key:{}", key.id)));
}

#[tokio::test]
async fn streams_do_not_wait_for_each_other() {
    let upstream = Upstream::answering(|head| {
        if head.starts_with("GET /slow") {
            std::thread::sleep(Duration::from_secs(3));
        }
        ok(head.split(' ').nth(1).unwrap())
    });
    let gateway = Gateway::started(&routes(&upstream.url(), ""));
    let client = client(&gateway).await;
    let (done, mut slow) = (Arc::new(AtomicUsize::new(0)), client.clone());
    let (counted, request) = (done.clone(), get(&gateway, "/slow"));
    let slow = tokio::spawn(async move {
        let answer = text(slow.send_request(request).await.unwrap()).await;
        (answer, counted.load(Ordering::SeqCst))
    });
    for number in 0..30 {
        let path = format!("/{number}");
        let answer = client.clone().send_request(get(&gateway, &path)).await.unwrap();
        assert_eq!(text(answer).await, path);
        done.fetch_add(1, Ordering::SeqCst);
    }
    assert_eq!(slow.await.unwrap(), ("/slow".to_owned(), 30));
}

#[tokio::test]
async fn a_body_without_length_and_trailers_pass_and_forged_trailers_do_not() {
    let (tell, told) = channel();
    let upstream = Upstream::start(move |mut stream| {
        let mut seen = read_head(&mut stream).unwrap();
        while !seen.contains("\r\n0\r\n") || !seen.ends_with("\r\n\r\n") {
            let Some(byte) = read_bytes(&mut stream, 1) else { return };
            seen.push_str(&byte);
        }
        tell.send(seen).unwrap();
        let answer = "HTTP/1.1 200 OK\r\nTrailer: digest\r\nTransfer-Encoding: chunked\r\n\r\n\
                      2\r\nok\r\n0\r\nDigest: 2\r\n\r\n";
        let _ = stream.write_all(answer.as_bytes());
    });
    let gateway = Gateway::started(&routes(&upstream.url(), ""));
    let mut trailers = HeaderMap::new();
    for (name, value) in
        [("checksum", "1"), ("countersign-subject", "key:admin"), ("x-forwarded-for", "192.0.2.1")]
    {
        trailers.insert(name, HeaderValue::from_static(value));
    }
    let (send, body) = tokio::sync::mpsc::channel(4);
    for frame in [Frame::data(Bytes::from("hi")), Frame::trailers(trailers)] {
        send.send(frame).await.unwrap();
    }
    drop(send);
    let request = Request::post(format!("http://{}/x", gateway.address))
        .header("trailer", "checksum, countersign-subject, x-forwarded-for")
        .header("te", "trailers")
        .body(Fed(body))
        .unwrap();
    let response = client(&gateway).await.send_request(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let collected = response.into_body().collect().await.unwrap();
    assert_eq!(collected.trailers().unwrap()["digest"], "2");
    let seen = told.recv().unwrap().to_ascii_lowercase();
    assert!(seen.contains("transfer-encoding: chunked\r\n"), "{seen}");
    assert!(seen.ends_with("2\r\nhi\r\n0\r\nchecksum: 1\r\n\r\n"), "{seen}");
}

#[tokio::test]
async fn a_head_that_is_too_large_is_431() {
    let echo = Echo::start();
    let limits = "[limits]\nmax_head = \"4KiB\"\nmax_headers = 20\n";
    let gateway = Gateway::started(&routes(&echo.url(), limits));
    let mut client = client(&gateway).await;
    let mut many = get(&gateway, "/x");
    for number in 0..30 {
        let name = http::HeaderName::try_from(format!("a-{number}")).unwrap();
        many.headers_mut().insert(name, HeaderValue::from_static("b"));
    }
    let answer = client.send_request(many).await.unwrap();
    assert_eq!(answer.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    assert!(text(answer).await.contains("\"code\":\"headers_too_large\""));
    let mut large = get(&gateway, "/x");
    large.headers_mut().insert("a", HeaderValue::try_from("a".repeat(5000)).unwrap());
    let answer = client.send_request(large).await;
    assert!(answer.is_err() || answer.unwrap().status() == StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    assert_eq!(echo.seen().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_reset_takes_the_request_upstream_with_it() {
    let (tell, told) = channel();
    let upstream = Upstream::start(move |mut stream| {
        read_head(&mut stream);
        tell.send(String::new()).unwrap();
        tell.send(read_all(&mut stream)).unwrap();
    });
    let gateway = Gateway::started(&routes(&upstream.url(), ""));
    let mut client = client(&gateway).await;
    let (send, body) = tokio::sync::mpsc::channel(4);
    let request = Request::post(format!("http://{}/x", gateway.address)).body(Fed(body)).unwrap();
    send.send(Frame::data(Bytes::from("half"))).await.unwrap();
    let sending = tokio::spawn(async move { client.send_request(request).await.is_ok() });
    tokio::task::block_in_place(|| told.recv_timeout(Duration::from_secs(10)))
        .expect("the upstream hears of it");
    sending.abort();
    let rest =
        tokio::task::block_in_place(|| told.recv_timeout(Duration::from_secs(10))).expect("and of its end");
    assert!(!rest.contains("0\r\n\r\n"), "no whole request: {rest:?}");
    drop(send);
}

#[tokio::test]
async fn a_connection_without_requests_ends_and_a_busy_one_does_not() {
    let upstream = Upstream::answering(|_| {
        std::thread::sleep(Duration::from_secs(2));
        ok("late")
    });
    let gateway = Gateway::started(&routes(&upstream.url(), "[limits]\nidle_timeout = \"500ms\"\n"));
    let stream = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let answer = client.send_request(get(&gateway, "/slow")).await.unwrap();
    assert_eq!(text(answer).await, "late");
    // The client's handle still lives, so it is the gateway that ends it.
    let ended = tokio::time::timeout(Duration::from_secs(10), connection).await;
    ended.expect("the connection ends").unwrap().unwrap();
    drop(client);
}
