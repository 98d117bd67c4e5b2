//! Keys are the same in whatever form they come, verify what theirs signed, and print no secret.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::samples::{samples, text};
use crate::crypto::jwt::{JwtAlgorithm, JwtKey};
use crate::crypto::{Algorithm, Ed25519Key, KeyError, Secret, Signer, SigningKey, VerifyingKey};

fn secret(length: usize) -> Secret<Vec<u8>> {
    Secret::new((0..length).map(|byte| byte as u8).collect())
}

/// One key of each algorithm that signs here.
fn signing_keys() -> Vec<SigningKey> {
    let mut keys: Vec<_> = samples()
        .keys
        .iter()
        .map(|sample| {
            let algorithm = Algorithm::from_name(&sample.algorithm);
            SigningKey::from_pem(&sample.private[0], algorithm).unwrap()
        })
        .collect();
    keys.push(SigningKey::from_hmac_secret(&secret(32)).unwrap());
    keys
}

#[test]
fn every_form_of_a_key_is_the_same_key_and_verifies_what_others_signed() {
    let samples = samples();
    let message = samples.message.as_bytes();
    for sample in &samples.keys {
        let algorithm = Algorithm::from_name(&sample.algorithm);
        let signature = STANDARD.decode(&sample.signature).unwrap();
        let mut forms: Vec<_> =
            sample.public.iter().map(|pem| VerifyingKey::from_pem(pem, algorithm).unwrap()).collect();
        forms.push(VerifyingKey::from_jwk(&text(sample.public_jwk()), None).unwrap());
        forms.push(VerifyingKey::from_jwk(&forms[0].to_jwk().unwrap(), algorithm).unwrap());
        forms.push(VerifyingKey::decode(&forms[0].encode().unwrap()).unwrap());
        let mut private: Vec<_> =
            sample.private.iter().map(|pem| SigningKey::from_pem(pem, algorithm).unwrap()).collect();
        private.push(SigningKey::from_jwk(&text(sample.jwk.clone()), None).unwrap());
        for key in &private {
            assert_eq!(Some(key.algorithm()), algorithm);
            let signature = key.sign(message).unwrap();
            assert!(key.verifying_key().verify(message, &signature), "{}", sample.name);
            assert!(forms[0].verify(message, &signature), "{}", sample.name);
            forms.push(key.verifying_key().clone());
        }
        for form in &forms {
            assert_eq!(form, &forms[0], "{}", sample.name);
            assert_eq!(form.thumbprint(), forms[0].thumbprint());
            assert_eq!(form.encode(), forms[0].encode());
            assert_eq!(Some(form.algorithm()), algorithm);
            assert!(form.verify(message, &signature), "{}", sample.name);
            assert!(!form.verify(b"another message", &signature), "{}", sample.name);
        }
    }
    assert_eq!(samples.keys.len(), 5);
}

#[test]
fn a_key_verifies_by_its_own_algorithm_alone() {
    let keys = signing_keys();
    assert_eq!(keys.len(), Algorithm::ALL.len());
    for signer in &keys {
        let signature = signer.sign(b"message").unwrap();
        for other in &keys {
            let same = other.algorithm() == signer.algorithm();
            assert_eq!(other.verifying_key().verify(b"message", &signature), same);
            assert_eq!(
                other.verifying_key() == signer.verifying_key(),
                same && other.verifying_key().encode().is_some()
            );
        }
    }
}

#[test]
fn a_changed_shortened_or_lengthened_signature_fails() {
    for key in signing_keys() {
        let signature = key.sign(b"message").unwrap();
        for position in 0..signature.len() {
            let mut changed = signature.clone();
            changed[position] ^= 1;
            assert!(!key.verifying_key().verify(b"message", &changed), "{key:?} {position}");
        }
        for other in
            [&signature[1..], &signature[..signature.len() - 1], &[&signature[..], &[0]].concat(), &[]]
        {
            assert!(!key.verifying_key().verify(b"message", other), "{key:?}");
        }
    }
}

#[test]
fn an_ecdsa_signature_is_r_and_s_at_full_length_and_neither_is_zero() {
    for key in signing_keys().iter().filter(|key| key.algorithm().as_str().starts_with("ecdsa")) {
        let signature = key.sign(b"message").unwrap();
        let half = signature.len() / 2;
        assert_eq!(half, if key.algorithm() == Algorithm::EcdsaP256Sha256 { 32 } else { 48 });
        let zero = vec![0; half];
        for (r, s) in
            [(&zero[..], &signature[half..]), (&signature[..half], &zero[..]), (&zero[..], &zero[..])]
        {
            assert!(!key.verifying_key().verify(b"message", &[r, s].concat()));
        }
    }
}

