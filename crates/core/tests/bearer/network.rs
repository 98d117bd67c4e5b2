//! What issuers answer.

use countersign::ChosenBy;
use countersign::testing::{Table, ed25519, response};
use http::StatusCode;
use http::header::CACHE_CONTROL;
use serde_json::{Value, json};

/// Issuers within a table of hosts.
pub(super) trait Issuing {
    /// An issuer whose metadata names `<issuer>/jwks`, which holds `jwks`.
    fn discovered(&self, issuer: &str, jwks: &Value) {
        let jwks_uri = format!("{issuer}/jwks");
        self.answer(&configuration(issuer), &json!({ "issuer": issuer, "jwks_uri": jwks_uri }));
        self.answer(&jwks_uri, jwks);
    }

    fn answer(&self, url: &str, body: &Value) {
        self.answer_with(url, StatusCode::OK, body, "");
    }

    fn answer_with(&self, url: &str, status: StatusCode, body: &Value, cache: &'static str);

    /// Who chose the URL that was asked last.
    fn chosen_by(&self) -> ChosenBy;
}

impl Issuing for Table {
    fn answer_with(&self, url: &str, status: StatusCode, body: &Value, cache: &'static str) {
        let mut answer = response(status.as_u16(), body.to_string());
        if !cache.is_empty() {
            answer.headers.insert(CACHE_CONTROL, cache.parse().unwrap());
        }
        self.put(url, answer);
    }

    fn chosen_by(&self) -> ChosenBy {
        self.asked().last().expect("somebody was asked").chosen_by
    }
}

pub(super) fn configuration(issuer: &str) -> String {
    format!("{issuer}/.well-known/openid-configuration")
}

/// The public halves of these keys, by their names.
pub(super) fn jwks_of(keys: &[(u8, &str)]) -> Value {
    let jwk = |(seed, kid): &(u8, &str)| {
        let mut jwk: Value = serde_json::from_str(&ed25519(*seed).verifying_key().to_jwk().unwrap()).unwrap();
        jwk["kid"] = json!(kid);
        jwk
    };
    json!({ "keys": keys.iter().map(jwk).collect::<Vec<_>>() })
}
