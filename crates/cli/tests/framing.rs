//! One reading, on real sockets through the whole gateway: what has two is refused, and nothing behind it is heard.

use std::io::Write as _;

use countersign_testing::raw::{Upstream, connect, converse, read_all, routes};
use countersign_testing::{Echo, Gateway, Request, Response, free_address};

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";

/// Asserts that the only answer is a refusal with `code`, that the connection closes, and that the upstream heard
/// nothing.
#[track_caller]
fn refused(gateway: &Gateway, echo: &Echo, request: &str, status: u16, code: &str) {
    let before = echo.seen().len();
    let answer = converse(gateway.address, request);
    let shown: String = request.chars().take(200).collect();
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{shown:?}: {answer}");
    assert!(answer.contains(&format!("\"code\":\"{code}\"")), "{shown:?}: {answer}");
    assert!(answer.contains("connection: close\r\n"), "{shown:?}: {answer}");
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{shown:?}: {answer}");
    assert_eq!(echo.seen().len(), before, "{shown:?} reached the upstream");
}

#[test]
fn heads_with_two_readings_are_refused_and_so_is_what_stands_behind_them() {
    let echo = Echo::start();
    let gateway = Gateway::started(&routes(&echo.url(), ""));
    let post = "POST /x HTTP/1.1\r\nHost: x\r\n";
    for (start, fields) in [
        (post, "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n"),
        (post, "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n"),
        (post, "Content-Length: 0\r\nContent-Length: 39\r\n"),
        (post, "Content-Length: 5\r\nContent-Length: 5\r\n"),
        (post, "Content-Length: 5, 5\r\n"),
        (post, "Content-Length: +5\r\n"),
        (post, "Content-Length: 0x5\r\n"),
        (post, "Content_Length: 5\r\n"),
        (post, "Content-Length : 5\r\n"),
        (post, "Content-Length:\r\n 5\r\n"),
        (post, "Transfer-Encoding: xchunked\r\n"),
        (post, "Transfer-Encoding: chunked, identity\r\n"),
        (post, "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
        (post, "Transfer-Encoding : chunked\r\n"),
        (post, "Transfer-Encoding:\x0bchunked\r\n"),
        (post, "Connection: Content-Length\r\nContent-Length: 5\r\n"),
        (post, "Host: y\r\n"),
        (post, "A: b\nC: d\r\n"),
        (post, "A: b\r\n folded\r\n"),
        (post, " A: b\r\n"),
        ("POST /x HTTP/1.1\nHost: x\n", "\n"),
        ("POST /x HTTP/1.0\r\nHost: x\r\n", "Transfer-Encoding: chunked\r\n"),
        ("POST /x HTTP/1.1\r\n", "Content-Length: 0\r\n"),
        ("POST  /x HTTP/1.1\r\nHost: x\r\n", ""),
        ("POST /x  HTTP/1.1\r\nHost: x\r\n", ""),
        ("POST /x HTTP/1.2\r\nHost: x\r\n", ""),
        ("POST http://y/x HTTP/1.1\r\nHost: x\r\n", ""),
        ("POST http://user@x/x HTTP/1.1\r\nHost: x\r\n", ""),
        ("POST /x HTTP/1.1\r\nHost: x@y\r\n", ""),
        ("POST /x HTTP/1.1\r\nHost: \r\n", ""),
    ] {
        refused(&gateway, &echo, &format!("{start}{fields}\r\n0\r\n\r\n{SMUGGLED}"), 400, "framing");
    }
}

#[test]
fn a_head_that_is_too_large_is_431() {
    let echo = Echo::start();
    let limits = "[limits]\nmax_head = \"4KiB\"\nmax_headers = 20\n";
    let gateway = Gateway::started(&routes(&echo.url(), limits));
    let large = format!("GET /x HTTP/1.1\r\nHost: x\r\nA: {}\r\n\r\n", "a".repeat(4096));
    refused(&gateway, &echo, &large, 431, "headers_too_large");
    let many = format!("GET /x HTTP/1.1\r\nHost: x\r\n{}\r\n{SMUGGLED}", "A: b\r\n".repeat(20));
    refused(&gateway, &echo, &many, 431, "headers_too_large");
    let enough = format!("GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{}\r\n", "A: b\r\n".repeat(18));
    assert!(converse(gateway.address, &enough).starts_with("HTTP/1.1 200 "));
}

#[test]
fn bodies_with_two_readings_end_the_connection() {
    let echo = Echo::start();
    let gateway = Gateway::started(&routes(&echo.url(), ""));
    let head = "POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    for body in [
        "5;a=b\r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "-1\r\nhello\r\n0\r\n\r\n",
        "\r\n0\r\n\r\n",
        "5\r\nhelloo\r\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
        "0\r\nContent-Length: 5\r\n\r\n",
        "0\r\nCountersign-Subject: key:admin\r\n\r\n",
        "0\r\nA: b\n\r\n",
    ] {
        refused(&gateway, &echo, &format!("{head}{body}{SMUGGLED}"), 400, "framing");
    }
}

