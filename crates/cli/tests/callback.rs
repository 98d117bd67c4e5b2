//! Callback URLs from end to end: minted by the command line and by API keys, used over real sockets.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use countersign::crypto::jwt::{JwtHeader, sign};
use countersign::crypto::{Secret, SigningKey};
use countersign_testing::callbacks::{Callback, Does, ROUTE, Results, SECRET, lab, post};
use countersign_testing::{Request, eventually, free_address};
use serde_json::{Value, json};

/// A token that an application made with the secret that it shares with the gateway.
fn own_token(gateway: &countersign_testing::Gateway, typ: &str, change: impl FnOnce(&mut Value)) -> String {
    let url = format!("http://{}", gateway.address);
    let exp = countersign::Clock::now(&countersign_io::SystemClock).as_secs() + 600;
    let mut claims = json!({
        "iss": url, "aud": format!("{url}/callbacks"), "exp": exp, "jti": "own",
        "_id": "u1", "path": ROUTE, "res_id": "42",
    });
    change(&mut claims);
    let key = SigningKey::from_hmac_secret(&Secret::new(SECRET.to_vec())).unwrap();
    sign(&key, &JwtHeader { typ: Some(typ), ..JwtHeader::default() }, &claims).unwrap()
}

#[test]
fn one_result_is_delivered_once_and_the_upstream_never_sees_the_token() {
    let results = Results::start();
    let mut gateway = lab(results.address);
    gateway.start();
    let callback = Callback::mint(&gateway, &[]);
    assert!(callback.target.starts_with("/v1/results/42/eyJ"), "{callback:?}");
    assert_eq!(callback.state(&gateway), "active");
    let request = Request::new("POST", &callback.target)
        .header("Idempotency-Key", "mine")
        .header("Idempotency_Key", "mine too")
        .header("Countersign-Subject", "key:somebody")
        .body(b"first");
    assert_eq!(gateway.send(&request).status, 200);
    let seen = results.seen().pop().unwrap();
    assert_eq!(seen.request_line(), "POST /v1/results/42 HTTP/1.1");
    assert_eq!(seen.headers("idempotency-key"), [callback.id.as_str()]);
    assert_eq!(seen.headers("idempotency_key"), [""; 0]);
    assert_eq!(seen.headers("countersign-subject"), ["callback:u1"]);
    assert_eq!(seen.headers("countersign-scheme"), ["callback-url"]);
    assert!(!seen.head.contains(callback.token()) && seen.body == b"first");
    for body in ["first", "second"] {
        callback.post(&gateway, body).is(409, "callback_consumed");
    }
    assert_eq!(results.bodies(), ["first"], "the first result stands");
    assert_eq!(callback.state(&gateway), "used");
    let story = gateway.explain_latest();
    assert_eq!(story["path"], "/v1/results/42/…");
    assert_eq!(story["code"], "callback_consumed");

    // What an application made itself passes as well, by its own secret.
    let own = own_token(&gateway, "callback+jwt", |_| {});
    assert_eq!(post(&gateway, &format!("/v1/results/42/{own}"), "x").status, 200);
    assert_eq!(results.seen().pop().unwrap().header("idempotency-key"), Some("own"));
    post(&gateway, &format!("/v1/results/42/{own}"), "x").is(409, "callback_consumed");
}

