//! Limits that nobody can raise from outside, and a bystander who is served meanwhile.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use countersign_testing::raw::{Upstream, connect, ok, read_all, read_head, resident, routes};
use countersign_testing::{Echo, Gateway, Request, Response, eventually};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

fn bystander(gateway: &Gateway) {
    assert_eq!(gateway.get("/bystander", None).status, 200, "a bystander is served");
}

#[test]
fn slow_heads_and_slow_bodies_are_cut_off() {
    let echo = Echo::start();
    let limits = "[limits]\nheader_timeout = \"500ms\"\nbody_timeout = \"500ms\"\nidle_timeout = \"500ms\"\n";
    let gateway = Gateway::started(&routes(&echo.url(), limits));
    for (start, refused) in [
        ("", false),
        ("P", true),
        ("PRI * HTTP/2.0\r\n", true),
        ("GET /x HTTP/1.1\r\nHost:", true),
        ("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf", true),
        ("POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", true),
    ] {
        let mut stream = connect(gateway.address);
        stream.write_all(start.as_bytes()).unwrap();
        bystander(&gateway);
        let begun = Instant::now();
        let answer = read_all(&mut stream);
        assert!(begun.elapsed() < Duration::from_secs(10), "{start:?}");
        assert!(
            refused && start.len() < 18 || answer.contains("\"code\":\"framing\"") == refused,
            "{start:?}: {answer}"
        );
    }
    // A byte now and then does not help.
    let mut stream = connect(gateway.address);
    let begun = Instant::now();
    stream.write_all(b"GET /x HTTP/1.1\r\nHost: x\r\nA: ").unwrap();
    while stream.write_all(b"a").is_ok() && begun.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(begun.elapsed() < Duration::from_secs(10));
    bystander(&gateway);
}

#[test]
fn a_caller_that_does_not_read_is_cut_off() {
    let (tell, told) = std::sync::mpsc::channel();
    let upstream = Upstream::start(move |mut stream| {
        while let Some(head) = read_head(&mut stream) {
            if head.starts_with("GET /bystander") {
                let _ = stream.write_all(ok("x").as_bytes());
                continue;
            }
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
            while stream.write_all(&[0; 65_536]).is_ok() {}
            let _ = tell.send(());
            return;
        }
    });
    let gateway = Gateway::started(&routes(&upstream.url(), "[limits]\nwrite_timeout = \"500ms\"\n"));
    let before = resident(gateway.pid());
    let mut stream = connect(gateway.address);
    stream.write_all(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    bystander(&gateway);
    told.recv_timeout(Duration::from_secs(15)).expect("the upstream is let go");
    assert!(resident(gateway.pid()) < before + 16 * 1024);
    bystander(&gateway);
}

#[test]
fn a_body_over_the_limit_is_413_announced_or_not() {
    let echo = Echo::start();
    let gateway = Gateway::started(&routes(&echo.url(), "[limits]\nmax_body = \"1KiB\"\n"));
    let (small, large) = (vec![b'a'; 1024], vec![b'a'; 1025]);
    assert_eq!(gateway.send(&Request::new("POST", "/x").body(&small)).status, 200);
    gateway.send(&Request::new("POST", "/x").body(&large)).is(413, "body_too_large");
    // It is the announcement that is refused: the body need not come.
    let mut stream = connect(gateway.address);
    stream.write_all(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1025\r\n\r\n").unwrap();
    Response::read(&mut stream).is(413, "body_too_large");
    let chunked = |length: usize| {
        let mut stream = connect(gateway.address);
        let head = "POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
        write!(
            stream,
            "{head}200\r\n{}\r\n{:x}\r\n{}\r\n0\r\n\r\n",
            "a".repeat(512),
            length,
            "a".repeat(length)
        )
        .unwrap();
        Response::read(&mut stream)
    };
    assert_eq!(chunked(512).status, 200);
    chunked(513).is(413, "body_too_large");
    assert_eq!(echo.seen().len(), 2);
}

#[test]
fn connections_beyond_the_limit_are_refused_and_those_within_are_served() {
    let echo = Echo::start();
    let gateway = Gateway::started(&routes(&echo.url(), "[limits]\nmax_connections = 4\n"));
    let mut held: Vec<TcpStream> = (0..4).map(|_| connect(gateway.address)).collect();
    let get = b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n";
    for stream in &mut held {
        stream.write_all(get).unwrap();
        assert_eq!(Response::read(stream).status, 200);
    }
    let mut beyond = connect(gateway.address);
    let _ = beyond.write_all(get);
    assert_eq!(read_all(&mut beyond), "");
    held[0].write_all(get).unwrap();
    assert_eq!(Response::read(&mut held[0]).status, 200);
    held.pop();
    eventually("a free place", || {
        let mut stream = connect(gateway.address);
        let _ = stream.write_all(get);
        Response::try_read(&mut stream).is_some_and(|answer| answer.status == 200)
    });
}

const CROWD: usize = 10_000;

#[test]
fn ten_thousand_idle_connections_cost_little_and_a_bystander_is_served() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
    // Two processes with a socket each; a machine that allows fewer files gets a smaller crowd.
    let allowed = limit.maximum.map_or(CROWD, |maximum| usize::try_from(maximum).unwrap() - 500);
    let crowd = CROWD.min(allowed);
    let upstream = Upstream::answering(|_| ok("x"));
    let gateway = Gateway::started(&routes(&upstream.url(), "[audit]\ndecisions = false\n"));
    let start = resident(gateway.pid());
    let mut held: Vec<TcpStream> = (0..crowd).map(|_| connect(gateway.address)).collect();
    bystander(&gateway);
    let silent = resident(gateway.pid());
    for stream in &mut held {
        stream.write_all(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        assert_eq!(Response::read(stream).status, 200);
    }
    std::thread::sleep(Duration::from_millis(500));
    let idle = resident(gateway.pid());
    eprintln!(
        "{crowd} connections: {start} KiB before, {silent} KiB silent, {idle} KiB after a request each"
    );
    assert!(silent - start < 64 * 1024, "{} KiB for silent connections", silent - start);
    assert!(idle - start < 128 * 1024, "{} KiB for idle connections", idle - start);
    bystander(&gateway);
    let last = held.last_mut().unwrap();
    last.write_all(b"GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    assert_eq!(Response::read(last).status, 200, "an idle connection is used again");
    assert_eq!(last.read(&mut [0]).unwrap(), 0);
}
