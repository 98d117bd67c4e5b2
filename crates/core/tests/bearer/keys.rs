//! Where keys come from: discovery, rotation, outage, and how often anybody is asked.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Mutex;

use countersign::crypto::{Algorithm, SealKey, SigningKey};
use countersign::issuer::clients::Clients;
use countersign::issuer::keyring::{Keyring, KeyringTerms};
use countersign::issuer::{Issuer, Wallets};
use countersign::schemes::bearer::{InProcess, KeySet, OwnFuture, OwnIssuer};
use countersign::store::StoreError;
use countersign::testing::TestStore;
use countersign::{ChosenBy, PublicUrl};
use http::StatusCode;
use serde_json::json;

use super::network::{Issuing as _, configuration};
use super::*;

/// A good token for the world's moment, signed by this key under this name.
fn by(world: &World, seed: u8, kid: &str) -> String {
    let claims = with(json!({ "iat": world.now(), "exp": world.now() + 300 }));
    signed_as(seed, Some("at+jwt"), Some(kid), &claims)
}

#[tokio::test]
async fn keys_are_discovered_once_and_remembered() {
    let world = World::new();
    for _ in 0..3 {
        assert_eq!(world.token(&by(&world, 1, "one")).await, None);
        world.pass_seconds(60);
    }
    assert_eq!(world.network.take_asked(), [configuration(ISSUER), format!("{ISSUER}/jwks")]);
}

#[tokio::test]
async fn the_metadata_of_rfc_8414_serves_where_openid_has_none() {
    let world = World::new();
    world.network.clear();
    let inserted = "https://login.example/.well-known/oauth-authorization-server/realms/a";
    world.network.answer(inserted, &json!({ "issuer": ISSUER, "jwks_uri": "https://login.example/k" }));
    world.network.answer("https://login.example/k", &jwks_of(&[(1, "one")]));
    assert_eq!(world.token(&signed(&good())).await, None);
    assert_eq!(world.network.chosen_by(), ChosenBy::Configuration, "its own origin");
    assert_eq!(
        world.network.take_asked(),
        [configuration(ISSUER).as_str(), inserted, "https://login.example/k"]
    );
}

#[tokio::test]
async fn one_issuer_does_not_speak_for_another() {
    let world = World::new();
    for issuer in ["https://eve.example", "https://login.example/realms/a/"] {
        world.network.clear();
        let metadata = json!({ "issuer": issuer, "jwks_uri": format!("{ISSUER}/jwks") });
        world.network.answer(&configuration(ISSUER), &metadata);
        world.network.answer(&format!("{ISSUER}/jwks"), &jwks_of(&[(1, "one")]));
        assert_eq!(world.token(&by(&world, 1, "one")).await, Some(Code::KeysUnavailable), "{issuer}");
        world.pass_seconds(11);
    }
}

#[tokio::test]
async fn keys_at_another_origin_than_the_issuers_may_be_public_addresses_alone() {
    let world = World::new();
    let elsewhere = "https://keys.example/jwks";
    world.network.answer(&configuration(ISSUER), &json!({ "issuer": ISSUER, "jwks_uri": elsewhere }));
    world.network.answer(elsewhere, &jwks_of(&[(1, "one")]));
    assert_eq!(world.token(&signed(&good())).await, None);
    assert_eq!(world.network.chosen_by(), ChosenBy::Request);

    let source = KeySource::At(Uri::from_static("https://keys.example/jwks"));
    let world = World::with(terms(), source);
    world.network.answer(elsewhere, &jwks_of(&[(1, "one")]));
    assert_eq!(world.token(&signed(&good())).await, None);
    assert_eq!(world.network.chosen_by(), ChosenBy::Configuration, "the operator wrote it");
    assert_eq!(world.network.take_asked(), [elsewhere], "nothing is discovered");
}

#[tokio::test]
async fn a_key_that_is_new_is_asked_for_and_one_that_is_gone_counts_no_more() {
    let world = World::new();
    let old = by(&world, 1, "one");
    assert_eq!(world.token(&old).await, None);
    world.pass_seconds(31);
    world.network.take_asked();
    world.network.answer(&format!("{ISSUER}/jwks"), &jwks_of(&[(1, "one"), (2, "two")]));
    assert_eq!(world.token(&by(&world, 2, "two")).await, None);
    assert_eq!(world.token(&by(&world, 1, "one")).await, None, "both count while both are published");
    assert_eq!(world.network.take_asked(), [format!("{ISSUER}/jwks")], "where they are is known");
    world.network.answer(&format!("{ISSUER}/jwks"), &jwks_of(&[(2, "two"), (3, "three")]));
    world.pass_seconds(31);
    assert_eq!(world.token(&by(&world, 3, "three")).await, None);
    assert_eq!(world.token(&old).await, Some(Code::TokenInvalid), "although it was verified before");
}

