//! Management: who may ask, where, and that every change is written down before it is acknowledged.

#![allow(clippy::print_stdout, reason = "the figures are for whoever reads the log")]

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::process::Command;

use countersign_testing::keep_alive::Connection;
use countersign_testing::{Echo, Gateway, Request, Response, eventually};
use serde_json::Value;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

fn keyed(echo: &Echo) -> String {
    format!("[[route]]\npath = \"/*\"\nupstream = \"{}\"\naccept = [\"api-key\"]\n", echo.url())
}

fn said(output: &std::process::Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn audit(gateway: &Gateway) -> Vec<Value> {
    let text = std::fs::read_to_string(gateway.path("audit.jsonl")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
}

fn mode(gateway: &Gateway, name: &str) -> u32 {
    gateway.path(name).metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn the_socket_and_what_is_kept_are_for_their_owner_alone() {
    let gateway = Gateway::started(&keyed(&Echo::start()));
    for name in ["management.sock", "countersign.redb", "seal.key", "audit.jsonl"] {
        assert_eq!(mode(&gateway, name), 0o600, "{name}");
    }
}

#[test]
fn another_user_is_turned_away_even_where_the_mode_would_let_him_in() {
    if !i_am_root() {
        println!("skipped: only root can act as another user");
        return;
    }
    let gateway = Gateway::started(&keyed(&Echo::start()));
    let open = |path: &std::path::Path| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
    };
    open(gateway.folder.path());
    open(&gateway.path("management.sock"));
    let ask = |user: &str| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", user, "--clear-groups", "curl", "-s", "-m", "5", "--unix-socket"]);
        command.arg(gateway.path("management.sock")).arg("http://countersign/v1/status");
        command.output().unwrap()
    };
    assert!(said(&ask("0")).contains("version"));
    let other = ask("65534");
    assert!(!other.status.success() && !said(&other).contains("version"), "{}", said(&other));
    eventually("the warning", || gateway.log().contains("management was refused to another user"));
}

fn i_am_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0)
}

#[test]
fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
    let echo = Echo::start();
    let mut gateway = Gateway::new(&keyed(&echo));
    drop(UnixListener::bind(gateway.path("management.sock")).unwrap());
    gateway.start();
    gateway.kill();
    assert!(gateway.path("management.sock").exists(), "a killed gateway leaves its socket");
    gateway.start();
    gateway.stop();
    assert!(!gateway.path("management.sock").exists(), "one that stops takes it along");

    let live = UnixListener::bind(gateway.path("management.sock")).unwrap();
    let output = gateway.refuses_to_start(&[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("another gateway is answering on"), "{}", said(&output));
    drop(live);
    gateway.start();
}

