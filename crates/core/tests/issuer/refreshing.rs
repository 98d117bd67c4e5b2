//! Refresh tokens: one use each, by whom they were given to, for so long, and what a second use does.

use super::*;

impl World {
    /// A family bound to the DPoP key 7: its first tokens.
    async fn signed_in(&self) -> Value {
        let address = self.wallet.address().to_string();
        self.keep(&address, json!({}), &["orders:read", "orders:write"]).await.unwrap();
        self.token(&self.proven(self.sign_in(&self.message()), 7)).await.unwrap().body
    }

    fn refresh(&self, tokens: &Value) -> Post {
        Post::token("refresh_token").with("refresh_token", tokens["refresh_token"].as_str().unwrap())
    }

    /// Whether our own verifier would take the access token.
    async fn is_revoked(&self, tokens: &Value) -> bool {
        let claims = self.claims(&tokens["access_token"]).await;
        self.issuer.revocations().is_revoked(claims["jti"].as_str().unwrap()).await.unwrap()
    }
}

#[tokio::test]
async fn each_refresh_token_is_good_once_and_brings_the_next() {
    let world = World::new();
    let mut tokens = world.signed_in().await;
    for _ in 0..3 {
        let next = world.token(&world.proven(world.refresh(&tokens), 7)).await.unwrap().body;
        assert_ne!(next["refresh_token"], tokens["refresh_token"]);
        assert_eq!(
            (&next["scope"], &next["token_type"]),
            (&json!("orders:read orders:write"), &json!("DPoP"))
        );
        tokens = next;
    }
    let access = world.claims(&tokens["access_token"]).await;
    assert_eq!(access["cnf"]["jkt"], print(&ed25519(7)));
}

#[tokio::test]
async fn a_token_used_again_ends_its_whole_family_for_good() {
    let world = World::new();
    let first = world.signed_in().await;
    let second = world.token(&world.proven(world.refresh(&first), 7)).await.unwrap().body;
    assert!(!world.is_revoked(&second).await);
    refused(world.token(&world.proven(world.refresh(&first), 7)).await, "invalid_grant", 400, "used before");
    for tokens in [&first, &second] {
        assert!(world.is_revoked(tokens).await);
        refused(
            world.token(&world.proven(world.refresh(tokens), 7)).await,
            "invalid_grant",
            400,
            "was revoked",
        );
    }
    // Another family lives.
    let other = world.signed_in().await;
    assert!(world.token(&world.proven(world.refresh(&other), 7)).await.is_ok());
}

#[tokio::test]
async fn whoever_overheard_a_refresh_cannot_end_the_family_with_it() {
    let world = World::new();
    let first = world.signed_in().await;
    let overheard = world.proven(world.refresh(&first), 7);
    let second = world.token(&overheard).await.unwrap().body;
    refused(world.token(&overheard).await, "invalid_dpop_proof", 400, "it has been used");
    // Nor with the token and a key of her own, nor without one.
    refused(
        world.token(&world.proven(world.refresh(&first), 66)).await,
        "invalid_grant",
        400,
        "another DPoP key",
    );
    refused(world.token(&world.refresh(&first)).await, "invalid_dpop_proof", 400, "there is no proof");
    assert!(world.token(&world.proven(world.refresh(&second), 7)).await.is_ok());
}

#[tokio::test]
async fn of_racing_uses_one_wins_and_the_family_ends() {
    let world = Arc::new(World::new());
    let first = world.signed_in().await;
    let mut racing = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let (world, post) = (world.clone(), world.proven(world.refresh(&first), 7));
        racing.spawn(async move {
            tokio::task::yield_now().await;
            world.token(&post).await
        });
    }
    let outcomes = racing.join_all().await;
    let winners: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok()).collect();
    assert_eq!(winners.len(), 1);
    for error in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
        assert_eq!(error.code().as_str(), "invalid_grant");
    }
    let post = world.proven(world.refresh(&winners[0].body), 7);
    refused(world.token(&post).await, "invalid_grant", 400, "was revoked");
}

#[tokio::test]
async fn of_two_who_saw_the_same_token_good_one_wins_and_the_family_ends() {
    let world = World::new();
    let first = world.signed_in().await;
    let (one, two) = (world.proven(world.refresh(&first), 7), world.proven(world.refresh(&first), 7));
    world.store.set_lagging(true);
    let (one, two) = tokio::join!(world.token(&one), world.token(&two));
    world.store.set_lagging(false);
    let (winner, loser) = if one.is_ok() { (one, two) } else { (two, one) };
    refused(loser, "invalid_grant", 400, "used twice at once");
    let post = world.proven(world.refresh(&winner.unwrap().body), 7);
    refused(world.token(&post).await, "invalid_grant", 400, "was revoked");
}

