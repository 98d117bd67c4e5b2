//! API keys through a running gateway: the whole life of a key, and each refusal.

use std::time::Duration;

use countersign_testing::{Echo, Gateway, Redis, Request, eventually};

fn orders(echo: &Echo) -> String {
    format!(
        "[[route]]\npath = \"/orders/*\"\nupstream = \"{0}\"\naccept = [\"api-key\"]\nrequire = {{ permission = [\"orders:read\"] }}\n\
         [[route]]\npath = \"/query/*\"\nupstream = \"{0}\"\naccept = [\"api-key\"]\nkey_in_query = true\n\
         [[route]]\npath = \"/limited\"\nupstream = \"{0}\"\naccept = [\"api-key\"]\nlimit = \"2/min\"\n\
         [[route]]\npath = \"/open\"\nmethods = [\"GET\"]\nupstream = \"{0}\"\npublic = true\n",
        echo.url()
    )
}

#[test]
fn each_refusal_has_its_status_and_code_and_the_upstream_sees_none_of_it() {
    let echo = Echo::start();
    let gateway = Gateway::started(&orders(&echo));
    let (_, key) = gateway.key(&["orders:read"]);
    let (_, weak) = gateway.key(&["orders:write"]);

    let missing = gateway.get("/orders/1", None);
    missing.is(401, "credential_missing");
    assert!(missing.header("www-authenticate").unwrap().starts_with("Bearer"));
    assert_eq!(missing.header("content-type"), Some("application/problem+json"));
    assert!(missing.header("date").is_some());
    assert_eq!(missing.header("countersign-decision").unwrap(), missing.json()["decision"].as_str().unwrap());

    let mistyped = format!("{}x{}", &key[..30], &key[31..]);
    let mistyped = if mistyped == key { format!("{}y{}", &key[..30], &key[31..]) } else { mistyped };
    let wrong = gateway.get("/orders/1", Some(&mistyped));
    wrong.is(401, "key_invalid");
    let unknown = "cs_000000000000_000000000000000000000000000000000000000000012XkC9";
    let unknown = gateway.get("/orders/1", Some(unknown));
    unknown.is(401, "key_invalid");
    let same = |response: &countersign_testing::Response| {
        let mut body = response.json();
        body["decision"].take();
        body
    };
    assert_eq!(same(&wrong), same(&unknown), "an unknown key looks like a mistyped one");

    gateway.get("/orders/1", Some(&weak)).is(403, "permission_missing");
    gateway.get("/nowhere", Some(&key)).is(404, "route_unknown");
    let other = gateway.send(&Request::new("DELETE", "/open"));
    assert_eq!(other.is(405, "method_not_allowed").header("allow"), Some("GET, HEAD"));
    gateway.send(&Request::new("TRACE", "/open")).is(405, "method_not_allowed");
    assert_eq!(echo.seen().len(), 0);

    let allowed = gateway.get("/orders/1?a=%20b", Some(&key));
    assert_eq!(allowed.status, 200, "{allowed:?}");
    assert_eq!(echo.last().request_line(), "GET /orders/1?a=%20b HTTP/1.1");
}

