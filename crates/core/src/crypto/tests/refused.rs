//! What is no key here, and says why; and that no bytes at all make reading panic.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};

use super::samples::{samples, text};
use crate::crypto::{Algorithm, KeyError, SigningKey, VerifyingKey};

fn pem(label: &str, bytes: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(bytes))
}

fn inside(pem: &str) -> Vec<u8> {
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    STANDARD.decode(body).unwrap()
}

fn public(pem: &str) -> KeyError {
    VerifyingKey::from_pem(pem, None).unwrap_err()
}

fn private(pem: &str) -> KeyError {
    SigningKey::from_pem(pem, None).unwrap_err()
}

#[test]
fn the_wrong_thing_is_told_apart() {
    let samples = samples();
    for read in [public, private] {
        assert_eq!(read(&samples.others["cert.pem"]), KeyError::Certificate);
        assert_eq!(read(&samples.others["enc.pem"]), KeyError::Encrypted);
        assert!(matches!(read("nothing"), KeyError::Pem(_)));
        assert_eq!(read(&pem("X", &[])), KeyError::Kind("X".to_owned()));
    }
    for sample in &samples.keys {
        for key in &sample.private {
            assert_eq!(public(key), KeyError::Private);
        }
        for key in &sample.public {
            assert_eq!(private(key), KeyError::Public);
        }
        let jwk = |jwk| VerifyingKey::from_jwk(&text(jwk), None).map(drop);
        assert_eq!(jwk(sample.jwk.clone()), Err(KeyError::Private));
        let error = SigningKey::from_jwk(&text(sample.public_jwk()), None).unwrap_err();
        assert_eq!(error, KeyError::Public);
    }
}

#[test]
fn kinds_that_are_not_taken_say_so() {
    let others = samples().others;
    for name in ["P521.pub", "P256.compressed.pub", "pssp.pub", "x.pub"] {
        assert!(matches!(public(&others[name]), KeyError::Kind(_)), "{name}");
    }
    for name in ["P521.pem", "x.pem"] {
        assert!(matches!(private(&others[name]), KeyError::Kind(_)), "{name}");
    }
    assert_eq!(public(&others["small.pub"]), KeyError::RsaSize(1024));
    assert!(matches!(private(&others["small.pem"]), KeyError::Malformed(_) | KeyError::RsaSize(_)));
}

/// With one byte more or less anywhere in its frame, or one bit of its frame changed, it is no key.
#[test]
fn a_public_key_has_one_spelling() {
    for sample in &samples().keys {
        for (key, label) in sample.public.iter().zip(["PUBLIC KEY", "RSA PUBLIC KEY"]) {
            let good = inside(key);
            assert_eq!(pem(label, &good).replace('\n', ""), key.replace('\n', ""));
            let own = VerifyingKey::from_pem(key, None).unwrap();
            for other in [&[&good[..], &[0]].concat(), &good[..good.len() - 1], &good[1..], &[]] {
                assert!(VerifyingKey::from_pem(&pem(label, other), None).is_err());
            }
            for position in 0..good.len() {
                let mut changed = good.clone();
                changed[position] ^= 1;
                if let Ok(other) = VerifyingKey::from_pem(&pem(label, &changed), None) {
                    assert_ne!(other, own, "{} {position}", sample.name);
                }
            }
        }
    }
}

#[test]
fn points_off_the_curve_are_no_keys() {
    for sample in samples().keys.iter().filter(|sample| sample.jwk["kty"] == "EC") {
        let mut stored = VerifyingKey::from_pem(&sample.public[0], None).unwrap().encode().unwrap();
        let last = stored.len() - 1;
        stored[last] ^= 1;
        assert_eq!(VerifyingKey::decode(&stored).unwrap_err(), KeyError::Point);
        let mut jwk = sample.public_jwk();
        jwk.insert("y".to_owned(), jwk["x"].clone());
        assert_eq!(VerifyingKey::from_jwk(&text(jwk), None).unwrap_err(), KeyError::Point);
        // The point at infinity, and zero.
        stored.truncate(2);
        for raw in [&[0][..], &vec![0; last - 1], &[&[4][..], &vec![0; last - 2]].concat()] {
            let stored = [&stored[..], raw].concat();
            assert_eq!(VerifyingKey::decode(&stored).unwrap_err(), KeyError::Point);
        }
    }
}

