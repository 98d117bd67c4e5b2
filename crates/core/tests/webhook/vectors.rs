//! The vectors of `vectors/webhook.json`: hashes, answers, bindings and headers that others made.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::Verifier;
use countersign::crypto::thumbprint;
use countersign::schemes::webhook::wire::Binding;
use countersign::schemes::webhook::{Algorithm, Credential, Token, TokenHash};
use countersign::testing::{Given, NOW};
use serde_json::Value;

use crate::world::{Call, World};

fn vectors(name: &str) -> Vec<Value> {
    let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/webhook.json"));
    let vectors: Value = serde_json::from_str(text).unwrap();
    vectors[name].as_array().unwrap().clone()
}

fn text<'a>(case: &'a Value, name: &str) -> &'a str {
    case[name].as_str().unwrap_or_else(|| panic!("{name} in {case}"))
}

fn token(case: &Value) -> Token {
    Token::parse(text(case, "token").as_bytes()).unwrap()
}

#[test]
fn every_hash_is_that_of_its_token_and_of_no_other() {
    let other = Token::parse(&[b'z'; 43]).unwrap();
    for case in vectors("hashes") {
        let hash = TokenHash::parse(text(&case, "hash")).unwrap();
        assert!(hash.matches(&token(&case)) && !hash.matches(&other), "{case}");
    }
}

#[test]
fn every_answer_is_a_token_of_its_form_or_none() {
    for case in vectors("answers") {
        let form = match Token::parse(text(&case, "body").as_bytes()) {
            Some(token) if token.is_bound() => "bound",
            Some(_) => "plain",
            None => "none",
        };
        assert_eq!(form, text(&case, "form"), "{case}");
    }
}

#[test]
fn every_binding_makes_its_token() {
    let bytes = |case: &Value, name: &str| URL_SAFE_NO_PAD.decode(text(case, name)).unwrap();
    for case in vectors("bindings") {
        let thumbprint = thumbprint(&bytes(&case, "x").try_into().unwrap());
        assert_eq!(thumbprint, text(&case, "thumbprint"));
        let binding = Binding {
            webhook_url: text(&case, "webhook_url"),
            receiver_url: text(&case, "receiver_url"),
            thumbprint: &thumbprint,
            expires: case["exp"].as_u64().unwrap(),
            method: text(&case, "method"),
            target: text(&case, "target"),
            content_digest: text(&case, "content_digest"),
            scope: text(&case, "scope"),
        };
        assert_eq!(binding.digest()[..], bytes(&case, "digest"), "{case}");
        let random = Given::new(bytes(&case, "random"));
        let made = Token::bound_to(&binding.digest(), &random);
        assert_eq!(made.reveal(), text(&case, "token"));
        assert_eq!(TokenHash::of(&made, Algorithm::Sha256, &random).as_str(), text(&case, "hash"));
        assert!(token(&case).is_bound_to(&binding.digest()), "{case}");
    }
}

#[tokio::test]
async fn every_header_is_read_or_refused_by_its_code() {
    let world = World::listing(&["https://alice.example"]);
    for case in vectors("headers") {
        let call = Call::get("/orders").with("authorization", text(&case, "authorization"));
        let Some(code) = case["code"].as_str() else {
            let Ok(Some(Credential::OneShot(read))) = world.verifier().extract(&call.view(NOW)) else {
                panic!("{case} is read")
            };
            assert_eq!((read.url.as_str(), read.hash.as_str()), (text(&case, "url"), text(&case, "hash")));
            continue;
        };
        let answer = world.answer(&call).await;
        assert_eq!(answer.split_once(' ').unwrap().1, code, "{case}");
    }
    assert_eq!(world.asked(), 0);
}
