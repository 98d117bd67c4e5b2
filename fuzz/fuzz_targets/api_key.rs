//! An API key: what is read is what would be written.
#![no_main]

use countersign::schemes::api_key::ApiKey;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(key) = ApiKey::parse(text) {
        assert_eq!(key.reveal().expose(), text);
    }
});
