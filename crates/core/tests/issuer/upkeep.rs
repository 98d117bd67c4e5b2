//! Introspection and revocation.

use super::*;
use countersign::issuer::keyring::KEYRINGS;
use countersign::store::Inventory as _;

impl World {
    fn about(&self, path: &'static str, token: &Value) -> Post {
        Post::to(path).with("token", token.as_str().unwrap())
    }

    fn by_shop(&self, post: Post) -> Post {
        post.by(&self.assertion("shop"), &ed25519(1))
    }

    async fn active(&self, token: &Value) -> Value {
        self.introspect(&self.by_shop(self.about("/oauth/introspect", token))).await.unwrap()
    }

    async fn shops(&self) -> Value {
        let grant = Post::token("urn:ietf:params:oauth:grant-type:jwt-bearer");
        let assertion = signed(&self.assertion("shop"), &ed25519(1));
        self.token(&grant.with("assertion", &assertion)).await.unwrap().body
    }
}

#[tokio::test]
async fn a_client_learns_what_an_access_token_says_while_it_is_good() {
    let world = World::new();
    let tokens = world.token(&world.proven(world.client_credentials(), 7)).await.unwrap().body;
    let told = world.active(&tokens["access_token"]).await;
    let claims = world.claims(&tokens["access_token"]).await;
    for (name, value) in claims.as_object().unwrap() {
        assert_eq!(told[name], *value, "{name}");
    }
    assert_eq!((&told["active"], &told["token_type"]), (&json!(true), &json!("DPoP")));
    world.clock.advance(Duration::from_secs(299));
    assert_eq!(world.active(&tokens["access_token"]).await["active"], true);
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.active(&tokens["access_token"]).await, json!({ "active": false }));
}

#[tokio::test]
async fn of_what_is_no_access_token_of_ours_it_learns_that_it_is_not_active() {
    let world = World::new();
    let post = world.client_credentials().with("scope", "openid");
    let tokens = world.token(&post).await.unwrap().body;
    let access = tokens["access_token"].as_str().unwrap();
    let (head, _) = access.rsplit_once('.').unwrap();
    let forged = signed_under(
        &json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": "x" }),
        &world.claims(&tokens["access_token"]).await,
        &ed25519(66),
    );
    for token in [
        tokens["id_token"].clone(),
        json!("x"),
        json!("a.b.c"),
        json!(format!("{head}.AAAA")),
        json!(forged),
        json!("csr_x"),
    ] {
        assert_eq!(world.active(&token).await, json!({ "active": false }), "{token}");
    }
    assert_eq!(world.active(&tokens["access_token"]).await["active"], true);
}

#[tokio::test]
async fn tokens_of_another_issuer_for_another_audience_or_of_another_type_are_not_ours() {
    let world = World::new();
    for (url, audience) in [("https://carol.example", AUDIENCE), (ISSUER, "reports")] {
        let mut clients = Clients::default();
        clients.add_configured(client("shop", Some(1), Some(&["orders:read"]))).unwrap();
        let (policy, nobody) = (NoncePolicy::Accepted, Wallets::Listed(BTreeSet::new()));
        // The same store, so the same keys.
        let issuer = World::issuer(&world.store, url, audience, policy, clients, nobody);
        let assertion = changed(&world.assertion("shop"), "aud", json!(url));
        let post = Post::token("client_credentials").by(&assertion, &ed25519(1));
        let tokens =
            world.at(&post, async |request, body| issuer.token(&request, body).await).await.unwrap().body;
        assert_eq!(
            world.active(&tokens["access_token"]).await,
            json!({ "active": false }),
            "{url} {audience}"
        );
    }
    // A client that is called as the audience gets ID tokens that are for it.
    let mut clients = Clients::default();
    clients.add_configured(client(AUDIENCE, Some(1), None)).unwrap();
    clients.add_configured(client("shop", Some(1), None)).unwrap();
    let world = world.listing(clients, Wallets::Any);
    let post = Post::token("client_credentials").by(&world.assertion(AUDIENCE), &ed25519(1));
    let tokens = world.token(&post.with("scope", "openid")).await.unwrap().body;
    assert_eq!(world.claims(&tokens["id_token"]).await["aud"], AUDIENCE);
    assert_eq!(world.active(&tokens["id_token"]).await, json!({ "active": false }));
    assert_eq!(world.active(&tokens["access_token"]).await["active"], true);
}

