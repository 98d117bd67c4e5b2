//! What issuers answer, and who was asked.

use std::collections::HashMap;
use std::sync::Mutex;

use bytes::Bytes;
use countersign::ChosenBy;
use countersign::fetch::{Fetch, FetchError, FetchRequest, FetchResponse};
use http::header::CACHE_CONTROL;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::ed25519;

/// Answers by URL; whoever has none cannot be reached.
#[derive(Default)]
pub(super) struct Network {
    answers: Mutex<HashMap<String, (StatusCode, HeaderMap, Bytes)>>,
    asked: Mutex<Vec<(String, ChosenBy)>>,
}

impl Network {
    /// An issuer whose metadata names `<issuer>/jwks`, which holds `jwks`.
    pub(super) fn discovered(&self, issuer: &str, jwks: &Value) {
        let jwks_uri = format!("{issuer}/jwks");
        self.answer(&configuration(issuer), &json!({ "issuer": issuer, "jwks_uri": jwks_uri }));
        self.answer(&jwks_uri, jwks);
    }

    pub(super) fn answer(&self, url: &str, body: &Value) {
        self.answer_with(url, StatusCode::OK, body, "");
    }

    pub(super) fn answer_with(&self, url: &str, status: StatusCode, body: &Value, cache: &'static str) {
        let mut headers = HeaderMap::new();
        if !cache.is_empty() {
            headers.insert(CACHE_CONTROL, cache.parse().unwrap());
        }
        self.answers.lock().unwrap().insert(url.to_owned(), (status, headers, body.to_string().into()));
    }

    /// Nobody answers any more.
    pub(super) fn fail(&self) {
        self.answers.lock().unwrap().clear();
    }

    /// The URLs that were asked since this was looked at last.
    pub(super) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap()).into_iter().map(|(url, _)| url).collect()
    }

    /// Who chose the URL that was asked last.
    pub(super) fn chosen_by(&self) -> ChosenBy {
        self.asked.lock().unwrap().last().expect("somebody was asked").1
    }
}

impl Fetch for Network {
    async fn fetch(&self, request: FetchRequest) -> Result<FetchResponse, FetchError> {
        let url = request.url.to_string();
        self.asked.lock().unwrap().push((url.clone(), request.chosen_by));
        // Whoever else is judged at this moment goes on meanwhile.
        tokio::task::yield_now().await;
        let answer = self.answers.lock().unwrap().get(&url).cloned();
        let (status, headers, body) = answer.ok_or(FetchError::Unreachable(url))?;
        assert!(body.len() <= request.max_bytes);
        Ok(FetchResponse { status, headers, body })
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