#[test]
fn a_file_in_the_sockets_place_is_left_alone() {
    let gateway = Gateway::with_server("management_socket = \"precious\"", &keyed(&Echo::start()));
    std::fs::write(gateway.path("precious"), "data").unwrap();
    let output = gateway.refuses_to_start(&[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("is there, and is no socket"), "{}", said(&output));
    assert_eq!(std::fs::read(gateway.path("precious")).unwrap(), b"data");
}

#[test]
fn a_second_gateway_on_the_same_store_is_refused_and_the_first_goes_on() {
    let echo = Echo::start();
    let gateway = Gateway::started(&keyed(&echo));
    let (_, key) = gateway.key(&[]);
    let output = gateway.refuses_to_start(&["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("open"), "{}", said(&output));
    assert_eq!(gateway.get("/", Some(&key)).status, 200);
    assert_eq!(gateway.json(&["key", "list"]).as_array().unwrap().len(), 1, "its socket is still there");
}

#[test]
fn a_port_in_use_is_said_and_the_next_start_finds_a_store_that_was_closed() {
    let echo = Echo::start();
    let mut gateway = Gateway::new(&keyed(&echo));
    let taken = std::net::TcpListener::bind(gateway.address).unwrap();
    let output = gateway.refuses_to_start(&[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("server.listen cannot listen on"), "{}", said(&output));
    assert!(!gateway.path("management.sock").exists());
    drop(taken);
    gateway.start();
}

fn over_tcp(gateway: &Gateway, path: &str, host: &str, headers: &[(&str, &str)]) -> Response {
    let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{lines}\r\n");
    countersign_testing::exchange(gateway.admin, request.as_bytes())
}

#[test]
fn without_a_token_tcp_has_health_and_metrics_and_nothing_else() {
    let gateway = Gateway::started(&keyed(&Echo::start()));
    let host = gateway.admin.to_string();
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(over_tcp(&gateway, path, &host, &[]).status, 200, "{path}");
    }
    let bearer = format!("Bearer {TOKEN}");
    for path in ["/v1/status", "/v1/keys", "/v1/decisions", "/v1/decisions/latest", "/v1/explain", "/"] {
        assert_eq!(over_tcp(&gateway, path, &host, &[("Authorization", &bearer)]).status, 404, "{path}");
    }
}

#[test]
fn over_tcp_management_needs_the_token_our_host_and_no_foreign_origin() {
    let echo = Echo::start();
    let mut gateway = Gateway::with_server("admin_token_file = \"token\"", &keyed(&echo));
    std::fs::write(gateway.path("token"), format!("{TOKEN}\n")).unwrap();
    let permit = |mode| {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(gateway.path("token"), permissions).unwrap();
    };
    permit(0o644);
    let output = gateway.refuses_to_start(&[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("can be read by others (mode 644)"), "{}", said(&output));
    permit(0o600);
    gateway.start();

    let (own, bearer) = (gateway.admin.to_string(), format!("Bearer {TOKEN}"));
    let ask = |host: &str, headers: &[(&str, &str)]| over_tcp(&gateway, "/v1/keys", host, headers).status;
    let token = ("Authorization", &*bearer);
    assert_eq!(ask(&own, &[token]), 200);
    assert_eq!(ask(&format!("localhost:{}", gateway.admin.port()), &[token]), 200);
    assert_eq!(ask(&own, &[token, ("Origin", &format!("http://{own}"))]), 200);
    assert_eq!(ask(&own, &[]), 401);
    assert_eq!(ask(&own, &[("Authorization", "Bearer 0123456789abcdef0123456789abcdeX")]), 401);
    assert_eq!(ask(&own, &[("Authorization", TOKEN)]), 401);
    assert_eq!(ask("rebound.example", &[token]), 403);
    for origin in ["https://evil.example", "null", "http://127.0.0.1"] {
        assert_eq!(ask(&own, &[token, ("Origin", origin)]), 403, "{origin}");
    }
    assert_eq!(over_tcp(&gateway, "/livez", "rebound.example", &[]).status, 200);
}

#[test]
fn a_token_that_is_no_secret_is_refused() {
    let gateway = Gateway::with_server("admin_token_file = \"token\"", &keyed(&Echo::start()));
    std::fs::write(gateway.path("token"), "short\n").unwrap();
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(gateway.path("token"), private).unwrap();
    let output = gateway.refuses_to_start(&[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("fewer than 16 characters"), "{}", said(&output));
}

#[test]
fn every_change_is_a_line_before_it_is_acknowledged() {
    let gateway = Gateway::started(&keyed(&Echo::start()));
    let (id, key) = gateway.key(&["p"]);
    let line = audit(&gateway).pop().unwrap();
    assert_eq!((&line["change"], &line["details"]["id"]), (&"key-created".into(), &Value::from(&*id)));
    let made = gateway.json(&["key", "rotate", &id, "--overlap", "1h"]);
    let line = audit(&gateway).pop().unwrap();
    assert_eq!((&line["change"], &line["details"]["replaces"]), (&"key-rotated".into(), &Value::from(&*id)));
    assert_eq!(line["details"]["id"], made["id"]);
    gateway.run(&["key", "revoke", &id]);
    assert_eq!(audit(&gateway).pop().unwrap()["change"], "key-revoked");
    let text = std::fs::read_to_string(gateway.path("audit.jsonl")).unwrap();
    assert!(!text.contains(&key[16..]) && !text.contains(&made["key"].as_str().unwrap()[16..]));
}

#[test]
fn where_the_audit_log_cannot_be_written_no_key_is_made_or_ended() {
    let echo = Echo::start();
    let mut gateway = Gateway::new(&keyed(&echo));
    let (id, key) = gateway.key(&[]);
    gateway.configure("", &format!("[audit]\nfile = \"/dev/full\"\n{}", keyed(&echo)));
    gateway.start();
    let refused = |arguments: &[&str]| {
        let output = gateway.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(said(&output).contains("the audit log cannot be written"), "{}", said(&output));
        assert!(!said(&output).contains("cs_"), "no key is shown: {}", said(&output));
    };
    refused(&["key", "new", "--label", "x"]);
    refused(&["key", "rotate", &id, "--overlap", "1s"]);
    let mut management = Connection::management(&gateway.path("management.sock")).unwrap();
    let answer = management.ask("POST", "/v1/keys", "{\"label\":\"x\"}").unwrap();
    assert_eq!((answer.status, &answer.json()["key"]), (503, &Value::Null));
    let listed = gateway.json(&["key", "list"]);
    let active: Vec<_> = listed.as_array().unwrap().iter().filter(|key| key["state"] == "active").collect();
    assert_eq!((active.len(), &active[0]["id"]), (1, &Value::from(&*id)), "{listed}");
    assert_eq!(active[0]["expires"], Value::Null, "a rotation that failed ends nothing");
    assert_eq!(gateway.get("/", Some(&key)).status, 200);
    // Revoking fails as well, on the safe side: the key is gone, and the operator is told to look.
    refused(&["key", "revoke", &id]);
    gateway.get("/", Some(&key)).is(401, "key_invalid");
}

#[test]
fn the_audit_log_has_a_line_for_each_decision_and_rotates_on_hang_up() {
    let gateway = Gateway::started(&keyed(&Echo::start()));
    let (id, key) = gateway.key(&[]);
    let permitted = gateway.get("/orders/1?secret=x", Some(&key));
    let denied = gateway.get("/orders/2", None);
    let find = |response: &Response| {
        let name = response.header("countersign-decision").unwrap().to_owned();
        let mut found = Value::Null;
        eventually("the line", || {
            found = audit(&gateway).into_iter().find(|line| line["id"] == *name).unwrap_or_default();
            !found.is_null()
        });
        found
    };
    let line = find(&permitted);
    assert_eq!(
        (&line["outcome"], &line["code"], &line["route"]),
        (&"permit".into(), &Value::Null, &"/*".into())
    );
    assert_eq!((&line["scheme"], &line["subject"]), (&"api-key".into(), &format!("key:{id}").into()));
    assert_eq!(line["path"], "/orders/1", "never the query");
    let line = find(&denied);
    assert_eq!((&line["outcome"], &line["code"]), (&"deny".into(), &"credential_missing".into()));
    assert_eq!((&line["scheme"], &line["subject"]), (&Value::Null, &Value::Null));

    std::fs::rename(gateway.path("audit.jsonl"), gateway.path("audit.1")).unwrap();
    gateway.process().signal("-HUP");
    eventually("a new file", || gateway.path("audit.jsonl").exists());
    let old = std::fs::read(gateway.path("audit.1")).unwrap();
    gateway.key(&[]);
    assert_eq!(audit(&gateway).len(), 1);
    assert_eq!(std::fs::read(gateway.path("audit.1")).unwrap(), old);
    assert_eq!(mode(&gateway, "audit.jsonl"), 0o600);
}

#[test]
fn metrics_count_by_our_names_and_never_by_the_callers() {
    let gateway = Gateway::started(&keyed(&Echo::start()));
    let (_, key) = gateway.key(&[]);
    for _ in 0..3 {
        assert_eq!(gateway.get("/chosen-by-caller?chosen-by-caller", Some(&key)).status, 200);
    }
    gateway.get("/chosen-by-caller", None).is(401, "credential_missing");
    gateway.get("/chosen-by-caller", Some("cs_chosen-by-caller")).is(401, "key_invalid");
    let odd = Request::new("CHOSEN-BY-CALLER", "/x").header("chosen-by-caller", "chosen-by-caller");
    odd.send(gateway.address).is(401, "credential_missing");
    let text = countersign_testing::exchange(gateway.admin, &Request::get("/metrics").bytes()).text();
    assert!(!text.to_lowercase().contains("chosen-by-caller") && !text.contains(&key[3..15]), "{text}");
    for line in [
        "countersign_decisions_total{route=\"/*\",scheme=\"api-key\",outcome=\"permit\",code=\"\"} 3",
        "countersign_decisions_total{route=\"/*\",scheme=\"\",outcome=\"deny\",code=\"credential_missing\"} 2",
        "countersign_decisions_total{route=\"/*\",scheme=\"api-key\",outcome=\"deny\",code=\"key_invalid\"} 1",
        "countersign_decision_seconds_count{route=\"/*\"} 6",
        "countersign_upstream_seconds_count{route=\"/*\"} 3",
        "countersign_upstream_seconds_bucket{le=\"+Inf\",route=\"/*\"} 3",
    ] {
        assert!(text.lines().any(|known| known == line), "{line} is not in\n{text}");
    }
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(name.starts_with("countersign_") && value.parse::<f64>().is_ok(), "{line}");
    }
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn a_flood_of_unproven_requests_pushes_out_no_proven_decision() {
    let gateway = Gateway::started(&keyed(&Echo::start()));
    let (_, key) = gateway.key(&[]);
    let proven = gateway.get("/kept", Some(&key));
    let decision = proven.header("countersign-decision").unwrap();
    let mut connection = Connection::to(gateway.address).unwrap();
    for _ in 0..300 {
        let answers = connection.pipeline("GET /flood HTTP/1.1\r\nHost: x\r\n\r\n", 100).unwrap();
        assert!(answers.iter().all(|answer| answer.status == 401));
    }
    let story = gateway.json(&["explain", decision]);
    assert_eq!((&story["path"], &story["outcome"]), (&"/kept".into(), &"permit".into()));
    assert_eq!(gateway.explain_latest()["path"], "/flood");
}

#[test]
fn a_folder_too_deep_for_a_socket_is_managed_all_the_same() {
    let mut gateway = Gateway::in_folder(&"deep".repeat(30), "", "");
    gateway.start();
    let (id, _) = gateway.key(&[]);
    let shown = gateway.json(&["config", "show"]);
    let socket =
        shown.as_array().unwrap().iter().find(|setting| setting["setting"] == "server.management_socket");
    let socket = socket.unwrap()["value"].as_str().unwrap().to_owned();
    assert!(std::path::Path::new(&socket).exists() && socket.len() < 107, "{socket}");
    assert_eq!(gateway.json(&["key", "list"])[0]["id"], id);
    gateway.stop();
    assert!(!std::path::Path::new(&socket).exists());
}
