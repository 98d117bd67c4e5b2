//! What flows while a request is open: upgrades, events, trailers, and who notices when the other side is gone.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use countersign_testing::raw::{
    Upstream, connect, ok, processor_time, read_all, read_bytes, read_head, reset, routes,
};
use countersign_testing::tls::with_tls;
use countersign_testing::{Gateway, Request, Response, eventually};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const WEBSOCKET: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

fn echo_bytes(stream: &mut TcpStream) {
    let mut piece = [0; 1024];
    while let Ok(length @ 1..) = stream.read(&mut piece) {
        let _ = stream.write_all(&piece[..length]);
    }
}

/// Upgrades `/guarded/ws`, refuses `/guarded/no`, and answers everything else with its own head.
fn sockets() -> Upstream {
    Upstream::start(|mut stream| {
        while let Some(head) = read_head(&mut stream) {
            let asks = head.to_ascii_lowercase().contains("\r\nupgrade: websocket\r\n");
            let answer = match head.split(' ').nth(1).unwrap() {
                "/guarded/ws" if asks => {
                    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
                        .into()
                }
                "/guarded/no" => "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno".into(),
                _ => ok(&head),
            };
            let _ = stream.write_all(answer.as_bytes());
            if answer.starts_with("HTTP/1.1 101") {
                return echo_bytes(&mut stream);
            }
        }
    })
}

fn upgrade(gateway: &Gateway, path: &str, fields: &str, key: Option<&str>) -> TcpStream {
    let mut stream = connect(gateway.address);
    let bearer = key.map(|key| format!("Authorization: Bearer {key}\r\n")).unwrap_or_default();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n{fields}{bearer}\r\n").unwrap();
    stream
}

fn tunnel(gateway: &Gateway, key: &str) -> TcpStream {
    let mut stream = upgrade(gateway, "/guarded/ws", WEBSOCKET, Some(key));
    let head = read_head(&mut stream).unwrap();
    assert!(head.starts_with("HTTP/1.1 101 ") && head.contains("upgrade: websocket\r\n"), "{head}");
    for message in ["one", "two"] {
        stream.write_all(message.as_bytes()).unwrap();
        assert_eq!(read_bytes(&mut stream, 3).unwrap(), message);
    }
    stream
}

