//! What a session is from its beginning to its end.

use std::time::Duration;

use serde_json::json;

use crate::site::{ANN, BOB, Held, PASSWORD, Site};
use countersign_testing::keep_alive::Connection;
use countersign_testing::{Echo, Gateway, Request};

#[test]
fn a_session_begins_is_proven_by_both_halves_and_ends() {
    let site = Site::new();
    assert!(site.sign_up(ANN).is(201, "").body.is_empty());
    let answer = site.try_sign_in(ANN, PASSWORD);
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let ann = crate::site::held(&answer);
    let set = answer.header("set-cookie").unwrap().replace(&ann.cookie, "HALF");
    assert_eq!(set, "session=HALF; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax");
    assert_ne!(ann.cookie, ann.token);

    let who = site.send(&ann, "GET", "/auth/whoami", &[]);
    assert_eq!(who.is(200, "").json(), json!({ "email": ANN, "name": "Somebody" }));
    assert_eq!(who.header("cache-control"), Some("no-store"));

    site.get(&ann).is(200, "");
    let seen = site.echo.last();
    assert!(seen.header("countersign-subject").unwrap().starts_with("user:usr_"), "{}", seen.head);
    assert_eq!(seen.header("countersign-scheme"), Some("session"));

    site.send(&ann, "POST", "/api/orders", &[]).is(401, "handshake_missing");
    let handshake = site.handshake(&ann);
    let both = [("Handshake", handshake.as_str()), ("Cookie", "theme=dark")];
    let (cookie, bearer) = (format!("theme=dark; {}", ann.cookie_header()), ann.bearer());
    let request = Request::new("POST", "/api/orders").header("Cookie", &cookie);
    let request = request.header("Authorization", &bearer).header("Handshake", both[0].1);
    site.gateway.send(&request.body(b"{}")).is(200, "");
    let seen = site.echo.last();
    assert_eq!(seen.header("cookie"), Some("theme=dark"));
    for name in ["authorization", "handshake"] {
        assert_eq!(seen.header(name), None, "{}", seen.head);
    }

    let out = site.send(&ann, "POST", "/auth/signout", &[]);
    let cleared = out.is(200, "").header("set-cookie").unwrap();
    assert_eq!(cleared, "session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
    site.get(&ann).is(401, "proof_mismatch");
    site.send(&ann, "POST", "/auth/handshake", &[]).is(401, "proof_mismatch");
}

#[test]
fn a_connection_whose_request_was_read_whole_serves_on() {
    let site = Site::new();
    let mut connection = Connection::to(site.gateway.address).unwrap();
    let body = json!({ "email": ANN, "password": PASSWORD }).to_string();
    let request = format!(
        "POST /auth/signin HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    for _ in 0..2 {
        let answer = connection.exchange(&request).expect("an answer on the same connection");
        assert_eq!(answer.is(401, "sign_in_refused").header("connection"), None);
    }
}

#[test]
fn a_restart_clean_or_not_keeps_sessions_and_forgets_handshakes() {
    let mut site = Site::new();
    let (ann, over) = (site.somebody(ANN), site.sign_in(ANN));
    site.send(&over, "POST", "/auth/signout", &[]).is(200, "");
    let handshake = site.handshake(&ann);
    site.gateway.stop();
    site.gateway.start();
    site.get(&ann).is(200, "");
    site.send(&ann, "POST", "/api/orders", &[("Handshake", &handshake)]).is(401, "handshake_used");
    site.gateway.kill();
    site.gateway.start();
    site.get(&ann).is(200, "");
    site.get(&over).is(401, "proof_mismatch");
    let handshake = site.handshake(&ann);
    site.send(&ann, "POST", "/api/orders", &[("Handshake", &handshake)]).is(200, "");
}

#[test]
fn sessions_are_listed_and_ended_one_by_one_or_all() {
    let site = Site::new();
    let (laptop, phone, bob) = (site.somebody(ANN), site.sign_in(ANN), site.somebody(BOB));
    let listed = site.send(&phone, "GET", "/auth/sessions", &[]);
    let listed = listed.is(200, "").json();
    let listed = listed.as_array().unwrap();
    assert_eq!(listed.len(), 2);
    let current: Vec<_> = listed.iter().map(|one| one["current"].as_bool().unwrap()).collect();
    assert_eq!(current, [false, true]);
    for one in listed {
        let names: Vec<_> = one.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["created", "current", "expires", "id", "key_bound", "label", "last_seen"]);
    }
    let path = format!("/auth/sessions/{}", listed[0]["id"].as_str().unwrap());
    let end = |held: &Held| {
        let handshake = site.handshake(held);
        site.send(held, "DELETE", &path, &[("Handshake", &handshake)])
    };
    site.send(&phone, "DELETE", &path, &[]).is(401, "handshake_missing");
    end(&bob).is(404, "route_unknown");
    site.get(&laptop).is(200, "");
    assert_eq!(end(&phone).is(204, "").header("set-cookie"), None, "it was another's");
    site.get(&laptop).is(401, "proof_mismatch");
    end(&phone).is(404, "route_unknown");
    site.get(&phone).is(200, "");

    let handshake = site.handshake(&phone);
    let all = site.send(&phone, "DELETE", "/auth/sessions", &[("Handshake", &handshake)]);
    assert!(all.is(204, "").header("set-cookie").unwrap().starts_with("session=; "));
    site.get(&phone).is(401, "proof_mismatch");
    site.get(&bob).is(200, "");
}

