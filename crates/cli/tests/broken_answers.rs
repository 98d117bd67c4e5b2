//! Upstreams whose answers break off behind their head: the caller can tell, and so can the operator.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use countersign_testing::callbacks::{Callback, ROUTE};
use countersign_testing::raw::{Upstream, connect, counted, ok, read_all, read_head, reset, routes};
use countersign_testing::{Gateway, Request, Response, eventually, free_address};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};

/// How an upstream goes on behind what it has written.
#[derive(Clone, Copy, Debug)]
enum Then {
    Close,
    Reset,
    Wait,
}

const CHUNKED: &str = "Transfer-Encoding: chunked";
const LENGTH: &str = "Content-Length: 10";

/// A head's field, what comes behind the head, and how that is called.
const BROKEN: [(&str, &str, Then, &str); 12] = [
    (LENGTH, "", Then::Close, "ended"),
    (LENGTH, "short", Then::Close, "ended"),
    (CHUNKED, "", Then::Close, "ended"),
    (CHUNKED, "5\r\nhello\r\n", Then::Close, "ended"),
    (CHUNKED, "a\r\nhello", Then::Close, "ended"),
    (CHUNKED, "5\r\nhello\r\n0\r\n", Then::Close, "ended"),
    (CHUNKED, "ZZ\r\n", Then::Wait, "framing"),
    (CHUNKED, "5\r\nhello\r\nZZ\r\n", Then::Wait, "framing"),
    (CHUNKED, "5\r\nhelloworld\r\n0\r\n\r\n", Then::Wait, "framing"),
    (CHUNKED, "5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n", Then::Wait, "framing"),
    (CHUNKED, "5\r\nhello\r\n", Then::Reset, "reset"),
    (CHUNKED, "5\r\nhello\r\n", Then::Wait, "stalled"),
];

/// Answers `GET …/N/whole` with the head and all of `BROKEN[N]` in one write, and `GET …/N` with the head first; the
/// rest comes when the test says so.
fn breaking() -> (Upstream, Release) {
    let release = Release::default();
    let waits = release.clone();
    let upstream = Upstream::start(move |mut stream| {
        let Some(head) = read_head(&mut stream) else { return };
        let Some((number, whole)) = wanted(&head) else {
            let _ = stream.write_all(ok("fine").as_bytes());
            return;
        };
        let (field, behind, then, _) = BROKEN[number];
        let answer = format!("HTTP/1.1 200 OK\r\n{field}\r\n\r\n");
        match whole {
            true => stream.write_all(format!("{answer}{behind}").as_bytes()).unwrap(),
            false => {
                stream.write_all(answer.as_bytes()).unwrap();
                waits.wait();
                let _ = stream.write_all(behind.as_bytes());
            }
        }
        match then {
            Then::Close => {}
            Then::Reset => {
                // What was written is read first.
                std::thread::sleep(Duration::from_millis(200));
                reset(stream);
            }
            Then::Wait => drop(read_all(&mut stream)),
        }
    });
    (upstream, release)
}

fn wanted(head: &str) -> Option<(usize, bool)> {
    let mut parts = head.split(' ').nth(1)?.rsplit('/');
    let last = parts.next()?;
    match last {
        "whole" => Some((parts.next()?.parse().ok()?, true)),
        number => Some((number.parse().ok()?, false)),
    }
}

/// Lets an upstream go on, once.
#[derive(Clone, Default)]
struct Release(Arc<Mutex<usize>>);

impl Release {
    fn one(&self) {
        *self.0.lock().unwrap() += 1;
    }

    fn wait(&self) {
        eventually("the test goes on", || {
            let mut free = self.0.lock().unwrap();
            let may = *free > 0;
            *free -= usize::from(may);
            may
        });
    }
}

const LIMITS: &str = "[upstream]\nstream_timeout = \"1s\"\n";

fn answer_step(gateway: &Gateway, decision: &str) -> Value {
    let told = gateway.json_of(&["explain", decision]);
    assert_eq!(told["outcome"], "permit");
    told["steps"].as_array().unwrap().last().unwrap().clone()
}

#[track_caller]
fn is_told(gateway: &Gateway, decision: &str, kind: &str, path: &str) {
    eventually("a line in the log", || {
        let log = gateway.log();
        let is_it = |line: &&str| line.contains(decision) && line.contains("broke off");
        log.lines().any(|line| is_it(&line) && line.contains("WARN") && line.contains(kind))
    });
    let step = answer_step(gateway, decision);
    assert_eq!((&step["check"], &step["passed"]), (&json!("answer"), &json!(false)), "{path}");
    assert!(step["note"].as_str().unwrap().contains(&format!("({kind})")), "{step}");
}

