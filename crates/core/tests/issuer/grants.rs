//! What is given: access tokens, ID tokens, scopes, claims, and what a request must look like.

use std::sync::Arc;

use super::*;

#[tokio::test]
async fn an_access_token_says_what_rfc_9068_asks() {
    let world = World::new();
    let name = print(&ed25519(1));
    world.keep(&format!("jkt:{name}"), json!({ "country": "CH", "age": 42 }), &["reports"]).await.unwrap();
    let issued = world.token(&world.client_credentials()).await.unwrap();
    assert_eq!(issued.body["token_type"], "Bearer");
    assert_eq!(issued.body["expires_in"], 300);
    assert_eq!(issued.body["scope"], "orders:read orders:write reports");
    assert!(issued.body.get("refresh_token").is_none() && issued.body.get("id_token").is_none());
    assert_eq!((issued.subject.to_string(), issued.client_id.as_str()), (format!("jkt:{name}"), "shop"));
    let mut claims = world.claims(&issued.body["access_token"]).await;
    assert!(claims["jti"].as_str().unwrap().len() >= 22);
    claims["jti"] = Value::Null;
    let now = world.now().as_secs();
    let expected = json!({
        "iss": ISSUER, "sub": name, "aud": AUDIENCE, "client_id": "shop", "jti": null, "iat": now,
        "exp": now + 300, "scope": "orders:read orders:write reports", "country": "CH", "age": 42,
    });
    assert_eq!(claims, expected);
    let token = issued.body["access_token"].as_str().unwrap();
    let mut buffer = Vec::new();
    let jwt = Jwt::parse(token, 8192, &mut buffer).unwrap();
    assert!(jwt.is_type("at+jwt") && jwt.algorithm() == "ES256");
}

#[tokio::test]
async fn an_id_token_is_for_the_client_and_comes_where_openid_is_asked_for() {
    let world = World::new();
    let post = world.client_credentials().with("scope", "openid orders:read");
    let issued = world.token(&post).await.unwrap();
    assert_eq!(issued.body["scope"], "openid orders:read");
    let claims = world.claims(&issued.body["id_token"]).await;
    let now = world.now().as_secs();
    let sub = print(&ed25519(1));
    let expected = json!({ "iss": ISSUER, "sub": sub, "aud": "shop", "iat": now, "exp": now + 300 });
    assert_eq!(claims, expected);
}

#[tokio::test]
async fn a_token_is_bound_to_the_key_of_the_proof_that_came_along() {
    let world = World::new();
    let issued = world.token(&world.proven(world.client_credentials(), 7)).await.unwrap();
    assert_eq!(issued.body["token_type"], "DPoP");
    let claims = world.claims(&issued.body["access_token"]).await;
    assert_eq!(claims["cnf"], json!({ "jkt": print(&ed25519(7)) }));
    // The proof passes once.
    let post = world.proven(world.client_credentials(), 7);
    assert!(world.token(&post).await.is_ok());
    let again = post.by(&world.assertion("shop"), &ed25519(1));
    refused(world.token(&again).await, "invalid_dpop_proof", 400, "it has been used");
}

#[tokio::test]
async fn a_proof_for_another_place_or_without_a_nonce_where_one_is_needed_is_refused() {
    let world = World::with(NoncePolicy::Required, |_| Wallets::Any);
    let post = world.client_credentials();
    let without = world.proven(post.clone(), 7);
    refused(world.token(&without).await, "use_dpop_nonce", 400, "nonce: ");
    assert!(world.token(&without).await.unwrap_err().wants_nonce());
    let (_, nonce) = world.issuer.dpop().nonce(world.now());
    let mut elsewhere = Post { path: "/oauth/revoke", ..post.clone() };
    elsewhere = world.proven_with(elsewhere, 7, Some(nonce.to_str().unwrap()));
    elsewhere.path = "/oauth/token";
    refused(world.token(&elsewhere).await, "invalid_dpop_proof", 400, "htu: ");
    let mut twice = world.proven_with(post.clone(), 7, Some(nonce.to_str().unwrap()));
    let proof = twice.headers[DPOP].clone();
    twice.headers.append(DPOP, proof);
    refused(world.token(&twice).await, "invalid_dpop_proof", 400, "");
    let with = world.proven_with(post, 7, Some(nonce.to_str().unwrap()));
    assert_eq!(world.token(&with).await.unwrap().body["token_type"], "DPoP");
}