#[tokio::test]
async fn a_flood_of_unknown_names_asks_once_in_half_a_minute() {
    let world = World::new();
    assert_eq!(world.token(&by(&world, 1, "one")).await, None);
    world.network.take_asked();
    world.pass_seconds(30);
    for number in 0..100 {
        let token = by(&world, 66, &format!("made-up-{number}"));
        assert_eq!(world.token(&token).await, Some(Code::TokenInvalid));
    }
    assert_eq!(world.network.take_asked().len(), 1);
    world.pass_seconds(29);
    assert_eq!(world.token(&by(&world, 66, "again")).await, Some(Code::TokenInvalid));
    assert!(world.network.take_asked().is_empty());
    world.pass_seconds(1);
    assert_eq!(world.token(&by(&world, 66, "again")).await, Some(Code::TokenInvalid));
    assert_eq!(world.network.take_asked().len(), 1);
}

#[tokio::test]
async fn of_many_at_once_one_asks_and_the_others_wait() {
    let world = World::new();
    let request = bearing(&by(&world, 1, "one"));
    let mut waiting: Vec<_> = (0..32).map(|_| Box::pin(world.code(&request))).collect();
    // Nobody is done before the answer came.
    for judged in &mut waiting {
        assert!(futures_once(judged).await.is_none());
    }
    for judged in waiting {
        assert_eq!(judged.await, None);
    }
    assert_eq!(world.network.take_asked().len(), 2, "discovery and keys, once");
}