#[test]
fn a_broken_answer_is_502_while_the_caller_has_no_head_yet() {
    let (upstream, _) = breaking();
    let gateway = Gateway::started(&routes(&upstream.url(), LIMITS));
    let (_, key) = gateway.key(&[]);
    for (number, (_, behind, _, kind)) in BROKEN.iter().enumerate().filter(|(_, case)| case.3 == "framing") {
        for (path, key) in
            [(format!("/{number}/whole"), None), (format!("/guarded/{number}/whole"), Some(&*key))]
        {
            let answer = gateway.get(&path, key);
            answer.is(502, "upstream_unreachable");
            let decision = answer.header("countersign-decision").unwrap();
            let step = answer_step(&gateway, decision);
            assert_eq!((&step["check"], &step["passed"]), (&json!("answer"), &json!(false)));
            let note = step["note"].as_str().unwrap();
            assert!(note.starts_with("502 upstream_unreachable: "), "{behind:?} ({kind}): {note}");
            assert!(gateway.log().lines().any(|line| line.contains(decision) && line.contains("WARN")));
        }
    }
    let failed = "countersign_upstream_responses_total{route=\"/*\",result=\"upstream_unreachable\"}";
    assert_eq!(counted(gateway.admin, failed), 4);
}

#[test]
fn an_answer_that_breaks_off_ends_so_that_the_caller_can_tell() {
    let (upstream, release) = breaking();
    let gateway = Gateway::started(&routes(&upstream.url(), LIMITS));
    let (_, key) = gateway.key(&[]);
    for (number, (field, behind, _, kind)) in BROKEN.iter().enumerate() {
        let before = counted(
            gateway.admin,
            &format!("countersign_broken_answers_total{{route=\"/guarded/*\",kind=\"{kind}\"}}"),
        );
        let mut stream = connect(gateway.address);
        let path = format!("/guarded/{number}");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n").unwrap();
        // It does not wait for a body.
        let head = read_head(&mut stream).unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        release.one();
        let rest = read_all(&mut stream);
        assert!(!rest.ends_with("0\r\n\r\n"), "{field} {behind:?}: {rest:?}");
        assert!(*field == CHUNKED || rest.len() < 10, "{rest:?}");
        // The guard lets nothing pass of a piece in which it finds a fault.
        let came = *kind != "framing" && ["hello", "short"].into_iter().any(|text| behind.contains(text));
        assert_eq!(rest.contains("hello") || rest.contains("short"), came, "what came arrives: {rest:?}");
        let decision = head.lines().find_map(|line| line.strip_prefix("countersign-decision: ")).unwrap();
        is_told(&gateway, decision, kind, &path);
        let counter = format!("countersign_broken_answers_total{{route=\"/guarded/*\",kind=\"{kind}\"}}");
        assert_eq!(counted(gateway.admin, &counter), before + 1, "{behind:?}");
    }
    assert_eq!(gateway.get("/fine", None).text(), "fine");
    assert_eq!(counted(gateway.admin, "countersign_broken_answers_total"), BROKEN.len() as u64);
}