#[tokio::test]
async fn scopes_are_what_is_asked_for_of_what_is_allowed() {
    let world = World::new();
    let scope = async |asked: &str| {
        world
            .token(&world.client_credentials().with("scope", asked))
            .await
            .map(|issued| issued.body["scope"].clone())
    };
    assert_eq!(scope("orders:read").await.unwrap(), "orders:read");
    assert_eq!(scope("admin orders:write").await.unwrap(), "orders:write");
    assert_eq!(scope("openid admin").await.unwrap(), "openid");
    refused(scope("admin").await, "invalid_scope", 400, "nothing of the scope");
    for asked in ["orders:read  orders:write", " orders:read", "orders:read\t", "a\"b", "é"] {
        refused(scope(asked).await, "invalid_scope", 400, "no list of names");
    }
}

#[tokio::test]
async fn a_self_signed_assertion_gets_a_token_for_its_key() {
    let world = World::new();
    let grant = |claims: &Value| {
        let post = Post::token("urn:ietf:params:oauth:grant-type:jwt-bearer");
        post.with("assertion", &signed(claims, &ed25519(1)))
    };
    let issued = world.token(&grant(&world.assertion("shop"))).await.unwrap();
    assert_eq!(world.claims(&issued.body["access_token"]).await["sub"], print(&ed25519(1)));
    assert!(issued.body["refresh_token"].as_str().unwrap().starts_with("csr_"));
    // The subject may be named as the token will name it.
    let named = changed(&world.assertion("shop"), "sub", json!(print(&ed25519(1))));
    assert!(world.token(&grant(&named)).await.is_ok());
    let post = Post::token("client_credentials").by(&named, &ed25519(1));
    refused(world.token(&post).await, "invalid_client", 401, "sub is not iss");
    refused(
        world.token(&grant(&named).with("client_id", "other")).await,
        "invalid_grant",
        400,
        "another client's",
    );
    let both = grant(&world.assertion("shop")).by(&world.assertion("other"), &ed25519(2));
    refused(world.token(&both).await, "invalid_grant", 400, "another client's");
    let one = world.assertion("shop");
    refused(world.token(&grant(&one).by(&one, &ed25519(1))).await, "invalid_grant", 400, "stands for two");
    let both = grant(&world.assertion("shop")).by(&world.assertion("shop"), &ed25519(1));
    assert!(world.token(&both).await.is_ok());
    refused(
        world.token(&Post::token("urn:ietf:params:oauth:grant-type:jwt-bearer")).await,
        "invalid_request",
        400,
        "assertion is missing",
    );
}

#[tokio::test]
async fn an_unknown_grant_is_answered_before_anybody_is_asked_who_they_are() {
    let world = World::new();
    for grant in ["password", "authorization_code", "implicit", "siwe"] {
        let mut post = Post::token(grant).with("client_secret", "x");
        post.headers.insert("authorization", "Basic eDp5".parse().unwrap());
        refused(world.token(&post).await, "unsupported_grant_type", 400, "unknown grant_type");
    }
    refused(world.token(&Post::to("/oauth/token")).await, "invalid_request", 400, "grant_type is missing");
    let mut twice = world.client_credentials();
    twice.form.push(("grant_type".into(), "client_credentials".into()));
    refused(world.token(&twice).await, "invalid_request", 400, "there twice");
    let elsewhere = world.client_credentials().with("resource", "https://carol.example");
    refused(world.token(&elsewhere).await, "invalid_target", 400, "resource is not");
    assert!(world.token(&world.client_credentials().with("resource", AUDIENCE)).await.is_ok());
}

