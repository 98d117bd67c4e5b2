//! `vectors/keys.json`.

use std::collections::HashMap;

use serde::Deserialize;

#[derive(Deserialize)]
pub(crate) struct Samples {
    pub(crate) message: String,
    pub(crate) keys: Vec<Sample>,
    pub(crate) others: HashMap<String, String>,
}

/// One key, in every form that it has.
#[derive(Deserialize)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) algorithm: String,
    pub(crate) public: Vec<String>,
    pub(crate) private: Vec<String>,
    pub(crate) jwk: serde_json::Map<String, serde_json::Value>,
    pub(crate) signature: String,
}

impl Sample {
    /// Its JWK without what is private.
    pub(crate) fn public_jwk(&self) -> serde_json::Map<String, serde_json::Value> {
        let mut jwk = self.jwk.clone();
        jwk.retain(|name, _| !["d", "p", "q", "dp", "dq", "qi"].contains(&name.as_str()));
        jwk
    }
}

pub(crate) fn samples() -> Samples {
    let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/keys.json"));
    serde_json::from_str(text).unwrap()
}

/// A JWK as text.
pub(crate) fn text(jwk: serde_json::Map<String, serde_json::Value>) -> String {
    serde_json::Value::Object(jwk).to_string()
}