#[test]
fn an_rsa_key_is_for_pss_unless_somebody_says_otherwise() {
    let sample = &samples().keys[3];
    for pem in &sample.public {
        assert_eq!(VerifyingKey::from_pem(pem, None).unwrap().algorithm(), Algorithm::RsaPssSha512);
        assert_eq!(
            VerifyingKey::from_pem(pem, Some(Algorithm::RsaV15Sha256)).unwrap().algorithm(),
            Algorithm::RsaV15Sha256
        );
        assert_eq!(
            VerifyingKey::from_pem(pem, Some(Algorithm::Ed25519)).unwrap_err(),
            KeyError::Algorithm(Algorithm::Ed25519)
        );
    }
    let mut jwk = sample.public_jwk();
    assert_eq!(
        VerifyingKey::from_jwk(&text(jwk.clone()), Some(Algorithm::RsaV15Sha256)).unwrap_err(),
        KeyError::Algorithm(Algorithm::RsaV15Sha256)
    );
    jwk.remove("alg");
    assert_eq!(
        VerifyingKey::from_jwk(&text(jwk.clone()), None).unwrap().algorithm(),
        Algorithm::RsaPssSha512
    );
    let v15 = VerifyingKey::from_jwk(&text(jwk), Some(Algorithm::RsaV15Sha256)).unwrap();
    assert_eq!(v15.algorithm(), Algorithm::RsaV15Sha256);
    assert_eq!(VerifyingKey::decode(&v15.encode().unwrap()).unwrap(), v15);
}

#[test]
fn a_key_named_for_pss_alone_is_not_used_for_the_other() {
    let others = samples().others;
    let key = VerifyingKey::from_pem(&others["pss.pub"], None).unwrap();
    let private = SigningKey::from_pem(&others["pss.pem"], None).unwrap();
    assert_eq!(private.verifying_key(), &key);
    assert!(key.verify(b"message", &private.sign(b"message").unwrap()));
    assert_eq!(VerifyingKey::decode(&key.encode().unwrap()).unwrap(), key);
    // As a token's key it allows each hash, and stays so where it is stored.
    for key in [&key, &VerifyingKey::decode(&key.encode().unwrap()).unwrap()] {
        let allowed: Vec<_> = JwtKey::from(key.clone()).algorithms().map(JwtAlgorithm::as_str).collect();
        assert_eq!(allowed, ["PS256", "PS384", "PS512"]);
    }
    let v15 = Some(Algorithm::RsaV15Sha256);
    let refused = KeyError::Algorithm(Algorithm::RsaV15Sha256);
    assert_eq!(VerifyingKey::from_pem(&others["pss.pub"], v15).unwrap_err(), refused);
    assert_eq!(SigningKey::from_pem(&others["pss.pem"], v15).unwrap_err(), refused);
}

#[test]
fn an_hmac_secret_has_32_bytes_at_least_and_is_neither_stored_nor_named() {
    for length in [0, 31, 4097] {
        let refused = KeyError::SecretLength(length);
        assert_eq!(VerifyingKey::from_hmac_secret(&secret(length)).unwrap_err(), refused);
        assert_eq!(SigningKey::from_hmac_secret(&secret(length)).unwrap_err(), refused);
    }
    let key = VerifyingKey::from_hmac_secret(&secret(4096)).unwrap();
    assert_eq!((key.encode(), key.thumbprint(), key.to_jwk()), (None, None, None));
    assert!(SigningKey::from_hmac_secret(&secret(32)).is_ok());
}

#[test]
fn keys_print_their_public_names_alone() {
    for key in signing_keys() {
        let name = key.verifying_key().thumbprint().unwrap_or("[redacted]".to_owned());
        assert_eq!(format!("{key:?}"), format!("SigningKey({}, {name})", key.algorithm()));
        assert_eq!(
            format!("{:?}", key.verifying_key()),
            format!("VerifyingKey({}, {name})", key.algorithm())
        );
    }
}

#[test]
fn an_ed25519_key_of_ours_signs_as_any_other() {
    let key = Ed25519Key::from_seed(Secret::new([7; 32]));
    let (public, direct) = (key.public(), Signer::sign(&key, b"message"));
    let key = SigningKey::from(key);
    assert_eq!(key.sign(b"message"), direct);
    assert_eq!(key.verifying_key(), &VerifyingKey::from_ed25519(public).unwrap());
    assert_eq!(key.verifying_key().thumbprint().unwrap(), crate::crypto::thumbprint(&public));
}

/// RFC 7638 §3.1 and RFC 8037 appendix A.3.
#[test]
fn the_thumbprints_are_those_of_the_standards() {
    let rsa = r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}"#;
    let key = VerifyingKey::from_jwk(rsa, None).unwrap();
    assert_eq!(key.algorithm(), Algorithm::RsaV15Sha256);
    assert_eq!(key.thumbprint().unwrap(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    let okp = r#"{"crv":"Ed25519","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    let key = VerifyingKey::from_jwk(okp, None).unwrap();
    assert_eq!(key.thumbprint().unwrap(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}
