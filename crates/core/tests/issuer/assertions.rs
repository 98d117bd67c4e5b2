//! private_key_jwt and the assertions of RFC 7523, each check by itself.

use super::*;

/// Spoils a sound assertion in one way each: what is done, and what the cause says.
fn spoilt(world: &World) -> Vec<(Value, &'static str)> {
    let good = world.assertion("shop");
    let now = world.now().as_secs();
    let with = |name: &str, value: Value| changed(&good, name, value);
    vec![
        (with("iss", json!("nobody")), "no client is called nobody"),
        (with("iss", json!("other")), "no key of other"),
        (with("iss", Value::Null), "iss is missing"),
        (with("iss", json!(7)), "iss is missing, or no string"),
        (with("sub", Value::Null), "sub is missing"),
        (with("sub", json!("other")), "sub is not iss"),
        (with("aud", Value::Null), "aud is not our"),
        (with("aud", json!("https://bob.example/")), "aud is not our"),
        (with("aud", json!("https://bob.example.evil.example")), "aud is not our"),
        (with("aud", json!([])), "aud is not our"),
        (with("aud", json!([ISSUER, "https://eve.example"])), "aud is not our"),
        (with("aud", json!([ISSUER, 7])), "aud is not our"),
        (with("exp", Value::Null), "exp is missing"),
        (with("exp", json!("soon")), "exp is no number"),
        (with("exp", json!(now - 30)), "the assertion expired"),
        (with("exp", json!(now + 3631)), "too far ahead"),
        (changed(&with("iat", Value::Null), "exp", json!(now + 331)), "too far ahead"),
        (with("iat", json!(now - 330)), "the assertion expired"),
        (with("iat", json!(now + 31)), "iat is ahead"),
        (with("iat", json!("now")), "iat is no number"),
        (with("nbf", json!(now + 31)), "nbf is ahead"),
        (with("jti", Value::Null), "jti is missing"),
        (with("jti", json!("")), "jti is missing"),
        (with("jti", json!("x".repeat(257))), "more than 256 bytes"),
    ]
}

#[tokio::test]
async fn a_spoilt_assertion_proves_no_client_and_gets_no_token() {
    let world = World::new();
    for (claims, cause) in spoilt(&world) {
        let post = Post::token("client_credentials").by(&claims, &ed25519(1));
        refused(world.token(&post).await, "invalid_client", 401, cause);
        let post = Post::token("urn:ietf:params:oauth:grant-type:jwt-bearer");
        let post = post.with("assertion", &signed(&claims, &ed25519(1)));
        refused(world.token(&post).await, "invalid_grant", 400, cause);
    }
}

#[tokio::test]
async fn the_edges_of_time_and_both_audiences_pass() {
    let world = World::new();
    let now = world.now().as_secs();
    for (name, value) in [
        ("exp", json!(now - 29)),
        ("exp", json!(now + 3630)),
        ("iat", json!(now - 329)),
        ("iat", json!(now + 30)),
        ("nbf", json!(now + 30)),
        ("iat", Value::Null),
        ("aud", json!("https://bob.example/oauth/token")),
        ("aud", json!([ISSUER, "https://bob.example/oauth/token"])),
    ] {
        let claims = changed(&world.assertion("shop"), name, value.clone());
        let post = Post::token("client_credentials").by(&claims, &ed25519(1));
        assert!(world.token(&post).await.is_ok(), "{name} {value}");
    }
}

#[tokio::test]
async fn an_assertion_passes_once_whatever_it_was_for() {
    let world = World::new();
    let claims = world.assertion("shop");
    let post = Post::token("client_credentials").by(&claims, &ed25519(1));
    assert!(world.token(&post).await.is_ok());
    refused(world.token(&post).await, "invalid_client", 401, "it has been used");
    let grant = Post::token("urn:ietf:params:oauth:grant-type:jwt-bearer");
    let grant = grant.with("assertion", &signed(&claims, &ed25519(1)));
    refused(world.token(&grant).await, "invalid_grant", 400, "it has been used");
    // Another client's jti of the same name is another.
    let others = changed(&world.assertion("other"), "jti", claims["jti"].clone());
    world.keep(&print(&ed25519(2)), json!({}), &["orders:read"]).await.unwrap();
    assert!(world.token(&Post::token("client_credentials").by(&others, &ed25519(2))).await.is_ok());
    // Still remembered in the last moment in which it would be good.
    world.clock.set(Timestamp::from_secs(claims["exp"].as_u64().unwrap() + 29));
    refused(world.token(&post).await, "invalid_client", 401, "it has been used");
}