/// `shop` with a second key, and `twin` with the first of them.
fn similar() -> Clients {
    let mut clients = Clients::default();
    let jwk = |seed| ed25519(seed).verifying_key().to_jwk().unwrap();
    let keys = ClientKey::read(&format!("{{\"keys\":[{},{}]}}", jwk(1), jwk(9))).unwrap();
    clients.add_configured(Client { keys, ..client("shop", None, Some(&["orders:read"])) }).unwrap();
    clients.add_configured(client("twin", Some(1), Some(&["orders:read"]))).unwrap();
    clients
}

#[tokio::test]
async fn a_refresh_token_is_one_clients_and_one_keys() {
    let world = World::new().listing(similar(), Wallets::Any);
    let grant = Post::token("urn:ietf:params:oauth:grant-type:jwt-bearer");
    let grant = grant.with("assertion", &signed(&world.assertion("shop"), &ed25519(1)));
    let tokens = world.token(&grant).await.unwrap().body;
    let revoke = Post::to("/oauth/revoke").with("token", tokens["refresh_token"].as_str().unwrap());
    for (id, seed) in [("twin", 1), ("shop", 9)] {
        let by = |post: Post| post.by(&world.assertion(id), &ed25519(seed));
        refused(world.token(&by(world.refresh(&tokens))).await, "invalid_grant", 400, "another client's");
        refused(world.revoke(&by(revoke.clone())).await, "invalid_grant", 400, "another client's");
    }
    let own = world.refresh(&tokens).by(&world.assertion("shop"), &ed25519(1));
    let next = world.token(&own).await.unwrap().body;
    // Overheard, the same request ends nothing.
    refused(world.token(&own).await, "invalid_client", 401, "it has been used");
    let own = world.refresh(&next).by(&world.assertion("shop"), &ed25519(1));
    assert!(world.token(&own).await.is_ok());
}

#[tokio::test]
async fn what_we_did_not_make_is_not_looked_for() {
    let world = World::new();
    let tokens = world.signed_in().await;
    let good = tokens["refresh_token"].as_str().unwrap();
    let mut changed = good.to_owned().into_bytes();
    for position in [4, 30, 60, 85] {
        let before = changed[position];
        changed[position] = if before == b'A' { b'B' } else { b'A' };
        let post = Post::token("refresh_token").with("refresh_token", std::str::from_utf8(&changed).unwrap());
        refused(world.token(&world.proven(post, 7)).await, "invalid_grant", 400, "no refresh token of ours");
        changed[position] = before;
    }
    for other in ["csr_", "x", &good[4..], &format!("{good}AA"), &good[..80]] {
        let post = Post::token("refresh_token").with("refresh_token", other);
        refused(world.token(&world.proven(post, 7)).await, "invalid_grant", 400, "no refresh token of ours");
    }
    refused(
        world.token(&Post::token("refresh_token")).await,
        "invalid_request",
        400,
        "refresh_token is missing",
    );
    assert!(world.token(&world.proven(world.refresh(&tokens), 7)).await.is_ok());
}

#[tokio::test]
async fn a_family_ends_at_its_time_however_often_it_was_used() {
    let world = World::new();
    let mut tokens = world.signed_in().await;
    for _ in 0..3 {
        world.clock.advance(Duration::from_secs(1000));
        tokens = world.token(&world.proven(world.refresh(&tokens), 7)).await.unwrap().body;
    }
    world.clock.advance(Duration::from_secs(600));
    refused(
        world.token(&world.proven(world.refresh(&tokens), 7)).await,
        "invalid_grant",
        400,
        "no refresh token",
    );
}

#[tokio::test]
async fn a_clients_refresh_token_needs_the_clients_own_key() {
    let world = World::new();
    let grant = Post::token("urn:ietf:params:oauth:grant-type:jwt-bearer");
    let grant = grant.with("assertion", &signed(&world.assertion("shop"), &ed25519(1)));
    let tokens = world.token(&grant).await.unwrap().body;
    let refresh = world.refresh(&tokens);
    refused(world.token(&refresh).await, "invalid_client", 401, "no client was proven");
    refused(
        world.token(&refresh.clone().with("client_id", "shop")).await,
        "invalid_client",
        401,
        "no client was proven",
    );
    let others = refresh.clone().by(&world.assertion("other"), &ed25519(2));
    refused(world.token(&others).await, "invalid_grant", 400, "another client's");
    let own = refresh.by(&world.assertion("shop"), &ed25519(1));
    let next = world.token(&own).await.unwrap().body;
    assert_eq!((&next["scope"], &next["token_type"]), (&json!("orders:read orders:write"), &json!("Bearer")));
}