#[test]
fn no_route_takes_the_paths_on_which_sessions_are_ended_but_one_of_the_same_name() {
    let echo = Echo::start();
    let routes = |path: &str| {
        ["/*", path].map(|path| format!("[[route]]\npath = \"{path}\"\nupstream = \"{}\"\npublic = true\nmethods = [\"GET\", \"DELETE\"]\n", echo.url())).concat()
    };
    for path in
        ["/auth/sessions/{name}", "/auth/sessions/mine", "/auth/sessions/*", "/auth/*", "/{a}/{b}/{c}"]
    {
        let site = Site::with("signup = true\n", &routes(path));
        let ann = site.somebody(ANN);
        site.send(&ann, "GET", "/auth/sessions/mine", &[]).is(405, "method_not_allowed");
        site.send(&ann, "DELETE", "/auth/sessions/mine", &[]).is(401, "handshake_missing");
        let listed = site.send(&ann, "GET", "/auth/sessions", &[]).is(200, "").json();
        let own = format!("/auth/sessions/{}", listed[0]["id"].as_str().unwrap());
        let handshake = site.handshake(&ann);
        site.send(&ann, "DELETE", &own, &[("Handshake", &handshake)]).is(204, "");
        site.get(&ann).is(401, "proof_mismatch");
    }
    let site = Site::with("", &routes("/auth/sessions/{id}"));
    site.gateway.get("/auth/sessions/1", None).is(200, "");
}

#[test]
fn nobody_signs_up_unless_that_is_enabled_and_who_has_an_address_is_not_said() {
    let closed = Site::with("", "");
    closed.sign_up(ANN).is(404, "route_unknown");
    let site = Site::new();
    let first = site.sign_up(ANN);
    let body = json!({ "email": ANN.to_uppercase(), "name": "Mallory", "password": "another battery" });
    let second = site.post("/auth/signup", &body.to_string());
    let shown = |answer: &countersign_testing::Response| {
        let names: Vec<_> = answer.headers.iter().map(|(name, _)| name.clone()).collect();
        (answer.status, names, answer.body.clone())
    };
    assert_eq!(shown(&first), shown(&second));
    site.sign_in(ANN);
    site.try_sign_in(ANN, "another battery").is(401, "sign_in_refused");
}

