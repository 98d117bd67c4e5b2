use std::collections::BTreeMap;
use std::sync::Arc;

use http::{HeaderValue, Method, Uri};
use serde_json::{Value, json};

use super::recent::LEFT;
use super::*;
use crate::crypto::SystemRandom;
use crate::crypto::jwt::Jwt;
use crate::denial::{Code, Denial};
use crate::principal::{Permissions, Principal, Scheme, Subject};
use crate::public_url::PublicUrl;
use crate::testing::{NOW, TestStore, World, seal_key};
use crate::time::{SKEW, Timestamp};

mod fetched;
mod verifying;

const AUDIENCE: &str = "http://127.0.0.1:3000";

type Shared = Arc<TestStore>;

fn store() -> Shared {
    World::new().store
}

fn asserter_on(store: &Shared, seal: u8) -> Asserter<Shared> {
    Asserter::new(store.clone(), seal_key(seal), Arc::new(SystemRandom))
}

fn asserter() -> Asserter<Shared> {
    asserter_on(&store(), 1)
}

fn gateway() -> PublicUrl {
    PublicUrl::parse("https://bob.example").unwrap()
}

fn target(path: &str) -> Uri {
    gateway().target(&path.parse().unwrap())
}

fn alice() -> Principal {
    named("key:alice", Scheme::Signature)
}

fn named(name: &str, scheme: Scheme) -> Principal {
    let mut principal = Principal::vouch_for(Subject::Named(name.into()));
    principal.schemes.push(scheme);
    principal
}

/// What is asserted of `GET /orders/1?page=2`, which alice sent.
struct Case {
    gateway: PublicUrl,
    principal: Principal,
    method: Method,
    target: Uri,
    body: Option<&'static [u8]>,
}

impl Default for Case {
    fn default() -> Self {
        Self {
            gateway: gateway(),
            principal: alice(),
            method: Method::GET,
            target: target("/orders/1?page=2"),
            body: Some(b""),
        }
    }
}

impl Case {
    async fn asserted(&self, asserter: &Asserter<Shared>, now: Timestamp) -> Result<HeaderValue, Denial> {
        let statement = Statement {
            gateway: &self.gateway,
            audience: AUDIENCE,
            principal: &self.principal,
            method: &self.method,
            target: &self.target,
            body: self.body,
        };
        asserter.assert(&statement, now).await
    }
}

/// A token's claims, whoever signed it.
fn said(value: &HeaderValue) -> Value {
    let mut buffer = Vec::new();
    let jwt = Jwt::parse(value.to_str().unwrap(), LONGEST, &mut buffer).unwrap();
    assert!(jwt.is_type("countersign-assertion+jwt") && jwt.algorithm() == "EdDSA");
    Value::Object(jwt.unverified_claims().unwrap().to_map())
}

#[tokio::test]
async fn an_assertion_says_who_sent_which_request() {
    let value = Case::default().asserted(&asserter(), NOW).await.unwrap();
    assert_eq!(
        said(&value),
        json!({
            "iss": "https://bob.example/assertion",
            "aud": "http://127.0.0.1:3000",
            "sub": "key:alice",
            "scheme": "signature",
            "htm": "GET",
            "htu": "https://bob.example/orders/1?page=2",
            "digest": "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:",
            "iat": 1_800_000_000,
            "exp": 1_800_000_060,
        })
    );
    let mut principal = alice();
    principal.schemes = vec![Scheme::Signature, Scheme::Bearer];
    principal.permissions = Permissions::Only(["b".into(), "a".into()].into());
    principal.claims = BTreeMap::from([("country".into(), json!("CH")), ("level".into(), json!([1, {}]))]);
    let body = Some(&b"{\"hello\": \"world\"}\n"[..]);
    let case = Case { principal, method: Method::POST, body, ..Case::default() };
    let said = said(&case.asserted(&asserter(), NOW).await.unwrap());
    assert_eq!(said["scheme"], "signature+bearer");
    assert_eq!(said["permissions"], json!(["a", "b"]));
    assert_eq!(said["claims"], json!({"country": "CH", "level": [1, {}]}));
    // RFC 9530 appendix B.
    assert_eq!(said["digest"], "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:");
}

#[tokio::test]
async fn a_body_that_streams_has_no_digest_and_no_permissions_are_not_unstated_ones() {
    let mut principal = alice();
    principal.permissions = Permissions::Only([].into());
    let case = Case { principal, body: None, ..Case::default() };
    let said = said(&case.asserted(&asserter(), NOW).await.unwrap());
    assert_eq!(said.get("digest"), None);
    assert_eq!(said["permissions"], json!([]));
}

