//! Tokens that somebody made up: each is refused as what it is, and nobody is asked on its account.

use countersign::crypto::{SigningKey, VerifyingKey};
use serde_json::json;

use super::*;

/// A refusal before anybody was asked.
async fn refused_unasked(token: &str) -> Option<Code> {
    let world = World::new();
    let code = world.token(token).await;
    assert_eq!(world.network.take_asked(), Vec::<String>::new(), "nobody is asked");
    code
}

#[expect(clippy::needless_pass_by_value, reason = "it is written in place")]
fn header(changes: Value) -> String {
    let mut header = json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": "one" });
    header.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    header.to_string()
}

#[tokio::test]
async fn an_algorithm_is_never_the_tokens_to_choose() {
    for alg in ["none", "None", "NONE", "", "HS256", "HS512", "ES512", "EdDSA ", "RSA1_5"] {
        let token = raw(&ed25519(1), &header(json!({ "alg": alg })), &good().to_string());
        assert_eq!(refused_unasked(&token).await, Some(Code::TokenInvalid), "{alg}");
        let parts: Vec<&str> = token.split('.').collect();
        let unsigned = format!("{}.{}.", parts[0], parts[1]);
        assert_eq!(refused_unasked(&unsigned).await, Some(Code::TokenInvalid), "{alg} without signature");
    }
}

#[tokio::test]
async fn a_public_key_is_no_secret() {
    // HMAC under the text of the public key: as JWK, as PEM, as its bytes.
    let public: VerifyingKey = ed25519(1).verifying_key().clone();
    let jwk = public.to_jwk().unwrap();
    for secret in [jwk.clone().into_bytes(), public.encode().unwrap(), [0x41; 32].to_vec()] {
        let key = SigningKey::from_hmac_secret(&Secret::new(secret)).unwrap();
        let token = raw(&key, &header(json!({ "alg": "HS256" })), &good().to_string());
        let world = World::new();
        assert_eq!(world.token(&signed(&good())).await, None, "the keys are known");
        world.network.take_asked();
        assert_eq!(world.token(&token).await, Some(Code::TokenInvalid));
        assert!(world.network.take_asked().is_empty());
    }
}

#[tokio::test]
async fn another_algorithm_of_key_pairs_than_the_keys_own_is_refused_and_nobody_is_asked_again() {
    let world = World::new();
    assert_eq!(world.token(&signed(&good())).await, None);
    world.network.take_asked();
    for alg in ["RS256", "ES256", "PS512"] {
        world.pass_seconds(31);
        let token = raw(&ed25519(1), &header(json!({ "alg": alg })), &good().to_string());
        assert_eq!(world.token(&token).await, Some(Code::TokenInvalid), "{alg}");
        assert!(world.network.take_asked().is_empty(), "{alg}");
    }
}

#[tokio::test]
async fn a_header_cannot_bring_its_own_key_or_say_where_one_is() {
    let eve = ed25519(66);
    let own: Value = serde_json::from_str(&eve.verifying_key().to_jwk().unwrap()).unwrap();
    let world = World::new();
    assert_eq!(world.token(&signed(&good())).await, None);
    world.network.take_asked();
    for extra in [
        json!({ "jwk": own }),
        json!({ "jku": "https://eve.example/jwks" }),
        json!({ "x5u": "https://eve.example/cert" }),
        json!({ "x5c": ["MIIB"] }),
        json!({ "jku": "https://169.254.169.254/", "jwk": own }),
    ] {
        let token = raw(&eve, &header(extra.clone()), &good().to_string());
        assert_eq!(world.token(&token).await, Some(Code::TokenInvalid), "{extra}");
        // In a token of the issuer's own they say nothing.
        let token = raw(&ed25519(1), &header(extra.clone()), &good().to_string());
        assert_eq!(world.token(&token).await, None, "{extra}");
    }
    assert!(world.network.take_asked().is_empty());
}

#[tokio::test]
async fn an_unlisted_issuer_is_not_asked_however_much_it_looks_like_a_listed_one() {
    for iss in [
        "https://eve.example",
        "https://login.example",
        "https://login.example/realms/a/",
        "https://login.example/realms/A",
        "https://LOGIN.example/realms/a",
        "http://login.example/realms/a",
        "https://login.example/realms/a#x",
        "",
    ] {
        let token = signed(&with(json!({ "iss": iss })));
        assert_eq!(refused_unasked(&token).await, Some(Code::TokenInvalid), "{iss}");
    }
}

