//! Sessions that are bound to a key of their browser.

use countersign::testing::NOW;
use std::sync::Arc;

use countersign::crypto::{Ed25519Key, Secret, SystemRandom};
use countersign::dpop::{DpopSigner, NoncePolicy};
use countersign::schemes::session::{HandshakePolicy, SessionDemand};
use countersign_tower::SessionSettings;

use crate::world::{ANN, Answer, Held, PASSWORD, World, typed};

fn browser(seed: u8) -> DpopSigner {
    let key = Ed25519Key::from_seed(Secret::new([seed; 32]));
    DpopSigner::new(key.into(), Arc::new(SystemRandom)).unwrap()
}

fn proof(key: &DpopSigner, method: &str, path: &str, token: Option<&str>, nonce: Option<&str>) -> String {
    let target = format!("https://bob.example{path}").parse().unwrap();
    key.prove(&method.parse().unwrap(), &target, token, nonce, NOW).unwrap()
}

async fn sign_in(world: &World, key: &DpopSigner, nonce: Option<&str>) -> Answer {
    let proof = proof(key, "POST", "/auth/signin", None, nonce);
    world.post_with("/auth/signin", &typed(ANN, PASSWORD), &[("dpop", &proof)]).await
}

async fn call(world: &World, held: &Held, key: &DpopSigner, method: &str, path: &str) -> Answer {
    let proof = proof(key, method, path, Some(&held.token), None);
    world.call(held, method, path, &[("dpop", &proof)]).await
}

#[tokio::test]
async fn stolen_halves_of_a_bound_session_open_nothing() {
    let world = World::new();
    world.sign_up(ANN).await.is(201, "");
    let (own, eve) = (browser(1), browser(2));
    let begun = sign_in(&world, &own, None).await;
    assert!(begun.header("dpop-nonce").is_some());
    let ann = begun.held();
    for method in ["GET", "POST"] {
        call(&world, &ann, &own, method, "/notes").await.is(200, "");
        assert!(!world.got.lock().unwrap().pop().unwrap().contains_key("dpop"));
        call(&world, &ann, &eve, method, "/notes").await.is(401, "dpop_invalid");
        world.call(&ann, method, "/notes", &[]).await.is(401, "dpop_invalid");
        let elsewhere = proof(&own, method, "/auth/whoami", Some(&ann.token), None);
        world.call(&ann, method, "/notes", &[("dpop", &elsewhere)]).await.is(401, "dpop_invalid");
    }
    let once = proof(&own, "GET", "/notes", Some(&ann.token), None);
    world.call(&ann, "GET", "/notes", &[("dpop", &once)]).await.is(200, "");
    let twice = world.call(&ann, "GET", "/notes", &[("dpop", &once)]).await;
    assert!(twice.is(401, "dpop_invalid").header("dpop-nonce").is_some());

    world.call(&ann, "GET", "/auth/whoami", &[]).await.is(401, "dpop_invalid");
    call(&world, &ann, &own, "GET", "/auth/whoami").await.is(200, "");
    world.call(&ann, "POST", "/auth/signout", &[]).await.is(401, "dpop_invalid");
    call(&world, &ann, &own, "POST", "/auth/signout").await.is(200, "");
    call(&world, &ann, &own, "GET", "/notes").await.is(401, "proof_mismatch");
}

#[tokio::test]
async fn where_keys_and_nonces_are_asked_for_every_answer_gives_the_next_nonce() {
    let demand = SessionDemand { handshake: HandshakePolicy::Never, key_bound: true };
    let settings =
        SessionSettings { signup: true, demand, dpop_nonces: NoncePolicy::Required, ..Default::default() };
    let world = World::with(settings, None);
    world.sign_up(ANN).await.is(201, "");
    let without = world.post("/auth/signin", &typed(ANN, PASSWORD)).await;
    let nonce = without.is(401, "dpop_invalid").header("dpop-nonce").unwrap();
    let own = browser(1);
    sign_in(&world, &own, None).await.is(401, "dpop_invalid");
    let ann = sign_in(&world, &own, Some(nonce)).await.held();
    for path in ["/notes", "/auth/whoami"] {
        call(&world, &ann, &own, "GET", path).await.is(401, "dpop_invalid");
        let fresh = proof(&own, "GET", path, Some(&ann.token), Some(nonce));
        let answer = world.call(&ann, "GET", path, &[("dpop", &fresh)]).await;
        assert!(answer.is(200, "").header("dpop-nonce").is_some(), "{path}");
    }
}

#[tokio::test]
async fn a_proof_of_a_key_signs_in_once() {
    let world = World::new();
    world.sign_up(ANN).await.is(201, "");
    let once = proof(&browser(1), "POST", "/auth/signin", None, None);
    world.post_with("/auth/signin", &typed(ANN, PASSWORD), &[("dpop", &once)]).await.held();
    let twice = world.post_with("/auth/signin", &typed(ANN, PASSWORD), &[("dpop", &once)]).await;
    assert!(twice.is(401, "dpop_invalid").header("dpop-nonce").is_some());
    let elsewhere = proof(&browser(1), "POST", "/auth/signup", None, None);
    let wrong = world.post_with("/auth/signin", &typed(ANN, PASSWORD), &[("dpop", &elsewhere)]).await;
    wrong.is(401, "dpop_invalid");
}