#[test]
fn ed25519_keys_of_small_order_and_other_spellings_are_no_keys() {
    let mut beyond = [0xff; 32];
    (beyond[0], beyond[31]) = (0xee, 0x7f);
    for weak in [[0; 32], beyond] {
        assert_eq!(VerifyingKey::from_ed25519(weak).unwrap_err(), KeyError::Point);
        assert_eq!(VerifyingKey::decode(&[&[1, 1][..], &weak].concat()).unwrap_err(), KeyError::Point);
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(weak)});
        assert_eq!(VerifyingKey::from_jwk(&jwk.to_string(), None).unwrap_err(), KeyError::Point);
    }
}

/// A public JWK of the kind, with some members changed; `null` takes one away.
fn jwk(kind: usize, changes: &Value) -> Result<Algorithm, KeyError> {
    let mut jwk: Map<_, _> = samples().keys[kind].public_jwk();
    for (name, value) in changes.as_object().unwrap() {
        jwk.insert(name.clone(), value.clone());
    }
    jwk.retain(|_, value| !value.is_null());
    VerifyingKey::from_jwk(&text(jwk), None).map(|key| key.algorithm())
}

#[test]
fn a_jwk_for_something_else_is_refused() {
    for kind in 0..5 {
        assert!(jwk(kind, &json!({"use": "sig", "key_ops": ["verify"], "kid": "a", "new": {}})).is_ok());
        for changes in [json!({"use": "enc"}), json!({"key_ops": []}), json!({"key_ops": ["sign"]})] {
            assert_eq!(jwk(kind, &changes), Err(KeyError::Use), "{changes}");
        }
        for alg in ["HS256", "none", "ES512", "RS512", "PS256", ""] {
            assert!(matches!(jwk(kind, &json!({"alg": alg})), Err(KeyError::Jwk(_))), "{kind} {alg}");
        }
    }
    assert!(matches!(jwk(1, &json!({"alg": "ES384"})), Err(KeyError::Jwk(_))));
    assert_eq!(jwk(0, &json!({"alg": "Ed25519"})), Ok(Algorithm::Ed25519));
    assert_eq!(jwk(0, &json!({"alg": "EdDSA"})), Ok(Algorithm::Ed25519));
    assert_eq!(jwk(1, &json!({"alg": "ES256"})), Ok(Algorithm::EcdsaP256Sha256));
    assert_eq!(jwk(2, &json!({"alg": "ES384"})), Ok(Algorithm::EcdsaP384Sha384));
    let private = &samples().keys[0].jwk;
    let mut verifying = private.clone();
    verifying.insert("key_ops".to_owned(), json!(["verify"]));
    assert_eq!(SigningKey::from_jwk(&text(verifying), None).unwrap_err(), KeyError::Use);
}

#[test]
fn a_jwk_that_is_not_well_formed_is_refused() {
    for changes in [json!({"x": null}), json!({"x": "*"}), json!({"x": "AQ="}), json!({"x": 1})] {
        assert!(matches!(jwk(0, &changes), Err(KeyError::Jwk(_))), "{changes}");
        assert!(matches!(jwk(1, &changes), Err(KeyError::Jwk(_))), "{changes}");
    }
    assert_eq!(jwk(0, &json!({"x": "AQ"})), Err(KeyError::Point));
    assert_eq!(jwk(1, &json!({"x": "AQ"})), Err(KeyError::Point));
    for (kty, crv) in [("OKP", "Ed448"), ("OKP", "X25519"), ("EC", "P-521"), ("EC", "Ed25519"), ("a", "b")] {
        assert!(matches!(jwk(1, &json!({"kty": kty, "crv": crv})), Err(KeyError::Kind(_))), "{kty} {crv}");
    }
    assert!(matches!(jwk(0, &json!({"kty": "oct", "k": "AQ"})), Err(KeyError::Kind(_))));
    assert_eq!(jwk(0, &json!({"k": "AQ"})), Err(KeyError::Private));
    assert_eq!(jwk(3, &json!({"oth": []})), Err(KeyError::Private));
    let zero = format!("AA{}", samples().keys[3].jwk["n"].as_str().unwrap());
    assert!(matches!(jwk(3, &json!({"n": zero})), Err(KeyError::Jwk(_))));
    assert_eq!(jwk(3, &json!({"n": "AQAB"})), Err(KeyError::RsaSize(17)));
    assert_eq!(jwk(3, &json!({"n": "_".repeat(1400)})), Err(KeyError::RsaSize(8400)));
    for e in ["", "AQ", "Ag"] {
        assert_eq!(jwk(3, &json!({"e": e})), Err(KeyError::Malformed("RSA")), "{e:?}");
    }
    let twice = r#"{"kty":"OKP","kty":"OKP","crv":"Ed25519"}"#;
    for text in ["", "[]", "{}", "1", twice, &" ".repeat(70_000)] {
        assert!(matches!(VerifyingKey::from_jwk(text, None), Err(KeyError::Jwk(_))), "{text}");
    }
}

