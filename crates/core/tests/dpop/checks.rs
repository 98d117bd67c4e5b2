//! Each check of RFC 9449 §4.3 by itself.

use std::time::Duration;

use serde_json::json;

use super::*;

#[test]
fn what_our_own_signer_makes_holds_with_every_kind_of_key() {
    let p256 = SigningKey::from_jwk(P256, None).unwrap();
    for key in [ed25519(1), p256] {
        let alice = signer(key);
        let target = format!("{TARGET}?page=2");
        let made = alice.prove(&Method::GET, &target.parse().unwrap(), Some(TOKEN), None, NOW).unwrap();
        let held = judge(&dpop(NoncePolicy::Accepted), &made, NOW).unwrap();
        assert_eq!(held.thumbprint, alice.thumbprint());
        assert_eq!((held.spend.created, held.spend.received_at), (Some(NOW), NOW));
        assert_eq!(held.fresh_until(), NOW.plus(Duration::from_secs(90)));
    }
}

#[test]
fn the_example_of_rfc_9449_holds_at_its_time() {
    // RFC 9449 §4.2, figure 2: no token goes with it.
    const PROOF: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg";
    let at = Timestamp::from_secs(1_562_262_616);
    let url = "https://server.example.com/token";
    let dpop = dpop(NoncePolicy::Accepted);
    let held = judge_for(&dpop, PROOF, &Method::POST, url, None, at).unwrap();
    // §6.1 binds a token to this very key.
    assert_eq!(held.thumbprint, "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
    assert_eq!(check(judge_for(&dpop, PROOF, &Method::POST, url, None, NOW)).as_deref(), Some("iat"));
}

#[test]
fn a_good_proof_made_by_hand_holds() {
    assert_eq!(refused(&Made::good()), None);
    let p256 = SigningKey::from_jwk(P256, None).unwrap();
    assert_eq!(refused(&Made::by(p256, "ES256")), None);
    // RFC 9864 names the curve.
    assert_eq!(refused(&Made::by(ed25519(1), "Ed25519")), None);
    // A media type may be written in full (RFC 7515 §4.1.9).
    assert_eq!(refused(&Made::good().header("typ", json!("application/DPoP+jwt"))), None);
}

#[test]
fn a_proof_is_of_its_own_type() {
    for typ in [json!("jwt"), json!("at+jwt"), json!(null), json!("dpop+jwt2")] {
        assert_eq!(refused(&Made::good().header("typ", typ)).as_deref(), Some("typ"));
    }
}

#[test]
fn a_proof_is_for_one_method_and_one_url() {
    for htm in [json!("POST"), json!("get"), json!(null), json!(["GET"]), json!("")] {
        assert_eq!(refused(&Made::good().claim("htm", htm)).as_deref(), Some("htm"));
    }
    for htu in [
        json!("https://eve.example/orders/42"),
        json!("https://bob.example/orders/042"),
        json!("http://bob.example/orders/42"),
        json!("/orders/42"),
        json!(null),
        json!(42),
    ] {
        assert_eq!(refused(&Made::good().claim("htu", htu)).as_deref(), Some("htu"));
    }
    let spelled = Made::good().claim("htu", json!("HTTPS://Bob.Example:443/orders/42?x=1#y"));
    assert_eq!(refused(&spelled), None);
}

#[test]
fn a_proof_lives_a_minute_and_clocks_may_differ_by_half_of_one() {
    let seconds = NOW.as_secs();
    for (iat, expected) in [
        (json!(seconds + 30), None),
        (json!(seconds + 31), Some("iat")),
        (json!(seconds - 89), None),
        (json!(seconds - 90), Some("iat")),
        (json!(seconds as f64 + 0.5), None),
        (json!(u64::MAX), Some("iat")),
        (json!(seconds.to_string()), Some("form")),
        (json!(-1), Some("form")),
        (json!(null), Some("form")),
    ] {
        assert_eq!(refused(&Made::good().claim("iat", iat.clone())).as_deref(), expected, "{iat}");
    }
}

#[test]
fn a_proof_has_a_name_of_a_bounded_length() {
    for (jti, expected) in [
        (json!("x".repeat(256)), None),
        (json!("x".repeat(257)), Some("jti")),
        (json!(""), Some("jti")),
        (json!(7), Some("jti")),
        (json!(null), Some("jti")),
    ] {
        assert_eq!(refused(&Made::good().claim("jti", jti)).as_deref(), expected);
    }
}

#[test]
fn a_proof_names_the_token_that_it_came_with() {
    let other = URL_SAFE_NO_PAD.encode(sha256(b"another"));
    for ath in [json!(other), json!(TOKEN), json!(null), json!(1)] {
        assert_eq!(refused(&Made::good().claim("ath", ath)).as_deref(), Some("ath"));
    }
    // Where no token goes with it, nobody asks for its hash.
    let made = Made::good().claim("ath", json!(null)).signed();
    let held = judge_for(&dpop(NoncePolicy::Accepted), &made, &Method::GET, TARGET, None, NOW);
    assert_eq!(check(held), None);
}

#[test]
fn a_proof_is_signed_by_the_public_key_that_it_brings_along() {
    let other: serde_json::Value =
        serde_json::from_str(&ed25519(2).verifying_key().to_jwk().unwrap()).unwrap();
    assert_eq!(refused(&Made::good().header("jwk", other)).as_deref(), Some("signature"));
    for jwk in [
        json!(null),
        json!("x"),
        json!({}),
        json!({ "kty": "oct", "k": "AAAA" }),
        // A private key: whoever sends it has lost it.
        serde_json::from_str(P256).unwrap(),
        json!({ "kty": "OKP", "crv": "Ed25519", "x": "AAAA" }),
    ] {
        assert_eq!(refused(&Made::good().header("jwk", jwk.clone())).as_deref(), Some("key"), "{jwk}");
    }
    let own = Made::good().header["jwk"].clone();
    let mut for_encryption = own.clone();
    for_encryption["use"] = json!("enc");
    assert_eq!(refused(&Made::good().header("jwk", for_encryption)).as_deref(), Some("key"));
}

#[test]
fn a_key_asks_for_no_more_work_than_4096_bits_of_rsa_do() {
    let cause = |length: usize| {
        let jwk = json!({ "kty": "RSA", "n": "x".repeat(length), "e": "AQAB" });
        let made = Made::good().header("jwk", jwk).header("alg", json!("RS256"));
        judge(&dpop(NoncePolicy::Accepted), &made.signed(), NOW).unwrap_err().cause().to_owned()
    };
    assert_eq!(cause(684), "key: an RSA key of more than 4096 bits");
    assert_ne!(cause(683), "key: an RSA key of more than 4096 bits");
}

#[test]
fn only_algorithms_of_key_pairs_count() {
    for alg in ["none", "HS256", "ES256", "eddsa", "ES512", ""] {
        assert_eq!(refused(&Made::good().header("alg", json!(alg))).as_deref(), Some("key"), "{alg}");
    }
    // The secret of an HMAC, under the public key that it would be checked by.
    let secret = Secret::new(vec![7; 32]);
    let made = Made::good();
    let hmac = SigningKey::from_hmac_secret(&secret).unwrap();
    let forged = Made { key: hmac, ..made.header("alg", json!("HS256")) };
    assert_eq!(refused(&forged).as_deref(), Some("key"));
}

#[test]
fn what_two_readers_would_read_differently_is_no_proof() {
    let (header, claims) = (Made::good().header.to_string(), Made::good().claims.to_string());
    let twice = |text: &str, member: &str| format!("{{{member},{}", &text[1..]);
    let judged = |header: &str, claims: &str| {
        check(judge(&dpop(NoncePolicy::Accepted), &sign_text(&ed25519(1), header, claims), NOW))
    };
    assert_eq!(judged(&header, &claims), None);
    for (header, claims) in [
        (twice(&header, r#""typ":"x""#), claims.clone()),
        (twice(&header, r#""jwk":{}"#), claims.clone()),
        (header.replace(r#""kty":"OKP""#, r#""kty":"OKP","kty":"OKP""#), claims.clone()),
        (twice(&header, r#""crit":["x"]"#), claims.clone()),
        (header.clone(), twice(&claims, r#""htm":"POST""#)),
        (header.clone(), format!("[{claims}]")),
        (header.clone(), twice(&claims, &format!(r#""x":"{}""#, "y".repeat(4096)))),
    ] {
        assert_eq!(judged(&header, &claims).as_deref(), Some("form"));
    }
}

#[test]
fn two_proofs_are_no_proof() {
    let made = Made::good().signed();
    let request = Request::get(TARGET).with(DPOP, &made).with(DPOP, &made);
    let request = request.view(NOW);
    let denial = Proof::of(&request).err().unwrap();
    assert_eq!(denial.code(), Code::DpopInvalid);
    assert!(denial.cause().starts_with("form: "), "{}", denial.cause());
}

#[test]
fn proofs_of_one_key_and_name_are_one_and_others_are_not() {
    let spent = |made: &Made| judge(&dpop(NoncePolicy::Accepted), &made.signed(), NOW).unwrap().spend.id;
    let one = spent(&Made::good());
    assert_eq!(one, spent(&Made::good().claim("iat", json!(NOW.as_secs() - 1))));
    assert_ne!(one, spent(&Made::good().claim("jti", json!("two"))));
    assert_ne!(one, spent(&Made::by(ed25519(2), "EdDSA")));
}

proptest::proptest! {
    #[test]
    fn no_proof_makes_it_panic(noise in "[A-Za-z0-9_.-]{0,80}", header in "[a-z\":,{}0-9]{0,60}", claims in "[a-z\":,{}0-9]{0,60}") {
        let dpop = dpop(NoncePolicy::Accepted);
        let texts = [noise, sign_text(&ed25519(1), &header, &claims), sign_text(&ed25519(1), &Made::good().header.to_string(), &claims)];
        for text in texts {
            proptest::prop_assert!(judge(&dpop, &text, NOW).is_err());
        }
    }

    #[test]
    fn no_changed_byte_holds(at in 0_usize..600, byte in "[A-Za-z0-9_.-]") {
        let good = Made::good().signed();
        let at = at % good.len();
        let changed = format!("{}{byte}{}", &good[..at], &good[at + 1..]);
        if changed != good {
            proptest::prop_assert!(judge(&dpop(NoncePolicy::Accepted), &changed, NOW).is_err());
        }
    }
}

#[test]
fn a_key_whose_proofs_would_be_large_or_no_proofs_makes_none() {
    let samples: Value = serde_json::from_str(include_str!("../../../../vectors/keys.json")).unwrap();
    let rsa = samples["keys"].as_array().unwrap().iter().find(|key| key["jwk"]["kty"] == "RSA").unwrap();
    let rsa = SigningKey::from_pem(rsa["private"][0].as_str().unwrap(), None).unwrap();
    let secret = SigningKey::from_hmac_secret(&Secret::new(vec![7; 32])).unwrap();
    for key in [rsa, secret] {
        assert!(DpopSigner::new(key, Arc::new(SystemRandom)).is_err());
    }
}
