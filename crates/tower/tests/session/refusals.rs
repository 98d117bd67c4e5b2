//! What is refused, with which status and code.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::body::Body;
use countersign::limit::Rate;
use countersign_tower::SessionSettings;
use http::Request;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::world::{ANN, Answer, BOB, Held, PASSWORD, World, bare, typed};

#[tokio::test]
async fn nothing_and_a_half_are_not_enough_and_halves_of_two_sessions_are_none() {
    let world = World::new();
    let (ann, bob) = (world.somebody(ANN).await, world.somebody(BOB).await);
    let again = world.sign_in(ANN).await;
    let (cookie, bearer) = (format!("__Host-session={}", ann.cookie), format!("Bearer {}", ann.token));
    for path in ["/notes", "/auth/whoami"] {
        let nothing = world.send(bare("GET", path, &[])).await;
        nothing.is(401, "credential_missing");
        assert!(nothing.header("www-authenticate").unwrap().starts_with("Session realm=\"session\""));
        world.send(bare("GET", path, &[("cookie", &cookie)])).await.is(401, "proof_half");
        world.send(bare("GET", path, &[("authorization", &bearer)])).await.is(401, "proof_half");
        for other in [&bob, &again] {
            let mixed = Held { cookie: ann.cookie.clone(), token: other.token.clone() };
            world.call(&mixed, "GET", path, &[]).await.is(401, "proof_mismatch");
        }
        let other_cookie = [("cookie", "session=x"), ("authorization", &bearer)];
        world.send(bare("GET", path, &other_cookie)).await.is(401, "proof_half");
    }
    for post in ["/auth/handshake", "/auth/signout"] {
        world.send(bare("POST", post, &[("cookie", &cookie)])).await.is(401, "proof_half");
    }
    world.get(&ann).await.is(200, "");
}

#[tokio::test]
async fn what_is_there_twice_or_is_no_half_is_refused_as_it_stands() {
    let world = World::new();
    let ann = world.somebody(ANN).await;
    let (cookie, bearer) = (format!("__Host-session={}", ann.cookie), format!("Bearer {}", ann.token));
    let with = async |cookie: &str| {
        world.send(bare("GET", "/notes", &[("cookie", cookie), ("authorization", &bearer)])).await
    };
    with(&format!("{cookie}; {cookie}")).await.is(400, "credential_ambiguous");
    with(&format!("{cookie}; __Host-session=")).await.is(400, "credential_ambiguous");
    with(&cookie[..cookie.len() - 1]).await.is(400, "credential_malformed");
    with(&format!("{cookie}\"")).await.is(400, "credential_malformed");
    let call = async |more: &[(&str, &str)]| world.call(&ann, "POST", "/notes", more).await;
    call(&[("authorization", &bearer)]).await.is(400, "credential_ambiguous");
    call(&[("handshake", "short")]).await.is(400, "credential_malformed");
    let handshake = world.handshake(&ann).await;
    call(&[("handshake", &handshake), ("handshake", &handshake)]).await.is(400, "credential_ambiguous");
    call(&[("handshake", &handshake)]).await.is(200, "");
}