/// What a future says when it is asked once.
async fn futures_once<T>(future: &mut (impl Future<Output = T> + Unpin)) -> Option<T> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match pin!(&mut *future).poll(context) {
            std::task::Poll::Ready(value) => Some(value),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

#[tokio::test]
async fn keys_are_had_anew_when_they_are_old_and_the_issuer_says_how_soon() {
    for (cache, seconds) in [("", 3600), ("max-age=120", 120), ("max-age=86400", 3600), ("no-store", 60)] {
        let world = World::new();
        let jwks = jwks_of(&[(1, "one")]);
        world.network.answer_with(&format!("{ISSUER}/jwks"), StatusCode::OK, &jwks, cache);
        assert_eq!(world.token(&by(&world, 1, "one")).await, None);
        world.network.take_asked();
        world.pass_seconds(seconds - 1);
        assert_eq!(world.token(&by(&world, 1, "one")).await, None);
        assert!(world.network.take_asked().is_empty(), "{cache}");
        world.pass_seconds(1);
        assert_eq!(world.token(&by(&world, 1, "one")).await, None);
        assert_eq!(world.network.take_asked().len(), 2, "{cache}: they may have moved");
    }
}

#[tokio::test]
async fn during_an_outage_keys_serve_for_a_day_and_then_nobody_can_know() {
    let world = World::new();
    assert_eq!(world.token(&by(&world, 1, "one")).await, None);
    world.network.clear();
    for _ in 0..24 {
        world.pass_seconds(3600);
        assert_eq!(world.token(&by(&world, 1, "one")).await, None);
    }
    world.pass_seconds(3599);
    assert_eq!(world.token(&by(&world, 1, "one")).await, None);
    world.pass_seconds(1);
    let denial = world.denial(&bearing(&by(&world, 1, "one"))).await;
    assert_eq!(denial.code(), Code::KeysUnavailable);
    assert!(denial.retry().is_some() && denial.cause().contains(ISSUER), "{denial}");
    world.network.discovered(ISSUER, &jwks_of(&[(1, "one")]));
    world.pass_seconds(10);
    assert_eq!(world.token(&by(&world, 1, "one")).await, None, "and then it is over");
}

#[tokio::test]
async fn a_first_question_without_an_answer_is_503_and_the_next_waits_ten_seconds() {
    for answer in [None, Some((StatusCode::NOT_FOUND, json!({}))), Some((StatusCode::OK, json!("x")))] {
        let world = World::new();
        world.network.clear();
        if let Some((status, body)) = &answer {
            world.network.answer_with(&configuration(ISSUER), *status, body, "");
        }
        let token = by(&world, 1, "one");
        assert_eq!(world.token(&token).await, Some(Code::KeysUnavailable), "{answer:?}");
        let denial = world.denial(&bearing(&token)).await;
        assert_eq!(denial.retry(), Some(Duration::from_secs(10)), "{answer:?}");
        assert_eq!(world.network.take_asked().len(), 2);
        world.network.discovered(ISSUER, &jwks_of(&[(1, "one")]));
        world.pass_seconds(10);
        assert_eq!(world.token(&token).await, None);
    }
}

#[tokio::test]
async fn a_name_that_is_unknown_during_an_outage_may_be_a_new_one() {
    let world = World::new();
    assert_eq!(world.token(&by(&world, 1, "one")).await, None);
    world.network.clear();
    world.pass_seconds(31);
    assert_eq!(world.token(&by(&world, 2, "two")).await, Some(Code::KeysUnavailable));
    assert_eq!(world.token(&by(&world, 1, "one")).await, None);
}

/// A good token of this key that does not say which key that is.
fn nameless(seed: u8) -> String {
    signed_as(seed, Some("at+jwt"), None, &good())
}

#[tokio::test]
async fn a_token_without_a_name_for_its_key_is_tried_with_each_that_fits_up_to_four() {
    let world = World::new();
    let names = [(1, "1"), (2, "2"), (3, "3"), (4, "4"), (5, "5")];
    world.network.answer(&format!("{ISSUER}/jwks"), &jwks_of(&names));
    for seed in 1..=4 {
        for _ in 0..2 {
            assert_eq!(world.token(&nameless(seed)).await, None, "{seed}, and remembered");
        }
    }
    for seed in [5, 66] {
        let denial = world.denial(&bearing(&nameless(seed))).await;
        assert_eq!(denial.code(), Code::TokenInvalid);
        assert!(denial.cause().contains("none of the first 4 of 5 keys that fit"), "{denial}");
    }
    assert_eq!(world.token(&by(&world, 5, "5")).await, None, "which says its name");
}

#[tokio::test]
async fn several_keys_of_one_name_are_each_tried_and_no_other() {
    let world = World::new();
    world.network.answer(&format!("{ISSUER}/jwks"), &jwks_of(&[(1, "same"), (2, "same"), (3, "other")]));
    for (seed, code) in [(1, None), (2, None), (3, Some(Code::TokenInvalid)), (66, Some(Code::TokenInvalid))]
    {
        assert_eq!(world.token(&by(&world, seed, "same")).await, code, "{seed}");
    }
}

#[tokio::test]
async fn a_new_key_is_asked_for_although_the_token_does_not_name_it_and_once_in_half_a_minute() {
    let unnamed = |seed: u8| {
        let mut jwks = jwks_of(&[(seed, "x")]);
        jwks["keys"][0].as_object_mut().unwrap().remove("kid");
        jwks
    };
    for (before, after) in [(jwks_of(&[(1, "one")]), jwks_of(&[(2, "two")])), (unnamed(1), unnamed(2))] {
        let world = World::new();
        world.network.answer(&format!("{ISSUER}/jwks"), &before);
        let token = |seed: u8| match before["keys"][0]["kid"].is_string() {
            true => nameless(seed),
            false => signed_as(seed, Some("at+jwt"), Some(&format!("named-{seed}")), &good()),
        };
        assert_eq!(world.token(&token(1)).await, None);
        world.network.answer(&format!("{ISSUER}/jwks"), &after);
        world.network.take_asked();
        for _ in 0..50 {
            assert_eq!(world.token(&token(2)).await, Some(Code::TokenInvalid));
        }
        assert!(world.network.take_asked().is_empty());
        world.pass_seconds(30);
        assert_eq!(world.token(&token(2)).await, None);
        assert_eq!(world.token(&token(1)).await, Some(Code::TokenInvalid), "that key is gone");
        for _ in 0..50 {
            assert_eq!(world.token(&token(66)).await, Some(Code::TokenInvalid));
        }
        assert_eq!(world.network.take_asked().len(), 1);
        // During an outage nobody can know whose it is.
        world.network.clear();
        world.pass_seconds(30);
        assert_eq!(world.token(&token(66)).await, Some(Code::KeysUnavailable));
        assert_eq!(world.token(&token(2)).await, None);
        // Whoever has the very name of a key asks nobody.
        let world = World::new();
        assert_eq!(world.token(&by(&world, 1, "one")).await, None);
        world.pass_seconds(31);
        world.network.take_asked();
        assert_eq!(world.token(&by(&world, 66, "one")).await, Some(Code::TokenInvalid));
        assert!(world.network.take_asked().is_empty());
    }
}

#[tokio::test]
async fn a_cause_says_which_key_was_left_out_and_why() {
    let world = World::new();
    let mut jwks = jwks_of(&[(1, "one"), (2, "two")]);
    jwks["keys"][1]["use"] = json!("enc");
    world.network.answer(&format!("{ISSUER}/jwks"), &jwks);
    let cause = async |token: String| {
        let denial = world.denial(&bearing(&token)).await;
        assert_eq!(denial.code(), Code::TokenInvalid);
        denial.cause().to_owned()
    };
    let told = "left out of its set: key 2, \"two\": this JWK is not for signatures";
    assert!(cause(by(&world, 2, "two")).await.contains(told));
    assert!(cause(nameless(2)).await.contains(told));
    let other = cause(by(&world, 2, "three")).await;
    assert!(other.contains("it lists no such key as \"three\"") && !other.contains("left out"), "{other}");
    let rsa = raw(&ed25519(1), r#"{"alg":"RS256","typ":"at+jwt","kid":"one"}"#, &good().to_string());
    assert!(cause(rsa).await.contains("of another algorithm than the token says: EdDSA, not RS256"));
}

#[tokio::test]
async fn a_shared_secret_or_a_file_asks_nobody() {
    let secret = Secret::new(vec![7; 32]);
    let keys = Arc::new(KeySet::of_secret(&secret).unwrap());
    let world = World::with(terms(), KeySource::Fixed(keys));
    let hmac = SigningKey::from_hmac_secret(&secret).unwrap();
    let header = JwtHeader { typ: Some("at+jwt"), kid: Some("whatever"), jwk: None };
    assert_eq!(world.token(&sign(&hmac, &header, &good()).unwrap()).await, None);
    let other = SigningKey::from_hmac_secret(&Secret::new(vec![8; 32])).unwrap();
    assert_eq!(world.token(&sign(&other, &header, &good()).unwrap()).await, Some(Code::TokenInvalid));
    assert_eq!(world.token(&signed(&good())).await, Some(Code::TokenInvalid), "EdDSA is not its algorithm");

    let file = KeySet::read(jwks_of(&[(1, "one")]).to_string().as_bytes()).unwrap();
    let world2 = World::with(terms(), KeySource::Fixed(Arc::new(file)));
    assert_eq!(world2.token(&signed(&good())).await, None);
    assert_eq!(world2.token(&by(&world2, 2, "two")).await, Some(Code::TokenInvalid));
    assert!(world.network.take_asked().is_empty() && world2.network.take_asked().is_empty());
}

/// Our own issuer, in this process, at the origin of `ISSUER`.
fn own_issuer(store: &Arc<TestStore>) -> Issuer<Arc<TestStore>> {
    let keyring = KeyringTerms {
        purpose: "issuer",
        algorithm: Algorithm::Ed25519,
        rotate_every: Duration::from_secs(86400),
        publish_before: Duration::from_secs(3600),
        retain: Duration::from_secs(3600),
    };
    let seal = SealKey::new(Secret::new([3; 32]));
    let keyring = Arc::new(Keyring::new(store.clone(), seal, Arc::new(SystemRandom), keyring));
    let terms = countersign::issuer::IssuerTerms {
        public_url: PublicUrl::parse("https://login.example").unwrap(),
        audience: AUDIENCE.to_owned(),
        access_life: Duration::from_secs(300),
        refresh_life: Duration::from_secs(3600),
        clients: Clients::default(),
        wallets: Wallets::Any,
    };
    let dpop = Arc::new(dpop(NoncePolicy::Accepted));
    Issuer::new(store.clone(), keyring, dpop, Arc::new(SystemRandom), &Secret::new([4; 32]), terms)
}

#[tokio::test]
async fn our_own_issuers_keys_are_read_in_this_process_across_a_rotation() {
    let store = testing::World::new().store;
    let own = Arc::new(own_issuer(&store));
    let world = World::with(terms(), KeySource::InProcess(Arc::new(InProcess::new(own.clone(), store))));
    let before = own.keys(NOW).await.unwrap().sign("at+jwt", &good()).unwrap();
    assert_eq!(world.token(&before).await, None);
    own.rotate(NOW).await.unwrap();
    let after = own.keys(NOW).await.unwrap().sign("at+jwt", &good()).unwrap();
    assert_eq!(world.token(&after).await, None);
    assert_eq!(world.token(&before).await, None, "the old key is retained");
    assert_eq!(world.token(&signed(&good())).await, Some(Code::TokenInvalid));
    assert!(world.network.take_asked().is_empty());
}

#[tokio::test]
async fn whoever_verifies_tokens_of_our_own_issuer_makes_no_key_of_its_and_ends_none() {
    let store = testing::World::new().store;
    let own = Arc::new(own_issuer(&store));
    let source = KeySource::InProcess(Arc::new(InProcess::new(own.clone(), store.clone())));
    let world = World::with(terms(), source);
    assert_eq!(world.token(&signed(&good())).await, Some(Code::TokenInvalid));
    assert_eq!(store.writes(), 0, "it has no key yet");
    let token = own.keys(NOW).await.unwrap().sign("at+jwt", &good()).unwrap();
    store.writes();
    let later = NOW.plus(Duration::from_secs(400 * 86_400));
    let request = bearing(&token);
    let explained = world.gate.explain(&world.rule, &request.view(later), &mut request.body.clone()).await;
    assert_eq!(explained.denial().map(Denial::code), Some(Code::TokenExpired));
    assert_eq!(world.token(&token).await, None);
    assert_eq!(store.writes(), 0);
}

/// An issuer in this process whose revocations are scripted.
struct Scripted(Mutex<BTreeSet<String>>);

impl OwnIssuer for Scripted {
    fn keys(&self, _now: Timestamp) -> OwnFuture<'_, Result<Arc<KeySet>, Denial>> {
        let keys = KeySet::read(jwks_of(&[(1, "one")]).to_string().as_bytes()).unwrap();
        Box::pin(std::future::ready(Ok(Arc::new(keys))))
    }

    fn is_revoked<'a>(&'a self, jti: &'a str) -> OwnFuture<'a, Result<bool, StoreError>> {
        Box::pin(std::future::ready(Ok(self.0.lock().unwrap().contains(jti))))
    }
}

#[tokio::test]
async fn a_token_that_our_own_issuer_took_back_counts_no_more_although_it_is_remembered() {
    let own = Arc::new(Scripted(Mutex::default()));
    let world = World::with(terms(), KeySource::InProcess(own.clone()));
    let token = signed(&good());
    assert_eq!(world.token(&token).await, None);
    own.0.lock().unwrap().insert("t1".to_owned());
    assert_eq!(world.token(&token).await, Some(Code::TokenInvalid));
    assert_eq!(world.token(&signed(&with(json!({ "jti": "t2" })))).await, None);
}

#[tokio::test]
async fn explain_asks_nobody_and_says_so() {
    let world = World::new();
    let request = bearing(&by(&world, 1, "one"));
    let denial = world.denial(&request.clone().explained()).await;
    assert_eq!(denial.code(), Code::KeysUnavailable);
    assert!(denial.cause().contains("explain asks nobody"), "{denial}");
    assert!(world.network.take_asked().is_empty());
    assert_eq!(world.code(&request).await, None);
    assert_eq!(world.code(&request.explained()).await, None, "with keys that are known it can tell");
}

#[tokio::test]
async fn keys_that_are_known_outlive_a_new_configuration_of_the_same_issuer() {
    let world = World::new();
    assert_eq!(world.token(&signed(&good())).await, None);
    world.network.take_asked();
    let again = |listed: Vec<(IssuerTerms, KeySource)>| {
        let issuers = Arc::new(Issuers::new(listed, Some(&world.issuers)));
        let verifier = BearerVerifier {
            issuers,
            dpop: Arc::new(dpop(NoncePolicy::Accepted)),
            fetch: world.network.clone(),
            longest_token: LONGEST_TOKEN,
        };
        rule("bearer", |rule| rule.verifier(verifier))
    };
    let judged = async |rule: &Arc<Rule>| world.common.code(rule, &bearing(&signed(&good()))).await;
    assert_eq!(judged(&again(vec![(terms(), KeySource::Discovered)])).await, None);
    assert!(world.network.take_asked().is_empty());
    // Other terms count at once, whatever was verified before.
    let other = IssuerTerms { audiences: vec!["other".into()], ..terms() };
    assert_eq!(judged(&again(vec![(other, KeySource::Discovered)])).await, Some(Code::TokenAudience));
    assert_eq!(judged(&again(Vec::new())).await, Some(Code::TokenInvalid), "it is not listed any more");
}
