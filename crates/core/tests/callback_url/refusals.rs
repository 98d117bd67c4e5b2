//! What is refused, and as what.

use countersign::Code;
use countersign::crypto::jwt::{JwtHeader, sign};
use countersign::request::Body;
use countersign::schemes::callback_url::{CallbackId, CallbackTerms, TokenForm};
use countersign::testing::NOW;
use http::Method;
use serde_json::{Value, json};

use crate::world::{Call, ROUTE, TTL, World, foreign_key, terms, token_of};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::time::Duration;

fn header_of(token: &str) -> Value {
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    serde_json::from_slice(&header).unwrap()
}

/// The same token under another header.
fn with_header(token: &str, header: &str) -> String {
    let (_, rest) = token.split_once('.').unwrap();
    format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header))
}

/// A token by the shared secret over this very text.
fn signed_text(world: &World, header: &str, claims: &str) -> String {
    // A header of our own needs its own signature: made here by hand, as an attacker who had the secret would.
    let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let _ = world;
    let key = countersign::crypto::SigningKey::from_hmac_secret(&crate::world::shared()).unwrap();
    let signature = countersign::crypto::Signer::sign(&key, text.as_bytes()).unwrap();
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[tokio::test]
async fn a_forged_token_by_the_shared_secret_passes_where_nothing_is_wrong_with_it() {
    let world = World::new();
    let permit = world.passes(&Call::token(&world.forge(|_| {}))).await;
    let principal = permit.principal().unwrap();
    assert_eq!(principal.subject.to_string(), "callback:u1");
    assert_eq!((&principal.claims["_id"], &principal.claims["res_id"]), (&json!("u1"), &json!("42")));
    assert_eq!(principal.expires, Some(NOW.plus(TTL)));
}

#[tokio::test]
async fn another_resource_route_or_method_is_out_of_scope() {
    let world = World::new();
    let url = world.mint("42").await;
    let token = token_of(&url);
    for other in ["43", "042", "42;x=1", "4%32", "42.", "A"] {
        let call = Call::post(&format!("https://a.example/v1/results/{other}/{token}"));
        assert_eq!(world.refused(&call).await, Code::CallbackScope, "{other}");
    }
    let elsewhere = Call::post(&format!("https://a.example/v2/results/42/{token}"));
    assert_eq!(world.refused(&elsewhere.on("/v2/results/{res_id}/{token}")).await, Code::CallbackScope);
    // The same paths, under a template that is written in another way: it is not the token's own.
    assert_eq!(world.refused(&Call::post(&url).on("/v1/results/{id}/{token}")).await, Code::CallbackScope);
    for method in [Method::GET, Method::PUT, Method::PATCH, Method::DELETE] {
        assert_eq!(world.refused(&Call::post(&url).method(method)).await, Code::CallbackScope);
    }
    let withheld = Call::post(&url).announced(Body::Withheld);
    assert_eq!(world.refused(&withheld).await, Code::CallbackScope);
    drop(world.passes(&Call::post(&url)).await);
}

#[tokio::test]
async fn a_token_without_a_resource_opens_no_route_that_has_one() {
    let world = World::new();
    let none = world.forge(|claims| drop(claims.as_object_mut().unwrap().remove("res_id")));
    assert_eq!(world.refused(&Call::token(&none)).await, Code::CallbackScope);
    let bare = "/done/{token}";
    let without = world.forge(|claims| {
        claims.as_object_mut().unwrap().remove("res_id");
        claims["path"] = bare.into();
    });
    let call = |token: &str| Call::post(&format!("https://a.example/done/{token}")).on(bare);
    drop(world.passes(&call(&without)).await);
    let with = world.forge(|claims| claims["path"] = bare.into());
    assert_eq!(world.refused(&call(&with)).await, Code::CallbackScope);
}

#[tokio::test]
async fn the_methods_that_a_token_names_replace_post() {
    let world = World::new();
    let put = CallbackTerms { methods: vec!["PUT".into()], ..terms("42") };
    let url = world.mint_with(TokenForm::Signed, put).await.url.expose().clone();
    assert_eq!(world.refused(&Call::post(&url)).await, Code::CallbackScope);
    drop(world.passes(&Call::post(&url).method(Method::PUT)).await);
    let two = world.forge(|claims| claims["htm"] = json!(["PUT", "PATCH"]));
    assert_eq!(world.refused(&Call::token(&two)).await, Code::CallbackScope);
    drop(world.passes(&Call::token(&two).method(Method::PATCH)).await);
}

#[tokio::test]
async fn a_token_that_was_tampered_with_or_signed_by_others_is_invalid() {
    let world = World::new();
    let token = token_of(&world.mint("42").await);
    let header = header_of(&token);
    assert_eq!((&header["alg"], &header["typ"]), (&json!("EdDSA"), &json!("callback+jwt")));
    let kid = header["kid"].as_str().unwrap();

    let parts: Vec<&str> = token.split('.').collect();
    let claims = String::from_utf8(URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
    let other_claims = URL_SAFE_NO_PAD.encode(claims.replace("\"42\"", "\"43\""));
    let other_signature = format!("{}.{}.{}", parts[0], parts[1], URL_SAFE_NO_PAD.encode([1; 64]));
    let none = |alg: &str| {
        let header =
            URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"{alg}","typ":"callback+jwt","kid":"{kid}"}}"#));
        format!("{header}.{}.", parts[1])
    };
    let foreign = |kid: Option<&str>| {
        let header = JwtHeader { typ: Some("callback+jwt"), kid, jwk: None };
        sign(&foreign_key(), &header, &world.claims()).unwrap()
    };
    let own = foreign_key();
    let jwk = own.verifying_key().to_jwk().unwrap();
    let brought = JwtHeader { typ: Some("callback+jwt"), kid: None, jwk: Some(&jwk) };
    for wrong in [
        format!("{}.{other_claims}.{}", parts[0], parts[2]),
        other_signature,
        format!("{}.{}.", parts[0], parts[1]),
        token[..token.len() - 2].to_owned(),
        none("none"),
        none("NONE"),
        none("HS256"),
        foreign(None),
        foreign(Some(kid)),
        foreign(Some("unknown")),
        foreign(Some("../../keys/callback")),
        sign(&own, &brought, &world.claims()).unwrap(),
        // The shared secret's token under the name of an Ed25519 key, and the other way round.
        with_header(
            &world.forge(|_| {}),
            &format!(r#"{{"alg":"HS256","typ":"callback+jwt","kid":"{kid}"}}"#),
        ),
        with_header(&token, r#"{"alg":"EdDSA","typ":"callback+jwt"}"#),
        signed_text(&world, r#"{"alg":"EdDSA","typ":"callback+jwt"}"#, &world.claims().to_string()),
        signed_text(
            &world,
            r#"{"alg":"HS256","typ":"callback+jwt","crit":["x"],"x":1}"#,
            &world.claims().to_string(),
        ),
        signed_text(
            &world,
            r#"{"alg":"HS256","alg":"HS256","typ":"callback+jwt"}"#,
            &world.claims().to_string(),
        ),
        signed_text(
            &world,
            r#"{"alg":"HS256","typ":"callback+jwt"}"#,
            &world.claims().to_string().replacen('{', r#"{"res_id":"43","#, 1),
        ),
        "x".repeat(43),
        "nonsense".to_owned(),
        format!("{token}.x"),
        format!("%65{}", &token[1..]),
        format!("{}.{}.{}", parts[0], "e".repeat(9000), parts[2]),
    ] {
        assert_eq!(world.refused(&Call::token(&wrong)).await, Code::TokenInvalid, "{wrong}");
    }
    drop(world.passes(&Call::token(&token)).await);
}

#[tokio::test]
async fn what_the_shared_secret_signs_needs_that_secret_to_be_known() {
    let mut world = World::new();
    let token = world.forge(|_| {});
    let alone = countersign::schemes::callback_url::CallbackKeys::rotating(World::keyring(&world.store));
    world.minter.keys = std::sync::Arc::new(alone);
    assert_eq!(world.refused(&Call::token(&token)).await, Code::TokenInvalid);
}

#[tokio::test]
async fn a_token_of_another_type_is_none_for_callbacks() {
    let world = World::new();
    for typ in ["at+jwt", "JWT", "countersign-assertion+jwt", "dpop+jwt"] {
        let token = world.forge_typed(typ, |_| {});
        assert_eq!(world.refused(&Call::token(&token)).await, Code::TokenType, "{typ}");
    }
    let untyped = signed_text(&world, r#"{"alg":"HS256"}"#, &world.claims().to_string());
    assert_eq!(world.refused(&Call::token(&untyped)).await, Code::TokenType);
    drop(world.passes(&Call::token(&world.forge_typed("application/callback+jwt", |_| {}))).await);
}

#[tokio::test]
async fn claims_are_there_and_of_their_types() {
    let world = World::new();
    for name in ["iss", "aud", "exp", "jti", "_id", "path"] {
        for value in
            [None, Some(json!(null)), Some(json!({})), Some(json!([1])), Some(json!(true)), Some(json!(""))]
        {
            if value == Some(json!("")) && matches!(name, "iss" | "aud" | "path") {
                continue;
            }
            let token = world.forge(|claims| match &value {
                None => drop(claims.as_object_mut().unwrap().remove(name)),
                Some(value) => claims[name] = value.clone(),
            });
            assert_eq!(world.refused(&Call::token(&token)).await, Code::TokenClaims, "{name} {value:?}");
        }
    }
    for (name, value) in [
        ("exp", json!("1900000000")),
        ("exp", json!(-1)),
        ("nbf", json!("soon")),
        ("res_id", json!(42)),
        ("htm", json!(1)),
        ("htm", json!([])),
        ("htm", json!(["POST", 1])),
        ("max_bytes", json!("1")),
        ("max_bytes", json!(-1)),
        ("uses", json!(0)),
        ("uses", json!(1.5)),
        ("uses", json!(5_000_000_000_u64)),
        ("_id", json!("a b")),
        ("_id", json!("é")),
        ("jti", json!("a\r\nb")),
        ("jti", json!("x".repeat(201))),
    ] {
        let token = world.forge(|claims| claims[name] = value.clone());
        assert_eq!(world.refused(&Call::token(&token)).await, Code::TokenClaims, "{name} {value}");
    }
}

#[tokio::test]
async fn a_token_is_for_callbacks_here_and_for_its_time() {
    let world = World::new();
    for other in [json!("https://a.example"), json!("https://b.example/callbacks"), json!(["orders"])] {
        let token = world.forge(|claims| claims["aud"] = other.clone());
        assert_eq!(world.refused(&Call::token(&token)).await, Code::TokenAudience, "{other}");
    }
    for other in ["https://b.example", "https://a.example/", ""] {
        let token = world.forge(|claims| claims["iss"] = other.into());
        assert_eq!(world.refused(&Call::token(&token)).await, Code::TokenInvalid, "{other}");
    }
    let several = world.forge(|claims| claims["aud"] = json!(["orders", "https://a.example/callbacks"]));
    drop(world.passes(&Call::token(&several)).await);

    let early = world.forge(|claims| claims["nbf"] = NOW.plus(Duration::from_secs(31)).as_secs().into());
    assert_eq!(world.refused(&Call::token(&early)).await, Code::TokenInvalid);
    let within_skew = world.forge(|claims| {
        claims["nbf"] = NOW.plus(Duration::from_secs(29)).as_secs().into();
        claims["jti"] = "two".into();
    });
    drop(world.passes(&Call::token(&within_skew)).await);

    let url = world.mint("42").await;
    world.clock.advance(TTL - Duration::from_millis(1));
    assert_eq!(world.refusal(&Call::post(&url).explain()).await, None);
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(world.refused(&Call::post(&url)).await, Code::TokenExpired);
}

#[tokio::test]
async fn a_body_is_no_longer_than_the_receiver_and_the_token_allow() {
    let world = World::new();
    let url = world.mint("42").await;
    let call = |length: usize| Call::post(&url).body(&"x".repeat(length));
    assert_eq!(world.refused(&call(65)).await, Code::BodyTooLarge);
    assert_eq!(world.refusal(&call(64).explain()).await, None);
    let short = CallbackTerms { max_bytes: Some(3), ..terms("42") };
    let url = world.mint_with(TokenForm::Signed, short).await.url.expose().clone();
    assert_eq!(world.refused(&Call::post(&url).body("four")).await, Code::BodyTooLarge);
    let long = CallbackTerms { max_bytes: Some(65), ..terms("42") };
    let longer = world.mint_with(TokenForm::Signed, long).await.url.expose().clone();
    assert_eq!(world.refused(&Call::post(&longer).body(&"x".repeat(65))).await, Code::BodyTooLarge);
    // None of them burnt anything.
    drop(world.passes(&Call::post(&url).body("123")).await);
    drop(world.passes(&Call::post(&longer)).await);
}

#[tokio::test]
async fn the_policy_is_asked_before_anything_is_used() {
    let mut world = World::new();
    let url = world.mint("42").await;
    world.policy.subjects = ["callback:somebody-else".to_owned()].into();
    assert_eq!(world.refused(&Call::post(&url)).await, Code::PermissionMissing);
    world.policy.subjects = ["callback:u1".to_owned()].into();
    drop(world.passes(&Call::post(&url)).await);
}

#[tokio::test]
async fn what_was_revoked_opens_nothing_and_explain_knows() {
    let world = World::new();
    let minted = world.mint_with(TokenForm::Signed, terms("42")).await;
    let call = Call::post(minted.url.expose());
    assert!(world.minter.callbacks.revoke(&minted.record.id).await.unwrap().is_some());
    assert_eq!(world.refused(&call).await, Code::CallbackRevoked);
    assert_eq!(world.refused(&call.explain()).await, Code::CallbackRevoked);
    let unknown = CallbackId::parse(&"A".repeat(22)).unwrap();
    assert_eq!(world.minter.callbacks.revoke(&unknown).await.unwrap(), None);
}

#[tokio::test]
async fn a_path_of_another_form_carries_no_token() {
    let world = World::new();
    let call = Call::post("https://a.example/v1/results/42").on(ROUTE);
    assert_eq!(world.refused(&call).await, Code::CredentialMissing);
}

#[tokio::test]
async fn nobody_who_has_proven_nothing_makes_a_key_or_ends_one() {
    let world = World::new();
    let header = JwtHeader { typ: Some("callback+jwt"), kid: Some("nobody"), ..JwtHeader::default() };
    let forged = Call::token(&sign(&foreign_key(), &header, &world.claims()).unwrap());
    assert_eq!(world.refused(&forged).await, Code::TokenInvalid);
    assert_eq!(world.explained_at(&forged, world.now()).await, Some(Code::TokenInvalid));
    assert_eq!(world.store.writes(), 0, "there is no keyring yet");

    let call = Call::post(&world.mint("42").await);
    world.store.writes();
    let later = world.now().plus(Duration::from_secs(400 * 86_400));
    assert_eq!(world.explained_at(&call, later).await, Some(Code::TokenExpired));
    assert_eq!(world.explained_at(&call, world.now()).await, None);
    assert_eq!(world.store.writes(), 0);
    assert!(world.refusal(&call).await.is_none());
}
