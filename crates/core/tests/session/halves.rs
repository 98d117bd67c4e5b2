//! Which halves pass, and what the others are called.

use std::sync::Arc;

use countersign::crypto::SystemRandom;
use countersign::schemes::api_key::{KeyRegistry, KeyTerms};
use countersign::schemes::session::signer::SessionSigner;
use countersign::schemes::session::{
    Half, Halves, HandshakePolicy, KeyProof, KeyProven, NoKeyProof, SessionCookie, SessionDemand, SignIn,
};
use countersign::testing::Verdict;
use countersign::{Code, Denial, RequestView};
use http::{HeaderMap, Method};

use crate::world::{EMAIL, Halved as _, PASSWORD, World, bare, is_session, typed, with_both};

#[tokio::test]
async fn both_halves_prove_the_user_by_their_id_and_not_their_address() {
    let world = World::new();
    let ann = world.ann().await;
    let (halves, record) = world.sign_in().await;
    let Verdict::Permit(permit) = world.decide(&with_both("GET", &halves)).await else { panic!("denied") };
    let principal = permit.principal().unwrap();
    assert_eq!(principal.subject.to_string(), format!("user:{}", ann.id));
    assert_eq!(principal.claims["sid"], record.id.to_string());
    assert_eq!(principal.expires, Some(record.ends));
}

#[tokio::test]
async fn one_half_alone_is_half_a_proof() {
    let (world, halves) = World::signed_in().await;
    assert_eq!(world.code(&bare("GET").cookie(&halves.cookie)).await, Some(Code::ProofHalf));
    assert_eq!(world.code(&bare("GET").token(&halves.token)).await, Some(Code::ProofHalf));
    let foreign = bare("GET").cookie(&halves.cookie).with("authorization", "Basic YTpi");
    assert_eq!(world.code(&foreign).await, Some(Code::ProofHalf), "an upstream's own login is none of ours");
    assert_eq!(world.code(&bare("GET")).await, Some(Code::CredentialMissing));
}

#[tokio::test]
async fn a_cookie_that_a_browser_sends_by_itself_does_not_disturb_another_scheme() {
    let (world, halves) = World::signed_in().await;
    let registry = KeyRegistry::new(world.store.clone());
    let terms = KeyTerms { label: "key".into(), ..KeyTerms::default() };
    let (key, _) = registry.create(terms, world.now(), &SystemRandom).await.unwrap();
    let (bearer, key) = (format!("Bearer {}", key.reveal().expose()), key.reveal());
    for (name, value) in [("authorization", &bearer), ("x-api-key", key.expose())] {
        let verdict = world.decide(&bare("GET").cookie(&halves.cookie).with(name, value)).await;
        assert!(matches!(&verdict, Verdict::Permit(_)) && !is_session(&verdict), "{name}");
    }
    let both = with_both("GET", &halves).with("x-api-key", key.expose());
    assert_eq!(world.code(&both).await, Some(Code::CredentialAmbiguous));
    for (name, value) in [
        ("authorization", "Bearer a.b.c"),
        ("authorization", "DPoP a.b.c"),
        ("authorization", "Bearer nonsense"),
        ("authorization", "Webhook https://alice.example x"),
        ("signature-input", "sig=()"),
        ("asymmetricauthentication", "{}"),
    ] {
        let request = bare("GET").cookie(&halves.cookie).with(name, value);
        assert_eq!(world.code(&request).await, Some(Code::CredentialMissing), "{name}: {value}");
    }
    let mut request = bare("GET").cookie(&halves.cookie);
    for target in ["/a?_key=x", "/a?scheme=AsymmetricAuthentication"] {
        request.target = format!("https://bob.example{target}").parse().unwrap();
        assert_eq!(world.code(&request).await, Some(Code::CredentialMissing), "{target}");
    }
}

