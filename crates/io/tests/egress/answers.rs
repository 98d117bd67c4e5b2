//! What is taken for an answer, and what ends in time and size.

use std::time::{Duration, Instant};

use bytes::Bytes;
use countersign::{Fetch as _, FetchError, FetchRequest, FetchResponse};
use http::{Method, StatusCode};

use crate::support::{Script, Server, Then, client, get, lab, until};

async fn asked(script: Script) -> Result<FetchResponse, FetchError> {
    asked_for(script, get("http://placeholder")).await
}

async fn asked_for(script: Script, request: FetchRequest) -> Result<FetchResponse, FetchError> {
    let server = Server::playing(script).await;
    client(lab()).fetch(FetchRequest { url: server.url().parse().unwrap(), ..request }).await
}

fn with_head(lines: &str, body: &str) -> Script {
    Script::once(format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n{body}")).then(Then::Close)
}

fn unreachable(result: Result<FetchResponse, FetchError>, why: &str) {
    match result {
        Err(FetchError::Unreachable(text)) => {
            assert!(text.contains(why), "{text}");
            assert!(!text.contains("hunter2"), "{text}");
        }
        other => panic!("{other:?}, instead of unreachable: {why}"),
    }
}

#[tokio::test]
async fn an_answer_comes_back_whole_and_the_request_is_framed_by_us() {
    let server = Server::playing(Script::ok("token")).await;
    let mut request = FetchRequest {
        method: Method::POST,
        body: Bytes::from_static(b"{\"hash\":1}"),
        ..get(&server.url())
    };
    request.headers.insert("content-type", "application/json".parse().unwrap());
    let answer = client(lab()).fetch(request).await.unwrap();
    assert_eq!((answer.status, &answer.body[..]), (StatusCode::OK, &b"token"[..]));
    let expected = format!(
        "POST /hook?token=hunter2 HTTP/1.1\r\ncontent-type: application/json\r\nhost: {}\r\n\
         accept-encoding: identity\r\nuser-agent: countersign\r\ncontent-length: 10\r\n\r\n{{\"hash\":1}}",
        server.address
    );
    assert_eq!(server.requests(), [expected]);
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let elsewhere = Server::playing(Script::ok("never")).await;
    for status in [301, 302, 303, 307, 308] {
        let head =
            format!("HTTP/1.1 {status} Moved\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", elsewhere.url());
        let answer = asked(Script::once(head)).await.unwrap();
        assert_eq!(answer.status.as_u16(), status);
        assert_eq!(answer.headers["location"], elsewhere.url());
    }
    assert_eq!(elsewhere.accepted(), 0);
}

#[tokio::test]
async fn chunks_are_put_together_and_trailers_dropped() {
    let body = "3\r\ntok\r\n2\r\nen\r\n0\r\nx-trailer: 1\r\n\r\n";
    let answer = asked(with_head("transfer-encoding: chunked", body)).await.unwrap();
    assert_eq!(&answer.body[..], b"token");
    assert!(!answer.headers.contains_key("x-trailer"));
}

#[tokio::test]
async fn an_answer_to_head_has_no_body_however_long_it_says_it_would_be() {
    let request = FetchRequest { method: Method::HEAD, max_bytes: 4, ..get("http://placeholder") };
    let answer = asked_for(with_head("content-length: 5", ""), request).await.unwrap();
    assert!(answer.body.is_empty());
}

#[tokio::test]
async fn an_answer_may_be_as_large_as_was_asked_for_and_no_larger() {
    let limited = || FetchRequest { max_bytes: 5, ..get("http://placeholder") };
    for script in [
        with_head("content-length: 5", "12345"),
        with_head("x: y", "12345"),
        with_head("transfer-encoding: chunked", "5\r\n12345\r\n0\r\n\r\n"),
    ] {
        assert_eq!(asked_for(script, limited()).await.unwrap().body.len(), 5);
    }
    for script in [
        with_head("content-length: 6", "123456"),
        with_head("x: y", "123456"),
        with_head("transfer-encoding: chunked", "5\r\n12345\r\n1\r\n6\r\n0\r\n\r\n"),
    ] {
        let refusal = asked_for(script, limited()).await;
        assert!(matches!(refusal, Err(FetchError::TooLarge(5))), "{refusal:?}");
    }
}

#[tokio::test]
async fn an_announced_length_is_refused_before_the_body_comes() {
    let silent = Script::once("HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n");
    let refusal = asked(silent).await;
    assert!(matches!(refusal, Err(FetchError::TooLarge(8192))), "{refusal:?}");
}

#[tokio::test]
async fn an_endless_body_is_too_large() {
    let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    let chunk = format!("400\r\n{}\r\n", "x".repeat(1024)).into_bytes();
    let endless = Script { chunks: vec![head, chunk], pause: Duration::ZERO, then: Then::Repeat };
    let refusal = asked(endless).await;
    assert!(matches!(refusal, Err(FetchError::TooLarge(8192))), "{refusal:?}");
}

#[tokio::test]
async fn a_body_that_drips_ends_with_the_time_and_so_does_its_connection() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n".to_vec();
    let drips =
        Script { chunks: vec![head, b"x".to_vec()], pause: Duration::from_millis(20), then: Then::Repeat };
    let server = Server::playing(drips).await;
    let (client, limit, started) = (client(lab()), Duration::from_millis(200), Instant::now());
    let refusal = client.fetch(FetchRequest { timeout: limit, ..get(&server.url()) }).await;
    assert!(matches!(refusal, Err(FetchError::Timeout(time)) if time == limit), "{refusal:?}");
    assert!(started.elapsed() >= limit && started.elapsed() < Duration::from_secs(3));
    until(|| server.seen().ended.load(std::sync::atomic::Ordering::SeqCst) == 1).await;
}