#[test]
fn it_opens_its_own_path_resource_and_method_and_nothing_else() {
    let results = Results::start();
    let mut gateway = lab(results.address);
    gateway.start();
    let callback = Callback::mint(&gateway, &[]);
    let token = callback.token().to_owned();
    for (target, status, code) in [
        (format!("/v1/results/43/{token}"), 403, "callback_scope"),
        (format!("/v1/results/042/{token}"), 403, "callback_scope"),
        (format!("/v1/results/%34%32/{token}"), 403, "callback_scope"),
        (format!("/v1/results/42;x=1/{token}"), 403, "callback_scope"),
        (format!("/v2/results/42/{token}"), 403, "callback_scope"),
        (format!("/v1/results/../results/42/{token}"), 400, "path_ambiguous"),
        (format!("/v1/results/%2e%2e/{token}"), 400, "path_ambiguous"),
        (format!("/v1/results/4%2f2/{token}"), 400, "path_ambiguous"),
        (format!("/v1/results//{token}"), 400, "path_ambiguous"),
        (format!("/v1/results/42/{token}/"), 404, "route_unknown"),
        (format!("/v1/results/42/x/{token}"), 404, "route_unknown"),
        ("/v1/results/42".to_owned(), 404, "route_unknown"),
        (format!("/v1/results/42/{token}x"), 401, "token_invalid"),
        (format!("/v1/results/42/{}", &token[..token.len() - 9]), 401, "token_invalid"),
        (format!("/v1/results/42/{}", "A".repeat(43)), 401, "token_invalid"),
        ("/v1/results/42/undefined".to_owned(), 401, "token_invalid"),
        (format!("/v1/results/42/{token}{}", "A".repeat(9000)), 401, "token_invalid"),
        (format!("/v1/results/42/{}", "A".repeat(100_000)), 431, "headers_too_large"),
    ] {
        post(&gateway, &target, "evil").is(status, code);
    }
    for method in ["GET", "PUT", "DELETE", "PATCH"] {
        gateway.send(&Request::new(method, &callback.target)).is(403, "callback_scope");
    }
    gateway.send(&Request::new("POST", &callback.target).body(&[b'x'; 1025])).is(413, "body_too_large");
    let put = Callback::mint_for(&gateway, "/only-put/{res_id}/{token}", "42", &["--method", "PUT"]);
    put.post(&gateway, "x").is(405, "method_not_allowed");
    assert_eq!(gateway.send(&Request::new("PUT", &put.target).body(b"ok")).status, 200);
    assert_eq!(results.bodies(), ["ok"]);

    // Another API's tokens, and ours in another place.
    let access = own_token(&gateway, "at+jwt", |_| {});
    post(&gateway, &format!("/v1/results/42/{access}"), "x").is(401, "token_type");
    let other_audience = own_token(&gateway, "callback+jwt", |claims| claims["aud"] = "orders".into());
    post(&gateway, &format!("/v1/results/42/{other_audience}"), "x").is(401, "token_audience");
    let timeless = own_token(&gateway, "callback+jwt", |claims| claims["exp"] = "tomorrow".into());
    post(&gateway, &format!("/v1/results/42/{timeless}"), "x").is(401, "token_claims");
    let bearer = format!("Bearer {token}");
    gateway.send(&Request::get("/api/x").header("Authorization", &bearer)).is(401, "credential_missing");
    assert_eq!(results.seen().len(), 1);
    assert_eq!(callback.post(&gateway, "good").status, 200, "nothing of this has used it up");
}

#[test]
fn what_was_revoked_or_has_ended_opens_nothing() {
    let results = Results::start();
    let mut gateway = lab(results.address);
    // Minted while no gateway runs, from the store itself.
    let early = Callback::mint(&gateway, &[]);
    assert!(gateway.run(&["callback", "revoke", &Callback::mint(&gateway, &[]).id]).status.success());
    gateway.start();
    assert_eq!(early.post(&gateway, "x").status, 200);
    let revoked = Callback::mint(&gateway, &[]);
    let said = gateway.json(&["callback", "revoke", &revoked.id]);
    assert_eq!((&said["id"], &said["state"]), (&json!(revoked.id), &json!("revoked")));
    revoked.post(&gateway, "x").is(403, "callback_revoked");
    assert_eq!(revoked.state(&gateway), "revoked");
    let request = format!("POST {} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx", revoked.target);
    std::fs::write(gateway.path("request"), request).unwrap();
    let explained = gateway.json_of(&["explain", "--request", "request"]);
    assert_eq!((&explained["outcome"], &explained["code"]), (&json!("deny"), &json!("callback_revoked")));

    let short = Callback::mint(&gateway, &["--ttl", "1s"]);
    std::thread::sleep(Duration::from_millis(1100));
    short.post(&gateway, "x").is(401, "token_expired");
    assert_eq!(short.state(&gateway), "expired");
    for (arguments, said) in [
        (
            vec!["callback", "mint", "--route", ROUTE, "--user", "u1", "--resource", "1", "--ttl", "61m"],
            "max_ttl",
        ),
        (vec!["callback", "mint", "--route", ROUTE, "--user", "u1", "--ttl", "1m"], "needs a resource"),
        (
            vec!["callback", "mint", "--route", "/api/*", "--user", "u1", "--ttl", "1m"],
            "accepts callback-url",
        ),
        (
            vec!["callback", "mint", "--route", ROUTE, "--user", "u1", "--resource", "a/b", "--ttl", "1m"],
            "segment",
        ),
        (
            vec![
                "callback",
                "mint",
                "--route",
                "/only-put/{res_id}/{token}",
                "--user",
                "u1",
                "--resource",
                "1",
                "--ttl",
                "1m",
            ],
            "does not serve POST",
        ),
        (vec!["callback", "revoke", "nonsense"], "no callback id"),
        (vec!["callback", "revoke", &"A".repeat(22)], "there is no callback"),
    ] {
        let output = gateway.run(&arguments);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && error.contains(said), "{arguments:?}: {error}");
    }
    let audit = std::fs::read_to_string(gateway.path("audit.jsonl")).unwrap();
    for change in ["callback-minted", "callback-revoked"] {
        assert!(audit.contains(&format!("\"change\":\"{change}\"")), "{change}");
    }
}