#[test]
fn in_one_write_it_is_one_of_the_two_and_never_a_whole_answer() {
    let (upstream, _) = breaking();
    let gateway = Gateway::started(&routes(&upstream.url(), LIMITS));
    for (number, (field, behind, ..)) in BROKEN.iter().enumerate() {
        let mut stream = connect(gateway.address);
        write!(stream, "GET /{number}/whole HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let Some(head) = read_head(&mut stream) else { panic!("an empty reply: {field} {behind:?}") };
        if head.starts_with("HTTP/1.1 200 ") {
            let rest = read_all(&mut stream);
            assert!(!rest.ends_with("0\r\n\r\n") && (*field == CHUNKED || rest.len() < 10), "{rest:?}");
        } else {
            assert!(head.starts_with("HTTP/1.1 502 "), "{head}");
        }
    }
}

#[test]
fn without_a_length_a_close_is_an_end_and_a_reset_is_none() {
    let upstream = Upstream::start(|mut stream| {
        let Some(head) = read_head(&mut stream) else { return };
        stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nall of it").unwrap();
        if head.starts_with("GET /reset") {
            std::thread::sleep(Duration::from_millis(200));
            reset(stream);
        }
    });
    let gateway = Gateway::started(&routes(&upstream.url(), LIMITS));
    assert_eq!(gateway.get("/close", None).text(), "all of it");
    assert_eq!(counted(gateway.admin, "countersign_broken_answers_total"), 0);
    let mut stream = connect(gateway.address);
    stream.write_all(b"GET /reset HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert!(Response::try_read(&mut stream).is_none());
    let reset = "countersign_broken_answers_total{route=\"/*\",kind=\"reset\"}";
    eventually("it is counted", || counted(gateway.admin, reset) == 1);
}

#[test]
fn a_caller_of_http_1_0_whose_answer_breaks_off_sees_no_end_in_peace() {
    let (upstream, release) = breaking();
    let gateway = Gateway::started(&routes(&upstream.url(), LIMITS));
    for number in [3, 7, 10, 11] {
        let mut stream = connect(gateway.address);
        write!(stream, "GET /{number} HTTP/1.0\r\n\r\n").unwrap();
        assert!(read_head(&mut stream).unwrap().starts_with("HTTP/1.0 200 "));
        release.one();
        let error = stream.read_to_end(&mut Vec::new()).expect_err("its end would be the body's");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{:?}", BROKEN[number]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_http_2_whose_answer_breaks_off_is_reset_and_the_others_go_on() {
    let (upstream, release) = breaking();
    let gateway = Gateway::started(&routes(&upstream.url(), LIMITS));
    let stream = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut get = |path: String| {
        let url = format!("http://{}{path}", gateway.address);
        client.send_request(http::Request::get(url).body(Empty::<Bytes>::new()).unwrap())
    };
    for (number, (_, behind, _, kind)) in BROKEN.iter().enumerate() {
        let response = get(format!("/{number}")).await.unwrap();
        assert_eq!(response.status(), 200);
        let decision = response.headers()["countersign-decision"].to_str().unwrap().to_owned();
        release.one();
        let error = response.into_body().collect().await.expect_err("it has no end");
        assert!(error.to_string().contains("body"), "{behind:?}: {error}");
        tokio::task::block_in_place(|| is_told(&gateway, &decision, kind, behind));
    }
    let whole = get("/fine".to_owned()).await.unwrap().into_body().collect().await.unwrap();
    assert_eq!(whole.to_bytes(), "fine");
    let refused = get("/6/whole".to_owned()).await.unwrap();
    assert_eq!(refused.status(), 502);
}

#[test]
fn what_is_broken_behind_an_outbound_listener_is_told_as_well() {
    let (upstream, release) = breaking();
    let (outbound, mut gateway) = (free_address(), Gateway::new(""));
    let (_, key) = gateway.key(&[]);
    std::fs::write(gateway.path("key"), key).unwrap();
    std::fs::set_permissions(gateway.path("key"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let prove = "prove = { key_file = \"key\" }";
    gateway.configure(
        "",
        &format!(
            "[egress]\nallow_http_loopback = true\n{LIMITS}\n[[outbound]]\nlisten = \"{outbound}\"\n\
             target = \"{}\"\n{prove}\n",
            upstream.url()
        ),
    );
    gateway.start();
    for (number, (field, behind, _, kind)) in BROKEN.iter().enumerate() {
        let mut stream = connect(outbound);
        write!(stream, "GET /{number} HTTP/1.1\r\nHost: {outbound}\r\n\r\n").unwrap();
        let head = read_head(&mut stream).unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        release.one();
        let rest = read_all(&mut stream);
        assert!(!rest.ends_with("0\r\n\r\n") && (*field == CHUNKED || rest.len() < 10), "{rest:?}");
        let counter = format!(
            "countersign_outbound_broken_answers_total{{target=\"{}/\",kind=\"{kind}\"}}",
            upstream.url()
        );
        eventually("it is counted", || {
            counted(gateway.admin, &counter.replace("/\"", "\"")) + counted(gateway.admin, &counter) > 0
        });
        let told = gateway.explain_latest();
        assert_eq!((&told["outcome"], &told["code"]), (&json!("deny"), &json!("upstream_unreachable")));
        let step = &told["steps"][0];
        assert_eq!(step["check"], "answer", "{behind:?}");
        assert!(step["note"].as_str().unwrap().contains(&format!("({kind})")), "{step}");
        let id = told["id"].as_str().unwrap();
        assert!(gateway.log().lines().any(|line| line.contains(id) && line.contains("WARN")), "{id}");
        if *kind == "framing" {
            let mut stream = connect(outbound);
            write!(stream, "GET /{number}/whole HTTP/1.1\r\nHost: {outbound}\r\n\r\n").unwrap();
            Response::read(&mut stream).is(502, "upstream_unreachable");
        }
    }
}

#[test]
fn a_delivery_whose_answer_breaks_off_is_settled_by_the_head_if_that_went_on() {
    let (upstream, release) = (breaking_results(), Release::default());
    drop(release);
    let route = format!(
        "[[route]]\npath = \"{ROUTE}\"\nupstream = \"{}\"\naccept = [\"callback-url\"]\n",
        upstream.url()
    );
    let gateway = Gateway::started(&format!("{LIMITS}{route}"));

    // It was taken: the 2xx says so, and what follows cannot take it back.
    let callback = Callback::mint(&gateway, &[]);
    let mut stream = connect(gateway.address);
    let post = |callback: &Callback, body: &str| {
        let length = body.len();
        format!("POST {} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}", callback.target)
    };
    stream.write_all(post(&callback, "late").as_bytes()).unwrap();
    assert!(read_head(&mut stream).unwrap().starts_with("HTTP/1.1 200 "));
    assert!(!read_all(&mut stream).ends_with("0\r\n\r\n"));
    callback.post(&gateway, "late").is(409, "callback_consumed");
    assert_eq!(callback.state(&gateway), "used");

    // What the caller learned is that nobody knows: the same may come again, and nothing else.
    let callback = Callback::mint(&gateway, &[]);
    callback.post(&gateway, "once").is(502, "upstream_unreachable");
    callback.post(&gateway, "other").is(409, "callback_consumed");
    assert_eq!(callback.post(&gateway, "once").status, 200);
    callback.post(&gateway, "once").is(409, "callback_consumed");
}

/// Breaks the answer to `late` behind its head, and the first one to `once` together with it.
fn breaking_results() -> Upstream {
    let met = Mutex::new(false);
    Upstream::start(move |mut stream: TcpStream| {
        let Some(seen) = countersign_testing::Seen::read(&stream) else { return };
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let first = !std::mem::replace(&mut *met.lock().unwrap(), seen.body == b"once");
        match &seen.body[..] {
            b"late" => {
                stream.write_all(chunked.as_bytes()).unwrap();
                std::thread::sleep(Duration::from_millis(500));
                let _ = stream.write_all(b"ZZ\r\n");
            }
            b"once" if first => stream.write_all(format!("{chunked}ZZ\r\n").as_bytes()).unwrap(),
            _ => stream.write_all(ok("fine").as_bytes()).unwrap(),
        }
        let _ = read_all(&mut stream);
    })
}

#[test]
fn a_tunnel_whose_upstream_fails_is_told_and_one_that_ends_is_not() {
    let upstream = Upstream::start(|mut stream| {
        let Some(head) = read_head(&mut stream) else { return };
        let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
        stream.write_all(switch.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(200));
        if head.starts_with("GET /reset") {
            reset(stream);
        }
    });
    let gateway = Gateway::started(&routes(&upstream.url(), ""));
    let open = |path: &str| {
        let mut stream = connect(gateway.address);
        let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n{upgrade}\r\n").unwrap();
        let head = read_head(&mut stream).unwrap();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        let _ = stream.read_to_end(&mut Vec::new());
        head.lines().find_map(|line| line.strip_prefix("countersign-decision: ")).unwrap().to_owned()
    };
    open("/end");
    assert_eq!(counted(gateway.admin, "countersign_broken_answers_total"), 0);
    let decision = open("/reset");
    is_told(&gateway, &decision, "reset", "/reset");
}

#[test]
fn a_caller_that_leaves_or_breaks_off_itself_is_no_failure_of_the_upstream() {
    let upstream = Upstream::start(|mut stream| {
        read_head(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        let _ = read_all(&mut stream);
    });
    let gateway = Gateway::started(&routes(&upstream.url(), ""));
    for (request, end) in [
        (Request::get("/x").bytes(), reset as fn(TcpStream)),
        (b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf".to_vec(), drop),
    ] {
        let mut stream = connect(gateway.address);
        stream.write_all(&request).unwrap();
        read_head(&mut stream).unwrap();
        end(stream);
    }
    let mut stream = connect(gateway.address);
    stream.write_all(b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n").unwrap();
    read_head(&mut stream).unwrap();
    stream.write_all(b"ZZ\r\n").unwrap();
    let _ = read_all(&mut stream);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(counted(gateway.admin, "countersign_broken_answers_total"), 0, "{}", gateway.log());
}

#[test]
fn what_came_before_the_fault_is_never_lost_with_it() {
    let upstream = Upstream::start(|mut stream| {
        if let Some(head) = read_head(&mut stream) {
            let pause: u64 = head.split(['/', ' ']).nth(2).unwrap().parse().unwrap();
            let first = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
            let _ = stream.write_all(first.as_bytes());
            std::thread::sleep(Duration::from_micros(pause));
            let _ = stream.write_all(b"ZZ\r\n");
            drop(read_all(&mut stream));
        }
    });
    let gateway = Gateway::started(&routes(&upstream.url(), ""));
    for pause in (0..3000).step_by(15) {
        let mut stream = connect(gateway.address);
        write!(stream, "GET /{pause} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let head = read_head(&mut stream).unwrap_or_else(|| panic!("an empty reply behind {pause} µs"));
        if head.starts_with("HTTP/1.1 200 ") {
            assert_eq!(read_all(&mut stream), "5\r\nhello\r\n");
        } else {
            assert!(head.starts_with("HTTP/1.1 502 "), "{head}");
        }
    }
}