#[test]
fn bytes_behind_an_early_answer_are_not_read_as_a_request() {
    let echo = Echo::start();
    let gateway = Gateway::started(&routes(&echo.url(), ""));
    let denied = format!("POST /guarded/x HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n{SMUGGLED}");
    refused(&gateway, &echo, &denied, 401, "credential_missing");
    let chunked = "POST /guarded/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    for start in ["1f4\r\n", "5\r\nhello\r\n"] {
        refused(&gateway, &echo, &format!("{chunked}{start}{SMUGGLED}"), 401, "credential_missing");
    }
}

#[test]
fn a_refusal_of_a_small_body_that_came_whole_leaves_the_connection_open() {
    let echo = Echo::start();
    let gateway = Gateway::started(&routes(&echo.url(), "[limits]\nmax_body = \"40KiB\"\n"));
    let large = "x".repeat(41 * 1024);
    let mut stream = connect(gateway.address);
    for (head, body, status, code) in [
        ("POST /guarded/x", "hello", 401, "credential_missing"),
        ("POST /guarded/a%2fb", "hello", 400, "path_ambiguous"),
        ("POST /.well-known/jwks.json", "hello", 405, "method_not_allowed"),
        ("TRACE /x", "hello", 405, "method_not_allowed"),
        ("POST /x", &large, 413, "body_too_large"),
    ] {
        let length = format!("{head} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
        let chunked = format!("{head} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
        let chunks = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
        let mut ways = vec![(length, body)];
        if status != 413 {
            ways.push((chunked, &chunks));
        }
        for (head, body) in ways {
            // At once, and as clients do that write a body by a second call.
            stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
            let answer = Response::read(&mut stream);
            assert_eq!(answer.is(status, code).header("connection"), None, "{head}");
            stream.write_all(head.as_bytes()).unwrap();
            stream.flush().unwrap();
            std::thread::sleep(std::time::Duration::from_millis(2));
            stream.write_all(body.as_bytes()).unwrap();
            assert_eq!(Response::read(&mut stream).is(status, code).header("connection"), None, "{head}");
        }
    }
    stream.write_all(b"GET /after HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert_eq!(Response::read(&mut stream).status, 200);
    assert_eq!(echo.seen().len(), 1);
}

#[test]
fn a_small_body_for_an_upstream_that_is_not_there_leaves_the_connection_open() {
    let nobody = free_address();
    let gateway = Gateway::started(&routes(&format!("http://{nobody}"), ""));
    let mut stream = connect(gateway.address);
    for request in [
        "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
        "POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "GET /x HTTP/1.1\r\nHost: x\r\n\r\n",
    ] {
        stream.write_all(request.as_bytes()).unwrap();
        let answer = Response::read(&mut stream);
        assert_eq!(answer.is(502, "upstream_unreachable").header("connection"), None, "{request}");
    }
    let waits = "POST /x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    stream.write_all(waits.as_bytes()).unwrap();
    let answer = Response::read(&mut stream);
    assert_eq!(answer.is(502, "upstream_unreachable").header("connection"), Some("close"));
}

#[test]
fn a_refusal_of_a_body_that_is_large_or_waits_ends_the_connection() {
    let echo = Echo::start();
    let gateway = Gateway::started(&routes(&echo.url(), ""));
    let large = "x".repeat(65 * 1024);
    for request in [
        "POST /guarded/x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhell".to_owned(),
        "POST /guarded/x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n".to_owned(),
        format!("POST /guarded/x HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{large}", large.len()),
        format!(
            "POST /guarded/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{large}\r\n0\r\n\r\n",
            large.len()
        ),
    ] {
        refused(&gateway, &echo, &request, 401, "credential_missing");
    }
}

#[test]
fn a_method_without_end_is_400_and_no_head_that_is_too_large() {
    let echo = Echo::start();
    let gateway = Gateway::started(&routes(&echo.url(), ""));
    for length in [65, 20_000, 100_000] {
        let method = "M".repeat(length);
        refused(&gateway, &echo, &format!("{method} /x HTTP/1.1\r\nHost: x\r\n\r\n"), 400, "framing");
    }
    let known = format!("{} /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "M".repeat(64));
    assert!(converse(gateway.address, &known).starts_with("HTTP/1.1 200 "));
    // What is long behind the method is a head that is too large.
    let target = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(100_000));
    refused(&gateway, &echo, &target, 431, "headers_too_large");
}

#[test]
fn a_question_about_the_server_as_a_whole_is_answered_by_us() {
    let echo = Echo::start();
    let gateway = Gateway::started(&routes(&echo.url(), ""));
    let mut stream = connect(gateway.address);
    for more in ["", "Content-Length: 2\r\n\r\n{}", "Authorization: Bearer x\r\n"] {
        let end = if more.ends_with("{}") { "" } else { "\r\n" };
        write!(stream, "OPTIONS * HTTP/1.1\r\nHost: x\r\n{more}{end}").unwrap();
        let answer = Response::read(&mut stream);
        assert_eq!((answer.status, answer.text().as_str()), (204, ""));
        assert_eq!(answer.header("allow"), Some("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
        assert_eq!(answer.header("content-length"), None);
    }
    // Only OPTIONS asks so.
    refused(&gateway, &echo, "GET * HTTP/1.1\r\nHost: x\r\n\r\n", 400, "framing");
    assert_eq!(echo.seen().len(), 0);
}

#[test]
fn chunk_extensions_of_an_upstream_do_not_reach_the_caller() {
    let upstream = Upstream::answering(|_| {
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nhi\r\n0;z\r\n\r\n".to_owned()
    });
    let gateway = Gateway::started(&routes(&upstream.url(), ""));
    let answer = converse(gateway.address, "GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.ends_with("\r\n\r\n2\r\nhi\r\n0\r\n\r\n"), "{answer}");
    // What has two readings is refused still.
    let upstream = Upstream::answering(|_| {
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=\"\r\nhi\r\n0\r\n\r\n".to_owned()
    });
    let gateway = Gateway::started(&routes(&upstream.url(), ""));
    let answer = converse(gateway.address, "GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(!answer.contains("hi\r\n"), "{answer}");
}

#[test]
fn a_path_with_two_readings_is_400() {
    let echo = Echo::start();
    let gateway = Gateway::started(&routes(&echo.url(), ""));
    for path in [
        "//",
        "//x",
        "/a//b",
        "/./x",
        "/a/.",
        "/../x",
        "/a/..",
        "/%2e/x",
        "/a/%2E%2e/b",
        "/.%2e/x",
        "/a%2fb",
        "/a%2Fb",
        "/a%5cb",
        "/a\\b",
        "/a%00",
        "/a%",
        "/a%2",
        "/public/..%2fguarded/x",
        "/guarded/../x",
        "/guarded%2fx",
    ] {
        let mut stream = connect(gateway.address);
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        Response::read(&mut stream).is(400, "path_ambiguous");
        assert_eq!(echo.seen().len(), 0, "{path}");
    }
    // A route that everybody may use does not open another's.
    for path in ["/%67uarded/x", "/GUARDED/x", "/guarded;a/x"] {
        let answer = gateway.get(path, None);
        assert!(
            answer.status == 400 || echo.last().request_line() == format!("GET {path} HTTP/1.1"),
            "{path}"
        );
    }
    gateway.get("/%67uarded/x", None).is(400, "path_ambiguous");
}

#[test]
fn the_target_and_the_host_do_not_choose_who_is_addressed() {
    let echo = Echo::start();
    let gateway = Gateway::started(&routes(&echo.url(), ""));
    for (target, host) in [
        ("http://elsewhere.example/x?a=1", "elsewhere.example"),
        ("http://169.254.169.254:80/x?a=1", "169.254.169.254:80"),
        ("/x?a=1", "elsewhere.example"),
        ("/x?a=1", "localhost:1"),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        assert!(converse(gateway.address, &request).starts_with("HTTP/1.1 200 "), "{target}");
        let seen = echo.last();
        assert_eq!(seen.request_line(), "GET /x?a=1 HTTP/1.1");
        assert_eq!(seen.headers("host"), [echo.address.to_string()]);
        assert_eq!(seen.headers("x-forwarded-host"), [gateway.address.to_string()]);
    }
}

#[test]
fn a_credential_sent_twice_is_ambiguous() {
    let echo = Echo::start();
    let gateway = Gateway::started(&routes(&echo.url(), ""));
    let (_, key) = gateway.key(&[]);
    let bearer = format!("Bearer {key}");
    let twice = Request::get("/guarded/x").header("Authorization", &bearer).header("Authorization", &bearer);
    gateway.send(&twice).is(400, "credential_ambiguous");
    let twice = Request::get("/guarded/x").header("X-API-Key", &key).header("X-API-Key", &key);
    gateway.send(&twice).is(400, "credential_ambiguous");
    assert_eq!(echo.seen().len(), 0);
}

#[test]
fn a_request_after_a_sound_one_is_still_read_strictly() {
    let echo = Echo::start();
    let gateway = Gateway::started(&routes(&echo.url(), ""));
    let mut stream = connect(gateway.address);
    // Long enough for the connection's buffers to have been given back.
    for pause in [0, 300] {
        stream.write_all(b"GET /sound HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        assert_eq!(Response::read(&mut stream).status, 200);
        std::thread::sleep(std::time::Duration::from_millis(pause));
    }
    write!(stream, "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{SMUGGLED}")
        .unwrap();
    Response::read(&mut stream).is(400, "framing");
    assert_eq!(read_all(&mut stream), "");
    assert_eq!(echo.seen().len(), 2);
}
