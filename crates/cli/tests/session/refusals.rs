//! Every request that is no session's, with its exact status and code.

use serde_json::json;

use crate::site::{ANN, BOB, Held, PASSWORD, Site, held};
use countersign_testing::{Request, Response};

#[test]
fn one_half_opens_nothing_and_halves_of_two_sessions_neither() {
    let site = Site::new();
    let (ann, again, bob) = (site.somebody(ANN), site.sign_in(ANN), site.somebody(BOB));
    let (cookie, bearer) = (ann.cookie_header(), ann.bearer());
    for path in ["/api/orders", "/auth/whoami"] {
        site.gateway.send(&Request::get(path).header("Cookie", &cookie)).is(401, "proof_half");
        site.gateway.send(&Request::get(path).header("Authorization", &bearer)).is(401, "proof_half");
        site.gateway.send(&Request::get(path)).is(401, "credential_missing");
    }
    for path in ["/auth/handshake", "/auth/signout"] {
        let cookie_alone = Request::new("POST", path).header("Cookie", &cookie);
        site.gateway.send(&cookie_alone).is(401, "proof_half");
        let token_alone = Request::new("POST", path).header("Authorization", &bearer);
        site.gateway.send(&token_alone).is(401, "proof_half");
    }
    for mixed in [ann.mixed_with(&bob), bob.mixed_with(&ann), ann.mixed_with(&again)] {
        site.get(&mixed).is(401, "proof_mismatch");
        site.send(&mixed, "POST", "/auth/signout", &[]).is(401, "proof_mismatch");
    }
    let swapped = Held { cookie: ann.token.clone(), token: ann.cookie.clone() };
    site.get(&swapped).is(401, "proof_mismatch");
    for fine in [&ann, &again, &bob] {
        site.get(fine).is(200, "");
    }
}

#[test]
fn what_is_there_twice_or_is_no_half_is_refused_as_it_stands() {
    let site = Site::new();
    let ann = site.somebody(ANN);
    let (bearer, own) = (ann.bearer(), ann.cookie_header());
    let with_cookie = |cookie: &str| {
        let request = Request::get("/api/orders").header("Cookie", cookie);
        site.gateway.send(&request.header("Authorization", &bearer))
    };
    with_cookie(&format!("{own}; {own}")).is(400, "credential_ambiguous");
    with_cookie(&format!("session=; {own}")).is(400, "credential_ambiguous");
    with_cookie(&own[..own.len() - 1]).is(400, "credential_malformed");
    with_cookie(&format!("{own}=")).is(400, "credential_malformed");
    let two_lines = [("Cookie", "a=1"), ("Cookie", own.as_str())];
    site.send(&ann, "GET", "/api/orders", &two_lines).is(400, "credential_ambiguous");
    site.send(&ann, "GET", "/api/orders", &[("Authorization", &bearer)]).is(400, "credential_ambiguous");
    site.send(&ann, "GET", "/api/orders", &[("Handshake", "short")]).is(400, "credential_malformed");
    let handshake = site.handshake(&ann);
    let twice = [("Handshake", handshake.as_str()), ("Handshake", handshake.as_str())];
    site.send(&ann, "POST", "/api/orders", &twice).is(400, "credential_ambiguous");
    site.send(&ann, "POST", "/api/orders", &twice[..1]).is(200, "");
}

#[test]
fn a_handshake_is_one_sessions_and_good_once() {
    let site = Site::new();
    let (ann, again) = (site.somebody(ANN), site.sign_in(ANN));
    let handshake = site.handshake(&ann);
    let post =
        |held: &Held, handshake: &str| site.send(held, "POST", "/api/orders", &[("Handshake", handshake)]);
    post(&again, &handshake).is(401, "handshake_used");
    post(&ann, &handshake).is(200, "");
    post(&ann, &handshake).is(401, "handshake_used");
    post(&ann, &"A".repeat(43)).is(401, "handshake_used");
    let oldest = site.handshake(&ann);
    let newer: Vec<_> = (0..8).map(|_| site.handshake(&ann)).collect();
    post(&ann, &oldest).is(401, "handshake_used");
    for handshake in newer {
        post(&ann, &handshake).is(200, "");
    }
}