#[test]
fn of_64_uses_at_once_one_wins_and_its_result_stands() {
    let results = Results::start();
    let mut gateway = lab(results.address);
    gateway.start();
    results.then(&[Does::After(Duration::from_millis(300), 200)]);
    let callback = Callback::mint(&gateway, &[]);
    let start = std::sync::Barrier::new(64);
    let answers: Vec<(u16, String)> = std::thread::scope(|scope| {
        let racers: Vec<_> = (0..64)
            .map(|number| {
                let (callback, gateway, start) = (&callback, &gateway, &start);
                scope.spawn(move || {
                    start.wait();
                    let answer = callback.post(gateway, &format!("result {number}"));
                    if answer.code() == "callback_in_use" {
                        assert!(answer.header("retry-after").is_some());
                    }
                    (answer.status, answer.code())
                })
            })
            .collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).collect()
    });
    let won = answers.iter().filter(|(status, _)| *status == 200).count();
    let lost = |(status, code): &&(u16, String)| {
        *status == 409 && (code == "callback_in_use" || code == "callback_consumed")
    };
    assert_eq!((won, answers.iter().filter(lost).count()), (1, 63), "{answers:?}");
    assert_eq!(results.seen().len(), 1);
    callback.post(&gateway, "late").is(409, "callback_consumed");
    assert_eq!(results.seen().len(), 1);
}

#[test]
fn after_an_upstreams_failure_the_same_body_works_and_another_does_not() {
    let results = Results::start();
    let mut gateway = lab(results.address);
    gateway.start();
    for (failure, status, code) in [
        (Does::Breaks, 502, "upstream_unreachable"),
        (Does::Answer(500), 500, ""),
        (Does::Answer(503), 503, ""),
        (Does::After(Duration::from_millis(2000), 200), 504, "upstream_timeout"),
    ] {
        let callback = Callback::mint(&gateway, &[]);
        results.then(&[failure]);
        callback.post(&gateway, "body").is(status, code);
        callback.post(&gateway, "another").is(409, "callback_consumed");
        assert_eq!(callback.post(&gateway, "body").status, 200, "{failure:?}");
        callback.post(&gateway, "body").is(409, "callback_consumed");
        let keys: Vec<_> = results
            .seen()
            .iter()
            .rev()
            .take(2)
            .map(|seen| seen.header("idempotency-key").map(str::to_owned))
            .collect();
        assert_eq!(keys, [Some(callback.id.clone()), Some(callback.id)], "both are known as one delivery");
    }
    // What the API did not want is open again, for whatever body.
    let callback = Callback::mint(&gateway, &[]);
    results.then(&[Does::Answer(422)]);
    assert_eq!(callback.post(&gateway, "mistaken").status, 422);
    results.then(&[Does::Answer(303)]);
    assert_eq!(callback.post(&gateway, "better").status, 303);
    callback.post(&gateway, "better").is(409, "callback_consumed");

    let callback = Callback::mint(&gateway, &[]);
    results.then(&[Does::Answer(500); 5]);
    for _ in 0..5 {
        assert_eq!(callback.post(&gateway, "body").status, 500);
    }
    callback.post(&gateway, "body").is(409, "callback_consumed");
    let metrics = Request::get("/metrics").send(gateway.admin).text();
    assert!(metrics.contains("countersign_callback_deliveries_total{result=\"uncertain\"} 9"), "{metrics}");
    assert!(metrics.contains("countersign_callback_deliveries_total{result=\"declined\"} 1"));
}

