//! What a session is from its beginning to its end.

use std::time::Duration;

use countersign::schemes::session::{HandshakePolicy, Lifetimes, SessionDemand};
use countersign_tower::SessionSettings;
use http::header::{COOKIE, SET_COOKIE};
use serde_json::json;

use crate::world::{ANN, BOB, PASSWORD, World, bare, typed};

#[tokio::test]
async fn a_session_begins_is_proven_by_both_halves_and_ends() {
    let world = World::new();
    let signed_up = world.sign_up(ANN).await;
    assert_eq!(signed_up.is(201, "").body.len(), 0);
    assert_eq!(signed_up.header("cache-control"), Some("no-store"));
    let answer = world.post("/auth/signin", &typed(ANN, PASSWORD)).await;
    let ann = answer.held();
    let set = answer.header("set-cookie").unwrap().replace(&ann.cookie, "HALF");
    assert_eq!(set, "__Host-session=HALF; Path=/; Max-Age=2592000; HttpOnly; Secure; SameSite=Lax");
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));

    let who = world.call(&ann, "GET", "/auth/whoami", &[]).await;
    assert_eq!(who.is(200, "").json(), json!({ "email": ANN, "name": "Somebody" }));
    world.call(&ann, "HEAD", "/auth/whoami", &[]).await.is(200, "");
    assert!(world.get(&ann).await.is(200, "").text().starts_with("user:usr_"));
    world.call(&ann, "POST", "/notes", &[]).await.is(401, "handshake_missing");
    let handshake = world.handshake(&ann).await;
    world.change(&ann, &handshake).await.is(200, "");

    let out = world.call(&ann, "POST", "/auth/signout", &[]).await;
    let cleared = "__Host-session=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax";
    assert_eq!(out.is(200, "").header("set-cookie"), Some(cleared));
    world.get(&ann).await.is(401, "proof_mismatch");
    world.call(&ann, "GET", "/auth/whoami", &[]).await.is(401, "proof_mismatch");
}

#[tokio::test]
async fn whoever_has_several_sessions_sees_and_ends_them() {
    let world = World::new();
    let (ann, bob) = (world.somebody(ANN).await, world.somebody(BOB).await);
    let again = world.sign_in(ANN).await;
    let list = world.call(&ann, "GET", "/auth/sessions", &[]).await.is(200, "").json();
    let (mine, other) = (list[0]["id"].as_str().unwrap(), list[1]["id"].as_str().unwrap());
    assert_eq!((list.as_array().unwrap().len(), &list[0]["current"]), (2, &json!(true)));
    assert_eq!((&list[1]["current"], &list[1]["key_bound"]), (&json!(false), &json!(false)));

    let end = async |held, path: &str| {
        let handshake = world.handshake(held).await;
        world.call(held, "DELETE", path, &[("handshake", &handshake)]).await
    };
    world.call(&ann, "DELETE", &format!("/auth/sessions/{other}"), &[]).await.is(401, "handshake_missing");
    end(&bob, &format!("/auth/sessions/{other}")).await.is(404, "route_unknown");
    end(&ann, "/auth/sessions/nonsense").await.is(404, "route_unknown");
    let ended = end(&ann, &format!("/auth/sessions/{other}")).await;
    assert_eq!(ended.is(204, "").header("set-cookie"), None);
    world.get(&again).await.is(401, "proof_mismatch");
    world.get(&ann).await.is(200, "");
    let own = end(&ann, &format!("/auth/sessions/{mine}")).await;
    assert!(own.is(204, "").header("set-cookie").unwrap().contains("Max-Age=0"));
    world.get(&ann).await.is(401, "proof_mismatch");

    let (one, two) = (world.sign_in(ANN).await, world.sign_in(ANN).await);
    assert!(
        end(&one, "/auth/sessions").await.is(204, "").header("set-cookie").unwrap().contains("Max-Age=0")
    );
    for over in [&one, &two] {
        world.get(over).await.is(401, "proof_mismatch");
    }
    world.get(&bob).await.is(200, "");
}

#[tokio::test]
async fn the_handler_gets_no_credential_and_sets_no_cookie_of_ours() {
    let world = World::new();
    let ann = world.somebody(ANN).await;
    let handshake = world.handshake(&ann).await;
    let answer = world.change(&ann, &handshake).await;
    let set: Vec<_> = answer.is(200, "").headers.get_all(SET_COOKIE).iter().collect();
    assert_eq!(set, ["theme=light"]);
    let got = world.got.lock().unwrap().pop().unwrap();
    assert_eq!(got[COOKIE], "theme=dark");
    for name in ["authorization", "handshake"] {
        assert!(!got.contains_key(name), "{name}");
    }

    let handshake = world.handshake(&ann).await;
    let protocols = format!("notes.v1, countersign.half.{}, countersign.handshake.{handshake}", ann.token);
    let cookie = format!("__Host-session={}", ann.cookie);
    let upgrade = [("upgrade", "websocket"), ("cookie", &cookie), ("sec-websocket-protocol", &protocols)];
    world.send(bare("GET", "/notes", &upgrade)).await.is(200, "");
    let got = world.got.lock().unwrap().pop().unwrap();
    assert_eq!((&got["sec-websocket-protocol"], got.get(COOKIE)), (&"notes.v1".parse().unwrap(), None));
    world.send(bare("GET", "/notes", &upgrade)).await.is(401, "handshake_used");
}

#[tokio::test]
async fn cookies_that_http2_splits_are_one_header_again() {
    let world = World::new();
    let ann = world.somebody(ANN).await;
    let (cookie, bearer) = (format!("__Host-session={}", ann.cookie), format!("Bearer {}", ann.token));
    let split = [("cookie", "a=1"), ("cookie", &cookie), ("cookie", "b=2"), ("authorization", &bearer)];
    world.send(bare("GET", "/notes", &split)).await.is(200, "");
    assert_eq!(world.got.lock().unwrap().pop().unwrap()[COOKIE], "a=1; b=2");
    world.send(bare("GET", "/auth/whoami", &split)).await.is(200, "");
    let twice = [&split[..], &[("cookie", cookie.as_str())]].concat();
    for path in ["/notes", "/auth/whoami"] {
        world.send(bare("GET", path, &twice)).await.is(400, "credential_ambiguous");
    }
}

#[tokio::test]
async fn a_route_gets_what_the_settings_ask_at_least() {
    let demand = SessionDemand { handshake: HandshakePolicy::Always, key_bound: false };
    let lifetimes = Lifetimes { idle: Duration::from_secs(600), absolute: Duration::from_secs(1_200) };
    let settings = SessionSettings { signup: true, demand, lifetimes, ..SessionSettings::default() };
    let world = World::with(settings, None);
    assert_eq!(world.site.settings(), settings);
    let ann = world.somebody(ANN).await;
    let refused = world.get(&ann).await;
    refused.is(401, "handshake_missing");
    assert_eq!(refused.header("www-authenticate"), Some("Session realm=\"session\", handshake=always"));
    world.call(&ann, "GET", "/auth/sessions", &[]).await.is(401, "handshake_missing");
    world.call(&ann, "GET", "/auth/whoami", &[]).await.is(200, "");
    let handshake = world.handshake(&ann).await;
    world.call(&ann, "GET", "/notes", &[("handshake", &handshake)]).await.is(200, "");
    world.clock.advance(Duration::from_secs(600));
    world.call(&ann, "GET", "/auth/whoami", &[]).await.is(401, "proof_mismatch");
}
