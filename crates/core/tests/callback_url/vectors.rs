//! The vectors of `vectors/callback_url.json`: tokens that a library of others made.

use countersign::testing::NOW;
use countersign::testing::Verdict;
use http::Method;
use serde_json::Value;

use crate::world::{Call, ROUTE, SECRET, World};

#[tokio::test]
async fn every_token_opens_what_its_vector_says() {
    let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/callback_url.json"));
    let vectors: Value = serde_json::from_str(text).unwrap();
    assert_eq!((&vectors["route"], &vectors["now"]), (&ROUTE.into(), &NOW.as_millis().into()));
    assert_eq!(vectors["secret"].as_str().map(str::as_bytes), Some(&SECRET[..]));
    for case in vectors["cases"].as_array().unwrap() {
        let text = |name: &str| case[name].as_str().unwrap_or_else(|| panic!("{case}"));
        // Each in a world of its own, for some have one name.
        let world = World::new();
        let call = Call::post(&format!("https://a.example{}", text("path")));
        let method = Method::from_bytes(text("method").as_bytes()).unwrap();
        let code = match world.ask(&call.method(method)).await {
            Verdict::Permit(_) => None,
            Verdict::Deny(refusal) => Some(refusal.denial().code().as_str()),
        };
        assert_eq!(code, case["code"].as_str(), "{}", case["name"]);
    }
}
