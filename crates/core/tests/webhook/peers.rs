//! What a requester learns from its receivers: how to hash, whether keys are taken, when one is gone.

use std::time::Duration;

use countersign::schemes::webhook::signer::{OutgoingBody, ProveError, Requester};
use countersign::schemes::webhook::wire::{CHALLENGE, Question};
use countersign::schemes::webhook::{Algorithm, TokenHash};
use countersign::testing::NOW;
use http::{HeaderMap, StatusCode};

use crate::world::{ALICE, Call, Calling as _, Sent, World, post};

fn saying(name: &'static str, value: &'static str) -> HeaderMap {
    [(name.parse().unwrap(), value.parse().unwrap())].into_iter().collect()
}

#[tokio::test]
async fn a_peer_that_knows_only_the_seeds_protocol_is_asked_for_nothing_more() {
    let world = World::new();
    for turn in 0..5 {
        let mut call = post("/receiver", "one order").to_host("old.example");
        let attempt = call.prove(&world.alice, NOW).await;
        assert_eq!(call.headers.contains_key("signature-key"), turn == 0, "one attempt to introduce");
        let question = Question { hash: call.hash().into(), url: "https://old.example/receiver".into() };
        let token = world.alice.tokens().redeem(&question).await.unwrap().expect("one callback a call");
        let hash = TokenHash::parse(call.hash()).unwrap();
        assert!(hash.algorithm() == Algorithm::Bcrypt && hash.matches(&token));
        assert!(!world.alice.learn(&attempt, StatusCode::OK, &HeaderMap::new(), NOW));
    }
    let mut later = Call::get("/receiver").to_host("old.example");
    later.prove(&world.alice, NOW.plus(Duration::from_secs(600))).await;
    assert!(later.headers.contains_key("signature-key"), "it may have learnt by then");
}

#[tokio::test]
async fn a_failure_says_nothing_of_what_a_peer_knows() {
    let world = World::new();
    for status in [StatusCode::UNAUTHORIZED, StatusCode::BAD_GATEWAY] {
        let mut call = Call::get("/");
        let attempt = call.prove(&world.alice, NOW).await;
        assert!(call.headers.contains_key("signature-key"));
        assert!(!world.alice.learn(&attempt, status, &HeaderMap::new(), NOW));
    }
    assert!(world.proven(&world.alice, Call::get("/")).await.headers.contains_key("signature-key"));
}

#[tokio::test]
async fn so_many_peers_are_remembered_and_then_those_who_were_heard_of_lately() {
    let world = World::new();
    let alice = world.api(ALICE, |alice| alice.without_keys().hashing_first_by(Algorithm::Sha256));
    let to = |peer: usize| Call::get("/").to(&format!("{peer}.example"));
    let learn = async |peer, now| {
        let attempt = to(peer).prove(&alice, now).await;
        alice.learn(&attempt, StatusCode::OK, &saying("authentication-info", "alg=\"bcrypt\""), now);
    };
    let remembers = async |peer| world.proven(&alice, to(peer)).await.hash().starts_with("$2b$");
    for peer in 0..=4096 {
        learn(peer, NOW).await;
    }
    assert!(remembers(0).await && remembers(4095).await && !remembers(4096).await, "there is no room");
    learn(4096, NOW.plus(Duration::from_secs(600))).await;
    assert!(remembers(4096).await && !remembers(0).await, "the others have made room");
}

#[tokio::test]
async fn what_one_peer_says_counts_for_that_peer() {
    let world = World::new();
    let attempt = Call::get("/").to_host("old.example").prove(&world.alice, NOW).await;
    world.alice.learn(&attempt, StatusCode::OK, &HeaderMap::new(), NOW);
    assert!(world.proven(&world.alice, Call::get("/")).await.headers.contains_key("signature-key"));
}

#[tokio::test]
async fn a_refused_hash_is_made_again_once_as_the_challenge_says() {
    for (first, challenge, prefix) in [
        (Algorithm::Sha256, "Webhook alg=\"bcrypt\"", "$2b$04$"),
        (Algorithm::Bcrypt, "Webhook alg=\"sha-256\"", "sha-256."),
    ] {
        for status in [StatusCode::BAD_REQUEST, StatusCode::UNAUTHORIZED] {
            let world = World::new();
            let alice = match first {
                Algorithm::Sha256 => world.api(ALICE, |alice| alice.hashing_first_by(Algorithm::Sha256)),
                Algorithm::Bcrypt => world.api(ALICE, |alice| alice.hashing_first_by(Algorithm::Bcrypt)),
            };
            for again in [true, false] {
                let mut call = Call::get("/");
                let attempt = call.prove(&alice, NOW).await;
                assert_eq!(call.hash().starts_with(prefix), !again);
                let headers = saying("www-authenticate", challenge);
                assert_eq!(alice.learn(&attempt, status, &headers, NOW), again, "{challenge} {status}");
            }
        }
    }
}

