//! The end of a gateway: what was accepted is finished, nothing new is, and patience has an end.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use countersign_testing::raw::{Upstream, connect, ok, read_all, routes};
use countersign_testing::{Gateway, Response, eventually};

fn slow(pause: Duration) -> Upstream {
    Upstream::answering(move |head| {
        if head.starts_with("GET /slow") {
            std::thread::sleep(pause);
        }
        ok("done")
    })
}

fn get(stream: &mut TcpStream, path: &str) {
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
}

#[test]
fn a_request_in_progress_is_finished_and_nothing_new_begins() {
    let upstream = slow(Duration::from_secs(2));
    let gateway = Gateway::started(&routes(&upstream.url(), ""));
    let (mut idle, mut busy) = (connect(gateway.address), connect(gateway.address));
    get(&mut idle, "/quick");
    assert_eq!(Response::read(&mut idle).status, 200);
    get(&mut busy, "/slow");
    std::thread::sleep(Duration::from_millis(200));
    gateway.process().signal("-TERM");
    eventually("refusal of new connections", || TcpStream::connect(gateway.address).is_err());
    assert_eq!(read_all(&mut idle), "", "an idle connection closes");
    let mut admin = connect(gateway.admin);
    admin.write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    assert_eq!(Response::read(&mut admin).status, 503);
    let answer = Response::read(&mut busy);
    assert_eq!((answer.status, answer.text().as_str()), (200, "done"));
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(read_all(&mut busy), "");
    let mut gateway = gateway;
    assert_eq!(gateway.end().code(), Some(0));
    let log = gateway.log();
    assert!(log.contains("stopped") && !log.contains("panicked"), "{log}");
}

#[test]
fn patience_has_an_end() {
    let upstream = slow(Duration::from_secs(60));
    let gateway = Gateway::with_server("drain_timeout = \"500ms\"", &routes(&upstream.url(), ""));
    let mut gateway = gateway;
    gateway.start();
    let mut busy = connect(gateway.address);
    get(&mut busy, "/slow");
    std::thread::sleep(Duration::from_millis(200));
    let start = Instant::now();
    gateway.process().signal("-TERM");
    assert_eq!(read_all(&mut busy), "");
    assert_eq!(gateway.end().code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn a_restart_under_load_loses_nothing_that_was_accepted() {
    let upstream = slow(Duration::ZERO);
    let mut gateway = Gateway::started(&routes(&upstream.url(), ""));
    let (stop, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let (stop, served, address) = (stop.clone(), served.clone(), gateway.address);
            std::thread::spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    // Between the two gateways nobody accepts, and says so.
                    let Ok(mut stream) = TcpStream::connect(address) else {
                        std::thread::sleep(Duration::from_millis(5));
                        continue;
                    };
                    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
                    get(&mut stream, "/quick");
                    assert_eq!(Response::try_read(&mut stream).expect("an answer").status, 200);
                    served.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    for _ in 0..3 {
        let before = served.load(Ordering::SeqCst);
        eventually("some load", || served.load(Ordering::SeqCst) > before + 50);
        assert_eq!(gateway.end().code(), Some(0), "{}", gateway.log());
        gateway.start();
    }
    stop.store(true, Ordering::SeqCst);
    for caller in callers {
        caller.join().expect("every accepted request was answered");
    }
}
