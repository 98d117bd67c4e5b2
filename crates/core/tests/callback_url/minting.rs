//! What may be minted, and keys over time.

use std::sync::Arc;
use std::time::Duration;

use countersign::schemes::callback_url::{CallbackKeys, CallbackTerms, MintError, TokenForm, keyring_terms};
use countersign::testing::NOW;
use countersign::{Clock as _, Code};

use crate::world::{Call, ROUTE, TTL, World, route, shared, terms, token_of};

async fn refused(world: &World, form: TokenForm, terms: CallbackTerms, ttl: Duration) -> String {
    match world.minter.mint(&route(ROUTE), form, terms, ttl, NOW).await {
        Err(MintError::Terms(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_cannot_be_a_callback_is_not_minted() {
    let world = World::new();
    let with = |change: fn(&mut CallbackTerms)| {
        let mut terms = terms("42");
        change(&mut terms);
        terms
    };
    let signed = TokenForm::Signed;
    for (form, terms, ttl) in [
        (signed, with(|_| {}), Duration::from_millis(999)),
        (signed, with(|_| {}), Duration::from_secs(3601)),
        (TokenForm::Static, with(|_| {}), Duration::from_secs(3601)),
        (signed, with(|terms| terms.user = String::new()), TTL),
        (signed, with(|terms| terms.user = "a\nb".into()), TTL),
        (signed, with(|terms| terms.user = "x".repeat(201)), TTL),
        (signed, with(|terms| terms.resource = None), TTL),
        (signed, with(|terms| terms.resource = Some("..".into())), TTL),
        (signed, with(|terms| terms.resource = Some("%2e%2e".into())), TTL),
        (signed, with(|terms| terms.resource = Some("a/b".into())), TTL),
        (signed, with(|terms| terms.resource = Some("a%2fb".into())), TTL),
        (signed, with(|terms| terms.resource = Some("a?b".into())), TTL),
        (signed, with(|terms| terms.resource = Some("a b".into())), TTL),
        (signed, with(|terms| terms.resource = Some("".into())), TTL),
        (signed, with(|terms| terms.resource = Some("x".repeat(201))), TTL),
        (signed, with(|terms| terms.methods = vec!["post".into()]), TTL),
        (signed, with(|terms| terms.methods = vec!["P T".into()]), TTL),
        (signed, with(|terms| terms.uses = Some(0)), TTL),
        (TokenForm::Static, with(|terms| terms.uses = Some(2)), TTL),
        (TokenForm::Static, with(|terms| terms.max_bytes = Some(2)), TTL),
    ] {
        let why = refused(&world, form, terms.clone(), ttl).await;
        assert!(!why.is_empty(), "{terms:?}");
    }
    let most = refused(&world, signed, with(|terms| terms.methods = vec!["POST".into(); 2000]), TTL).await;
    assert!(most.contains("longer than 8 KiB"), "nobody would read it: {most}");
    let bare = world.minter.mint(&route("/done/{token}"), signed, terms("42"), TTL, NOW).await;
    assert!(matches!(bare, Err(MintError::Terms(_))));
    assert_eq!(world.minter.callbacks.list().await.unwrap(), []);
}

#[tokio::test]
async fn a_resource_keeps_its_bytes() {
    let world = World::new();
    for resource in ["042", "a%20b", "%41", "a;b=1", "ä".len().to_string().as_str(), "~a.b"] {
        let url = world.mint(resource).await;
        assert!(url.starts_with(&format!("https://a.example/v1/results/{resource}/")), "{url}");
        drop(world.passes(&Call::post(&url)).await);
    }
}

#[tokio::test]
async fn what_is_shown_to_end_is_when_it_ends() {
    let world = World::new();
    world.clock.advance(Duration::from_millis(700));
    let minted = world.mint_with(TokenForm::Signed, terms("42")).await;
    assert_eq!(minted.record.expires, NOW.plus(TTL));
}

#[tokio::test]
async fn keys_rotate_and_what_the_old_one_signed_is_good_until_it_ends() {
    let world = World::new();
    // A keyring of our own on the same store tells it to rotate, as another process would.
    let elsewhere = World::keyring(&world.store);
    let kid = |url: &str| {
        let token = token_of(url);
        let mut buffer = Vec::new();
        let jwt = countersign::crypto::jwt::Jwt::parse(&token, 8192, &mut buffer).unwrap();
        jwt.key_id().unwrap().to_owned()
    };
    let first = world.mint("1").await;
    world.clock.advance(Duration::from_secs(6));
    elsewhere.rotate(world.clock.now()).await.unwrap();
    let second = world.mint("2").await;
    assert_eq!(kid(&first), kid(&second), "published first");
    world.clock.advance(Duration::from_secs(61));
    let third = world.mint("3").await;
    assert_ne!(kid(&first), kid(&third));
    for url in [&first, &second, &third] {
        drop(world.passes(&Call::post(url)).await);
    }
    let terms = keyring_terms(Duration::from_secs(3600));
    assert!(terms.retain > Duration::from_secs(3600));
    assert!(terms.publish_before > countersign::issuer::keyring::FRESH);
}

#[tokio::test]
async fn a_shared_secret_alone_mints_and_verifies() {
    let mut world = World::new();
    world.minter.keys = Arc::new(CallbackKeys::shared(&shared()).unwrap());
    let url = world.mint("42").await;
    drop(world.passes(&Call::post(&url)).await);
    let ours = token_of(&World::new().mint("42").await);
    assert_eq!(world.refused(&Call::token(&ours)).await, Code::TokenInvalid);
    let short = countersign::crypto::Secret::new(vec![1; 31]);
    assert!(CallbackKeys::<crate::world::Store>::shared(&short).is_err());
}
