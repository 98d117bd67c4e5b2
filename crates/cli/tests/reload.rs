//! A new configuration is taken whole or not at all, and no request notices.

#![allow(clippy::print_stdout, reason = "the figures are for whoever reads the log")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use countersign_testing::keep_alive::Connection;
use countersign_testing::raw::{self, Upstream};
use countersign_testing::{Echo, Gateway, Request, eventually};

fn public(echo: &Echo, paths: &[&str]) -> String {
    let route =
        |path: &&str| format!("[[route]]\npath = \"{path}\"\nupstream = \"{}\"\npublic = true\n", echo.url());
    paths.iter().map(route).collect()
}

/// Writes in place, so that only a signal reloads.
fn rewrite(gateway: &Gateway, change: impl FnOnce(String) -> String) {
    let path = gateway.path("countersign.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, change(text)).unwrap();
    gateway.process().signal("-HUP");
}

#[test]
fn routes_come_and_go_on_a_signal_and_on_a_rename() {
    let echo = Echo::start();
    let gateway = Gateway::started(&public(&echo, &["/old"]));
    assert_eq!(gateway.get("/old", None).status, 200);
    gateway.get("/new", None).is(404, "route_unknown");
    gateway.configure("", &public(&echo, &["/new"]));
    eventually("the reload after a rename", || gateway.get("/new", None).status == 200);
    gateway.get("/old", None).is(404, "route_unknown");
    rewrite(&gateway, |text| text + &public(&echo, &["/third"]));
    eventually("the reload after a signal", || gateway.get("/third", None).status == 200);
}

#[test]
fn two_renames_between_two_looks_are_noticed() {
    let echo = Echo::start();
    let gateway = Gateway::started(&public(&echo, &["/0"]));
    for round in 1..=4 {
        gateway.configure("", &public(&echo, &["/between"]));
        gateway.configure("", &public(&echo, &[&format!("/{round}")]));
        eventually("the second", || gateway.get(&format!("/{round}"), None).status == 200);
    }
}

#[test]
fn nobody_waits_for_a_pipe_that_takes_the_place_of_the_file() {
    let echo = Echo::start();
    let mut gateway = Gateway::started(&public(&echo, &["/old"]));
    let (path, pipe) = (gateway.path("countersign.toml"), gateway.path("pipe"));
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    std::fs::rename(&pipe, &path).unwrap();
    eventually("the complaint", || gateway.log().contains("is no file"));
    assert_eq!(gateway.get("/old", None).status, 200);
    gateway.configure("", &public(&echo, &["/new"]));
    eventually("the reload", || gateway.get("/new", None).status == 200);
    gateway.stop();
}

#[test]
fn a_file_that_is_written_in_place_is_taken_only_when_somebody_says_so() {
    let echo = Echo::start();
    let gateway = Gateway::started(&public(&echo, &["/old"]));
    let path = gateway.path("countersign.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text + &public(&echo, &["/new"])).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(2500));
    gateway.get("/new", None).is(404, "route_unknown");
}

#[test]
fn no_request_is_lost_during_ten_reloads() {
    let echo = Echo::start();
    let gateway = Gateway::started(&public(&echo, &["/kept"]));
    let (ending, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let (ending, done, address) = (ending.clone(), done.clone(), gateway.address);
            std::thread::spawn(move || {
                let mut connection = Connection::to(address).unwrap();
                while !ending.load(Ordering::Relaxed) {
                    let answer = connection.get("/kept", None).expect("an answer on the same connection");
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for round in 0..10 {
        let path = format!("/round-{round}");
        rewrite(&gateway, |text| text + &public(&echo, &[&path]));
        eventually("the reload", || gateway.get(&path, None).status == 200);
        let enough = done.load(Ordering::Relaxed) + 200;
        eventually("requests meanwhile", || done.load(Ordering::Relaxed) > enough);
    }
    ending.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.join().expect("a caller without failures");
    }
    println!("reload: {} requests on 4 connections during 10 reloads", done.load(Ordering::Relaxed));
    assert!(done.load(Ordering::Relaxed) > 2000);
}

/// Reloads `gateway` with one public route more.
fn reload(gateway: &Gateway, echo: &Echo) {
    rewrite(gateway, |text| text + &public(echo, &["/reloaded"]));
    eventually("the reload", || gateway.get("/reloaded", None).status == 200);
}

fn guarded(upstream: &str) -> String {
    format!("[[route]]\npath = \"/guarded\"\nupstream = \"{upstream}\"\naccept = [\"api-key\"]\n")
}

#[test]
fn who_failed_too_often_and_which_keys_were_used_is_not_forgotten_by_a_reload() {
    let echo = Echo::start();
    let gateway = Gateway::started(&format!("[limits]\nunproven = \"3/h\"\n{}", guarded(&echo.url())));
    let (id, key) = gateway.key(&[]);
    let used = || gateway.json(&["key", "show", &id])["last_used"].clone();
    assert!(used().is_null());
    assert_eq!(gateway.get("/guarded", Some(&key)).status, 200);
    for _ in 0..3 {
        gateway.get("/guarded", Some("cs_x")).is(401, "key_invalid");
    }
    gateway.get("/guarded", Some(&key)).is(429, "rate_limited");
    reload(&gateway, &echo);
    gateway.get("/guarded", Some(&key)).is(429, "rate_limited");
    assert!(used().is_string(), "{}", used());
}

#[test]
fn connections_to_upstreams_are_kept_over_a_reload() {
    let (echo, upstream) = (Echo::start(), Upstream::answering(|_| raw::ok("here")));
    let gateway = Gateway::started(&guarded(&upstream.url()));
    let (_, key) = gateway.key(&[]);
    assert_eq!(gateway.get("/guarded", Some(&key)).status, 200);
    reload(&gateway, &echo);
    assert_eq!(gateway.get("/guarded", Some(&key)).status, 200);
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn whoever_guessed_a_password_waits_over_a_reload() {
    let echo = Echo::start();
    let gateway = Gateway::started("[session]\nenabled = true\nsignup = true\n");
    let post = |path: &str, password: &str| {
        let body = format!(r#"{{"email":"ann@example.org","name":"Ann","password":"{password}"}}"#);
        let body = if path == "/auth/signin" { body.replace(r#""name":"Ann","#, "") } else { body };
        let request = Request::new("POST", path).header("Content-Type", "application/json");
        gateway.send(&request.body(body.as_bytes()))
    };
    post("/auth/signup", "correct horse battery").is(201, "");
    for _ in 0..5 {
        post("/auth/signin", "not their battery").is(401, "sign_in_refused");
    }
    post("/auth/signin", "correct horse battery").is(429, "rate_limited");
    reload(&gateway, &echo);
    post("/auth/signin", "correct horse battery").is(429, "rate_limited");
}

#[test]
fn a_route_that_takes_a_path_of_ours_has_it_from_the_next_reload_on() {
    let echo = Echo::start();
    let gateway = Gateway::started("[session]\nenabled = true\n");
    gateway.get("/auth/signin", None).is(405, "method_not_allowed");
    rewrite(&gateway, |text| text + &public(&echo, &["/auth/signin", "/*"]));
    eventually("the reload", || gateway.get("/auth/signin", None).status == 200);
    // One rule of paths: what leads around a path of ours once decoded has no reading.
    gateway.get("/auth/%73ignout", None).is(400, "path_ambiguous");
    gateway.send(&Request::new("DELETE", "/auth/sessions/%2e%2e")).is(400, "path_ambiguous");
    gateway.get("/auth/signout", None).is(405, "method_not_allowed");
    assert_eq!(gateway.get("/auth/else", None).status, 200);
}

#[test]
fn a_broken_file_changes_nothing_and_the_log_shows_where_it_is_broken() {
    let echo = Echo::start();
    let gateway = Gateway::started(&public(&echo, &["/old"]));
    let sound = std::fs::read_to_string(gateway.path("countersign.toml")).unwrap();
    rewrite(&gateway, |text| text + &public(&echo, &["/new"]) + "[[route]]\npath = \"/x\"\nacept = []\n");
    eventually("the complaint", || gateway.log().contains("the old one stays"));
    let log = gateway.log();
    assert!(log.contains("unknown field `acept`") && log.contains("^^^^^"), "{log}");
    assert!(log.contains("did you mean `accept`?"), "{log}");
    assert_eq!(gateway.get("/old", None).status, 200);
    gateway.get("/new", None).is(404, "route_unknown");
    rewrite(&gateway, |_| sound + &public(&echo, &["/new"]));
    eventually("the next reload", || gateway.get("/new", None).status == 200);
}

#[test]
fn a_file_that_names_unreadable_things_is_not_taken_in_part() {
    let echo = Echo::start();
    let (mut gateway, certificate) = with_tls(&echo);
    gateway.start();
    let before = handshake(&gateway);
    assert_eq!(before, certificate, "the certificate of the file");
    std::fs::write(gateway.path("tls.pem"), "nonsense").unwrap();
    rewrite(&gateway, |text| text + &public(&echo, &["/new"]));
    eventually("the complaint", || gateway.log().contains("the old one stays"));
    assert_eq!(handshake(&gateway), before);
    assert!(!curl(&gateway, "/new").contains("GET /new"), "the routes of a refused file");

    let renewed = certify(&gateway);
    gateway.process().signal("-HUP");
    eventually("the new certificate", || handshake(&gateway) == renewed);
    assert!(curl(&gateway, "/new").contains("GET /new"));
}

#[test]
fn what_is_bound_or_opened_once_says_that_it_needs_a_restart() {
    let echo = Echo::start();
    let gateway = Gateway::started(&public(&echo, &["/old"]));
    let sound = std::fs::read_to_string(gateway.path("countersign.toml")).unwrap();
    let moved = sound.replace(&gateway.address.to_string(), "127.0.0.1:9");
    for (text, what) in [
        (moved, "server.listen cannot change while the gateway runs: restart it"),
        (format!("{sound}[store]\nurl = \"redb:other\"\n"), "store.url cannot change"),
        (format!("{sound}[audit]\ndecisions = false\n"), "[audit] cannot change"),
    ] {
        rewrite(&gateway, |_| text + &public(&echo, &["/new"]));
        eventually(what, || gateway.log().contains(what));
        gateway.get("/new", None).is(404, "route_unknown");
    }
    assert_eq!(gateway.get("/old", None).status, 200);
}

/// A gateway with a certificate, and that certificate in base64.
fn with_tls(echo: &Echo) -> (Gateway, String) {
    let gateway = Gateway::new("");
    let url = format!(
        "public_url = \"https://localhost:{}\"\ntls = {{ cert_file = \"tls.pem\", key_file = \"tls.key\" }}",
        gateway.address.port()
    );
    gateway.configure(&url, &public(echo, &["/old"]));
    let certificate = certify(&gateway);
    (gateway, certificate)
}

fn certify(gateway: &Gateway) -> String {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(gateway.path("tls.key"), made.signing_key.serialize_pem()).unwrap();
    std::fs::write(gateway.path("tls.pem"), made.cert.pem()).unwrap();
    body(&made.cert.pem())
}

fn body(pem: &str) -> String {
    pem.lines().filter(|line| !line.contains("-----") && !line.is_empty()).map(str::trim).collect()
}

fn curl(gateway: &Gateway, path: &str) -> String {
    let url = format!("https://localhost:{}{path}", gateway.address.port());
    let mut command = std::process::Command::new("curl");
    let output = command.args(["-sk", "-m", "10", "-w", "%{certs}", &url]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The certificate that the gateway shows.
fn handshake(gateway: &Gateway) -> String {
    let mut command = std::process::Command::new("openssl");
    let address = format!("localhost:{}", gateway.address.port());
    command.args(["s_client", "-connect", &address, "-servername", "localhost"]);
    let output = command.stdin(std::process::Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let start = text.find("-----BEGIN CERTIFICATE-----").expect("a certificate");
    let end = text.find("-----END CERTIFICATE-----").expect("a certificate");
    body(&text[start..end])
}