#[test]
fn the_halves_of_a_private_jwk_belong_together() {
    let samples = samples();
    let others = [
        json!({"x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}),
        json!({"d": samples.keys[0].jwk["d"]}),
        json!({"d": URL_SAFE_NO_PAD.encode([7; 48])}),
    ];
    for (sample, changes) in samples.keys.iter().zip(&others) {
        let mut jwk = sample.jwk.clone();
        jwk.extend(changes.as_object().unwrap().clone());
        assert_eq!(SigningKey::from_jwk(&text(jwk), None).unwrap_err(), KeyError::Halves, "{}", sample.name);
    }
    let mut rsa = samples.keys[3].jwk.clone();
    rsa.insert("d".to_owned(), rsa["p"].clone());
    assert!(matches!(SigningKey::from_jwk(&text(rsa), None).unwrap_err(), KeyError::Malformed(_)));
    // A private number is as long as its curve's: leading zeros are written.
    let mut short = samples.keys[1].jwk.clone();
    short.insert("d".to_owned(), json!("AQ"));
    assert!(matches!(SigningKey::from_jwk(&text(short), None).unwrap_err(), KeyError::Malformed(_)));
}

#[test]
fn what_is_no_stored_key_is_refused() {
    for stored in [&[][..], &[1], &[1, 1], &[1, 0, 0], &[1, 8, 0], &[2, 1], &[1, 1, 0]] {
        assert_eq!(VerifyingKey::decode(stored).unwrap_err(), KeyError::Stored, "{stored:?}");
    }
    for sample in &samples().keys {
        let stored = VerifyingKey::from_pem(&sample.public[0], None).unwrap().encode().unwrap();
        assert!(VerifyingKey::decode(&[&stored[..], &[0]].concat()).is_err());
        assert!(VerifyingKey::decode(&[&[2], &stored[1..]].concat()).is_err());
    }
}

#[test]
fn an_error_shows_nothing_of_a_private_key() {
    let samples = samples();
    for sample in &samples.keys {
        let d = sample.jwk["d"].as_str().unwrap();
        let broken = text(sample.jwk.clone()).replace("\"d\":\"", "\"d\":[\"");
        let error = SigningKey::from_jwk(&broken, None).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(&d[..8]));
    }
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_reading_panic(
        text in "\\PC{0,80}",
        bytes in proptest::collection::vec(0_u8.., 0..100),
        kind in 0_usize..5,
        position: usize,
        byte: u8,
    ) {
        let _ = (VerifyingKey::from_pem(&text, None), SigningKey::from_pem(&text, None));
        let _ = (VerifyingKey::from_jwk(&text, None), SigningKey::from_jwk(&text, None));
        for label in ["PUBLIC KEY", "RSA PUBLIC KEY", "PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY"] {
            let framed = pem(label, &bytes);
            let _ = (VerifyingKey::from_pem(&framed, None), SigningKey::from_pem(&framed, None));
        }
        let _ = VerifyingKey::decode(&bytes);
        let _ = VerifyingKey::decode(&[&[1, kind as u8 + 1][..], &bytes].concat());

        // A good key with one byte changed.
        let sample = &samples().keys[kind];
        let changed = |mut good: Vec<u8>| {
            let position = position % good.len();
            good[position] = byte;
            good
        };
        for (label, key) in [("PUBLIC KEY", &sample.public[0]), ("PRIVATE KEY", &sample.private[0])] {
            let framed = pem(label, &changed(inside(key)));
            let _ = (VerifyingKey::from_pem(&framed, None), SigningKey::from_pem(&framed, None));
        }
        let stored = VerifyingKey::from_pem(&sample.public[0], None).unwrap().encode().unwrap();
        let _ = VerifyingKey::decode(&changed(stored));
        let jwk = changed(super::samples::text(sample.jwk.clone()).into_bytes());
        let jwk = String::from_utf8_lossy(&jwk).into_owned();
        let _ = (VerifyingKey::from_jwk(&jwk, None), SigningKey::from_jwk(&jwk, None));
    }
}