#[test]
fn the_upstream_learns_who_called_and_never_with_what() {
    let echo = Echo::start();
    let gateway = Gateway::started(&orders(&echo));
    let (id, key) = gateway.key(&["orders:read"]);
    let bearer = format!("Bearer {key}");
    let request = Request::get("/orders/1")
        .header("Authorization", &bearer)
        .header("Countersign-Subject", "key:admin")
        .header("COUNTERSIGN_SCHEME", "bearer")
        .header("Connection", "Countersign-Subject")
        .header("X-HTTP-Method-Override", "DELETE")
        .header("X-Forwarded-For", "192.0.2.1")
        .header("X_Forwarded_For", "192.0.2.2")
        .header("Cookie", "a=1");
    assert_eq!(gateway.send(&request).status, 200);
    let seen = echo.last();
    assert_eq!(seen.headers("countersign-subject"), [format!("key:{id}")]);
    assert_eq!(seen.headers("countersign-scheme"), ["api-key"]);
    assert_eq!(seen.headers("countersign_scheme"), [""; 0]);
    assert_eq!(seen.headers("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(seen.headers("x_forwarded_for"), [""; 0]);
    assert_eq!(seen.headers("x-http-method-override"), [""; 0]);
    assert_eq!(seen.headers("authorization"), [""; 0]);
    assert_eq!(seen.headers("cookie"), ["a=1"]);
    assert_eq!(seen.headers("host"), [echo.address.to_string()]);
    assert!(!seen.head.contains(&key[..20]));

    let both = Request::get("/orders/1").header("X-API-Key", &key).header("Authorization", "Basic YTpi");
    assert_eq!(gateway.send(&both).status, 200);
    assert_eq!(echo.last().header("authorization"), Some("Basic YTpi"), "the upstream's own");
    assert_eq!(echo.last().header("x-api-key"), None);

    let target = format!("/query/x?a=1&_key={key}&b=2");
    assert_eq!(gateway.send(&Request::get(&target)).status, 200);
    assert_eq!(echo.last().request_line(), "GET /query/x?a=1&b=2 HTTP/1.1");
    let target = format!("/orders/x?_key={key}");
    gateway.send(&Request::get(&target)).is(401, "credential_missing");

    assert_eq!(gateway.get("/open", Some(&key)).status, 200);
    assert_eq!(echo.last().header("authorization"), None, "our keys never travel on");
    assert_eq!(echo.last().header("countersign-subject"), None);
}

#[test]
fn revocation_counts_from_its_answer_and_the_operator_learns_the_cause() {
    let echo = Echo::start();
    let gateway = Gateway::started(&orders(&echo));
    let (id, key) = gateway.key(&["orders:read"]);
    assert_eq!(gateway.get("/orders/1", Some(&key)).status, 200);
    assert!(gateway.run(&["key", "revoke", &id]).status.success());
    let refused = gateway.get("/orders/1", Some(&key));
    refused.is(401, "key_invalid");
    assert!(!refused.text().contains("revoked by"));
    let decision = refused.header("countersign-decision").unwrap();
    let output = gateway.run(&["explain", decision, "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let story: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(story["cause"], format!("{id} is revoked"));
    assert_eq!(story["scheme"], "api-key");

    let listed = gateway.json(&["key", "list"]);
    assert_eq!(listed[0]["state"], "revoked");
    assert!(listed[0]["last_used"].is_string());
    assert!(!listed.to_string().contains(&key[16..]), "a listing holds no key");
}

#[test]
fn a_rotated_key_and_its_successor_both_pass_during_the_overlap() {
    let echo = Echo::start();
    let gateway = Gateway::started(&orders(&echo));
    let (id, old) = gateway.key(&["orders:read"]);
    let made = gateway.json(&["key", "rotate", &id, "--overlap", "2s"]);
    let new = made["key"].as_str().unwrap();
    assert_ne!(made["id"], id);
    assert_eq!(made["permissions"][0], "orders:read");
    for key in [&old, new] {
        assert_eq!(gateway.get("/orders/1", Some(key)).status, 200);
    }
    eventually("the end of the overlap", || gateway.get("/orders/1", Some(&old)).status == 401);
    assert_eq!(gateway.get("/orders/1", Some(new)).status, 200);
    let again = gateway.run(&["key", "rotate", &id, "--overlap", "1h"]);
    assert_eq!(again.status.code(), Some(2));
}

#[test]
fn a_key_over_its_limit_is_told_when_to_come_back() {
    let echo = Echo::start();
    let gateway = Gateway::started(&orders(&echo));
    let ((_, key), (_, other)) = (gateway.key(&[]), gateway.key(&[]));
    for _ in 0..2 {
        assert_eq!(gateway.get("/limited", Some(&key)).status, 200);
    }
    let refused = gateway.get("/limited", Some(&key));
    let wait: u64 = refused.is(429, "rate_limited").header("retry-after").unwrap().parse().unwrap();
    assert!((1..=30).contains(&wait), "{wait}");
    assert_eq!(gateway.get("/limited", Some(&other)).status, 200);
}

#[test]
fn keys_outlive_a_restart_and_can_be_made_without_a_gateway() {
    let echo = Echo::start();
    let mut gateway = Gateway::new(&orders(&echo));
    let (_, before) = gateway.key(&["orders:read"]);
    gateway.start();
    assert_eq!(gateway.get("/orders/1", Some(&before)).status, 200);
    let (_, during) = gateway.key(&["orders:read"]);
    gateway.stop();
    assert_eq!(gateway.json(&["key", "list"]).as_array().unwrap().len(), 2);
    gateway.start();
    for key in [before, during] {
        assert_eq!(gateway.get("/orders/1", Some(&key)).status, 200);
    }
}

#[test]
fn with_redis_stopped_it_is_503_and_nothing_passes_until_it_is_back() {
    let (echo, mut redis) = (Echo::start(), Redis::durable());
    let (gateway, key) = with_redis(&redis, &echo);
    redis.kill();
    let passed = echo.seen().len();
    let refused = gateway.get("/orders/1", Some(&key));
    assert!(refused.is(503, "store_unavailable").header("retry-after").is_some());
    assert!(!gateway.ready());
    assert_eq!(echo.seen().len(), passed);
    redis.start_again();
    eventually("its return", || gateway.get("/orders/1", Some(&key)).status == 200);
    assert!(gateway.ready());
}

/// A gateway whose store is `redis`, and a key that passes.
fn with_redis(redis: &Redis, echo: &Echo) -> (Gateway, String) {
    let store = format!("[store]\nurl = \"{}\"\nseal_key_file = \"seal.key\"\n{}", redis.url(), orders(echo));
    let mut gateway = Gateway::new(&store);
    let seal = gateway.path("seal.key");
    std::fs::write(&seal, [7; 32]).unwrap();
    std::process::Command::new("chmod").arg("600").arg(&seal).status().unwrap();
    gateway.start();
    let (_, key) = gateway.key(&["orders:read"]);
    assert_eq!(gateway.get("/orders/1", Some(&key)).status, 200);
    (gateway, key)
}

#[test]
fn a_redis_that_is_stopped_is_503_in_time_and_the_log_says_once_when_that_begins_and_ends() {
    let (echo, redis) = (Echo::start(), Redis::durable());
    let (gateway, key) = with_redis(&redis, &echo);
    let log = |text: &str| std::fs::read_to_string(gateway.path("log")).unwrap().matches(text).count();
    for outage in 1..=2 {
        redis.signal("-STOP");
        for _ in 0..6 {
            let start = std::time::Instant::now();
            gateway.get("/orders/1", Some(&key)).is(503, "store_unavailable");
            // A tenth of a second, on a machine that may be busy; it was a whole one.
            assert!(start.elapsed() < Duration::from_millis(900), "{:?}", start.elapsed());
        }
        assert!(!gateway.ready());
        assert_eq!(log("the store does not answer"), outage);
        redis.signal("-CONT");
        eventually("its return", || gateway.get("/orders/1", Some(&key)).status == 200);
        eventually("the log", || log("the store answers again") == outage);
        assert!(gateway.ready());
    }
    assert_eq!(log("the store does not answer"), 2);
}

#[test]
fn a_redis_that_closes_idle_connections_fails_nobody() {
    let (echo, redis) = (Echo::start(), Redis::durable());
    let (gateway, key) = with_redis(&redis, &echo);
    assert_eq!(redis.cli(&["CONFIG", "SET", "timeout", "2"]), "OK");
    for _ in 0..4 {
        std::thread::sleep(Duration::from_secs(6));
        assert_eq!(gateway.get("/orders/1", Some(&key)).status, 200);
        redis.cli(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        assert_eq!(gateway.get("/orders/1", Some(&key)).status, 200);
    }
    let log = std::fs::read_to_string(gateway.path("log")).unwrap();
    assert!(!log.contains("the store does not answer"), "{log}");
}

#[test]
fn an_upstream_that_is_down_is_502() {
    let closed = countersign_testing::free_address();
    let route = format!("[[route]]\npath = \"/*\"\nupstream = \"http://{closed}\"\npublic = true\n");
    let gateway = Gateway::started(&route);
    gateway.get("/x", None).is(502, "upstream_unreachable");
}
