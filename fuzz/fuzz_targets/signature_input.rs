//! The signature headers: no bytes make reading them panic.
#![no_main]

use countersign::schemes::signature::{ContentDigest, SIGNATURE, SIGNATURE_INPUT, Signed};
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&[u8], &[u8])| {
    let (Ok(first), Ok(second)) = (HeaderValue::from_bytes(input.0), HeaderValue::from_bytes(input.1)) else {
        return;
    };
    let mut headers = HeaderMap::new();
    headers.insert("content-digest", first.clone());
    headers.insert(SIGNATURE_INPUT, first);
    headers.insert(SIGNATURE, second);
    let _ = ContentDigest::read(&headers);
    if let Ok(signed) = Signed::read(&headers, &["countersign", ""]) {
        assert!(signed.len() <= 4);
    }
});
