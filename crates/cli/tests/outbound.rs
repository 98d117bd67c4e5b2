//! Outbound listeners: an application calls them as if they were the peer, and the gateway proves who called.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use countersign_testing::raw::{Upstream, connect, ok, read_all, read_head, reset};
use countersign_testing::webhook::SeedPeer;
use countersign_testing::{Echo, Gateway, Redis, Request, Response, eventually, free_address};

const LAB: &str = "[egress]\nallow_http_loopback = true\n";

/// Alice's gateway with a listener towards `target`, her webhook URL, and where her application connects.
fn requester(target: &str) -> (Gateway, String, std::net::SocketAddr) {
    let mut gateway = Gateway::new("");
    let outbound = free_address();
    let url = format!("http://{}/.well-known/webhook-auth", gateway.address);
    gateway.configure(
        "",
        &format!("{LAB}[[outbound]]\nlisten = \"{outbound}\"\ntarget = {target:?}\nprove = {{ webhook = {url:?} }}\n"),
    );
    gateway.start();
    (gateway, url, outbound)
}

/// Bob: `/orders/*` for Alice.
fn receiver(gateway: &Gateway, echo: &Echo, caller: &str) {
    gateway.configure(
        "",
        &format!(
            "{LAB}[webhook]\ncallers = [{caller:?}]\n[[route]]\npath = \"/orders/*\"\nupstream = \"{}\"\naccept = [\"webhook\"]\n",
            echo.url()
        ),
    );
}

/// Bob and Alice, both running: Bob's gateway, Alice's, and where her application connects.
fn pair(echo: &Echo) -> (Gateway, Gateway, std::net::SocketAddr) {
    let mut bob = Gateway::new("");
    let (alice, url, outbound) = requester(&format!("http://{}", bob.address));
    receiver(&bob, echo, &url);
    bob.start();
    (bob, alice, outbound)
}

/// How many questions a gateway has answered with a token.
fn questions(gateway: &Gateway) -> u64 {
    let metrics = Request::get("/metrics").send(gateway.admin).text();
    let line = metrics.lines().find(|line| line.contains("webhook_questions_total{answer=\"given\"}"));
    line.and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap_or(0)
}

/// A request as an application sends it.
fn call(outbound: std::net::SocketAddr, request: &Request<'_>) -> Response {
    let host = format!("Host: {outbound}\r\n");
    let bytes = String::from_utf8(request.bytes()).unwrap().replacen("Host: gateway\r\n", &host, 1);
    countersign_testing::exchange(outbound, bytes.as_bytes())
}

#[test]
fn the_first_call_is_asked_about_and_the_next_ones_are_signed() {
    let echo = Echo::start();
    let (bob, alice, outbound) = pair(&echo);
    let first = call(outbound, &Request::get("/orders/1?page=2").header("X-Note", "hello"));
    assert_eq!(first.status, 200, "{}", first.text());
    assert_eq!(questions(&alice), 1);
    let seen = echo.last();
    assert_eq!(seen.request_line(), "GET /orders/1?page=2 HTTP/1.1");
    assert_eq!(seen.header("x-note"), Some("hello"));
    let subject = format!("webhook:http://{}/.well-known/webhook-auth", alice.address);
    assert_eq!(seen.header("countersign-subject"), Some(&*subject));
    for credential in ["authorization", "signature", "signature-input", "signature-key", "webhook-key"] {
        assert_eq!(seen.header(credential), None);
    }

    for body in [&b""[..], b"{\"cups\":2}"] {
        let request = Request::new("POST", "/orders/2").header("Content-Type", "application/json").body(body);
        let signed = call(outbound, &request);
        assert_eq!(signed.status, 200, "{}", signed.text());
        let seen = echo.last();
        assert_eq!(seen.body, body);
        assert_eq!(seen.header("countersign-subject"), Some(&*subject));
        assert_eq!(seen.header("signature-agent"), None);
    }
    assert_eq!(questions(&alice), 1, "nobody was asked again");
    assert_eq!(bob.explain_latest()["scheme"], "webhook");
}

#[test]
fn a_receiver_that_forgot_the_key_is_introduced_to_it_again_unasked() {
    let echo = Echo::start();
    let (mut bob, alice, outbound) = pair(&echo);
    for _ in 0..2 {
        assert_eq!(call(outbound, &Request::get("/orders/1")).status, 200);
    }
    assert_eq!(questions(&alice), 1);
    bob.kill();
    bob.start();
    // Whatever Bob thinks of proofs from before his end, the application sees none of it.
    let again = call(outbound, &Request::new("POST", "/orders/1").body(b"{}"));
    assert_eq!(again.status, 200, "{}", again.text());
    assert_eq!(questions(&alice), 2);
    assert_eq!(echo.last().body, b"{}");
}