#[tokio::test]
async fn a_refused_request_spends_no_assertion() {
    let world = World::new();
    let post = world.client_credentials();
    refused(world.token(&post.clone().with("scope", "admin")).await, "invalid_scope", 400, "nothing");
    let unproven = world.proven(post.clone(), 7);
    let mut spoilt = unproven.clone();
    spoilt.headers.insert(DPOP, "no.proof.at-all".parse().unwrap());
    refused(world.token(&spoilt).await, "invalid_dpop_proof", 400, "form: ");
    assert!(world.token(&unproven).await.is_ok());
}

#[tokio::test]
async fn headers_choose_no_key_and_no_algorithm() {
    let world = World::new();
    let claims = world.assertion("shop");
    let key = ed25519(1);
    let public = key.verifying_key().to_jwk().unwrap();
    let confused = SigningKey::from_hmac_secret(&Secret::new(public.clone().into_bytes())).unwrap();
    let own = ed25519(66);
    let jwk: Value = serde_json::from_str(&own.verifying_key().to_jwk().unwrap()).unwrap();
    for (token, cause) in [
        (signed_under(&json!({ "alg": "HS256" }), &claims, &confused), "no key of shop"),
        (signed_under(&json!({ "alg": "none" }), &claims, &key), "no key of shop"),
        (signed_under(&json!({ "alg": "ES256" }), &claims, &key), "no key of shop"),
        (signed_under(&json!({ "alg": "EdDSA", "jwk": jwk }), &claims, &own), "no key of shop"),
        (
            signed_under(&json!({ "alg": "EdDSA", "jku": "https://eve.example" }), &claims, &own),
            "no key of shop",
        ),
        (signed_under(&json!({ "alg": "EdDSA", "crit": ["x"] }), &claims, &key), "crit"),
        (signed_under(&json!({ "alg": "EdDSA", "typ": "at+jwt" }), &claims, &key), "another kind"),
        (signed_under(&json!({ "alg": "EdDSA", "typ": "dpop+jwt" }), &claims, &key), "another kind"),
        (
            signed_under(&json!({ "alg": "EdDSA", "typ": "authorization-grant+jwt" }), &claims, &key),
            "another kind",
        ),
        (signed(&changed(&claims, "pad", json!("x".repeat(8192))), &key), "longer"),
        ("a.b".to_owned(), "three parts"),
    ] {
        let post = Post::token("client_credentials").with("client_assertion_type", BY_KEY);
        refused(world.token(&post.with("client_assertion", &token)).await, "invalid_client", 401, cause);
    }
    for typ in ["JWT", "client-authentication+jwt", "application/client-authentication+jwt"] {
        let claims = world.assertion("shop");
        let token = signed_under(&json!({ "alg": "EdDSA", "typ": typ }), &claims, &key);
        let post = Post::token("client_credentials").with("client_assertion_type", BY_KEY);
        assert!(world.token(&post.with("client_assertion", &token)).await.is_ok(), "{typ}");
    }
}

/// A private RSA key that signs with `algorithm`, and its public half as a JWK that names none.
fn rsa(algorithm: Algorithm) -> (SigningKey, Value) {
    let samples: Value = serde_json::from_str(include_str!("../../../../vectors/keys.json")).unwrap();
    let is_rsa = |key: &&Value| key["algorithm"] == Algorithm::RsaV15Sha256.as_str();
    let sample = samples["keys"].as_array().unwrap().iter().find(is_rsa).unwrap();
    let key = SigningKey::from_pem(sample["private"][0].as_str().unwrap(), Some(algorithm)).unwrap();
    (key, json!({ "kty": "RSA", "n": sample["jwk"]["n"], "e": sample["jwk"]["e"] }))
}