#[tokio::test]
async fn halves_of_two_sessions_and_halves_of_none_are_a_mismatch() {
    let (world, halves) = World::signed_in().await;
    let (other, _) = world.sign_in().await;
    let stranger = Halves::generate(&SystemRandom);
    for (cookie, token) in [
        (&halves.cookie, &other.token),
        (&other.cookie, &halves.token),
        (&halves.cookie, &stranger.token),
        (&stranger.cookie, &halves.token),
        (&halves.token, &halves.cookie),
        (&halves.cookie, &halves.cookie),
        (&halves.token, &halves.token),
    ] {
        let request = bare("GET").cookie(cookie).token(token);
        assert_eq!(world.code(&request).await, Some(Code::ProofMismatch));
    }
    assert_eq!(world.code(&with_both("GET", &halves)).await, None);
}

#[tokio::test]
async fn anything_twice_is_ambiguous_and_anything_else_malformed() {
    let (world, halves) = World::signed_in().await;
    let request = || with_both("GET", &halves);
    let half = halves.cookie.reveal();
    for (name, value) in [
        ("cookie", format!("__Host-session={}", half.expose())),
        ("cookie", "__Host-session=".into()),
        ("authorization", format!("Bearer {}", halves.token.reveal().expose())),
    ] {
        assert_eq!(
            world.code(&request().with(name, &value)).await,
            Some(Code::CredentialAmbiguous),
            "{name}"
        );
    }
    let handshake = Half::generate(&SystemRandom);
    let twice = request().handshake(&handshake).handshake(&handshake);
    assert_eq!(world.code(&twice).await, Some(Code::CredentialAmbiguous));
    let value = format!("__Host-session={0}; __Host-session={0}", half.expose());
    let one_line = bare("GET").token(&halves.token).with("cookie", &value);
    assert_eq!(world.code(&one_line).await, Some(Code::CredentialAmbiguous));

    let cookie = |value: &str| bare("GET").token(&halves.token).with("cookie", value);
    for value in ["__Host-session=", "__Host-session=fixed", &format!("__Host-session=\"{}\"", half.expose())]
    {
        assert_eq!(world.code(&cookie(value)).await, Some(Code::CredentialMalformed), "{value}");
    }
    let short = request().with("handshake", "short");
    assert_eq!(world.code(&short).await, Some(Code::CredentialMalformed));
    let other_name = cookie(&format!("__host-session={0}; session={0}", half.expose()));
    assert_eq!(world.code(&other_name).await, Some(Code::ProofHalf), "a name is compared byte for byte");
}

#[tokio::test]
async fn on_plain_loopback_the_cookie_has_another_name() {
    let world = World::with(SessionDemand::default(), Arc::new(NoKeyProof), SessionCookie::Loopback);
    let (world, halves) = world.with_ann().await;
    let value = format!("session={}", halves.cookie.reveal().expose());
    let request = bare("GET").token(&halves.token).with("cookie", &value);
    assert_eq!(world.code(&request).await, None);
    assert_eq!(world.code(&with_both("GET", &halves)).await, Some(Code::ProofHalf));
}

#[tokio::test]
async fn a_client_that_is_no_browser_proves_itself_beside_its_other_cookies() {
    let (world, halves) = World::signed_in().await;
    let signer = SessionSigner::new(halves.clone(), SessionCookie::Host, HandshakePolicy::UnsafeMethods);
    for method in [Method::GET, Method::POST] {
        let mut request = bare(method.as_str()).with("cookie", "a=1; __Host-session=old; b=2");
        let get = async || Ok::<_, ()>(world.handshake(&halves).await);
        signer.prove(&method, &mut request.headers, get).await.unwrap();
        let cookie = request.headers["cookie"].to_str().unwrap();
        assert!(cookie.starts_with("a=1; b=2; __Host-session="), "{cookie}");
        assert_eq!(request.headers.contains_key("handshake"), method == Method::POST);
        assert!(request.headers.values().all(http::HeaderValue::is_sensitive));
        assert_eq!(world.code(&request).await, None, "{method}");
    }
    let mut untouched = HeaderMap::new();
    assert_eq!(signer.prove(&Method::POST, &mut untouched, async || Err("no")).await, Err("no"));
    assert!(untouched.is_empty());
}