#[test]
fn of_64_racing_uses_of_a_handshake_one_wins() {
    let site = Site::new();
    let ann = site.somebody(ANN);
    let handshake = site.handshake(&ann);
    let before = site.echo.seen().len();
    let answers: Vec<Response> = std::thread::scope(|scope| {
        let race = || site.send(&ann, "POST", "/api/orders", &[("Handshake", &handshake)]);
        let racing: Vec<_> = (0..64).map(|_| scope.spawn(race)).collect();
        racing.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
    assert_eq!((won.len(), site.echo.seen().len() - before), (1, 1));
    for answer in lost {
        answer.is(401, "handshake_used");
    }
}

#[test]
fn methods_are_what_they_are_and_a_get_signs_nobody_out() {
    let site = Site::new();
    let ann = site.somebody(ANN);
    for (method, path, allow) in [
        ("GET", "/auth/signout", "POST"),
        ("GET", "/auth/signin", "POST"),
        ("GET", "/auth/signup", "POST"),
        ("GET", "/auth/handshake", "POST"),
        ("POST", "/auth/whoami", "GET, HEAD"),
        ("POST", "/auth/sessions", "DELETE, GET, HEAD"),
    ] {
        let answer = site.send(&ann, method, path, &[]);
        assert_eq!(answer.is(405, "method_not_allowed").header("allow"), Some(allow), "{path}");
    }
    site.get(&ann).is(200, "");
}

#[test]
fn a_path_of_ours_that_could_be_read_in_two_ways_is_ambiguous_whoever_asks_and_however() {
    let site = Site::new();
    let ann = site.somebody(ANN);
    for (method, path) in [
        ("DELETE", "/auth/sessions/%2e%2e"),
        ("DELETE", "/auth/sessions/.."),
        ("GET", "/auth/sessions/%2e%2e"),
        ("POST", "/auth/sessions/a%2fb"),
        ("GET", "/auth/%2e%2e/whoami"),
        ("GET", "/auth//whoami"),
        ("POST", "/auth/signin/%2e"),
        ("GET", "/api/%2e%2e/orders"),
    ] {
        site.send(&ann, method, path, &[]).is(400, "path_ambiguous");
        site.gateway.send(&Request::new(method, path)).is(400, "path_ambiguous");
    }
    site.get(&ann).is(200, "");
}

#[test]
fn a_session_id_that_somebody_else_chose_is_never_the_one_that_begins() {
    let site = Site::new();
    let (ann, eve) = (site.somebody(ANN), site.somebody("eve@example.org"));
    let chosen = "A".repeat(43);
    for fixed in [&chosen, &eve.cookie, &ann.cookie] {
        let cookie = format!("session={fixed}");
        let body = json!({ "email": ANN, "password": PASSWORD }).to_string();
        let request = Request::new("POST", "/auth/signin").header("Cookie", &cookie);
        let request = request.header("Content-Type", "application/json").body(body.as_bytes());
        let begun = held(&site.gateway.send(&request));
        assert_ne!(&begun.cookie, fixed);
        let fixed = Held { cookie: fixed.clone(), token: begun.token.clone() };
        site.get(&fixed).is(401, "proof_mismatch");
        site.get(&begun).is(200, "");
    }
    // What the browser had before has ended with the new one.
    for over in [&ann, &eve] {
        site.get(over).is(401, "proof_mismatch");
    }
}

#[test]
fn an_unknown_user_and_a_wrong_password_get_the_same_answer() {
    let site = Site::new();
    site.sign_up(ANN).is(201, "");
    let answer = |email, password| {
        let answer = site.try_sign_in(email, password);
        answer.is(401, "sign_in_refused");
        assert_eq!(answer.header("set-cookie"), None);
        let mut body = answer.json();
        body["decision"] = json!(null);
        let names: Vec<_> = answer.headers.iter().map(|(name, _)| name.clone()).collect();
        (names, body)
    };
    let wrong = answer(ANN, "not their battery");
    assert_eq!(answer("nobody@example.org", "not their battery"), wrong);
    assert_eq!(answer("no address", "not their battery"), wrong);
    assert_eq!(answer(ANN, ""), wrong);
    assert_eq!(answer(ANN, &"x".repeat(5000)), wrong);
}

#[test]
fn guessing_is_slowed_for_its_source_and_locks_nobody_out() {
    let site = Site::at("trusted_proxies = [\"127.0.0.1\"]", "signup = true", "");
    site.sign_up(ANN).is(201, "");
    let from = |source: &str, password: &str| {
        let body = json!({ "email": ANN, "password": password }).to_string();
        let request = Request::new("POST", "/auth/signin").header("Content-Type", "application/json");
        site.gateway.send(&request.header("X-Forwarded-For", source).body(body.as_bytes()))
    };
    for _ in 0..5 {
        from("192.0.2.66", "not their battery").is(401, "sign_in_refused");
    }
    // The fifth failure is followed by a wait, for whoever comes from there.
    let waits = from("192.0.2.66", PASSWORD);
    waits.is(429, "rate_limited");
    let after: u64 = waits.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=300).contains(&after), "{after}");
    // Nobody else waits, however many guess: the owner's first attempt is always judged.
    for guesser in 0..80 {
        from(&format!("198.51.100.{guesser}"), "not their battery").is(401, "sign_in_refused");
    }
    held(&from("192.0.2.1", PASSWORD));
    std::thread::sleep(std::time::Duration::from_secs(after));
    held(&from("192.0.2.66", PASSWORD));
}

