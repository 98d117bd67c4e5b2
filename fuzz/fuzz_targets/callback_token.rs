//! The token in a callback URL: what is read is what was written, and claims mean what would be written.
#![no_main]

use countersign::crypto::jwt::Claims;
use countersign::schemes::callback_url::wire::{CallbackClaims, Token};
use libfuzzer_sys::fuzz_target;

const AUDIENCE: &str = "https://a.example/callbacks";

fuzz_target!(|text: &str| {
    match Token::parse(text) {
        Ok(Token::Static(token)) => assert_eq!(token.reveal().expose(), text),
        Ok(Token::Signed(token)) => assert_eq!(token.expose(), text),
        Err(_) => {}
    }
    let Ok(claims) = Claims::parse(text.as_bytes()) else { return };
    let Ok(read) = CallbackClaims::read(&claims, AUDIENCE) else { return };
    let written = serde_json::to_vec(&read).expect("claims are JSON");
    let again = CallbackClaims::read(&Claims::parse(&written).expect("claims"), AUDIENCE).expect("the same");
    // The wire says whole seconds.
    assert_eq!((again.expires.as_secs(), &again.id), (read.expires.as_secs(), &read.id));
});
