//! Registered keys, as a file lists them.

use std::sync::Arc;

use countersign::Store as _;
use countersign::crypto::ethereum::decode_hex;
use countersign::crypto::{Random, SealKey, Secret, SigningKey, VerifyingKey, encode_base62};
use countersign::schemes::api_key::{
    ApiKey, ApiKeyVerifier, KEYS, KeyRecord, KeyRegistry, KeyTerms, LastUses,
};
use countersign::schemes::signature::{RegisteredKeys, SignatureVerifier};
use countersign::testing::Nobody;
use countersign::time::Timestamp;
use serde_json::Value;

use crate::file::NOW;
use crate::world::{Route, Store, World};

/// Makes a key of the store be called so.
struct Named(String);

impl Random for Named {
    fn fill(&self, out: &mut [u8]) {
        let number = |wanted: char| {
            let found = (0..62).find(|number| encode_base62::<1>(&[*number]) == [wanted as u8]);
            found.expect("a name is of letters and digits")
        };
        let numbers = self.0.chars().map(number).cycle();
        out.iter_mut().zip(numbers).for_each(|(byte, number)| *byte = number);
    }
}

fn terms(key: &Value) -> KeyTerms {
    let expires = key["expires_at"].as_u64().map(Timestamp::from_secs);
    let signed_only = key["signed_only"].as_bool().unwrap_or_default();
    KeyTerms { label: "partner".to_owned(), expires, signed_only, ..KeyTerms::default() }
}

/// Puts a key into the store: an API key as it is shown once, a JWK, or the secret of an HMAC in hex.
async fn register(store: &Store, key: &Value, seal: &SealKey) {
    let (registry, now) = (KeyRegistry::new(store.clone()), Timestamp::from_secs(NOW - 86_400));
    let id = if let Some(text) = key["api_key"].as_str() {
        let key_of = ApiKey::parse(text).unwrap();
        let record = KeyRecord::new(&key_of, terms(key), now);
        let place = KeyRecord::place(key_of.id);
        assert!(store.insert(KEYS, place, record.encode().unwrap(), None).await.unwrap());
        key_of.id
    } else {
        let named = Named(key["id"].as_str().unwrap().to_owned());
        let record = match key["hmac_secret"].as_str() {
            Some(hex) => {
                let secret = Secret::new(decode_hex::<32>(hex).unwrap().to_vec());
                registry.add_hmac(&secret, seal, terms(key), now, &named).await
            }
            None => {
                let public = VerifyingKey::from_jwk(&key["jwk"].to_string(), None).unwrap();
                registry.add_public(&public, terms(key), now, &named).await
            }
        };
        record.unwrap().id
    };
    assert_eq!(id.as_str(), key["id"].as_str().unwrap());
    if let Some(revoked) = key["revoked_at"].as_u64() {
        registry.revoke(id, Timestamp::from_secs(revoked)).await.unwrap();
    }
}

/// A route that takes these keys, sent as themselves or signing.
pub(crate) async fn route(world: &World, settings: &Value) -> Route {
    let seal = SealKey::new(Secret::new([9; 32]));
    for key in settings["keys"].as_array().unwrap() {
        register(&world.store, key, &seal).await;
    }
    let flag = |of: &str, name: &str| settings[of][name].as_bool().unwrap_or_default();
    let keys = Arc::new(RegisteredKeys::new(world.store.clone(), Arc::default(), Some(seal)));
    let signatures = || SignatureVerifier {
        keys: keys.clone(),
        wallets: flag("signature", "wallets"),
        bots: None::<countersign::schemes::signature::WebBots<Nobody>>,
        untagged: flag("route", "untagged"),
        max_signed_body: 1024 * 1024,
    };
    let api_keys = || {
        let verifier = ApiKeyVerifier::new(world.store.clone(), Arc::<LastUses>::default());
        verifier.also_in_query(flag("route", "key_in_query"))
    };
    world.route(settings, |rule| rule.verifier(api_keys()).verifier(signatures()))
}

/// A key of `vectors/keys.json`.
pub(crate) fn jwk(name: &str) -> Value {
    let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/keys.json"));
    let keys: Value = serde_json::from_str(text).unwrap();
    let found = keys["keys"].as_array().unwrap().iter().find(|key| key["name"] == name);
    found.unwrap()["jwk"].clone()
}

/// What signs with a JWK.
pub(crate) fn signing(jwk: &Value) -> SigningKey {
    SigningKey::from_jwk(&jwk.to_string(), None).unwrap()
}
