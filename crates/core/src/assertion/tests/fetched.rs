//! Keys that are asked for: when, how often, and what holds while nobody answers.

use std::time::Duration;

use http::StatusCode;

use super::*;
use crate::fetch::ChosenBy;
use crate::testing::{Table, response};

/// Where a gateway's keys are.
const KEYS: &str = "https://bob.example/.well-known/jwks.json";

struct World {
    network: Arc<Table>,
    keys: AssertionKeys,
}

fn jwks(kids: &[&str]) -> String {
    let jwk = |kid: &&str| {
        json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "use": "sig", "alg": "EdDSA",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})
    };
    json!({ "keys": kids.iter().map(jwk).collect::<Vec<_>>() }).to_string()
}

fn after(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

impl World {
    fn new(kids: &[&str]) -> Self {
        let network = Arc::new(Table::default());
        let world = Self { keys: AssertionKeys::served_by(&gateway(), network.clone()), network };
        world.answers(StatusCode::OK, &jwks(kids));
        world
    }

    fn answers(&self, status: StatusCode, body: &str) {
        self.network.put(KEYS, response(status.as_u16(), body.to_owned()));
    }

    fn is_down(&self) {
        self.network.clear();
    }

    fn asked(&self) -> usize {
        self.network.asked().len()
    }

    async fn has(&self, kid: &str, at: Timestamp) -> Result<bool, Code> {
        self.keys.find(kid, at).await.map(|key| key.is_some()).map_err(|denial| denial.code())
    }
}

#[tokio::test]
async fn keys_are_asked_for_once_and_again_after_five_minutes() {
    let world = World::new(&["a"]);
    for at in [0, 1, 299] {
        assert_eq!(world.has("a", after(at)).await, Ok(true));
    }
    assert_eq!(world.asked(), 1);
    let request = world.network.asked().remove(0);
    assert_eq!(request.url, KEYS);
    assert_eq!((request.method, request.chosen_by), (Method::GET, ChosenBy::Configuration));
    world.answers(StatusCode::OK, &jwks(&["b"]));
    assert_eq!(world.has("a", after(300)).await, Ok(false), "withdrawn");
    assert_eq!(world.asked(), 2);
}

#[tokio::test]
async fn a_key_that_is_not_known_is_asked_for_and_not_too_often() {
    let world = World::new(&["a"]);
    assert_eq!(world.has("a", NOW).await, Ok(true));
    world.answers(StatusCode::OK, &jwks(&["a", "b"]));
    assert_eq!(world.has("b", after(4)).await, Ok(false));
    assert_eq!(world.asked(), 1);
    assert_eq!(world.has("b", after(5)).await, Ok(true));
    for kid in 0..100 {
        assert_eq!(world.has(&kid.to_string(), after(6)).await, Ok(false));
    }
    assert_eq!(world.asked(), 2);
}

#[tokio::test]
async fn while_nobody_answers_the_last_keys_hold_for_a_day() {
    let world = World::new(&["a"]);
    assert_eq!(world.has("a", NOW).await, Ok(true));
    let day = 24 * 3600;
    world.is_down();
    assert_eq!(world.has("a", after(day - 1)).await, Ok(true));
    world.answers(StatusCode::INTERNAL_SERVER_ERROR, &jwks(&[]));
    assert_eq!(world.has("a", after(day)).await, Err(Code::KeysUnavailable));
    for no_keys in ["", "[]", "{\"keys\":[]}", "{\"keys\":[{\"kid\":\"a\",\"kty\":\"oct\",\"k\":\"AAAA\"}]}"]
    {
        world.answers(StatusCode::OK, no_keys);
        assert_eq!(world.has("a", after(2 * day)).await, Err(Code::KeysUnavailable), "{no_keys}");
    }
    world.answers(StatusCode::OK, &jwks(&["a"]));
    assert_eq!(world.has("a", after(3 * day)).await, Ok(true));
    assert_eq!(AssertionKeys::told(b"{\"keys\":[]}").unwrap_err(), JwksError);
}

#[tokio::test]
async fn a_key_that_is_not_known_while_nobody_answers_may_be_a_new_one() {
    let world = World::new(&["a"]);
    assert_eq!(world.has("a", NOW).await, Ok(true));
    world.is_down();
    assert_eq!(world.has("b", after(5)).await, Err(Code::KeysUnavailable));
    assert_eq!((world.has("a", after(5)).await, world.asked()), (Ok(true), 2));
    world.answers(StatusCode::OK, &jwks(&["a", "b"]));
    assert_eq!(world.has("b", after(15)).await, Ok(true));
}