#[tokio::test]
async fn an_rsa_key_signs_by_what_was_said_of_it_and_the_cause_names_what_differed() {
    let (v15, jwk) = rsa(Algorithm::RsaV15Sha256);
    let (pss, _) = rsa(Algorithm::RsaPssSha512);
    let naming = |alg: &str| changed(&jwk, "alg", alg.into()).to_string();
    let pem = {
        let samples: Value = serde_json::from_str(include_str!("../../../../vectors/keys.json")).unwrap();
        let keys = samples["keys"].as_array().unwrap().clone();
        let of_rsa = keys.into_iter().find(|key| key["algorithm"] == "rsa-v1_5-sha256").unwrap();
        of_rsa["public"][0].as_str().unwrap().to_owned()
    };
    for (public, allowed) in [
        (pem.clone(), &["RS256", "PS512"][..]),
        (jwk.to_string(), &["RS256", "PS512"]),
        (naming("RS256"), &["RS256"]),
        (naming("PS512"), &["PS512"]),
        (naming("PS256"), &[]),
    ] {
        let keys = ClientKey::read(&public).unwrap();
        let mut clients = Clients::default();
        clients
            .add_configured(Client { id: "shop".into(), keys, scopes: Some(set(&["orders:read"])) })
            .unwrap();
        let world = World::new().listing(clients, Wallets::Any);
        for (alg, key) in [("RS256", &v15), ("PS512", &pss)] {
            let post = Post::token("client_credentials").with("client_assertion_type", BY_KEY);
            let token = signed_under(&json!({ "alg": alg }), &world.assertion("shop"), key);
            let answer = world.token(&post.clone().with("client_assertion", &token)).await;
            if allowed.contains(&alg) {
                assert!(answer.is_ok(), "{alg} for {public}");
            } else {
                let cause = format!("no key of shop signs with {alg}, which the assertion names: with ");
                refused(answer, "invalid_client", 401, &cause);
            }
            // Nor does another name make it another signature, nor the public key a secret.
            for other in ["RS384", "RS512", "PS256", "PS384", "HS256", "ES256", "none"] {
                let token = signed_under(&json!({ "alg": other }), &world.assertion("shop"), key);
                let answer = world.token(&post.clone().with("client_assertion", &token)).await;
                refused(answer, "invalid_client", 401, "no key of shop");
            }
        }
        let secret = SigningKey::from_hmac_secret(&Secret::new(public.clone().into_bytes())).unwrap();
        let token = signed_under(&json!({ "alg": "HS256" }), &world.assertion("shop"), &secret);
        let post = Post::token("client_credentials").with("client_assertion_type", BY_KEY);
        let answer = world.token(&post.with("client_assertion", &token)).await;
        refused(answer, "invalid_client", 401, "no key of shop signs with HS256");
    }
}

#[tokio::test]
async fn clients_prove_themselves_with_assertions_and_in_no_other_way() {
    let world = World::new();
    let post = world.client_credentials();
    let without = Post::token("client_credentials");
    refused(world.token(&without).await, "invalid_client", 401, "no client was proven");
    let secret = without.clone().with("client_id", "shop").with("client_secret", "hunter2");
    refused(world.token(&secret).await, "invalid_client", 401, "no client has a secret");
    let mut basic = without.clone();
    basic.headers.insert("authorization", "Basic c2hvcDpodW50ZXIy".parse().unwrap());
    let error = world.token(&basic).await.unwrap_err();
    assert!(error.challenges_basic() && error.status() == 401);
    let half = without.clone().with("client_assertion_type", BY_KEY);
    refused(world.token(&half).await, "invalid_request", 400, "is missing");
    let other_type = post
        .clone()
        .with("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer");
    refused(world.token(&other_type).await, "invalid_client", 401, "another than RFC 7523's");
    refused(
        world.token(&post.clone().with("client_id", "other")).await,
        "invalid_client",
        401,
        "client_id is not",
    );
    assert!(world.token(&post.with("client_id", "shop")).await.is_ok());
}