#[test]
fn a_websocket_opens_after_a_permit_and_never_before() {
    let upstream = sockets();
    let gateway = Gateway::started(&routes(&upstream.url(), ""));
    let mut refused = upgrade(&gateway, "/guarded/ws", WEBSOCKET, None);
    Response::read(&mut refused).is(401, "credential_missing");
    assert_eq!(upstream.connections(), 0, "the upstream never hears of it");
    let (_, key) = gateway.key(&[]);
    drop(tunnel(&gateway, &key));

    let mut stream = upgrade(&gateway, "/guarded/no", WEBSOCKET, Some(&key));
    let answer = Response::read(&mut stream);
    assert_eq!((answer.status, answer.text().as_str()), (403, "no"));
    stream.write_all(b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert_eq!(Response::read(&mut stream).status, 200, "the connection goes on");
}

#[test]
fn other_protocols_are_not_upgraded_to() {
    let upstream = sockets();
    let gateway = Gateway::started(&routes(&upstream.url(), ""));
    for fields in [
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
        "Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n",
        "Upgrade: websocket\r\n",
    ] {
        let mut stream = upgrade(&gateway, "/x", fields, None);
        let answer = Response::read(&mut stream);
        assert_eq!(answer.status, 200, "{fields}");
        let seen = answer.text().to_ascii_lowercase();
        assert!(!seen.contains("upgrade") && !seen.contains("http2-settings"), "{seen}");
        stream.write_all(b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        assert_eq!(Response::read(&mut stream).status, 200);
    }
}

#[test]
fn a_tunnel_ends_with_its_key() {
    let upstream = sockets();
    let gateway = Gateway::started(&routes(&upstream.url(), ""));
    let (id, key) = gateway.key(&[]);
    let mut open = tunnel(&gateway, &key);
    assert!(gateway.run(&["key", "revoke", &id]).status.success());
    let start = Instant::now();
    assert_eq!(read_all(&mut open), "");
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());

    let made = gateway.json(&["key", "new", "--label", "short", "--expires", "3s"]);
    let mut open = tunnel(&gateway, made["key"].as_str().unwrap());
    let start = Instant::now();
    assert_eq!(read_all(&mut open), "");
    assert!(start.elapsed() < Duration::from_secs(9), "{:?}", start.elapsed());
}

#[test]
fn a_tunnel_takes_up_a_connections_place() {
    let upstream = sockets();
    let gateway = Gateway::started(&routes(&upstream.url(), "[limits]\nmax_connections = 2\n"));
    let (_, key) = gateway.key(&[]);
    let mut held = vec![tunnel(&gateway, &key), tunnel(&gateway, &key)];
    let mut beyond = connect(gateway.address);
    let _ = beyond.write_all(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(read_all(&mut beyond), "");
    held.pop();
    eventually("a free place", || {
        let mut stream = connect(gateway.address);
        let _ = stream.write_all(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
        Response::try_read(&mut stream).is_some_and(|answer| answer.status == 200)
    });
}

#[test]
fn events_arrive_as_they_are_sent() {
    let (release, go) = channel::<()>();
    let go = Mutex::new(go);
    let upstream = Upstream::start(move |mut stream| {
        read_head(&mut stream);
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        stream.write_all(format!("{head}d\r\ndata: first\n\n\r\n").as_bytes()).unwrap();
        go.lock().unwrap().recv().unwrap();
        stream.write_all(b"e\r\ndata: second\n\n\r\n0\r\n\r\n").unwrap();
    });
    let gateway = Gateway::started(&routes(&upstream.url(), ""));
    let mut stream = connect(gateway.address);
    stream.write_all(b"GET /events HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let head = read_head(&mut stream).unwrap();
    assert!(head.contains("transfer-encoding: chunked"), "{head}");
    let first = "D\r\ndata: first\n\n\r\n";
    assert_eq!(read_bytes(&mut stream, first.len()).unwrap(), first);
    release.send(()).unwrap();
    assert_eq!(read_all(&mut stream), "E\r\ndata: second\n\n\r\n0\r\n\r\n");
}

#[test]
fn a_slow_download_is_not_cut_and_a_silent_one_is() {
    let upstream = Upstream::start(|mut stream| {
        let head = read_head(&mut stream).unwrap_or_default();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n").unwrap();
        for _ in 0..20 {
            std::thread::sleep(Duration::from_millis(100));
            let _ = stream.write_all(b"x");
            if head.starts_with("GET /silent") {
                return drop(read_all(&mut stream));
            }
        }
    });
    let limits = "[upstream]\nstream_timeout = \"1s\"\nresponse_timeout = \"1s\"\n\
                  [limits]\nidle_timeout = \"1s\"\nwrite_timeout = \"1s\"\nheader_timeout = \"1s\"\n";
    let gateway = Gateway::started(&routes(&upstream.url(), limits));
    assert_eq!(gateway.get("/slow", None).text(), "x".repeat(20));
    let mut stream = connect(gateway.address);
    stream.write_all(b"GET /silent HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert!(read_head(&mut stream).is_some());
    assert_eq!(read_all(&mut stream), "x");
}

#[test]
fn trailers_pass_both_ways() {
    let upstream = Upstream::start(|mut stream| {
        let mut seen = read_head(&mut stream).unwrap();
        while !seen.ends_with("\r\n0\r\nchecksum: 1\r\n\r\n") {
            let Some(byte) = read_bytes(&mut stream, 1) else { return };
            seen.push_str(&byte);
        }
        let answer = "HTTP/1.1 200 OK\r\nTrailer: digest\r\nTransfer-Encoding: chunked\r\n\r\n\
                      2\r\nok\r\n0\r\nDigest: 2\r\n\r\n";
        let _ = stream.write_all(answer.as_bytes());
    });
    let gateway = Gateway::started(&routes(&upstream.url(), ""));
    let mut stream = connect(gateway.address);
    let request = "POST /x HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nConnection: TE, close\r\nTrailer: Checksum\r\n\
                   Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nChecksum: 1\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    assert!(read_head(&mut stream).unwrap().starts_with("HTTP/1.1 200"));
    assert_eq!(read_all(&mut stream).to_ascii_lowercase(), "2\r\nok\r\n0\r\ndigest: 2\r\n\r\n");
}

#[test]
fn a_body_is_asked_for_after_the_permit() {
    let upstream = Upstream::start(|mut stream| {
        while let Some(head) = read_head(&mut stream) {
            let body =
                if head.starts_with("POST") { read_bytes(&mut stream, 4).unwrap() } else { String::new() };
            assert!(!head.to_ascii_lowercase().contains("expect"), "{head}");
            let _ = stream.write_all(ok(&body).as_bytes());
        }
    });
    let gateway = Gateway::started(&routes(&upstream.url(), ""));
    let post = "HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n";
    let mut stream = connect(gateway.address);
    write!(stream, "POST /guarded/x {post}\r\n").unwrap();
    Response::read(&mut stream).is(401, "credential_missing");
    assert_eq!(upstream.connections(), 0);

    let (_, key) = gateway.key(&[]);
    let mut stream = connect(gateway.address);
    write!(stream, "POST /guarded/x {post}Authorization: Bearer {key}\r\n\r\n").unwrap();
    assert_eq!(read_head(&mut stream).unwrap(), "HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"body").unwrap();
    assert_eq!(Response::read(&mut stream).text(), "body");
    write!(stream, "GET /next HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert_eq!(Response::read(&mut stream).status, 200);
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let upstream = Upstream::answering(|head| {
        let path = head.split(' ').nth(1).unwrap();
        std::thread::sleep(Duration::from_millis(if path == "/0" { 100 } else { 0 }));
        ok(path)
    });
    let gateway = Gateway::started(&routes(&upstream.url(), ""));
    let mut stream = connect(gateway.address);
    let requests: String =
        (0..20).map(|number| format!("GET /{number} HTTP/1.1\r\nHost: x\r\n\r\n")).collect();
    stream.write_all(requests.as_bytes()).unwrap();
    for number in 0..20 {
        assert_eq!(Response::read(&mut stream).text(), format!("/{number}"));
    }
}

#[test]
fn answers_without_a_body_have_none() {
    let upstream = Upstream::answering(|head| match head.split(' ').nth(1).unwrap() {
        "/204" => "HTTP/1.1 204 No Content\r\n\r\n".into(),
        "/304" => "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 5\r\n\r\n".into(),
        "/head" => "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n".into(),
        "/early" => format!("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n{}", ok("late")),
        _ => ok("next"),
    });
    let gateway = Gateway::started(&routes(&upstream.url(), ""));
    let mut stream = connect(gateway.address);
    for (method, path, status) in [("GET", "/204", "204"), ("GET", "/304", "304"), ("HEAD", "/head", "200")] {
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let head = read_head(&mut stream).unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
        assert_eq!(head.contains("content-length: 5"), status == "200", "{head}");
        stream.write_all(b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        assert_eq!(Response::read(&mut stream).text(), "next", "behind {path}");
    }
    stream.write_all(b"GET /early HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert_eq!(Response::read(&mut stream).text(), "late");
    assert_eq!(upstream.connections(), 1);
}

/// An upstream that reads heads, never answers, and tells when a connection ends and with which bytes.
fn listening() -> (Upstream, Receiver<String>) {
    let (tell, told) = channel();
    let tell = Arc::new(Mutex::new(tell));
    let upstream = Upstream::start(move |mut stream| {
        let head = read_head(&mut stream).unwrap_or_default();
        tell.lock().unwrap().send(head).unwrap();
        let rest = read_all(&mut stream);
        tell.lock().unwrap().send(rest).unwrap();
    });
    (upstream, told)
}

#[test]
fn a_caller_that_goes_away_takes_its_request_with_it() {
    let (upstream, told) = listening();
    let gateway = Gateway::started(&routes(&upstream.url(), ""));
    // Behind a whole request, a FIN says only that no other follows.
    for (request, end) in [
        (Request::get("/waiting").bytes(), reset as fn(TcpStream)),
        (Request::new("POST", "/waiting").body(b"whole").bytes(), reset),
        (b"GET /one HTTP/1.1\r\nHost: x\r\n\r\nGET /two HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), reset),
        (b"GET /one HTTP/1.1\r\nHost: x\r\n\r\nGET /two HTT".to_vec(), reset),
        (WAITING_UPGRADE.as_bytes().to_vec(), reset),
        (b"POST /uploading HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf".to_vec(), reset),
        (b"POST /uploading HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf".to_vec(), drop),
        (
            b"POST /uploading HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"
                .to_vec(),
            drop,
        ),
    ] {
        let mut stream = connect(gateway.address);
        stream.write_all(&request).unwrap();
        told.recv_timeout(Duration::from_secs(10)).expect("the upstream hears of it");
        end(stream);
        let rest = told.recv_timeout(Duration::from_secs(10)).expect("and of its end");
        assert!(!rest.contains("0\r\n\r\n"), "no whole request: {rest:?}");
    }
}

const WAITING_UPGRADE: &str =
    "GET /waiting HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

/// Whole requests, and how many answers they ask for.
const WHOLE: [(&str, usize); 8] = [
    ("GET /a HTTP/1.1\r\nHost: x\r\n\r\n", 1),
    ("GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 1),
    ("GET /a HTTP/1.0\r\n\r\n", 1),
    ("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody", 1),
    ("POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n", 1),
    (WAITING_UPGRADE, 1),
    (
        "GET /a HTTP/1.1\r\nHost: x\r\n\r\nPOST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody\
         GET /a HTTP/1.1\r\nHost: x\r\n\r\n",
        3,
    ),
    // What was whole is answered, and what is not was never asked.
    ("GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /a HTTP/1.1\r\nHo", 1),
];

/// Answers whole requests, each a little late.
fn late() -> Upstream {
    Upstream::start(|mut stream| {
        while let Some(seen) = countersign_testing::Seen::read(&stream) {
            std::thread::sleep(Duration::from_millis(150));
            let answer = ok(&String::from_utf8(seen.body).unwrap());
            let _ = stream.write_all(answer.as_bytes());
        }
    })
}

#[test]
fn a_caller_that_closes_its_side_behind_whole_requests_is_answered() {
    let upstream = late();
    let gateway = Gateway::started(&routes(&upstream.url(), ""));
    for (requests, answers) in WHOLE {
        let mut stream = connect(gateway.address);
        stream.write_all(requests.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        for number in 0..answers {
            let answer = Response::try_read(&mut stream).unwrap_or_else(|| panic!("{number}: {requests}"));
            assert_eq!(answer.status, 200, "{requests}");
        }
        assert_eq!(read_all(&mut stream), "", "{requests}");
    }
    // Denials, and what we answer ourselves.
    let mut stream = connect(gateway.address);
    stream.write_all(b"GET /guarded/x HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    Response::read(&mut stream).is(401, "credential_missing");
    assert_eq!(read_all(&mut stream), "");
}

#[tokio::test]
async fn a_caller_that_says_goodbye_by_tls_behind_whole_requests_is_answered() {
    let upstream = late();
    let (gateway, callers) = with_tls(&routes(&upstream.url(), ""));
    // hyper drops a connection behind an upgrade that nobody took up, without a word.
    for (requests, answers) in WHOLE.into_iter().filter(|(requests, _)| *requests != WAITING_UPGRADE) {
        let stream = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
        let mut stream = callers.connect(stream).await;
        stream.write_all(requests.as_bytes()).await.unwrap();
        // close_notify, and a FIN behind it.
        stream.shutdown().await.unwrap();
        let mut said = String::new();
        let ended = stream.read_to_string(&mut said).await;
        assert!(ended.is_ok(), "{requests}: {said:?}, then {ended:?}");
        assert_eq!(said.matches(" 200 OK\r\n").count(), answers, "{requests}: {said}");
    }
}

#[test]
fn a_caller_that_closes_its_side_inside_a_head_has_asked_nothing() {
    let (upstream, told) = listening();
    let gateway = Gateway::started(&routes(&upstream.url(), ""));
    for part in ["G", "GET /x HTTP/1.1\r\n", "GET /x HTTP/1.1\r\nHost: x\r\n"] {
        let mut stream = connect(gateway.address);
        stream.write_all(part.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let said = read_all(&mut stream);
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 400 "), "{part:?}: {said}");
    }
    assert_eq!(upstream.connections(), 0);
    drop(told);
}

#[test]
fn a_caller_that_closes_its_side_and_then_resets_is_gone() {
    let (upstream, told) = listening();
    let gateway = Gateway::started(&routes(&upstream.url(), ""));
    for (request, _) in [WHOLE[0], WHOLE[4], WHOLE[5], WHOLE[6]] {
        let mut stream = connect(gateway.address);
        stream.write_all(request.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        told.recv_timeout(Duration::from_secs(10)).expect("the upstream hears of it");
        // So that the gateway has seen the FIN by itself.
        std::thread::sleep(Duration::from_millis(200));
        let begun = Instant::now();
        reset(stream);
        told.recv_timeout(Duration::from_secs(10)).expect("and of its end");
        assert!(begun.elapsed() < Duration::from_secs(6), "long before the silence would end it");
    }
}

#[test]
fn a_caller_that_has_closed_its_side_is_waited_for_in_peace_and_not_for_ever() {
    let (upstream, told) = listening();
    let gateway = Gateway::started(&routes(&upstream.url(), ""));
    let mut stream = connect(gateway.address);
    stream.write_all(WHOLE[0].0.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    told.recv_timeout(Duration::from_secs(10)).expect("the upstream hears of it");
    let before = processor_time(gateway.pid());
    std::thread::sleep(Duration::from_secs(4));
    let spent = processor_time(gateway.pid()) - before;
    assert!(spent < 100, "{spent} hundredths of a second in 4 s: it spins");
    told.recv_timeout(Duration::from_secs(20)).expect("a silence ends it");
    assert_eq!(read_all(&mut stream), "");
}

#[test]
fn a_caller_that_has_closed_its_side_hears_a_stream_to_its_end() {
    let upstream = Upstream::start(|mut stream| {
        read_head(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        // Longer than a silence may be, and never silent for so long.
        for _ in 0..4 {
            std::thread::sleep(Duration::from_secs(3));
            let _ = stream.write_all(b"1\r\nx\r\n");
        }
        let _ = stream.write_all(b"0\r\n\r\n");
    });
    let gateway = Gateway::started(&routes(&upstream.url(), ""));
    let mut stream = connect(gateway.address);
    stream.write_all(WHOLE[0].0.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(Response::read(&mut stream).text(), "xxxx");
    assert_eq!(read_all(&mut stream), "");
}

#[test]
fn a_body_that_turns_bad_is_never_a_whole_one_upstream() {
    let (upstream, told) = listening();
    let gateway = Gateway::started(&routes(&upstream.url(), ""));
    for bad in
        ["zz\r\n", "5;ext\r\nhello\r\n0\r\n\r\n", "5\r\nhelloworld\r\n0\r\n\r\n", "0\r\nHost: evil\r\n\r\n"]
    {
        let mut stream = connect(gateway.address);
        stream
            .write_all(b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n")
            .unwrap();
        told.recv_timeout(Duration::from_secs(10)).expect("the upstream hears of it");
        stream.write_all(format!("{bad}GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).unwrap();
        Response::read(&mut stream).is(400, "framing");
        assert_eq!(read_all(&mut stream), "", "the connection closes");
        let rest = told.recv_timeout(Duration::from_secs(10)).expect("the upstream sees the end");
        assert!(rest.starts_with("4\r\ngood\r\n") && !rest.contains("\r\n0\r\n"), "{bad:?}: {rest:?}");
        assert!(!rest.contains("smuggled"), "{rest:?}");
    }
}
