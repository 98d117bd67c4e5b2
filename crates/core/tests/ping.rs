//! What a scheme's author writes is enough for the gate: a folder in `schemes`, a line there, a line among the schemes.

use countersign::schemes::ping::{PingVerifier, signer, wire::PING};
use countersign::testing::{Request, World, rule};
use countersign::{Carrier, Code, Scheme};

fn by(name: &str, number: u64) -> Request {
    let mut request = Request::get("/orders");
    assert!(signer::prove(&mut request.headers, name, number));
    request
}

#[tokio::test]
async fn a_scheme_that_was_added_passes_the_gate_once_and_is_asked_for() {
    let (world, rule) = (World::new(), rule("ping", |rule| rule.verifier(PingVerifier)));
    let permit = world.permit(&rule, &by("alice", 1)).await;
    let principal = permit.principal().unwrap();
    assert_eq!(
        (principal.subject.to_string().as_str(), &*principal.schemes),
        ("ping:alice", &[Scheme::Ping][..])
    );
    assert!(permit.carriers().eq([(Scheme::Ping, &Carrier::Header(PING))]), "it is not forwarded");
    assert_eq!(permit.decision().scheme_names().as_deref(), Some("ping"));
    assert_eq!(world.code(&rule, &by("alice", 1)).await, Some(Code::SignatureReplayed));
    assert_eq!(world.code(&rule, &by("alice", 2)).await, None);
    assert_eq!(world.code(&rule, &by("bob", 1)).await, None);
    let denial = world.denial(&rule, &Request::get("/orders")).await;
    assert_eq!((denial.code(), denial.challenges()[0].as_str()), (Code::CredentialMissing, "Ping"));
}

#[tokio::test]
async fn what_is_ours_and_malformed_is_refused() {
    let (world, rule) = (World::new(), rule("ping", |rule| rule.verifier(PingVerifier)));
    for text in ["", "alice", "alice x", "alice 01", "alice  1", "Alice 1", " 1", "alice +1"] {
        let request = Request::get("/").with("ping", text);
        assert_eq!(world.code(&rule, &request).await, Some(Code::CredentialMalformed), "{text:?}");
    }
    let twice = by("alice", 1).with("ping", "bob 1");
    assert_eq!(world.code(&rule, &twice).await, Some(Code::CredentialAmbiguous));
    assert!(!signer::prove(&mut Request::get("/").headers, "Alice", 1));
}

#[tokio::test]
async fn it_stands_in_a_group_as_every_scheme_does() {
    let world = World::new();
    let key = world.api_key(&[]).await;
    let keys =
        countersign::schemes::api_key::ApiKeyVerifier::new(world.store.clone(), std::sync::Arc::default());
    let rule = rule("api-key+ping", |rule| rule.verifier(keys).verifier(PingVerifier));
    assert_eq!(world.code(&rule, &by("alice", 1)).await, Some(Code::CredentialMissing));
    assert_eq!(world.code(&rule, &by("alice", 1).bearing(&key)).await, Some(Code::SubjectMismatch));
}
