use serde_json::{Value, json};

use super::*;
use crate::crypto::{Algorithm, Ed25519Key, Secret, SigningKey, VerifyingKey};
use crate::time::Timestamp;

const LONGEST: usize = 4096;

fn key() -> SigningKey {
    Ed25519Key::from_seed(Secret::new([7; 32])).into()
}

fn public(key: &SigningKey) -> JwtKey {
    key.verifying_key().clone().into()
}

fn verify(token: &str, key: &JwtKey) -> Result<serde_json::Map<String, Value>, JwtError> {
    Jwt::parse(token, LONGEST, &mut Vec::new())?.verify(key).map(|claims| claims.to_map())
}

fn encoded(header: &str, claims: &str) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
}

/// A token over any header, signed by `key` whatever the header says.
fn forged(header: &str, claims: &str, key: &SigningKey) -> String {
    use crate::crypto::Signer as _;
    let signed = encoded(header, claims);
    let signature = key.sign(signed.as_bytes()).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[test]
fn what_was_signed_is_read_back() {
    let header = JwtHeader { typ: Some("at+jwt"), kid: Some("k\"1"), jwk: None };
    let token = sign(&key(), &header, &json!({"sub": "a", "exp": 5})).unwrap();
    let mut buffer = Vec::new();
    let jwt = Jwt::parse(&token, LONGEST, &mut buffer).unwrap();
    assert_eq!((jwt.key_id(), jwt.algorithm()), (Some("k\"1"), "EdDSA"));
    assert!(jwt.is_type("at+jwt") && !jwt.is_type("JWT"));
    let claims = jwt.verify(&public(&key())).unwrap();
    assert_eq!(claims.text("sub"), Ok(Some("a")));
    assert_eq!(claims.moment("exp"), Ok(Some(Timestamp::from_secs(5))));
    assert_eq!(sign(&key(), &header, &json!("text")), None, "claims are an object");
}

#[test]
fn one_changed_character_anywhere_is_no_token_of_this_key() {
    let token = sign(&key(), &JwtHeader::default(), &json!({"sub": "a"})).unwrap();
    for position in 0..token.len() {
        let mut changed = token.clone().into_bytes();
        changed[position] = if changed[position] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert!(verify(&changed, &public(&key())).is_err(), "at {position}");
    }
}

#[test]
fn the_header_chooses_no_algorithm() {
    let key = key();
    let spki = URL_SAFE_NO_PAD.encode([1; 40]);
    for alg in ["none", "None", "HS256", "ES256", "RS256", "eddsa", ""] {
        let header = format!(r#"{{"alg":"{alg}","jwk":{{"kty":"oct","k":"{spki}"}}}}"#);
        assert_eq!(verify(&forged(&header, "{}", &key), &public(&key)), Err(JwtError::Algorithm), "{alg}");
        let unsigned = format!("{}.", encoded(&header, "{}"));
        assert_eq!(verify(&unsigned, &public(&key)), Err(JwtError::Algorithm), "{alg}");
    }
    assert!(verify(&forged(r#"{"alg":"Ed25519"}"#, "{}", &key), &public(&key)).is_ok(), "RFC 9864");
    let other = Ed25519Key::from_seed(Secret::new([8; 32])).into();
    assert_eq!(verify(&forged(r#"{"alg":"EdDSA"}"#, "{}", &other), &public(&key)), Err(JwtError::Signature));
}

#[test]
fn an_hmac_under_a_public_key_is_none() {
    let pem = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n";
    let public: JwtKey = VerifyingKey::from_pem(pem, None).unwrap().into();
    let secret = SigningKey::from_hmac_secret(&Secret::new(pem.as_bytes().to_vec())).unwrap();
    let token = sign(&secret, &JwtHeader::default(), &json!({})).unwrap();
    assert_eq!(verify(&token, &public), Err(JwtError::Algorithm));
    assert!(verify(&token, &secret.verifying_key().clone().into()).is_ok());
}

#[test]
fn extensions_encryption_and_doubled_members_are_refused() {
    let key = key();
    let read = |header: &str| verify(&forged(header, "{}", &key), &public(&key));
    assert_eq!(read(r#"{"alg":"EdDSA","crit":["exp"],"exp":1}"#), Err(JwtError::Critical));
    assert_eq!(read(r#"{"alg":"EdDSA","crit":[]}"#), Err(JwtError::Critical));
    assert_eq!(read(r#"{"alg":"EdDSA","b64":false}"#), Err(JwtError::Critical));
    assert!(matches!(read(r#"{"alg":"EdDSA","enc":"A128GCM"}"#), Err(JwtError::Malformed(_))));
    for malformed in [r#"{"alg":"none","alg":"EdDSA"}"#, r#"{"typ":"JWT"}"#, "[]", "", r#"{"alg":1}"#] {
        assert!(matches!(read(malformed), Err(JwtError::Malformed(_))), "{malformed}");
    }
    let claims = |claims: &str| verify(&forged(r#"{"alg":"EdDSA"}"#, claims, &key), &public(&key));
    for twice in [r#"{"sub":"a","sub":"b"}"#, r#"{"a":[{"b":1,"b":1}]}"#, r#"{"sub":"a","s\u0075b":"b"}"#] {
        assert_eq!(claims(twice), Err(JwtError::Claims), "{twice}");
    }
    for no_object in ["[]", "1", "", "{} {}", r#"{"a":}"#] {
        assert!(claims(no_object).is_err(), "{no_object}");
    }
}

#[test]
fn what_has_not_three_parts_in_base64url_is_no_token() {
    for text in ["", "a", "a.b", "a.b.c.d", "..", "e30=.e30.AA", "e30.e30.A", " e30.e30.AA", "e30..AA"] {
        assert!(Jwt::parse(text, LONGEST, &mut Vec::new()).is_err(), "{text}");
    }
    let token = sign(&key(), &JwtHeader::default(), &json!({"a": "x".repeat(LONGEST)})).unwrap();
    assert_eq!(verify(&token, &public(&key())), Err(JwtError::TooLong));
    // Some issuers write their certificates into it.
    let header = format!(r#"{{"alg":"EdDSA","x5c":["{}"]}}"#, "x".repeat(LONGEST));
    let mut buffer = Vec::new();
    let with_certificates = forged(&header, "{}", &key());
    let read = Jwt::parse(&with_certificates, 2 * LONGEST, &mut buffer).unwrap();
    assert!(read.verify(&public(&key())).is_ok());
}

#[test]
fn types_are_compared_as_media_types() {
    let is = |typ: &str, expected: &str| {
        let token = sign(&key(), &JwtHeader { typ: Some(typ), ..JwtHeader::default() }, &json!({})).unwrap();
        Jwt::parse(&token, LONGEST, &mut Vec::new()).unwrap().is_type(expected)
    };
    assert!(is("at+jwt", "at+jwt") && is("AT+JWT", "at+jwt") && is("application/at+jwt", "at+jwt"));
    assert!(is("at+jwt", "application/at+jwt") && is("Application/AT+JWT", "application/at+jwt"));
    assert!(!is("jwt", "at+jwt") && !is("text/at+jwt", "at+jwt") && !is("callback+jwt", "at+jwt"));
}

#[test]
fn claims_have_their_types() {
    let claims = |json: &'static [u8]| Claims::parse(json).unwrap();
    let typed = claims(br#"{"aud": ["a", "b"], "exp": 1.5, "sub": 1, "nbf": "5", "iat": -1}"#);
    assert_eq!((typed.is_for("b"), typed.is_for("c")), (Ok(true), Ok(false)));
    assert_eq!(typed.moment("exp"), Ok(Some(Timestamp::from_millis(1500))));
    assert_eq!(
        (typed.text("sub"), typed.moment("nbf"), typed.moment("iat")),
        (Err("sub"), Err("nbf"), Err("iat"))
    );
    assert_eq!(claims(br#"{"aud": ["a", 1]}"#).is_for("a"), Err("aud"));
    assert_eq!(claims(br#"{"aud": {"a": 1}}"#).is_for("a"), Err("aud"));
    assert_eq!(claims(b"{}").is_for("a"), Ok(false));
    assert_eq!(format!("{typed:?}"), r#"{"aud", "exp", "sub", "nbf", "iat"}"#, "values stay out");
}

#[test]
fn a_jwk_has_one_algorithm_unless_it_is_of_rsa_and_names_none() {
    let samples = crate::crypto::samples::samples();
    let rsa = samples.keys.iter().find(|key| key.algorithm.starts_with("rsa")).unwrap();
    let with = |alg: &str| {
        let mut jwk = json!({"kty": "RSA", "n": rsa.jwk["n"], "e": rsa.jwk["e"]});
        if !alg.is_empty() {
            jwk["alg"] = alg.into();
        }
        JwtKey::from_jwk(&jwk.to_string()).map(|key| names(&key))
    };
    assert_eq!(with("").unwrap(), RSA);
    for algorithm in RSA {
        assert_eq!(with(algorithm).unwrap(), [algorithm]);
    }
    for algorithm in ["ES256", "EdDSA", "HS256", "RSA-OAEP", "none"] {
        assert!(with(algorithm).is_err(), "{algorithm}");
    }
    let mut ed25519: Value = serde_json::from_str(&key().verifying_key().to_jwk().unwrap()).unwrap();
    assert_eq!(names(&JwtKey::from_jwk(&ed25519.to_string()).unwrap()), ["EdDSA"]);
    for (algorithm, fits) in [("EdDSA", true), ("Ed25519", true), ("ES256", false), ("RS256", false)] {
        ed25519["alg"] = algorithm.into();
        assert_eq!(JwtKey::from_jwk(&ed25519.to_string()).is_ok(), fits, "{algorithm}");
    }
}

const RSA: [&str; 6] = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];

fn names(key: &JwtKey) -> Vec<&'static str> {
    key.algorithms().map(JwtAlgorithm::as_str).collect()
}

#[test]
fn an_rsa_key_allows_what_was_said_of_it_and_what_it_signed_in_another_way_is_not_its() {
    let samples = crate::crypto::samples::samples();
    let rsa = samples.keys.iter().find(|key| key.algorithm == "rsa-v1_5-sha256").unwrap();
    let jwk = json!({"kty": "RSA", "n": rsa.jwk["n"], "e": rsa.jwk["e"]}).to_string();
    let read = |algorithm| VerifyingKey::from_jwk(&jwk, algorithm).unwrap();
    let private = SigningKey::from_pem(&rsa.private[0], Some(Algorithm::RsaV15Sha256)).unwrap();
    let token = sign(&private, &JwtHeader::default(), &json!({})).unwrap();
    for (key, allowed) in [
        (read(None), &RSA[..]),
        (read(Some(Algorithm::RsaV15Sha256)), &["RS256"]),
        (read(Some(Algorithm::RsaPssSha512)), &["PS512"]),
    ] {
        let stored = VerifyingKey::decode(&key.encode().unwrap()).unwrap();
        for key in [JwtKey::from(key.clone()), JwtKey::from(stored)] {
            assert_eq!(names(&key), allowed);
            let expected = if allowed.contains(&"RS256") { None } else { Some(JwtError::Algorithm) };
            assert_eq!(verify(&token, &key).err(), expected, "{key:?}");
            // The signature is of RS256: no other name makes it one of another.
            let (_, rest) = token.split_once('.').unwrap();
            for other in RSA.into_iter().filter(|name| *name != "RS256").chain(["HS256", "ES256", "none"]) {
                let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"{other}"}}"#));
                assert!(verify(&format!("{header}.{rest}"), &key).is_err(), "{other}");
            }
        }
        // For messages nothing changes.
        let messages = if allowed == ["RS256"] { Algorithm::RsaV15Sha256 } else { Algorithm::RsaPssSha512 };
        assert_eq!(key.algorithm(), messages);
    }
}

#[test]
fn a_jwk_that_holds_a_secret_is_no_key_that_verifies() {
    let public: Value = serde_json::from_str(&key().verifying_key().to_jwk().unwrap()).unwrap();
    assert!(JwtKey::from_jwk(&public.to_string()).is_ok());
    let mut private = public;
    private["d"] = URL_SAFE_NO_PAD.encode([7; 32]).into();
    assert!(JwtKey::from_jwk(&private.to_string()).is_err());
    assert!(
        JwtKey::from_jwk(&json!({"kty": "oct", "k": URL_SAFE_NO_PAD.encode([7; 32])}).to_string()).is_err()
    );
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[A-Za-z0-9_.-]{0,80}", noise in "\\PC{0,40}") {
        let _ = verify(&text, &public(&key()));
        let _ = verify(&noise, &public(&key()));
    }
}
