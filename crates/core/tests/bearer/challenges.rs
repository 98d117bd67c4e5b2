//! What a caller is told (RFC 6750 §3, RFC 9449 §7.1).

use serde_json::json;

use super::*;

async fn challenged(world: &World, request: &Request) -> String {
    let denial = world.denial(request).await;
    let challenges: Vec<&str> = denial.challenges().iter().map(countersign::Challenge::as_str).collect();
    challenges.join(" | ")
}

const PLAIN: &str =
    "Bearer realm=\"oauth\", DPoP algs=\"ES256 EdDSA ES384 PS256 PS384 PS512 RS256 RS384 RS512\"";

#[tokio::test]
async fn who_presents_nothing_is_told_no_error() {
    assert_eq!(challenged(&World::new(), &authorized("Basic x")).await, PLAIN);
}

#[tokio::test]
async fn a_bad_token_is_an_invalid_token_whatever_is_wrong_with_it() {
    for changes in
        [json!({ "exp": 1 }), json!({ "aud": "other" }), json!({ "sub": null }), json!({ "iss": "x" })]
    {
        let told = challenged(&World::new(), &bearing(&signed(&with(changes)))).await;
        assert!(
            told.starts_with("Bearer realm=\"oauth\", error=\"invalid_token\", error_description=\""),
            "{told}"
        );
        assert!(told.contains(", DPoP algs=\"ES256"), "{told}");
    }
}

#[tokio::test]
async fn a_bad_proof_is_an_error_of_dpop() {
    let token = signed(&with(json!({ "cnf": { "jkt": thumbprint(7) } })));
    let told = challenged(&World::new(), &authorized(&format!("DPoP {token}"))).await;
    assert!(told.starts_with("Bearer realm=\"oauth\", DPoP algs="), "{told}");
    assert!(told.contains(", error=\"invalid_dpop_proof\", error_description=\""), "{told}");
}

#[tokio::test]
async fn a_good_token_with_too_little_scope_is_told_so() {
    let demands = Policy { permissions: ["orders:delete".to_owned()].into(), ..Policy::default() };
    let world = World::listing(vec![(terms(), KeySource::Discovered)], NoncePolicy::Accepted, demands);
    let request = bearing(&signed(&good()));
    assert_eq!(world.code(&request).await, Some(Code::PermissionMissing));
    let told = challenged(&world, &request).await;
    assert!(told.contains("error=\"insufficient_scope\""), "{told}");
}

#[tokio::test]
async fn no_challenge_follows_what_is_not_the_callers_fault() {
    let world = World::new();
    world.network.clear();
    let denial = world.denial(&bearing(&signed(&good()))).await;
    assert_eq!(denial.code(), Code::KeysUnavailable);
    assert!(denial.challenges().is_empty() && denial.asks().is_empty());
}

#[tokio::test]
async fn no_cause_holds_a_part_of_a_token() {
    for changes in
        [json!({ "exp": 1 }), json!({ "aud": "other" }), json!({ "iss": "x" }), json!({ "cnf": {} })]
    {
        let token = signed(&with(changes));
        let decision = World::new().decide(&bearing(&token)).await.decision().clone();
        let shown = format!("{decision:?}");
        for part in token.split('.') {
            assert!(!shown.contains(part), "{shown}");
        }
    }
}