#[tokio::test]
async fn what_must_be_understood_and_is_not_is_refused() {
    for extra in [
        json!({ "crit": ["exp"], "exp": 1 }),
        json!({ "crit": [] }),
        json!({ "b64": false }),
        json!({ "enc": "A256GCM" }),
    ] {
        let token = raw(&ed25519(1), &header(extra.clone()), &good().to_string());
        assert_eq!(refused_unasked(&token).await, Some(Code::TokenInvalid), "{extra}");
    }
}

#[tokio::test]
async fn what_two_readers_would_read_differently_is_refused() {
    let claims = good().to_string();
    let twice = |member: &str| format!("{{{member},{}", &claims[1..]);
    for claims in [
        twice(r#""sub":"admin""#),
        twice(r#""exp":9999999999"#),
        twice(r#""x":{"y":1,"y":2}"#),
        format!("[{claims}]"),
        format!("{claims}{claims}"),
        "42".to_owned(),
        String::from_utf8_lossy(&[0xff, 0xfe]).into_owned(),
    ] {
        let token = raw(&ed25519(1), &header(json!({})), &claims);
        assert_eq!(refused_unasked(&token).await, Some(Code::TokenInvalid), "{claims}");
    }
    for header in [
        r#"{"alg":"EdDSA","alg":"none","typ":"at+jwt","kid":"one"}"#,
        r#"{"alg":"EdDSA","typ":"at+jwt","typ":"JWT","kid":"one"}"#,
        r#"["alg"]"#,
        "",
    ] {
        let token = raw(&ed25519(1), header, &claims);
        assert_eq!(refused_unasked(&token).await, Some(Code::TokenInvalid), "{header}");
    }
}

#[tokio::test]
async fn a_token_that_is_too_long_is_refused_unread() {
    let long = |length: usize| signed(&with(json!({ "padding": "x".repeat(length) })));
    let fits = (11_000..12_300).rev().map(long).find(|token| token.len() <= 16_384).unwrap();
    assert!(fits.len() > 16_380);
    assert_eq!(World::new().token(&fits).await, None);
    let longer = long(12_300);
    assert_eq!(refused_unasked(&longer).await, Some(Code::TokenInvalid));
    let denial = World::new().denial(&bearing(&longer)).await;
    let cause = format!("it has {} bytes, and max_token is 16384", longer.len());
    assert_eq!(denial.cause(), cause, "before anything of it is read");
    assert_eq!(refused_unasked(&long(100_000)).await, Some(Code::TokenInvalid));
}

#[tokio::test]
async fn a_value_of_no_grammar_is_a_bad_token_and_other_credentials_are_none() {
    let world = World::new();
    let authorization = async |value: &str| world.code(&authorized(value)).await;
    for value in ["Bearer", "Bearer a.b", "Bearer a.b.c.d", "DPoP cs_x", "Bearer a=.b.c", "bearer  x"] {
        assert_eq!(authorization(value).await, Some(Code::TokenInvalid), "{value}");
    }
    let half = "a".repeat(43);
    for value in ["Basic YTpi", "Bearer cs_x", &format!("Bearer {half}"), "Webhook u h"] {
        assert_eq!(authorization(value).await, Some(Code::CredentialMissing), "{value}");
    }
    let mut twice = bearing(&signed(&good()));
    let again = twice.headers[AUTHORIZATION].clone();
    twice.headers.append(AUTHORIZATION, again);
    assert_eq!(world.code(&twice).await, Some(Code::CredentialAmbiguous));
}

#[tokio::test]
async fn a_token_that_was_tampered_with_is_not_taken_for_the_one_that_was_good() {
    let world = World::new();
    let token = signed(&good());
    assert_eq!(world.token(&token).await, None);
    let parts: Vec<&str> = token.split('.').collect();
    let changed = URL_SAFE_NO_PAD.encode(with(json!({ "sub": "admin" })).to_string());
    let tampered = format!("{}.{changed}.{}", parts[0], parts[2]);
    assert_eq!(world.token(&tampered).await, Some(Code::TokenInvalid));
    let other = signed_as(2, Some("at+jwt"), Some("one"), &good());
    assert_eq!(world.token(&other).await, Some(Code::TokenInvalid), "another key by the same name");
}

proptest::proptest! {
    #[test]
    fn no_token_makes_it_panic_and_nobody_is_asked(
        noise in "[A-Za-z0-9_.-]{0,80}", header in "[a-z\":,{}0-9]{0,60}", claims in "[a-z\":,{}0-9]{0,60}",
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for token in [noise, raw(&ed25519(1), &header, &claims), raw(&ed25519(1), r#"{"alg":"EdDSA"}"#, &claims)] {
            let world = World::new();
            let code = runtime.block_on(world.token(&token));
            proptest::prop_assert!(code.is_some());
            proptest::prop_assert!(world.network.take_asked().is_empty());
        }
    }
}