#[tokio::test]
async fn a_handshake_is_one_sessions_and_good_once_and_the_ninth_ends_the_first() {
    let world = World::new();
    let (ann, bob) = (world.somebody(ANN).await, world.somebody(BOB).await);
    let handshake = world.handshake(&ann).await;
    world.change(&bob, &handshake).await.is(401, "handshake_used");
    world.change(&ann, &handshake).await.is(200, "");
    world.change(&ann, &handshake).await.is(401, "handshake_used");
    let first = world.handshake(&ann).await;
    let mut newer = Vec::new();
    for _ in 0..8 {
        newer.push(world.handshake(&ann).await);
    }
    world.change(&ann, &first).await.is(401, "handshake_used");
    for handshake in &newer {
        world.change(&ann, handshake).await.is(200, "");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_64_racing_uses_of_a_handshake_one_wins() {
    let world = Arc::new(World::new());
    let ann = world.somebody(ANN).await;
    let handshake = world.handshake(&ann).await;
    let mut racing = JoinSet::new();
    for _ in 0..64 {
        let (world, ann, handshake) = (world.clone(), ann.clone(), handshake.clone());
        racing.spawn(async move { world.change(&ann, &handshake).await });
    }
    let (won, lost): (Vec<Answer>, Vec<_>) =
        racing.join_all().await.into_iter().partition(|answer| answer.status == 200);
    assert_eq!((won.len(), world.got.lock().unwrap().len()), (1, 1));
    for answer in lost {
        answer.is(401, "handshake_used");
    }
}

#[tokio::test]
async fn a_get_signs_nobody_out_and_what_is_not_there_is_not_there() {
    let world = World::new();
    let ann = world.somebody(ANN).await;
    for (method, path, allow) in [
        ("GET", "/auth/signout", "POST"),
        ("GET", "/auth/signin", "POST"),
        ("GET", "/auth/signup", "POST"),
        ("GET", "/auth/handshake", "POST"),
        ("POST", "/auth/whoami", "GET, HEAD"),
        ("POST", "/auth/sessions", "DELETE, GET, HEAD"),
    ] {
        let answer = world.call(&ann, method, path, &[]).await;
        assert_eq!(answer.is(405, "method_not_allowed").header("allow"), Some(allow), "{path}");
    }
    for path in ["/auth/other", "/auth/signin/", "/auth/whoami/x", "/auth/Whoami"] {
        world.call(&ann, "GET", path, &[]).await.is(404, "route_unknown");
    }
    for path in ["/auth//whoami", "/auth/%2e%2e/whoami", "/auth/x%2fy"] {
        world.call(&ann, "GET", path, &[]).await.is(400, "path_ambiguous");
    }
    for method in ["DELETE", "GET", "POST"] {
        world.call(&ann, method, "/auth/sessions/%2e%2e", &[]).await.is(400, "path_ambiguous");
    }
    world.get(&ann).await.is(200, "");
}

#[tokio::test]
async fn pages_of_other_sites_change_nothing() {
    let world = World::new();
    let ann = world.somebody(ANN).await;
    let foreign = [
        ("origin", "null"),
        ("origin", "https://bank.example"),
        ("origin", "https://bob.example.evil.example"),
        ("origin", "https://evilbob.example"),
        ("origin", "http://bob.example"),
        ("origin", "https://bob.example:8443"),
        ("origin", "https://BOB.example"),
        ("origin", "https://bob.example/"),
        ("origin", ""),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "nonsense"),
    ];
    for header in foreign {
        let handshake = world.handshake(&ann).await;
        let refused = world.call(&ann, "POST", "/notes", &[("handshake", &handshake), header]).await;
        refused.is(403, "cross_site");
        world.change(&ann, &handshake).await.is(200, "");
        world.call(&ann, "POST", "/auth/signout", &[header]).await.is(403, "cross_site");
        world.call(&ann, "POST", "/auth/handshake", &[header]).await.is(403, "cross_site");
        world.post_with("/auth/signin", &typed(ANN, PASSWORD), &[header]).await.is(403, "cross_site");
        let body = json!({ "email": BOB, "name": "Bob", "password": PASSWORD }).to_string();
        world.post_with("/auth/signup", &body, &[header]).await.is(403, "cross_site");
    }
    for header in [("origin", "https://bob.example"), ("origin", "https://app.example")] {
        let handshake = world.handshake(&ann).await;
        world.call(&ann, "POST", "/notes", &[("handshake", &handshake), header]).await.is(200, "");
        world.post_with("/auth/signin", &typed(ANN, PASSWORD), &[header]).await.held();
    }
}

#[tokio::test]
async fn a_session_id_that_somebody_else_chose_is_never_the_one_that_begins() {
    let world = World::new();
    let (ann, eve) = (world.somebody(ANN).await, world.somebody("eve@example.org").await);
    for fixed in [&"A".repeat(43), &eve.cookie, &ann.cookie] {
        let cookie = format!("__Host-session={fixed}");
        let begun =
            world.post_with("/auth/signin", &typed(ANN, PASSWORD), &[("cookie", &cookie)]).await.held();
        assert_ne!(&begun.cookie, fixed);
        let mixed = Held { cookie: fixed.clone(), token: begun.token.clone() };
        world.get(&mixed).await.is(401, "proof_mismatch");
        world.get(&begun).await.is(200, "");
    }
    for over in [&ann, &eve] {
        world.get(over).await.is(401, "proof_mismatch");
    }
}

#[tokio::test]
async fn a_cookie_that_is_there_twice_ends_nobodys_session() {
    let world = World::new();
    let (ann, bob) = (world.somebody(ANN).await, world.somebody(BOB).await);
    let both = format!("__Host-session={}; __Host-session={}", bob.cookie, ann.cookie);
    world.post_with("/auth/signin", &typed(ANN, PASSWORD), &[("cookie", &both)]).await.held();
    for still in [&ann, &bob] {
        world.get(still).await.is(200, "");
    }
}

#[tokio::test]
async fn a_disabled_user_opens_nothing_and_signs_in_no_more() {
    let world = World::new();
    let ann = world.somebody(ANN).await;
    let handshake = world.handshake(&ann).await;
    let accounts = world.site.accounts();
    let user = accounts.users().list().await.unwrap().remove(0);
    accounts.disable(user.id, countersign::testing::NOW).await.unwrap();
    world.get(&ann).await.is(401, "proof_mismatch");
    world.change(&ann, &handshake).await.is(401, "proof_mismatch");
    world.post("/auth/signin", &typed(ANN, PASSWORD)).await.is(401, "sign_in_refused");
}

#[tokio::test]
async fn an_unknown_user_a_wrong_password_and_a_taken_address_tell_nobody() {
    let world = World::new();
    world.sign_up(ANN).await.is(201, "");
    let refused = async |email, password| {
        let answer = world.post("/auth/signin", &typed(email, password)).await;
        answer.is(401, "sign_in_refused");
        let mut body: Value = answer.json();
        body["decision"] = Value::Null;
        let mut headers = answer.headers.clone();
        headers.remove("countersign-decision");
        (headers, body)
    };
    let wrong = refused(ANN, "not their battery").await;
    for (email, password) in [("nobody@example.org", PASSWORD), ("no address", PASSWORD), (ANN, "")] {
        assert_eq!(refused(email, password).await, wrong, "{email}");
    }
    let (taken, new) = (world.sign_up(ANN).await, world.sign_up(BOB).await);
    assert_eq!((taken.status, taken.headers, taken.body), (new.status, new.headers, new.body));
    world.sign_in(ANN).await;
}

#[tokio::test]
async fn json_is_read_strictly() {
    let world = World::new();
    world.sign_up(ANN).await.is(201, "");
    let fine = typed(ANN, PASSWORD);
    for wrong in [
        String::new(),
        "null".to_owned(),
        format!("[\"{ANN}\",\"{PASSWORD}\"]"),
        format!("{{\"email\":\"{ANN}\"}}"),
        format!("{{\"email\":\"{ANN}\",\"password\":12345678}}"),
        format!("{{\"email\":\"{ANN}\",\"password\":{{\"$ne\":\"\"}}}}"),
        format!("{{\"email\":true,\"password\":\"{PASSWORD}\"}}"),
        format!("{{\"email\":\"{ANN}\",\"password\":\"{PASSWORD}\",\"admin\":true}}"),
        format!("{fine}{fine}"),
    ] {
        world.post("/auth/signin", &wrong).await.is(400, "credential_malformed");
    }
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp"] {
        let mut request = Request::post("/auth/signin").body(Body::from(fine.clone())).unwrap();
        request.headers_mut().insert(CONTENT_TYPE, kind.parse().unwrap());
        world.send(request).await.is(400, "credential_malformed");
    }
    let long = typed(ANN, &"x".repeat(17 * 1024));
    world.post("/auth/signin", &long).await.is(413, "body_too_large");
    world.post("/auth/signin", &fine).await.held();
}

