//! A webhook credential and a question: no bytes make reading panic, and what is read is not empty.
#![no_main]

use countersign::schemes::webhook::wire::{Question, split_credential};
use countersign::schemes::webhook::{Token, TokenHash, UrlRules, WebhookUrl};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = Question::decode(bytes);
    let _ = Token::parse(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = TokenHash::parse(text);
    if let Ok((url, _hash)) = split_credential(text) {
        assert!(!url.contains('"') || text.contains('"'));
    }
    if let Ok(url) = WebhookUrl::parse(text, &UrlRules::default()) {
        assert_eq!(WebhookUrl::parse(url.as_str(), &UrlRules::default()).as_ref(), Ok(&url));
    }
});