#[test]
fn an_operator_adds_disables_and_sets_passwords_whether_or_not_the_gateway_runs() {
    let mut site = Site::with("", "");
    let password = site.file("password", &format!("{PASSWORD}\n"));
    let add = |site: &Site, email| {
        site.gateway.json(&["user", "add", "--email", email, "--name", "Ann", "--password-file", &password])
    };
    let ann = add(&site, ANN);
    assert!(ann["id"].as_str().unwrap().starts_with("usr_"), "{ann}");
    let held = site.sign_in(ANN);
    site.get(&held).is(200, "");
    assert_eq!(site.echo.last().header("countersign-subject"), ann["subject"].as_str());

    let next = site.file("next", "a longer battery");
    site.gateway.json(&["user", "set-password", ANN, "--password-file", &next]);
    site.get(&held).is(401, "proof_mismatch");
    site.try_sign_in(ANN, PASSWORD).is(401, "sign_in_refused");
    let held = crate::site::held(&site.try_sign_in(ANN, "a longer battery"));

    site.gateway.stop();
    add(&site, BOB);
    let disabled = site.gateway.json(&["user", "disable", ann["id"].as_str().unwrap()]);
    assert!(disabled["disabled"].is_string());
    site.gateway.start();
    site.get(&held).is(401, "proof_mismatch");
    site.try_sign_in(ANN, "a longer battery").is(401, "sign_in_refused");
    site.sign_in(BOB);

    let listed = site.gateway.json(&["user", "list"]);
    let emails: Vec<_> = listed.as_array().unwrap().iter().map(|user| user["email"].clone()).collect();
    assert_eq!(emails, [ANN, BOB]);
    let audit = std::fs::read_to_string(site.gateway.path("audit.jsonl")).unwrap();
    for change in ["user-added", "user-disabled", "user-password-set"] {
        assert!(audit.contains(change), "{change}: {audit}");
    }
    for (wrong, arguments) in [
        ("has an account", vec!["user", "add", "--email", BOB, "--name", "B", "--password-file", &password]),
        ("no such user", vec!["user", "disable", "eve@example.org"]),
        ("at least 8", vec!["user", "set-password", BOB, "--password-file", "short"]),
    ] {
        site.file("short", "1234567");
        let output = site.gateway.run(&arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(wrong), "{said}");
    }
}

#[test]
fn a_session_ends_when_its_time_is_over() {
    let site = Site::with("signup = true\nabsolute = \"2s\"", "");
    let ann = site.somebody(ANN);
    site.get(&ann).is(200, "");
    std::thread::sleep(Duration::from_millis(2200));
    site.get(&ann).is(401, "proof_mismatch");
}

#[test]
fn a_route_may_ask_for_more_and_the_whole_site_for_less() {
    let echo = Echo::start();
    let more = format!(
        "[[route]]\npath = \"/vault\"\nupstream = \"{}\"\naccept = [\"session\"]\nanyone = true\nhandshake = \"always\"\n",
        echo.url()
    );
    let site = Site::with("signup = true\nhandshake = \"never\"", &more);
    let ann = site.somebody(ANN);
    site.send(&ann, "POST", "/api/orders", &[]).is(200, "");
    let refused = site.send(&ann, "GET", "/vault", &[]);
    refused.is(401, "handshake_missing");
    assert_eq!(refused.header("www-authenticate"), Some("Session realm=\"session\", handshake=always"));
    let handshake = site.handshake(&ann);
    site.send(&ann, "GET", "/vault", &[("Handshake", &handshake)]).is(200, "");
    site.send(&ann, "GET", "/vault", &[("Handshake", &handshake)]).is(401, "handshake_used");
}

#[test]
fn what_cannot_be_is_said_before_anything_listens() {
    let refused = |text: &str, why: &str| {
        let output = Gateway::new(text).refuses_to_start(&[]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && said.contains(why), "{why}: {said}");
    };
    let route = |more: &str| {
        format!(
            "[[route]]\npath = \"/a\"\nupstream = \"http://127.0.0.1:1\"\naccept = [\"session\"]\n{more}\n"
        )
    };
    let (on, open) = ("[session]\nenabled = true\n", "[session]\nenabled = true\nsignup = true\n");
    refused(&format!("{open}{}", route("")), "anybody can sign up");
    refused(&format!("{on}{}", route("handshake = \"never\"")), "never for less");
    refused(&format!("{on}{}", route("handshake = \"sometimes\"")), "handshake policy");
    refused("[session]\nidle = \"30s\"\n", "session.idle is from");
    refused("[cors]\norigins = [\"https://a.example/path\"]\n", "public URL ends with its host");
    refused("[cors]\norigins = [\"null\"]\n", "not an absolute URL");
    let other = route("key_bound = true").replace("session", "api-key");
    refused(&other, "`key_bound` is about session");
}