#[tokio::test]
async fn a_wallets_refresh_token_is_no_other_clients() {
    let world = World::new();
    let tokens = world.signed_in().await;
    let refresh = |id: &str| world.proven(world.refresh(&tokens).with("client_id", id), 7);
    refused(world.token(&refresh("page")).await, "invalid_grant", 400, "another client's");
    let shop = world.proven(world.refresh(&tokens).by(&world.assertion("shop"), &ed25519(1)), 7);
    refused(world.token(&shop).await, "invalid_grant", 400, "another client's");
    assert!(world.token(&refresh(&world.wallet.address().checksummed())).await.is_ok());
}

#[tokio::test]
async fn a_refresh_grants_no_more_than_was_granted_and_is_still_allowed() {
    let world = World::new();
    let address = world.wallet.address().to_string();
    world.keep(&address, json!({}), &["orders:read", "orders:write"]).await.unwrap();
    let sign_in = world.sign_in(&world.message()).with("scope", "orders:read orders:write");
    let tokens = world.token(&world.proven(sign_in, 7)).await.unwrap().body;
    // More is allowed by now, and was not granted.
    world.keep(&address, json!({ "country": "CH" }), &["admin"]).await.unwrap();
    let asking = |tokens: &Value, scope: &str| world.proven(world.refresh(tokens).with("scope", scope), 7);
    refused(world.token(&asking(&tokens, "admin")).await, "invalid_scope", 400, "nothing");
    refused(world.token(&asking(&tokens, "openid")).await, "invalid_scope", 400, "nothing");
    let narrow = world.token(&asking(&tokens, "orders:read admin")).await.unwrap().body;
    assert_eq!(narrow["scope"], "orders:read");
    assert_eq!(world.claims(&narrow["access_token"]).await["country"], "CH");
    let wide = world.token(&world.proven(world.refresh(&narrow), 7)).await.unwrap().body;
    assert_eq!(wide["scope"], "orders:read orders:write");
    let change = SubjectChange { withdraw: set(&["orders:write"]), ..SubjectChange::default() };
    Subjects::new(world.store.clone()).change(&address.parse_name(), &change).await.unwrap();
    let less = world.token(&world.proven(world.refresh(&wide), 7)).await.unwrap().body;
    assert_eq!(less["scope"], "orders:read");
}

#[tokio::test]
async fn a_wallet_or_client_that_is_no_longer_listed_refreshes_nothing() {
    let world = World::new();
    let own = world.signed_in().await;
    let by_page = world.sign_in(&world.message()).with("client_id", "page");
    let by_page = world.token(&world.proven(by_page, 7)).await.unwrap().body;
    let clients = Clients::default();
    let listed = Wallets::Listed([world.wallet.address()].into());
    let world = world.listing(clients, listed);
    let post = world.proven(world.refresh(&by_page).with("client_id", "page"), 7);
    refused(world.token(&post).await, "invalid_grant", 400, "no longer listed");
    let world = world.listing(Clients::default(), Wallets::Listed(BTreeSet::new()));
    refused(
        world.token(&world.proven(world.refresh(&own), 7)).await,
        "invalid_grant",
        400,
        "may no longer sign in",
    );
}

#[tokio::test]
async fn the_store_holds_no_refresh_token() {
    let world = World::new();
    let tokens = world.signed_in().await;
    let secret = URL_SAFE_NO_PAD.decode(&tokens["refresh_token"].as_str().unwrap()[4..]).unwrap();
    let secret = &secret[16..48];
    use countersign::store::Inventory as _;
    let kept = world.store.list(countersign::issuer::FAMILIES, None, 10).await.unwrap();
    assert_eq!(kept.len(), 1);
    assert!(!kept[0].1.windows(32).any(|window| window == secret));
}

#[tokio::test]
async fn a_family_from_before_a_store_was_put_back_from_a_copy_has_ended_and_its_access_tokens_with_it() {
    let world = World::new();
    let tokens = world.signed_in().await;
    let restored = world.clock.now().plus(Duration::from_secs(1));
    world.clock.set(restored);
    assert!(!world.is_revoked(&tokens).await);
    world.store.set_restored_at(restored);
    assert!(world.is_revoked(&tokens).await);
    assert!(world.token(&world.proven(world.refresh(&tokens), 7)).await.is_err());
    let anew = world.signed_in().await;
    assert!(!world.is_revoked(&anew).await);
    assert!(world.token(&world.proven(world.refresh(&anew), 7)).await.is_ok());
}