#[test]
fn an_upstream_that_could_not_be_reached_leaves_a_callback_as_it_was() {
    let address = free_address();
    let mut gateway = lab(address);
    gateway.start();
    let callback = Callback::mint(&gateway, &[]);
    for _ in 0..7 {
        callback.post(&gateway, "body").is(502, "upstream_unreachable");
    }
    assert_eq!(callback.state(&gateway), "active");
    let results = Results::at(address);
    results.then(&[Does::Breaks]);
    callback.post(&gateway, "another").is(502, "upstream_unreachable");
    // Now one may have arrived: what was sent is bound, also if the API then goes away.
    callback.post(&gateway, "body").is(409, "callback_consumed");
    assert_eq!(callback.post(&gateway, "another").status, 200);
    assert_eq!(results.bodies(), ["another", "another"]);
}

#[test]
fn a_strict_route_delivers_once_at_most() {
    let results = Results::start();
    let mut gateway = lab(results.address);
    gateway.start();
    let callback = Callback::mint_for(&gateway, "/strict/{res_id}/{token}", "42", &[]);
    results.then(&[Does::Breaks]);
    callback.post(&gateway, "body").is(502, "upstream_unreachable");
    callback.post(&gateway, "body").is(409, "callback_consumed");
    assert_eq!(results.seen().len(), 1);
}

#[test]
fn the_work_goes_on_if_the_caller_leaves() {
    let results = Results::start();
    let mut gateway = lab(results.address);
    gateway.start();
    let callback = Callback::mint(&gateway, &[]);
    results.then(&[Does::After(Duration::from_millis(400), 200)]);
    let mut caller = TcpStream::connect(gateway.address).unwrap();
    caller.write_all(&Request::new("POST", &callback.target).body(b"body").bytes()).unwrap();
    eventually("the API has it", || results.seen().len() == 1);
    drop(caller);
    callback.post(&gateway, "body").is(409, "callback_in_use");
    eventually("it is settled", || callback.state(&gateway) == "used");
    callback.post(&gateway, "body").is(409, "callback_consumed");
    assert_eq!(results.seen().len(), 1);
}

#[test]
fn a_gateway_that_ends_lets_a_delivery_end_first() {
    let results = Results::start();
    let mut gateway = lab(results.address);
    gateway.start();
    let callback = Callback::mint(&gateway, &[]);
    results.then(&[Does::After(Duration::from_millis(500), 200)]);
    let mut caller = TcpStream::connect(gateway.address).unwrap();
    caller.write_all(&Request::new("POST", &callback.target).body(b"body").bytes()).unwrap();
    eventually("the API has it", || results.seen().len() == 1);
    drop(caller);
    gateway.stop();
    gateway.start();
    callback.post(&gateway, "body").is(409, "callback_consumed");
    assert_eq!(results.seen().len(), 1);
}

#[test]
fn after_kill_9_consumed_stays_consumed_and_reserved_opens_for_the_same_body() {
    let results = Results::start();
    let mut gateway = lab(results.address);
    gateway.start();
    let (used, revoked) = (Callback::mint(&gateway, &[]), Callback::mint(&gateway, &[]));
    let interrupted = Callback::mint(&gateway, &[]);
    assert_eq!(used.post(&gateway, "body").status, 200);
    gateway.json(&["callback", "revoke", &revoked.id]);
    results.then(&[Does::After(Duration::from_millis(600), 200)]);
    let mut caller = TcpStream::connect(gateway.address).unwrap();
    caller.write_all(&Request::new("POST", &interrupted.target).body(b"body").bytes()).unwrap();
    eventually("the API has it", || results.seen().len() == 2);
    gateway.kill();
    gateway.start();
    used.post(&gateway, "body").is(409, "callback_consumed");
    revoked.post(&gateway, "body").is(403, "callback_revoked");
    let first = interrupted.post(&gateway, "body");
    first.is(409, "callback_in_use");
    assert!(first.header("retry-after").is_some());
    // Its lease: the time-outs and ten seconds.
    eventually("the lease is over", || interrupted.post(&gateway, "another").code() == "callback_consumed");
    assert_eq!(interrupted.post(&gateway, "body").status, 200);
    assert_eq!(results.bodies(), ["body", "body", "body"]);
    interrupted.post(&gateway, "body").is(409, "callback_consumed");
}