struct OnlyThumbprint(&'static str);

impl KeyProof for OnlyThumbprint {
    fn judge(&self, thumbprint: &str, token: &Half, request: &RequestView<'_>) -> Result<KeyProven, Denial> {
        assert!(!token.reveal().expose().is_empty());
        if thumbprint == self.0 && request.headers.contains_key("dpop") {
            return Ok(KeyProven { spends: Vec::new(), fresh_until: Some(request.received_at.plus(MINUTE)) });
        }
        Err(Denial::new(Code::DpopInvalid, "not this key"))
    }
}

const MINUTE: std::time::Duration = std::time::Duration::from_secs(60);

async fn bound(world: &World) -> Halves {
    let bound = SignIn { bound: Some("print"), ..typed(EMAIL, PASSWORD) };
    world.accounts.sign_in(bound, world.now()).await.unwrap().0
}

#[tokio::test]
async fn stolen_halves_of_a_bound_session_open_nothing() {
    let (world, _) = World::signed_in().await;
    let halves = bound(&world).await;
    let stolen = with_both("GET", &halves);
    assert_eq!(world.code(&stolen).await, Some(Code::DpopInvalid), "no proof is understood");
    assert_eq!(world.code(&stolen.clone().with("dpop", "x")).await, Some(Code::DpopInvalid));
    let handshake = world.handshake(&halves).await;
    assert_eq!(world.code(&with_both("POST", &halves).handshake(&handshake)).await, Some(Code::DpopInvalid));
}

#[tokio::test]
async fn the_proof_of_a_bound_key_stands_in_for_a_handshake() {
    let demand = SessionDemand { handshake: HandshakePolicy::Always, key_bound: false };
    let world = World::with(demand, Arc::new(OnlyThumbprint("print")), SessionCookie::Host);
    let (world, unbound) = world.with_ann().await;
    let halves = bound(&world).await;
    assert_eq!(world.code(&with_both("POST", &halves)).await, Some(Code::DpopInvalid));
    assert_eq!(world.code(&with_both("POST", &halves).with("dpop", "x")).await, None);
    let unbound = with_both("POST", &unbound).with("dpop", "x");
    assert_eq!(
        world.code(&unbound).await,
        Some(Code::HandshakeMissing),
        "a proof of no key stands for nothing"
    );
    let foreign = Half::generate(&SystemRandom);
    let bad = with_both("POST", &halves).with("dpop", "x").handshake(&foreign);
    assert_eq!(world.code(&bad).await, Some(Code::HandshakeUsed), "nothing that is presented is skipped");
}

#[tokio::test]
async fn a_proof_that_ends_before_its_request_is_whole_is_too_late() {
    let world = World::with(SessionDemand::default(), Arc::new(OnlyThumbprint("print")), SessionCookie::Host);
    let (world, _) = world.with_ann().await;
    let request = with_both("GET", &bound(&world).await).with("dpop", "x");
    let view = request.view(world.now());
    let code = async || {
        let verdict = world.gate.decide(&world.rule, &view, &mut bytes::Bytes::new()).await;
        verdict.decision().denial().map(Denial::code)
    };
    world.clock.advance(MINUTE - std::time::Duration::from_millis(1));
    assert_eq!(code().await, None);
    world.clock.advance(std::time::Duration::from_millis(1));
    assert_eq!(code().await, Some(Code::ProofExpired));
}

#[tokio::test]
async fn a_route_for_bound_sessions_takes_no_others() {
    let demand = SessionDemand { handshake: HandshakePolicy::Never, key_bound: true };
    let world = World::with(demand, Arc::new(OnlyThumbprint("print")), SessionCookie::Host);
    let (world, unbound) = world.with_ann().await;
    assert_eq!(world.code(&with_both("GET", &unbound)).await, Some(Code::DpopInvalid));
    assert_eq!(world.code(&with_both("GET", &bound(&world).await).with("dpop", "x")).await, None);
}