#[tokio::test]
async fn where_nobody_signs_up_the_path_is_not_there() {
    let world = World::with(SessionSettings::default(), None);
    world.sign_up(ANN).await.is(404, "route_unknown");
    let accounts = world.site.accounts();
    accounts.add(ANN, "Ann", PASSWORD, countersign::testing::NOW).await.unwrap();
    world.sign_in(ANN).await;
}

/// A sign-in from an address of this number.
async fn from(world: &World, last: u8, body: String) -> Answer {
    let mut request = Request::post("/auth/signin").body(Body::from(body)).unwrap();
    request.headers_mut().insert(CONTENT_TYPE, "application/json".parse().unwrap());
    request.extensions_mut().insert(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)));
    world.send(request).await
}

#[tokio::test]
async fn guessing_is_slowed_for_its_source_and_locks_nobody_out() {
    let world = World::new();
    world.sign_up(ANN).await.is(201, "");
    for _ in 0..5 {
        from(&world, 1, typed(ANN, "not their battery")).await.is(401, "sign_in_refused");
    }
    let waits = from(&world, 1, typed(ANN, PASSWORD)).await;
    assert_eq!(waits.is(429, "rate_limited").header("retry-after"), Some("1"));
    from(&world, 2, typed(ANN, PASSWORD)).await.held();
    world.clock.advance(std::time::Duration::from_secs(1));
    from(&world, 1, typed(ANN, PASSWORD)).await.held();
}

#[tokio::test]
async fn whoever_fails_too_often_is_not_listened_to() {
    let settings = SessionSettings { signup: true, ..SessionSettings::default() };
    let world = World::with(settings, Some("3/h".parse::<Rate>().unwrap()));
    world.sign_up(ANN).await.is(201, "");
    for _ in 0..3 {
        from(&world, 1, "{}".to_owned()).await.is(400, "credential_malformed");
    }
    from(&world, 1, typed(ANN, PASSWORD)).await.is(429, "rate_limited");
    from(&world, 2, typed(ANN, PASSWORD)).await.held();
}
