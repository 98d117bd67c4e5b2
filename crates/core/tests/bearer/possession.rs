//! Tokens that are bound to a key (RFC 9449 §7): nothing without it.

use countersign::dpop::{DPOP, DPOP_NONCE, DpopSigner};
use countersign::schemes::bearer::signer::BearerSigner;
use http::StatusCode;
use serde_json::json;

use super::*;

/// Whoever holds key number 7.
fn alice() -> DpopSigner {
    DpopSigner::new(ed25519(7), Arc::new(SystemRandom)).unwrap()
}

/// A token that is bound to key number 7.
fn bound() -> String {
    signed(&with(json!({ "cnf": { "jkt": thumbprint(7) } })))
}

/// A GET of `TARGET` with a token and a proof for it.
fn proven(token: &str, proof: &str) -> Request {
    let mut request = authorized(&format!("DPoP {token}"));
    request.headers.insert(DPOP, proof.parse().unwrap());
    request
}

fn proof(by: &DpopSigner, token: &str, at: Timestamp) -> String {
    by.prove(&Method::GET, &Uri::from_static(TARGET), Some(token), None, at).unwrap()
}

#[tokio::test]
async fn a_bound_token_passes_with_a_proof_of_its_key_and_each_proof_once() {
    let world = World::new();
    let token = bound();
    let request = proven(&token, &proof(&alice(), &token, NOW));
    assert_eq!(world.code(&request).await, None);
    assert_eq!(world.code(&request).await, Some(Code::DpopInvalid), "a second time");
    assert_eq!(world.code(&proven(&token, &proof(&alice(), &token, NOW))).await, None, "another proof");
}

#[tokio::test]
async fn a_stolen_bound_token_opens_nothing() {
    let world = World::new();
    let token = bound();
    assert_eq!(world.token(&token).await, Some(Code::TokenInvalid), "as a bearer token");
    let without = authorized(&format!("DPoP {token}"));
    assert_eq!(world.code(&without).await, Some(Code::DpopInvalid), "without a proof");
    let eve = DpopSigner::new(ed25519(66), Arc::new(SystemRandom)).unwrap();
    let request = proven(&token, &proof(&eve, &token, NOW));
    assert_eq!(world.code(&request).await, Some(Code::DpopInvalid), "with a key of her own");
    assert!(world.denial(&request).await.cause().starts_with("key: "));
}

#[tokio::test]
async fn a_proof_is_for_this_request_and_this_token() {
    let world = World::new();
    let token = bound();
    let other = signed(&with(json!({ "cnf": { "jkt": thumbprint(7) }, "jti": "t2" })));
    assert_eq!(world.code(&proven(&token, &proof(&alice(), &other, NOW))).await, Some(Code::DpopInvalid));
    let good = proof(&alice(), &token, NOW);
    let mut request = proven(&token, &good);
    request.method = Method::POST;
    assert_eq!(world.code(&request).await, Some(Code::DpopInvalid));
    let mut request = proven(&token, &good);
    request.target = Uri::from_static("https://bob.example/orders/43");
    assert_eq!(world.code(&request).await, Some(Code::DpopInvalid));
    let mut request = proven(&token, &good);
    request.headers.append(DPOP, good.parse().unwrap());
    assert_eq!(world.code(&request).await, Some(Code::DpopInvalid));
    let old = proof(&alice(), &token, NOW.minus(Duration::from_secs(90)));
    assert_eq!(world.code(&proven(&token, &old)).await, Some(Code::DpopInvalid));
    // None of them burnt the proof.
    assert_eq!(world.code(&proven(&token, &good)).await, None);
}

#[tokio::test]
async fn a_token_without_a_key_does_not_come_by_dpop_nor_with_a_proof() {
    let world = World::new();
    let token = signed(&good());
    let request = proven(&token, &proof(&alice(), &token, NOW));
    assert_eq!(world.code(&request).await, Some(Code::TokenInvalid));
    let mut request = bearing(&token);
    request.headers.insert(DPOP, proof(&alice(), &token, NOW).parse().unwrap());
    assert_eq!(world.code(&request).await, Some(Code::TokenInvalid));
}

#[tokio::test]
async fn a_binding_that_is_not_known_here_is_not_passed_over() {
    for cnf in [
        json!({}),
        json!({ "x5t#S256": thumbprint(7) }),
        json!({ "jkt": thumbprint(7), "x5t#S256": thumbprint(7) }),
        json!({ "jkt": 7 }),
        json!({ "jkt": "short" }),
        json!({ "kid": "7" }),
    ] {
        let token = signed(&with(json!({ "cnf": cnf.clone() })));
        assert_eq!(World::new().token(&token).await, Some(Code::TokenInvalid), "{cnf}");
        let request = proven(&token, &proof(&alice(), &token, NOW));
        assert_eq!(World::new().code(&request).await, Some(Code::TokenInvalid), "{cnf} with a proof");
    }
}

#[tokio::test]
async fn where_nonces_are_required_a_caller_learns_one_and_passes() {
    let listed = vec![(terms(), KeySource::Discovered)];
    let world = World::listing(listed, NoncePolicy::Required, Policy::default());
    let alice = BearerSigner::new(Secret::new(bound()), Some(alice()));
    let mut request = authorized("Basic x");
    let target = Uri::from_static(TARGET);
    alice.prove(&Method::GET, &target, &mut request.headers, NOW).unwrap();
    let denial = world.denial(&request).await;
    assert_eq!(denial.code(), Code::DpopInvalid);
    assert!(denial.challenges()[0].as_str().contains("error=\"use_dpop_nonce\""));
    let asked: HeaderMap = denial.asks().iter().cloned().collect();
    assert!(asked.contains_key(DPOP_NONCE));
    assert!(alice.learn(StatusCode::UNAUTHORIZED, &asked), "it may pass now");
    // A clock that errs does not matter any more.
    alice.prove(&Method::GET, &target, &mut request.headers, NOW.minus(Duration::from_secs(9999))).unwrap();
    let Verdict::Permit(permit) = world.decide(&request).await else { panic!("it is denied") };
    let told: HeaderMap = permit.tells().collect();
    assert!(!alice.learn(StatusCode::OK, &told) && told.contains_key(DPOP_NONCE), "the next one");
}

#[tokio::test]
async fn a_claimant_without_a_key_sends_the_token_as_it_is() {
    let alice = BearerSigner::new(Secret::new(signed(&good())), None);
    let mut request = authorized("Basic x");
    alice.prove(&Method::GET, &Uri::from_static(TARGET), &mut request.headers, NOW).unwrap();
    assert_eq!(World::new().code(&request).await, None);
    assert!(!format!("{alice:?} {:?}", request.headers).contains("eyJ"));
    let told = HeaderMap::from_iter([(DPOP_NONCE, HeaderValue::from_static("n"))]);
    assert!(!alice.learn(StatusCode::UNAUTHORIZED, &told), "a nonce is no use to it");
}