#[tokio::test]
async fn claims_that_are_too_large_are_left_out_and_that_is_said() {
    let with = async |length: usize| {
        let mut principal = alice();
        // `{"a":"…"}` has eight bytes besides.
        principal.claims = BTreeMap::from([("a".into(), "x".repeat(length - 8).into())]);
        said(&Case { principal, ..Case::default() }.asserted(&asserter(), NOW).await.unwrap())
    };
    let fits = with(LARGEST_CLAIMS).await;
    assert!(fits["claims"]["a"].is_string() && fits.get("claims_left_out").is_none());
    let too_large = with(LARGEST_CLAIMS + 1).await;
    assert_eq!((too_large.get("claims"), &too_large["claims_left_out"]), (None, &json!(true)));
}

#[tokio::test]
async fn an_assertion_that_nobody_would_read_is_not_made() {
    let long = |length| Case { target: target(&format!("/{}", "x".repeat(length))), ..Case::default() };
    assert!(long(20_000).asserted(&asserter(), NOW).await.unwrap().len() <= LONGEST);
    let denial = long(25_000).asserted(&asserter(), NOW).await.unwrap_err();
    assert_eq!(denial.code(), Code::HeadersTooLarge);
}

#[tokio::test]
async fn the_same_is_said_in_the_same_words_while_half_a_minute_is_left() {
    let asserter = asserter();
    let first = Case::default().asserted(&asserter, NOW).await.unwrap();
    let later = NOW.plus(LIFE).minus(LEFT);
    assert_eq!(Case::default().asserted(&asserter, later).await.unwrap(), first);
    let second = Case::default().asserted(&asserter, later.plus(LIFE)).await.unwrap();
    assert_eq!(said(&second)["iat"], later.plus(LIFE).as_secs());
    // Streamed bodies are not in it, so they do not matter to it.
    let streamed = || Case { body: None, ..Case::default() };
    let value = streamed().asserted(&asserter, NOW).await.unwrap();
    assert_eq!(streamed().asserted(&asserter, later).await.unwrap(), value);
    let with_body = || Case { body: Some(b"x"), ..Case::default() };
    with_body().asserted(&asserter, NOW).await.unwrap();
    let again = said(&with_body().asserted(&asserter, later).await.unwrap());
    assert_eq!(again["iat"], later.as_secs(), "one about a body is made each time");
}

#[tokio::test]
async fn whatever_differs_is_said_anew() {
    let asserter = asserter();
    let mut granted = alice();
    granted.permissions = Permissions::Only([].into());
    let mut claiming = alice();
    claiming.claims = BTreeMap::from([("a".into(), json!(1))]);
    let cases = [
        Case::default(),
        Case { gateway: PublicUrl::parse("https://carol.example").unwrap(), ..Case::default() },
        Case { principal: named("key:eve", Scheme::Signature), ..Case::default() },
        Case { principal: named("key:alice", Scheme::ApiKey), ..Case::default() },
        Case { principal: granted, ..Case::default() },
        Case { principal: claiming, ..Case::default() },
        Case { method: Method::HEAD, ..Case::default() },
        Case { target: target("/orders/1?page=3"), ..Case::default() },
        Case { target: target("/orders/2?page=2"), ..Case::default() },
        Case { body: None, ..Case::default() },
    ];
    let mut values = std::collections::HashSet::new();
    for case in &cases {
        values.insert(case.asserted(&asserter, NOW).await.unwrap());
    }
    assert_eq!(values.len(), cases.len());
}

#[tokio::test]
async fn a_new_key_signs_from_its_first_moment_and_nothing_older_is_used_again() {
    let asserter = asserter();
    asserter.keys(NOW).await.unwrap();
    asserter.keyring_for_tests().rotate(NOW).await.unwrap();
    let turn = NOW.plus(std::time::Duration::from_secs(3600));
    let before = Case::default().asserted(&asserter, turn.minus(LEFT / 2)).await.unwrap();
    let after = Case::default().asserted(&asserter, turn).await.unwrap();
    let kid = |value: &HeaderValue| {
        let mut buffer = Vec::new();
        Jwt::parse(value.to_str().unwrap(), LONGEST, &mut buffer).unwrap().key_id().unwrap().to_owned()
    };
    assert_ne!(kid(&before), kid(&after));
    assert_eq!(kid(&after), asserter.keys(turn).await.unwrap().signing_kid());
}

#[tokio::test]
async fn without_its_keys_nothing_is_asserted() {
    let store = store();
    Case::default().asserted(&asserter_on(&store, 1), NOW).await.unwrap();
    let other_seal = asserter_on(&store, 2);
    let denial = Case::default().asserted(&other_seal, NOW).await.unwrap_err();
    assert_eq!(denial.code(), Code::KeysUnavailable);
    assert_eq!(format!("{other_seal:?}"), "Asserter { .. }");
}