#[test]
fn large_and_endless_bodies_stream_through_and_are_asked_about() {
    let echo = Echo::start();
    let (_bob, alice, outbound) = pair(&echo);
    assert_eq!(call(outbound, &Request::get("/orders/1")).status, 200);
    let large = vec![b'x'; 3 << 20];
    let sent = call(outbound, &Request::new("POST", "/orders/1").body(&large));
    assert_eq!(sent.status, 200, "{}", sent.text());
    assert_eq!(echo.last().body.len(), large.len());
    assert_eq!(questions(&alice), 2);
    let chunked = format!(
        "POST /orders/1 HTTP/1.1\r\nHost: {outbound}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    );
    assert_eq!(countersign_testing::exchange(outbound, chunked.as_bytes()).status, 200);
    assert_eq!(echo.last().body, b"hello");
    assert_eq!(questions(&alice), 3);
}

#[test]
fn a_receiver_that_knows_only_the_seeds_protocol_is_asked_by_and_asks_each_time() {
    let peer = SeedPeer::start("", 4);
    let (alice, _, outbound) = requester(&format!("http://{}", peer.address));
    for call_number in 1..=4 {
        let answer = call(outbound, &Request::get("/receiver"));
        assert_eq!((answer.status, answer.text().as_str()), (200, "welcome"));
        assert_eq!(questions(&alice), call_number);
    }
    let asked = Request::get("/asked").send(peer.address).json();
    assert_eq!(asked.as_array().unwrap().len(), 4);
}

#[test]
fn a_refusal_is_the_peers_own_and_passes_through() {
    let echo = Echo::start();
    let (bob, _alice, outbound) = pair(&echo);
    call(outbound, &Request::get("/nowhere")).is(404, "route_unknown");
    receiver(&bob, &echo, "https://carol.example/hook");
    eventually("the reload", || call(outbound, &Request::get("/orders/1")).code() == "webhook_caller");
    let before = echo.seen().len();
    call(outbound, &Request::get("/orders/1")).is(403, "webhook_caller");
    assert_eq!(echo.seen().len(), before);
}

#[test]
fn what_would_leave_the_target_is_refused() {
    let echo = Echo::start();
    let (_bob, alice, outbound) = pair(&echo);
    let refused = |head: &str, status, code| {
        let bytes = format!("{head}\r\nConnection: close\r\n\r\n").replace("{own}", &outbound.to_string());
        countersign_testing::exchange(outbound, bytes.as_bytes()).is(status, code);
    };
    refused("GET http://eve.example/orders/1 HTTP/1.1\r\nHost: {own}", 403, "cross_site");
    refused("GET /orders/1 HTTP/1.1\r\nHost: eve.example", 403, "cross_site");
    refused("GET /orders/1 HTTP/1.1\r\nHost: 127.0.0.1", 403, "cross_site");
    refused("GET /orders/1 HTTP/1.1\r\nHost: {own}\r\nOrigin: https://eve.example", 403, "cross_site");
    refused("GET /orders/1 HTTP/1.1\r\nHost: {own}\r\nSec-Fetch-Site: cross-site", 403, "cross_site");
    refused("CONNECT eve.example:443 HTTP/1.1\r\nHost: {own}", 405, "method_not_allowed");
    refused("TRACE /orders/1 HTTP/1.1\r\nHost: {own}", 405, "method_not_allowed");
    refused("GET /orders/../admin HTTP/1.1\r\nHost: {own}", 400, "path_ambiguous");
    refused("GET //eve.example/ HTTP/1.1\r\nHost: {own}", 400, "path_ambiguous");
    assert_eq!((echo.seen().len(), questions(&alice)), (0, 0));
    for host in [outbound.to_string(), format!("localhost:{}", outbound.port())] {
        let bytes = format!("GET /orders/1 HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        assert_eq!(countersign_testing::exchange(outbound, bytes.as_bytes()).status, 200, "{host}");
    }
}

#[test]
fn a_redirect_is_an_answer_and_is_not_followed() {
    let elsewhere = Upstream::answering(|_| countersign_testing::raw::ok("elsewhere"));
    let location = elsewhere.url();
    let peer = Upstream::answering(move |_| {
        format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
    });
    let (_alice, _, outbound) = requester(&peer.url());
    assert_eq!(call(outbound, &Request::get("/orders/1")).status, 302);
    assert_eq!(elsewhere.connections(), 0);
}

#[test]
fn a_peer_that_is_not_there_is_502_and_one_that_is_slow_504() {
    let (_alice, _, outbound) = requester(&format!("http://{}", free_address()));
    call(outbound, &Request::get("/orders/1")).is(502, "upstream_unreachable");

    let slow = Upstream::answering(|_| {
        std::thread::sleep(std::time::Duration::from_secs(3));
        countersign_testing::raw::ok("")
    });
    let mut alice = Gateway::new("");
    let outbound = free_address();
    alice.configure(
        "",
        &format!(
            "{LAB}[upstream]\nresponse_timeout = \"500ms\"\n[[outbound]]\nlisten = \"{outbound}\"\ntarget = \"{}\"\nprove = {{ webhook = \"http://{}/hook\" }}\n",
            slow.url(),
            alice.address
        ),
    );
    alice.start();
    call(outbound, &Request::get("/orders/1")).is(504, "upstream_timeout");
}

#[test]
fn an_application_may_connect_over_a_unix_socket_that_is_its_users_alone() {
    let echo = Echo::start();
    let mut bob = Gateway::new("");
    let mut alice = Gateway::new("");
    let url = format!("http://{}/hooks/auth", alice.address);
    alice.configure(
        "",
        &format!(
            "{LAB}[[outbound]]\nlisten = \"unix:bob.sock\"\ntarget = \"http://{}\"\nprove = {{ webhook = {url:?}, hash = \"sha-256\" }}\n",
            bob.address
        ),
    );
    // A socket that a killed process left behind is no obstacle.
    drop(std::os::unix::net::UnixListener::bind(alice.path("bob.sock")).unwrap());
    alice.start();
    receiver(&bob, &echo, &url);
    bob.start();
    let mode = std::fs::metadata(alice.path("bob.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut stream = UnixStream::connect(alice.path("bob.sock")).unwrap();
    stream.write_all(b"GET /orders/1 HTTP/1.1\r\nHost: bob\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    alice.stop();
    assert!(!alice.path("bob.sock").exists());
}

#[test]
fn a_webhook_answers_under_whatever_path_its_url_has() {
    let echo = Echo::start();
    let mut bob = Gateway::new("");
    let mut alice = Gateway::new("");
    for path in ["/hooks/my%20app", "/hooks/a;v=1"] {
        let outbound = free_address();
        let url = format!("http://{}{path}", alice.address);
        alice.configure(
            "",
            &format!(
                "{LAB}[[outbound]]\nlisten = \"{outbound}\"\ntarget = \"http://{}\"\nprove = {{ webhook = {url:?} }}\n",
                bob.address
            ),
        );
        receiver(&bob, &echo, &url);
        alice.start();
        bob.start();
        call(outbound, &Request::get("/orders/1")).is(200, "");
        alice.stop();
        bob.stop();
    }
}

#[test]
fn processes_behind_one_name_answer_for_each_other_through_their_store() {
    let echo = Echo::start();
    let redis = Redis::durable();
    let mut bob = Gateway::new("");
    let (mut front, mut back) = (Gateway::new(""), Gateway::new(""));
    let outbound = free_address();
    let url = format!("http://{}/.well-known/webhook-auth", front.address);
    for gateway in [&front, &back] {
        std::fs::write(gateway.path("seal.key"), [7; 32]).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(gateway.path("seal.key"), mode).unwrap();
    }
    let store =
        format!("{LAB}[store]\nurl = \"{}\"\ntimeout = \"2s\"\nseal_key_file = \"seal.key\"\n", redis.url());
    front.configure("", &store);
    back.configure(
        "",
        &format!(
            "{store}[[outbound]]\nlisten = \"{outbound}\"\ntarget = \"http://{}\"\nprove = {{ webhook = {url:?} }}\n",
            bob.address
        ),
    );
    receiver(&bob, &echo, &url);
    for gateway in [&mut front, &mut back, &mut bob] {
        gateway.start();
    }
    let answer = call(outbound, &Request::get("/orders/1"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!((questions(&front), questions(&back)), (1, 0));
}

/// A gateway whose listeners, one of TCP and one of a file, lead to `target`.
fn two_doors(target: &str) -> (Gateway, std::net::SocketAddr) {
    let (mut gateway, address) = (Gateway::new(""), free_address());
    let (_, key) = gateway.key(&[]);
    std::fs::write(gateway.path("key"), key).unwrap();
    std::fs::set_permissions(gateway.path("key"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let door = |listen: &str| {
        format!(
            "[[outbound]]\nlisten = \"{listen}\"\ntarget = \"{target}\"\nprove = {{ key_file = \"key\" }}\n"
        )
    };
    let file = format!("unix:{}", gateway.path("peer.sock").display());
    gateway.configure("", &format!("{LAB}{}{}", door(&address.to_string()), door(&file)));
    gateway.start();
    (gateway, address)
}

#[test]
fn an_application_that_closes_its_side_behind_a_whole_request_is_answered() {
    let upstream = Upstream::start(|mut stream| {
        while let Some(seen) = countersign_testing::Seen::read(&stream) {
            std::thread::sleep(Duration::from_millis(150));
            let _ = stream.write_all(ok(&String::from_utf8(seen.body).unwrap()).as_bytes());
        }
    });
    let (gateway, address) = two_doors(&upstream.url());
    for request in [
        "GET /a HTTP/1.1\r\nHost: HOST\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: HOST\r\nContent-Length: 4\r\n\r\nbody",
    ] {
        let mut stream = connect(address);
        stream.write_all(request.replace("HOST", &address.to_string()).as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let answered = read_all(&mut stream);
        assert!(answered.starts_with("HTTP/1.1 200 "), "{request:?}: {answered:?}");
        assert_eq!(answered.ends_with("body"), request.starts_with("POST"), "{answered:?}");
        let mut stream = UnixStream::connect(gateway.path("peer.sock")).unwrap();
        stream.write_all(request.replace("HOST", "x").as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answered = String::new();
        stream.read_to_string(&mut answered).unwrap();
        assert!(answered.starts_with("HTTP/1.1 200 "), "{request:?}: {answered:?}");
    }
    // What is not whole was never asked.
    let mut stream = connect(address);
    write!(stream, "POST /a HTTP/1.1\r\nHost: {address}\r\nContent-Length: 40\r\n\r\nhalf").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert!(!read_all(&mut stream).starts_with("HTTP/1.1 200 "));
}

#[test]
fn an_application_that_resets_its_connection_takes_its_request_with_it() {
    let (tell, told) = std::sync::mpsc::channel();
    let tell = std::sync::Mutex::new(tell);
    let upstream = Upstream::start(move |mut stream| {
        let Some(head) = read_head(&mut stream) else { return };
        tell.lock().unwrap().send(head).unwrap();
        read_all(&mut stream);
        tell.lock().unwrap().send("over".to_owned()).unwrap();
    });
    let (_gateway, address) = two_doors(&upstream.url());
    for half_closed in [false, true] {
        let mut stream = connect(address);
        write!(stream, "GET /waiting HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
        assert!(told.recv_timeout(Duration::from_secs(10)).unwrap().starts_with("GET /waiting "));
        if half_closed {
            stream.shutdown(Shutdown::Write).unwrap();
            assert!(told.recv_timeout(Duration::from_millis(300)).is_err(), "it waits for the answer");
        }
        reset(stream);
        assert_eq!(told.recv_timeout(Duration::from_secs(10)).unwrap(), "over", "{half_closed}");
    }
}

#[test]
fn a_store_that_is_down_sends_nothing() {
    let echo = Echo::start();
    let mut redis = Redis::durable();
    let bob = Gateway::new("");
    let mut alice = Gateway::new("");
    let outbound = free_address();
    std::fs::write(alice.path("seal.key"), [7; 32]).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(alice.path("seal.key"), mode).unwrap();
    alice.configure(
        "",
        &format!(
            "{LAB}[store]\nurl = \"{}\"\ntimeout = \"2s\"\nseal_key_file = \"seal.key\"\n[[outbound]]\nlisten = \"{outbound}\"\ntarget = \"{}\"\nprove = {{ webhook = \"http://{}/hook\" }}\n",
            redis.url(),
            echo.url(),
            bob.address
        ),
    );
    alice.start();
    redis.kill();
    call(outbound, &Request::get("/orders/1")).is(503, "store_unavailable");
    assert_eq!(echo.seen().len(), 0);
}

#[test]
fn the_endpoint_answers_posts_alone_and_refuses_them_all_alike() {
    let (alice, _, _) = requester("http://127.0.0.1:9");
    let ask = |method, body: &'static [u8]| {
        alice.send(&Request::new(method, "/.well-known/webhook-auth").body(body))
    };
    let plain = ask("POST", b"{\"hash\":\"sha-256.x\",\"url\":\"http://127.0.0.1:9/\"}");
    assert_eq!(plain.status, 404);
    for body in [&b"not json"[..], b"{}", b"[]", b"{\"hash\":1,\"url\":2}"] {
        let other = ask("POST", body);
        assert_eq!((other.status, &other.body), (404, &plain.body));
        let names =
            |response: &Response| response.headers.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&other), names(&plain));
    }
    assert_eq!(ask("GET", b"").status, 405);
}