#[test]
fn a_static_token_is_good_until_it_ends_or_is_revoked() {
    let results = Results::start();
    let mut gateway = lab(results.address);
    gateway.start();
    let one = Callback::mint(&gateway, &["--static"]);
    assert_eq!(one.token().len(), 43);
    for body in ["one", "two"] {
        assert_eq!(one.post(&gateway, body).status, 200);
    }
    assert_eq!(results.seen()[0].request_line(), "POST /v1/results/42 HTTP/1.1");
    assert_eq!(results.seen()[0].header("idempotency-key"), None);
    post(&gateway, &one.target.replace("/42/", "/43/"), "x").is(403, "callback_scope");
    let arguments = ["callback", "mint", "--route", ROUTE, "--user", "u1", "--ttl", "15m", "--static"];
    let all = Callback::of(&gateway.json(&arguments));
    assert!(all.target.starts_with("/v1/results/{res_id}/"), "{all:?}");
    for resource in ["1", "2"] {
        assert_eq!(post(&gateway, &all.target.replace("{res_id}", resource), "x").status, 200);
    }
    let listed = gateway.json(&["callback", "list"]);
    assert!(listed.as_array().unwrap().iter().all(|one| one["static"] == true));
    gateway.json(&["callback", "revoke", &all.id]);
    post(&gateway, &all.target.replace("{res_id}", "3"), "x").is(403, "callback_revoked");
    assert_eq!(one.post(&gateway, "three").status, 200);
}