#[tokio::test]
async fn a_head_that_never_comes_ends_with_the_time() {
    let never = Script { chunks: Vec::new(), pause: Duration::ZERO, then: Then::ReadOn };
    let interim = Script {
        chunks: vec![b"HTTP/1.1 100 Continue\r\n\r\n".to_vec()],
        pause: Duration::from_millis(5),
        then: Then::Repeat,
    };
    for script in [never, interim] {
        let request = FetchRequest { timeout: Duration::from_millis(150), ..get("http://placeholder") };
        let refusal = asked_for(script, request).await;
        assert!(matches!(refusal, Err(FetchError::Timeout(_))), "{refusal:?}");
    }
}

#[tokio::test]
async fn an_answer_in_a_coding_is_refused() {
    for coding in ["gzip", "br", "identity, gzip", "GZIP", "zstd", "\u{7f}"] {
        let lines = format!("content-length: 5\r\ncontent-encoding: {coding}");
        match asked(with_head(&lines, "12345")).await {
            Err(FetchError::Unreachable(_)) => {}
            other => panic!("{coding}: {other:?}"),
        }
    }
    for coding in ["identity", "Identity", ""] {
        let lines = format!("content-length: 5\r\ncontent-encoding: {coding}");
        assert_eq!(asked(with_head(&lines, "12345")).await.unwrap().body.len(), 5, "{coding}");
    }
    let twice = "content-length: 5\r\ncontent-encoding: identity\r\ncontent-encoding: gzip";
    unreachable(asked(with_head(twice, "12345")).await, "content-coding");
    for coding in ["gzip, chunked", "gzip", "identity"] {
        let lines = format!("transfer-encoding: {coding}");
        unreachable(asked(with_head(&lines, "5\r\n12345\r\n0\r\n\r\n")).await, "transfer-coding");
    }
}

#[tokio::test]
async fn an_answer_that_announces_its_length_twice_is_refused() {
    let both = "content-length: 5\r\ntransfer-encoding: chunked";
    unreachable(asked(with_head(both, "5\r\n12345\r\n0\r\n\r\n")).await, "");
    let differing = "content-length: 5\r\ncontent-length: 6";
    unreachable(asked(with_head(differing, "123456")).await, "");
}

#[tokio::test]
async fn an_answer_that_switches_protocols_is_refused() {
    let switch = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n";
    unreachable(asked(Script::once(switch)).await, "protocol");
}

#[tokio::test]
async fn interim_answers_are_skipped() {
    let early =
        "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    assert_eq!(&asked(Script::once(early)).await.unwrap().body[..], b"ok");
}

#[tokio::test]
async fn a_head_has_sixteen_kibibytes_and_sixty_four_headers_at_most() {
    let lines = |count: usize| vec!["x: y"; count].join("\r\n");
    assert_eq!(asked(with_head(&lines(64), "ok")).await.unwrap().headers.len(), 64);
    unreachable(asked(with_head(&lines(65), "ok")).await, "");
    let long = |length: usize| format!("x: {}", "y".repeat(length));
    assert!(asked(with_head(&long(16_000), "ok")).await.is_ok());
    unreachable(asked(with_head(&long(17_000), "ok")).await, "");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_none() {
    unreachable(asked(with_head("content-length: 6", "12345")).await, "");
    unreachable(asked(with_head("transfer-encoding: chunked", "5\r\n123")).await, "");
    unreachable(asked(Script::once("HTTP/1.1 200 OK\r\ncont").then(Then::Close)).await, "");
    unreachable(asked(Script::once("").then(Then::Close)).await, "");
    unreachable(asked(Script::once("hello\r\n\r\n").then(Then::Close)).await, "");
}
