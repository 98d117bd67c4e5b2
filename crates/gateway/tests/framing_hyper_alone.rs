//! What hyper's server does by itself with what two parsers could read differently. The reference page says
//! it (docs/reference/http-framing.md), and a newer hyper may do otherwise.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

/// What follows every case; where hyper sees it, the case was read as one whole request.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

fn post(fields: &str, body: &str) -> String {
    format!("POST /in HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}")
}

fn post_chunks(chunks: &str) -> String {
    post("Transfer-Encoding: chunked\r\n", chunks)
}

/// What hyper's server does without the guard: the statuses, and the paths that its service saw.
async fn alone(stream: String) -> (Vec<u16>, Vec<String>) {
    let (near, mut far) = tokio::io::duplex(64 * 1024);
    let seen = Arc::new(Mutex::new(Vec::<String>::new()));
    let service = service_fn({
        let seen = Arc::clone(&seen);
        move |request: Request<Incoming>| {
            seen.lock().expect("sound").push(request.uri().path().to_owned());
            async {
                let status = match request.into_body().collect().await {
                    Ok(_) => StatusCode::OK,
                    Err(_) => StatusCode::BAD_REQUEST,
                };
                let mut response = Response::new(Empty::<Bytes>::new());
                *response.status_mut() = status;
                Ok::<_, Infallible>(response)
            }
        }
    });
    far.write_all(stream.as_bytes()).await.expect("sent");
    let serving = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(near), service);
    let serving = tokio::spawn(timeout(Duration::from_millis(100), serving));
    let mut received = Vec::new();
    far.read_to_end(&mut received).await.expect("read");
    let _ = serving.await;
    let seen = seen.lock().expect("sound").clone();
    let received = String::from_utf8_lossy(&received).into_owned();
    let statuses = received.split("HTTP/1.").filter_map(|rest| rest.get(2..5)?.parse().ok());
    (statuses.collect(), seen)
}

#[tokio::test]
async fn what_the_reference_page_says_about_hyper_alone_is_so() {
    let passes = (vec![200, 200], vec!["/in", "/smuggled"]);
    let closes = (vec![200], vec!["/in"]);
    let refuses = (vec![400], vec![]);
    let fails = (vec![400], vec!["/in"]);
    let cases = [
        (post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), &closes),
        (post("Content-Length: 0\r\nContent-Length: 0\r\n", ""), &passes),
        (post("Content-Length: 0\r\nContent-Length: 1\r\n", "x"), &refuses),
        (post("Content-Length: +0\r\n", ""), &refuses),
        (post("Content-Length: 0, 0\r\n", ""), &refuses),
        (post("Content_Length: 9\r\n", ""), &passes),
        (post("Content-Length : 0\r\n", ""), &refuses),
        (post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), &passes),
        (post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), &passes),
        (post("Transfer-Encoding: identity\r\n", ""), &refuses),
        (post("Transfer-Encoding: chunked\r\n", "0\r\n\r\n").replace("HTTP/1.1", "HTTP/1.0"), &refuses),
        (post("Connection: content-length\r\nContent-Length: 0\r\n", ""), &passes),
        (post("a: b\n", ""), &passes),
        (post("a: b\rc\r\n", ""), &refuses),
        (post("a: b\r\n c\r\n", ""), &refuses),
        (post("a: b\0\r\n", ""), &refuses),
        (post("a: b\x0bc\r\n", ""), &refuses),
        (post("", "").replace("Host: a\r\n", ""), &passes),
        (post("Host: b\r\n", ""), &passes),
        (post("", "").replace("POST /in", "POST http://b/in"), &passes),
        (post("", "").replace("/in", "/in#a"), &passes),
        (post("", "").replace("/in", "/in "), &refuses),
        (format!("\r\n\n\r\n{}", post("", "")), &passes),
        (post_chunks("1;a=b\r\nx\r\n0\r\n\r\n"), &passes),
        (post_chunks("1 \t\r\nx\r\n0\r\n\r\n"), &passes),
        (post_chunks("00000000000000000001\r\nx\r\n0\r\n\r\n"), &passes),
        (post_chunks("10000000000000001\r\nx\r\n0\r\n\r\n"), &fails),
        (post_chunks("1\nx\r\n0\r\n\r\n"), &fails),
        (post_chunks("1\r\nxy\r\n0\r\n\r\n"), &fails),
        (post_chunks("0\r\nContent-Length: 9\r\n\r\n"), &passes),
    ];
    for (stream, (statuses, paths)) in cases {
        let paths: Vec<String> = paths.iter().map(ToString::to_string).collect();
        let stream = format!("{stream}{SMUGGLED}");
        let found = alone(stream.clone()).await;
        assert_eq!(found, (statuses.clone(), paths), "{stream:?}");
    }
}