#[test]
fn an_api_key_mints_what_it_lists_and_nothing_else() {
    let results = Results::start();
    let mut gateway = lab(results.address);
    gateway.start();
    let key = |more: &[&str]| {
        let made = gateway.json(&[&["key", "new", "--label", "minter"][..], more].concat());
        (made["id"].as_str().unwrap().to_owned(), made["key"].as_str().unwrap().to_owned())
    };
    let ask = |key: &str, wanted: &Value| {
        let (bearer, body) = (format!("Bearer {key}"), wanted.to_string());
        gateway
            .send(&Request::new("POST", "/callbacks").header("Authorization", &bearer).body(body.as_bytes()))
    };
    let wanted = json!({ "route": ROUTE, "user": "u1", "resource": "42", "ttl": "15m" });
    let with = |name: &str, value: Value| {
        let mut changed = wanted.clone();
        changed[name] = value;
        changed
    };
    post(&gateway, "/callbacks", &wanted.to_string()).is(401, "credential_missing");
    let (_, nothing) = key(&[]);
    ask(&nothing, &wanted).is(403, "permission_missing");
    ask(&nothing, &json!("what it says is not even read")).is(403, "permission_missing");
    let (id, minter) = key(&["--mint-route", ROUTE, "--mint-user", "u1"]);
    let answer = ask(&minter, &wanted);
    assert_eq!((answer.status, answer.header("cache-control")), (201, Some("no-store")), "{}", answer.text());
    let callback = Callback::of(&answer.json());
    assert_eq!(callback.post(&gateway, "result").status, 200);
    ask(&minter, &with("user", "u2".into())).is(403, "permission_missing");
    ask(&minter, &with("route", "/v2/results/{res_id}/{token}".into())).is(403, "permission_missing");
    for (name, value, said) in [
        ("ttl", json!("61m"), "max_ttl"),
        ("ttl", json!("0s"), "a second at least"),
        ("ttl", json!(900), "string"),
        ("resource", json!("../x"), "segment"),
        ("resource", json!("a%2fb"), "segment"),
        ("method", json!("post"), "capitals"),
        ("surprise", json!(1), "unknown field"),
    ] {
        let answer = ask(&minter, &with(name, value));
        assert_eq!(answer.status, 400, "{name}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        let problem = answer.json();
        assert!(problem["status"] == 400 && problem["detail"].as_str().unwrap().contains(said), "{problem}");
    }
    ask(&minter, &with("user", "u".repeat(16 * 1024).into())).is(413, "body_too_large");
    let put = Callback::of(&ask(&minter, &with("method", "PUT".into())).json());
    put.post(&gateway, "x").is(403, "callback_scope");
    assert_eq!(gateway.send(&Request::new("PUT", &put.target)).status, 200);
    gateway.send(&Request::get("/callbacks")).is(405, "method_not_allowed");

    // Any user, if that is said; and a successor inherits it.
    let (_, all) = key(&["--mint-route", ROUTE, "--mint-user", "*"]);
    assert_eq!(ask(&all, &with("user", "u9".into())).status, 201);
    let rotated = gateway.json(&["key", "rotate", &id]);
    assert_eq!(ask(rotated["key"].as_str().unwrap(), &wanted).status, 201);
    let shown = gateway.json(&["key", "show", &id]);
    assert_eq!(shown["mint"], json!({ "routes": [ROUTE], "users": ["u1"] }));
    let audit = std::fs::read_to_string(gateway.path("audit.jsonl")).unwrap();
    assert!(audit.contains(&format!("\"by\":\"key:{id}\"")));
    let half = gateway.run(&["key", "new", "--label", "x", "--mint-route", ROUTE]);
    assert_eq!(half.status.code(), Some(2));
}

#[test]
fn a_route_for_callbacks_has_a_place_for_the_token_and_no_other_has() {
    for (route, said) in [
        ("path = \"/a/{id}\"\naccept = [\"callback-url\"]", "has no {token}"),
        ("path = \"/a/{id}/{token}\"\naccept = [\"api-key\"]", "does not accept callback-url"),
        ("path = \"/a/{id}/{token}\"\npublic = true", "does not accept callback-url"),
        ("path = \"/a/{x}/{y}/{token}\"\naccept = [\"callback-url\"]", "more parameters"),
        ("path = \"/{token}/*\"\naccept = [\"callback-url\"]", "ends with *"),
        ("path = \"/a\"\naccept = [\"api-key\"]\nstrict = true", "`strict` is about callback-url"),
    ] {
        let gateway = countersign_testing::Gateway::new(&format!(
            "[[route]]\nupstream = \"http://127.0.0.1:1\"\n{route}\n"
        ));
        let output = gateway.run(&["config", "check"]);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && error.contains(said), "{route}: {error}");
    }
    let gateway = countersign_testing::Gateway::new("[callback]\nmax_ttl = \"10ms\"\n");
    assert_eq!(gateway.run(&["config", "check"]).status.code(), Some(2));
}

#[test]
fn beside_a_signature_a_url_opens_nothing_without_the_key_that_it_names() {
    let results = Results::start();
    let mut gateway = lab(results.address);
    gateway.start();
    let ((id, key), (_, other)) = (gateway.key(&[]), gateway.key(&[]));
    let arguments =
        ["callback", "mint", "--route", "/signed/{res_id}/{token}", "--resource", "42", "--ttl", "15m"];
    let mint = |user: &str| Callback::of(&gateway.json(&[&arguments[..], &["--user", user]].concat()));
    let named = mint(&format!("key:{id}"));
    let call = |callback: &Callback, key: &str| {
        let url = format!("http://{}{}", gateway.address, callback.target);
        let output = gateway.run(&["call", "-X", "POST", "-d", "body", "--key", key, &url]);
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    named.post(&gateway, "body").is(401, "credential_missing");
    let (code, said) = call(&named, &other);
    assert!(code == Some(1) && said.contains("subject_mismatch"), "{said}");
    let (code, said) = call(&mint("u1"), &key);
    assert!(code == Some(1) && said.contains("subject_mismatch"), "{said}");
    let (code, said) = call(&named, &key);
    assert_eq!(code, Some(0), "{said}");
    let seen = results.seen().pop().unwrap();
    assert_eq!(seen.header("countersign-subject"), Some(format!("callback:key:{id}").as_str()));
    assert_eq!(seen.header("countersign-scheme"), Some("signature+callback-url"));
    assert_eq!((seen.header("signature"), results.seen().len()), (None, 1));
    let (_, said) = call(&named, &key);
    assert!(said.contains("callback_consumed"), "{said}");
}