#[test]
fn json_is_read_strictly() {
    let site = Site::new();
    site.sign_up(ANN).is(201, "");
    let email = format!("\"email\":\"{ANN}\"");
    let fine = format!("{{{email},\"password\":\"{PASSWORD}\"}}");
    for wrong in [
        "".to_owned(),
        "null".to_owned(),
        "{}".to_owned(),
        format!("[\"{ANN}\",\"{PASSWORD}\"]"),
        format!("{{{email}}}"),
        format!("{{{email},\"password\":12345678}}"),
        format!("{{{email},\"password\":null}}"),
        format!("{{{email},\"password\":[\"{PASSWORD}\"]}}"),
        format!("{{{email},\"password\":{{\"$ne\":\"\"}}}}"),
        format!("{{\"email\":true,\"password\":\"{PASSWORD}\"}}"),
        format!("{{{email},\"password\":\"{PASSWORD}\",\"admin\":true}}"),
        format!("{{{email},{email},\"password\":\"{PASSWORD}\"}}"),
        format!("{{{email},\"password\":\"x\",\"password\":\"{PASSWORD}\"}}"),
        format!("{fine}{fine}"),
        format!("{{{email},\"password\":\"\\ud800\"}}"),
        fine[..fine.len() - 1].to_owned(),
    ] {
        site.post("/auth/signin", &wrong).is(400, "credential_malformed");
    }
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""] {
        let request = Request::new("POST", "/auth/signin").header("Content-Type", kind);
        site.gateway.send(&request.body(fine.as_bytes())).is(400, "credential_malformed");
    }
    let without = Request::new("POST", "/auth/signin").body(fine.as_bytes());
    site.gateway.send(&without).is(400, "credential_malformed");
    let long = format!("{{{email},\"password\":\"{}\"}}", "x".repeat(17 * 1024));
    site.post("/auth/signin", &long).is(413, "body_too_large");
    let request =
        Request::new("POST", "/auth/signin").header("Content-Type", "Application/JSON; charset=utf-8");
    held(&site.gateway.send(&request.body(fine.as_bytes())));

    let sign_up = |email: &str, name: &str, password: &str| {
        let body = json!({ "email": email, "name": name, "password": password });
        site.post("/auth/signup", &body.to_string())
    };
    sign_up("no address", "Eve", PASSWORD).is(400, "account_invalid");
    sign_up(BOB, "", PASSWORD).is(400, "account_invalid");
    sign_up(BOB, "a\u{1b}[2J", PASSWORD).is(400, "account_invalid");
    for weak in ["1234567", "password1", BOB, &"x".repeat(129)] {
        sign_up(BOB, "Bob", weak).is(400, "password_refused");
    }
    sign_up(BOB, "Bob", PASSWORD).is(201, "");
}

#[test]
fn a_disabled_user_and_an_ended_session_open_nothing() {
    let site = Site::new();
    let (ann, bob) = (site.somebody(ANN), site.somebody(BOB));
    let handshake = site.handshake(&bob);
    site.gateway.json(&["user", "disable", BOB]);
    site.get(&bob).is(401, "proof_mismatch");
    site.send(&bob, "POST", "/api/orders", &[("Handshake", &handshake)]).is(401, "proof_mismatch");
    site.try_sign_in(BOB, PASSWORD).is(401, "sign_in_refused");
    site.send(&ann, "POST", "/auth/signout", &[]).is(200, "");
    site.get(&ann).is(401, "proof_mismatch");
    site.send(&ann, "GET", "/auth/whoami", &[]).is(401, "proof_mismatch");
}

#[test]
fn a_cookie_beside_an_api_key_is_ignored_and_never_forwarded() {
    let echo = countersign_testing::Echo::start();
    let more = format!(
        "[[route]]\npath = \"/either\"\nupstream = \"{0}\"\naccept = [\"session\", \"api-key\"]\nanyone = true\n\
         [[route]]\npath = \"/open\"\nupstream = \"{0}\"\npublic = true\n",
        echo.url()
    );
    let site = Site::with("signup = true", &more);
    let ann = site.somebody(ANN);
    let (_, key) = site.gateway.key(&[]);
    let cookie = format!("a=1; {}", ann.cookie_header());
    let request = Request::get("/either").header("X-API-Key", &key).header("Cookie", &cookie);
    site.gateway.send(&request).is(200, "");
    let seen = echo.last();
    assert!(seen.header("countersign-subject").unwrap().starts_with("key:"), "{}", seen.head);
    assert_eq!(seen.header("cookie"), Some("a=1"));
    let both = site.send(&ann, "GET", "/either", &[("X-API-Key", &key)]);
    both.is(400, "credential_ambiguous");
    site.gateway.send(&Request::get("/open").header("Cookie", &cookie)).is(200, "");
    assert_eq!(echo.last().header("cookie"), Some("a=1"), "nor to whoever takes no sessions");
}

#[test]
fn whoever_fails_too_often_is_not_listened_to() {
    let site = Site::with("signup = true", "[limits]\nunproven = \"5/h\"");
    for _ in 0..5 {
        site.post("/auth/signin", "{}").is(400, "credential_malformed");
    }
    site.post("/auth/signin", "{}").is(429, "rate_limited");
    site.sign_up(ANN).is(429, "rate_limited");
}