#[tokio::test]
async fn a_registered_key_is_a_client_by_its_id_until_it_is_revoked() {
    use countersign::schemes::api_key::{KeyRegistry, KeyTerms};
    let world = World::new();
    let registry = Arc::new(KeyRegistry::new(world.store.clone()));
    let terms = |permissions: &[&str]| KeyTerms {
        label: "partner".into(),
        permissions: permissions.iter().map(|name| (*name).to_owned()).collect(),
        ..KeyTerms::default()
    };
    let key = ed25519(9);
    let record =
        registry.add_public(key.verifying_key(), terms(&["orders:read"]), NOW, &SystemRandom).await.unwrap();
    let (api_key, _) = registry.create(terms(&["orders:read"]), NOW, &SystemRandom).await.unwrap();
    let mut clients = Clients::default();
    clients.add_registered(record.id, registry.clone()).unwrap();
    clients.add_registered(api_key.id, registry.clone()).unwrap();
    assert!(clients.add_registered(record.id, registry.clone()).is_err(), "twice");
    let world = world.listing(clients, Wallets::Listed(BTreeSet::new()));
    let post = |id: &str, key: &SigningKey| Post::token("client_credentials").by(&world.assertion(id), key);
    let issued = world.token(&post(record.id.as_str(), &key)).await.unwrap();
    assert_eq!((&issued.body["scope"], &*issued.client_id), (&json!("orders:read"), record.id.as_str()));
    assert_eq!(world.claims(&issued.body["access_token"]).await["sub"], print(&key));
    // An API key is no registered public key, whatever it could sign.
    let (seed, _) =
        countersign::crypto::derive_ed25519(api_key.secret.expose(), b"countersign/api-key/ed25519/1");
    let derived = countersign::crypto::Ed25519Key::from_seed(seed).into();
    refused(
        world.token(&post(api_key.id.as_str(), &derived)).await,
        "invalid_client",
        401,
        "no client is called",
    );
    registry.revoke(record.id, NOW).await.unwrap();
    refused(world.token(&post(record.id.as_str(), &key)).await, "invalid_client", 401, "no client is called");
}

#[tokio::test]
async fn what_the_operator_keeps_cannot_say_what_a_token_says_itself() {
    let world = World::new();
    let name = print(&ed25519(1));
    for reserved in ["iss", "sub", "aud", "exp", "scope", "cnf", "client_id", "jti"] {
        let kept = world.keep(&name, json!({ reserved: "eve" }), &[]).await;
        assert!(matches!(kept, Err(SubjectError::Reserved(_))), "{reserved}");
    }
    let large = world.keep(&name, json!({ "a": "x".repeat(2048) }), &[]).await;
    assert!(matches!(large, Err(SubjectError::TooLarge(_))));
    assert!(matches!(world.keep(&name, json!({ "a b": 1 }), &[]).await, Err(SubjectError::Name(_))));
    assert!(matches!(world.keep(&name, json!({}), &["a b"]).await, Err(SubjectError::Name(_))));
    world.keep(&name, json!({ "country": "CH" }), &["x"]).await.unwrap();
    world.keep(&name, json!({ "age": 42 }), &["y"]).await.unwrap();
    let subjects = Subjects::new(world.store.clone());
    let record = subjects.get(&name.parse_name()).await.unwrap();
    assert_eq!((record.claims.len(), record.permissions), (2, set(&["x", "y"])));
    let change = SubjectChange {
        claims: [("age".into(), None)].into(),
        grant: BTreeSet::new(),
        withdraw: set(&["x"]),
    };
    let record = subjects.change(&name.parse_name(), &change).await.unwrap();
    assert_eq!((record.claims.len(), record.permissions), (1, set(&["y"])));
    assert_eq!(subjects.list().await.unwrap().len(), 1);
}