#[tokio::test]
async fn a_refusal_for_any_other_reason_is_final() {
    let world = World::new();
    for (status, challenge) in
        [(401, CHALLENGE), (403, "Webhook alg=\"sha-256\""), (401, "Webhook alg=\"md5\""), (401, "Bearer")]
    {
        let attempt = Call::get("/").prove(&world.alice, NOW).await;
        let status = StatusCode::from_u16(status).unwrap();
        let again = world.alice.learn(&attempt, status, &saying("www-authenticate", challenge), NOW);
        assert!(!again, "{status} {challenge}");
    }
}

#[tokio::test]
async fn a_peer_that_takes_sha_256_is_sent_that_from_then_on() {
    let world = World::new();
    let alice = world.api(ALICE, Requester::without_keys);
    for prefix in ["$2b$04$", "sha-256.", "sha-256."] {
        assert!(world.proven(&alice, Call::get("/")).await.hash().starts_with(prefix));
        let sent = world.send(&alice, Call::get("/")).await;
        assert_eq!(sent, Sent { answer: "200".into(), by_key: false, again: false });
    }
}

#[tokio::test]
async fn a_body_that_is_not_known_yet_is_proven_by_a_question() {
    let world = World::new();
    for _ in 0..2 {
        let mut call = post("/", "one order");
        let body = OutgoingBody::Streaming;
        let proving = world.alice.prove(&call.method, &call.target, &mut call.headers, body, NOW);
        assert!(!proving.await.unwrap().is_by_key());
        assert!(!call.headers.contains_key("signature") && !call.headers.contains_key("content-digest"));
        assert_eq!(world.answer(&call).await, "200");
        world.send(&world.alice, Call::get("/")).await;
    }
}

#[tokio::test]
async fn what_has_no_absolute_url_cannot_be_proven() {
    let world = World::new();
    for target in ["/orders", "*", "ftp://bob.example/"] {
        let call = Call { target: target.parse().unwrap(), ..Call::get("/") };
        let mut headers = call.headers.clone();
        let proving = world.alice.prove(&call.method, &call.target, &mut headers, OutgoingBody::Absent, NOW);
        assert!(matches!(proving.await, Err(ProveError::Target(_))), "{target}");
    }
}

#[tokio::test]
async fn a_key_that_the_receiver_has_lost_is_introduced_again_at_once() {
    let world = World::new();
    world.send(&world.alice, Call::get("/")).await;
    let forgetful = World { alice: world.alice, internet: world.internet, ..World::new() };
    for (answer, by_key, again) in
        [("401 webhook_key_unknown", true, true), ("200", false, false), ("200", true, false)]
    {
        let sent = forgetful.send(&forgetful.alice, Call::get("/")).await;
        assert_eq!(sent, Sent { answer: answer.into(), by_key, again });
    }
    assert_eq!(forgetful.asked(), 2);
}

#[tokio::test]
async fn a_key_is_introduced_again_before_it_ends() {
    let world = World::new();
    for (after, by_key) in [(0, false), (3_539, true), (1, false), (3_539, true)] {
        world.clock.advance(Duration::from_secs(after));
        let sent = world.send(&world.alice, Call::get("/")).await;
        assert_eq!(sent, Sent { answer: "200".into(), by_key, again: false }, "after {after} s");
    }
    assert_eq!(world.asked(), 2);
}

#[tokio::test]
async fn a_refused_introduction_is_not_taken_for_a_kept_key() {
    let world = World::new();
    let call = Call { body: vec![b'a'; 65].into(), ..post("/", "") };
    assert_eq!(world.send(&world.alice, call).await.answer, "413 body_too_large");
    let refused = world.send(&world.eve, Call::get("/")).await;
    assert_eq!(refused, Sent { answer: "403 webhook_caller".into(), by_key: false, again: false });
    for api in [&world.alice, &world.eve] {
        assert!(!Call::get("/").prove(api, NOW).await.is_by_key());
    }
}

#[tokio::test]
async fn a_token_waits_a_minute_for_its_question() {
    let world = World::new();
    let early = world.proven(&world.alice, Call::get("/")).await;
    let late = world.proven(&world.alice, Call::get("/")).await;
    world.clock.advance(Duration::from_millis(59_999));
    assert_eq!(world.answer(&early).await, "200");
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(world.answer(&late).await, "401 webhook_denied");
}