#[tokio::test]
async fn nobody_else_may_ask_and_asking_costs_an_assertion() {
    let world = World::new();
    let tokens = world.shops().await;
    let post = world.about("/oauth/introspect", &tokens["access_token"]);
    refused(world.introspect(&post).await, "invalid_client", 401, "no client was proven");
    refused(
        world.introspect(&world.proven(post.clone(), 7)).await,
        "invalid_client",
        401,
        "no client was proven",
    );
    let once = world.by_shop(post);
    assert!(world.introspect(&once).await.is_ok());
    refused(world.introspect(&once).await, "invalid_client", 401, "it has been used");
    let nothing = world.by_shop(Post::to("/oauth/introspect"));
    refused(world.introspect(&nothing).await, "invalid_request", 400, "token is missing");
}

#[tokio::test]
async fn a_refresh_token_is_its_own_clients_to_ask_about() {
    let world = World::new();
    let tokens = world.shops().await;
    let told = world.active(&tokens["refresh_token"]).await;
    assert_eq!((&told["active"], &told["client_id"]), (&json!(true), &json!("shop")));
    let post = world.about("/oauth/introspect", &tokens["refresh_token"]);
    let others = world.introspect(&post.by(&world.assertion("other"), &ed25519(2))).await.unwrap();
    assert_eq!(others, json!({ "active": false }));
    let refresh =
        Post::token("refresh_token").with("refresh_token", tokens["refresh_token"].as_str().unwrap());
    assert!(world.token(&world.by_shop(refresh)).await.is_ok());
    assert_eq!(world.active(&tokens["refresh_token"]).await, json!({ "active": false }), "used");
}

#[tokio::test]
async fn a_revoked_access_token_is_not_active_and_its_siblings_are() {
    let world = World::new();
    let (one, two) = (world.shops().await, world.shops().await);
    let post = world.about("/oauth/revoke", &one["access_token"]);
    refused(world.revoke(&post).await, "invalid_client", 401, "no client was proven");
    let others = post.clone().by(&world.assertion("other"), &ed25519(2));
    refused(world.revoke(&others).await, "invalid_grant", 400, "another client's");
    assert_eq!(world.active(&one["access_token"]).await["active"], true);
    world.revoke(&world.by_shop(post.clone())).await.unwrap();
    assert_eq!(world.active(&one["access_token"]).await, json!({ "active": false }));
    assert_eq!(world.active(&two["access_token"]).await["active"], true);
    let once = world.by_shop(post);
    world.revoke(&once).await.unwrap();
    refused(world.revoke(&once).await, "invalid_client", 401, "it has been used");
    // What is nobody's is ended already.
    world.revoke(&world.by_shop(Post::to("/oauth/revoke").with("token", "x"))).await.unwrap();
}

#[tokio::test]
async fn a_revoked_refresh_token_takes_its_access_tokens_with_it() {
    let world = World::new();
    let tokens = world.shops().await;
    let others =
        world.about("/oauth/revoke", &tokens["refresh_token"]).by(&world.assertion("other"), &ed25519(2));
    refused(world.revoke(&others).await, "invalid_grant", 400, "another client's");
    world.revoke(&world.by_shop(world.about("/oauth/revoke", &tokens["refresh_token"]))).await.unwrap();
    assert_eq!(world.active(&tokens["access_token"]).await, json!({ "active": false }));
    assert_eq!(world.active(&tokens["refresh_token"]).await, json!({ "active": false }));
    let refresh =
        Post::token("refresh_token").with("refresh_token", tokens["refresh_token"].as_str().unwrap());
    refused(world.token(&world.by_shop(refresh)).await, "invalid_grant", 400, "was revoked");
}

#[tokio::test]
async fn a_wallet_ends_its_tokens_with_the_key_that_they_are_bound_to() {
    let world = World::new();
    let tokens = world.token(&world.proven(world.sign_in(&world.message()), 7)).await.unwrap().body;
    for token in ["access_token", "refresh_token"] {
        let post = world.about("/oauth/revoke", &tokens[token]);
        refused(world.revoke(&world.proven(post, 8)).await, "invalid_grant", 400, "another client's");
    }
    world.revoke(&world.proven(world.about("/oauth/revoke", &tokens["refresh_token"]), 7)).await.unwrap();
    assert_eq!(world.active(&tokens["access_token"]).await, json!({ "active": false }));
}

#[tokio::test]
async fn who_asks_about_a_token_makes_no_key_that_could_have_signed_it() {
    let world = World::new();
    assert_eq!(world.active(&json!("a.b.c")).await, json!({ "active": false }));
    world.revoke(&world.by_shop(Post::to("/oauth/revoke").with("token", "a.b.c"))).await.unwrap();
    assert_eq!(world.store.list(KEYRINGS, None, 10).await.unwrap(), []);
}
