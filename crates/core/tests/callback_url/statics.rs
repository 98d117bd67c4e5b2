//! Static tokens, the seed's middle way.

use std::time::Duration;

use countersign::schemes::callback_url::{
    CALLBACKS, CallbackRecord, CallbackState, CallbackTerms, TokenForm,
};
use countersign::store::{Id, Inventory as _, Store as _};
use countersign::{Code, Passage};
use http::Method;

use crate::world::{Call, ROUTE, TTL, World, terms, token_of};

#[tokio::test]
async fn a_static_token_is_used_until_it_ends() {
    let world = World::new();
    let minted = world.mint_with(TokenForm::Static, terms("42")).await;
    let url = minted.url.expose();
    for body in ["one", "two"] {
        let permit = world.passes(&Call::post(url).body(body)).await;
        assert_eq!(permit.principal().unwrap().subject.to_string(), "callback:u1");
        assert!(matches!(permit, Passage::Free(_)));
    }
    assert_eq!(world.refused(&Call::post(url).body(&"x".repeat(65))).await, Code::BodyTooLarge);
    assert_eq!(world.refused(&Call::post(url).method(Method::PUT)).await, Code::CallbackScope);
    let other = Call::post(&url.replace("/42/", "/43/"));
    assert_eq!(world.refused(&other).await, Code::CallbackScope);
    let elsewhere = Call::post(&url.replace("/v1/", "/v2/")).on("/v2/results/{res_id}/{token}");
    assert_eq!(world.refused(&elsewhere).await, Code::CallbackScope);
    assert_eq!(
        world.minter.callbacks.state(&minted.record, world.gate.now()).await.unwrap(),
        CallbackState::Active
    );
    world.clock.advance(TTL);
    assert_eq!(world.refused(&Call::post(url)).await, Code::TokenExpired);
    world.clock.advance(Duration::from_secs(3600));
    assert_eq!(world.refused(&Call::post(url)).await, Code::TokenInvalid);
}

#[tokio::test]
async fn one_without_a_resource_opens_all_of_its_users() {
    let world = World::new();
    let all = CallbackTerms { resource: None, ..terms("") };
    let minted = world.mint_with(TokenForm::Static, all).await;
    let url = minted.url.expose();
    assert!(url.starts_with("https://a.example/v1/results/{res_id}/"), "{url}");
    for resource in ["42", "43"] {
        drop(world.passes(&Call::post(&url.replace("{res_id}", resource)).on(ROUTE)).await);
    }
}

#[tokio::test]
async fn a_revoked_one_opens_nothing_and_a_signed_ones_name_is_no_token() {
    let world = World::new();
    let minted = world.mint_with(TokenForm::Static, terms("42")).await;
    world.minter.callbacks.revoke(&minted.record.id).await.unwrap();
    assert_eq!(world.refused(&Call::post(minted.url.expose())).await, Code::CallbackRevoked);
    assert_eq!(world.refused(&Call::token(minted.record.id.as_str())).await, Code::TokenInvalid);
}

#[tokio::test]
async fn the_store_holds_no_token() {
    let world = World::new();
    let minted = world.mint_with(TokenForm::Static, terms("42")).await;
    let token = token_of(minted.url.expose());
    assert_eq!(token.len(), 43);
    let kept = world.store.list(CALLBACKS, None, 10).await.unwrap();
    assert_eq!(kept.len(), 1);
    let secret = countersign::crypto::decode_base62::<32>(token.as_bytes()).unwrap();
    for (_, bytes) in kept {
        assert!(!bytes.windows(32).any(|window| window == secret));
        assert!(!bytes.windows(20).any(|window| window == &token.as_bytes()[..20]));
    }
}

#[tokio::test]
async fn a_record_under_its_name_with_another_hash_opens_nothing() {
    let world = World::new();
    let minted = world.mint_with(TokenForm::Static, terms("42")).await;
    let place = Id::of(&[b"callback", minted.record.id.as_str().as_bytes()]);
    for digest in [None, Some([0; 32]), Some([7; 32])] {
        let record = CallbackRecord { digest, ..minted.record.clone() };
        let bytes = [&[1], &*postcard::to_stdvec(&record).unwrap()].concat();
        assert!(world.store.take_if(CALLBACKS, place, None).await.unwrap().is_some());
        assert!(world.store.insert(CALLBACKS, place, bytes.into(), None).await.unwrap());
        assert_eq!(world.refused(&Call::post(minted.url.expose())).await, Code::TokenInvalid);
    }
}
