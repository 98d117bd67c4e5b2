//! What a token must say, and what it then proves.

use countersign::schemes::bearer::KeySet;
use serde_json::json;

use super::*;

#[tokio::test]
async fn a_good_token_proves_its_subject_with_its_permissions_claims_and_end() {
    let world = World::new();
    let principal = world.principal(&signed(&with(json!({ "country": "CH", "nbf": NOW.as_secs() })))).await;
    assert_eq!(principal.subject.to_string(), "https://login.example/realms/a#alice");
    assert_eq!(principal.scheme_names(), "bearer");
    assert_eq!(principal.permissions, only(&["orders:read", "orders:write"]));
    assert_eq!(principal.expires, Some(NOW.plus(Duration::from_secs(330))));
    let names: Vec<&str> = principal.claims.keys().map(String::as_str).collect();
    assert_eq!(names, ["client_id", "country"]);
    assert_eq!(principal.claims["country"], json!("CH"));
}

#[tokio::test]
async fn a_claim_that_is_needed_is_there_and_of_its_type() {
    let world = World::new();
    for (name, values) in [
        ("iss", vec![json!(null), json!(7), json!([ISSUER])]),
        ("aud", vec![json!(null), json!(7), json!([AUDIENCE, 7]), json!({ AUDIENCE: true })]),
        ("exp", vec![json!(null), json!("1800000300"), json!(-1), json!([1_800_000_300])]),
        ("nbf", vec![json!("soon"), json!(true)]),
        ("iat", vec![json!("now")]),
        ("sub", vec![json!(null), json!(7), json!(""), json!("a".repeat(256)), json!("zoë"), json!("a\nb")]),
        ("scope", vec![json!(7), json!(["a", 7]), json!({})]),
        ("cnf", vec![json!("x")]),
    ] {
        for value in values {
            let token =
                signed(&with(json!({ name: if value.is_null() { json!(null) } else { value.clone() } })));
            assert_eq!(world.token(&token).await, Some(Code::TokenClaims), "{name}: {value}");
        }
    }
    // A null is no claim that is missing.
    let null = good().to_string().replace(r#""exp":1800000300"#, r#""exp":null"#);
    let token = raw(&ed25519(1), r#"{"alg":"EdDSA","typ":"at+jwt","kid":"one"}"#, &null);
    assert_eq!(world.token(&token).await, Some(Code::TokenClaims));
    assert_eq!(world.token(&signed(&with(json!({ "iat": null, "jti": null, "scope": null })))).await, None);
}

#[tokio::test]
async fn a_token_is_for_us() {
    let world = World::new();
    for (aud, code) in [
        (json!([AUDIENCE, "other"]), None),
        (json!("other"), Some(Code::TokenAudience)),
        (json!("ORDERS"), Some(Code::TokenAudience)),
        (json!([]), Some(Code::TokenAudience)),
        (json!("orders other"), Some(Code::TokenAudience)),
    ] {
        assert_eq!(world.token(&signed(&with(json!({ "aud": aud.clone() })))).await, code, "{aud}");
    }
    let several = IssuerTerms { audiences: vec!["x".into(), "other".into()], ..terms() };
    let world = World::with(several, KeySource::Discovered);
    assert_eq!(world.token(&signed(&with(json!({ "aud": "other" })))).await, None);
    assert_eq!(world.token(&signed(&good())).await, Some(Code::TokenAudience));
}

#[tokio::test]
async fn where_the_issuer_writes_the_audience_elsewhere_that_claim_names_us() {
    let audience_claim = |path: &str| IssuerTerms { audience_claim: Some(path.parse().unwrap()), ..terms() };
    let world = World::with(audience_claim("client_id"), KeySource::Discovered);
    let code = async |world: &World, changes: Value| world.token(&signed(&with(changes))).await;
    for (changes, expected) in [
        // As Cognito writes access tokens.
        (json!({ "aud": null, "client_id": AUDIENCE }), None),
        (json!({ "aud": null, "client_id": ["other", AUDIENCE] }), None),
        (json!({ "aud": null, "client_id": "other" }), Some(Code::TokenAudience)),
        (json!({ "aud": null, "client_id": "" }), Some(Code::TokenAudience)),
        (json!({ "aud": null, "client_id": null }), Some(Code::TokenClaims)),
        (json!({ "aud": null, "client_id": 7 }), Some(Code::TokenClaims)),
        (json!({ "aud": null, "client_id": [AUDIENCE, 7] }), Some(Code::TokenClaims)),
        (json!({ "aud": null, "client_id": { AUDIENCE: true } }), Some(Code::TokenClaims)),
        // What is for others as well is not for us.
        (json!({ "aud": "other", "client_id": AUDIENCE }), Some(Code::TokenAudience)),
        (json!({ "aud": 7, "client_id": AUDIENCE }), Some(Code::TokenClaims)),
        (json!({ "aud": AUDIENCE, "client_id": AUDIENCE }), None),
        (json!({ "aud": AUDIENCE, "client_id": null }), Some(Code::TokenClaims)),
    ] {
        assert_eq!(code(&world, changes.clone()).await, expected, "{changes}");
    }
    // An ID token has its client in `aud`.
    let ids = IssuerTerms { id_tokens: true, ..audience_claim("client_id") };
    let world = World::with(ids, KeySource::Discovered);
    assert_eq!(code(&world, json!({ "client_id": null })).await, None);
    assert_eq!(code(&world, json!({ "client_id": null, "aud": null })).await, Some(Code::TokenClaims));
    assert_eq!(code(&world, json!({ "client_id": null, "aud": "other" })).await, Some(Code::TokenAudience));
    // Keycloak's `aud` is `account` unless somebody says otherwise, and `azp` the client.
    let keycloak =
        IssuerTerms { audiences: vec![AUDIENCE.into(), "account".into()], ..audience_claim("azp") };
    let world = World::with(keycloak, KeySource::Discovered);
    assert_eq!(code(&world, json!({ "aud": "account", "azp": AUDIENCE })).await, None);
    assert_eq!(code(&world, json!({ "aud": "account", "azp": "other" })).await, Some(Code::TokenAudience));
    let nested = World::with(audience_claim("x.\"y.z\""), KeySource::Discovered);
    assert_eq!(code(&nested, json!({ "aud": null, "x": { "y.z": AUDIENCE } })).await, None);
}

#[tokio::test]
async fn an_issuer_whose_keys_need_no_looking_for_may_be_called_as_it_likes() {
    for issuer in ["accounts.google.com", "urn:example:issuer", "https://login.example/{tid}/v2.0", "joe"] {
        let keys = Arc::new(KeySet::read(jwks_of(&[(1, "one")]).to_string().as_bytes()).unwrap());
        let world = World::with(IssuerTerms::new(issuer, AUDIENCE), KeySource::Fixed(keys));
        let principal = world.principal(&signed(&with(json!({ "iss": issuer })))).await;
        assert_eq!(principal.subject.to_string(), format!("{issuer}#alice"));
        let slashed = signed(&with(json!({ "iss": format!("{issuer}/") })));
        let denial = world.denial(&bearing(&slashed)).await;
        assert_eq!(denial.code(), Code::TokenInvalid);
        assert!(denial.cause().contains(&format!("its issuer \"{issuer}/\" is not among")), "{denial}");
    }
    // Where the operator wrote the place of its keys, nothing is looked for either.
    let (google, certs) = ("accounts.google.com", "https://keys.example/certs");
    let world = World::with(IssuerTerms::new(google, AUDIENCE), KeySource::At(Uri::from_static(certs)));
    world.network.answer(certs, &jwks_of(&[(1, "one")]));
    assert_eq!(world.token(&signed(&with(json!({ "iss": google })))).await, None);
    assert_eq!(world.network.take_asked(), [certs]);
}

#[tokio::test]
async fn a_token_is_for_now_and_clocks_may_differ_by_half_a_minute() {
    let seconds = NOW.as_secs();
    for (name, value, code) in [
        ("exp", json!(seconds - 29), None),
        ("exp", json!(seconds - 30), Some(Code::TokenExpired)),
        ("exp", json!(0), Some(Code::TokenExpired)),
        ("exp", json!(seconds as f64 + 0.5), None),
        ("nbf", json!(seconds + 30), None),
        ("nbf", json!(seconds + 31), Some(Code::TokenInvalid)),
        ("iat", json!(seconds + 30), None),
        ("iat", json!(seconds + 31), Some(Code::TokenInvalid)),
        ("iat", json!(seconds - 100_000), None),
    ] {
        let token = signed(&with(json!({ name: value.clone() })));
        assert_eq!(World::new().token(&token).await, code, "{name}: {value}");
    }
}

#[tokio::test]
async fn a_token_that_was_good_ends_with_its_time_although_it_is_remembered() {
    let world = World::new();
    let token = signed(&good());
    assert_eq!(world.token(&token).await, None);
    world.pass_seconds(329);
    assert_eq!(world.token(&token).await, None);
    world.pass_seconds(1);
    assert_eq!(world.token(&token).await, Some(Code::TokenExpired));
}

#[tokio::test]
async fn only_types_that_its_issuer_uses_are_access_tokens() {
    let typed = |typ: Option<&str>| signed_as(1, typ, Some("one"), &good());
    let world = World::new();
    for typ in [Some("at+jwt"), Some("application/at+jwt"), Some("AT+JWT")] {
        assert_eq!(world.token(&typed(typ)).await, None, "{typ:?}");
    }
    let foreign = ["callback+jwt", "countersign-assertion+jwt", "dpop+jwt"];
    for typ in foreign.iter().chain(&["JWT", "id_token", ""]) {
        assert_eq!(world.token(&typed(Some(typ))).await, Some(Code::TokenType), "{typ}");
    }
    assert_eq!(world.token(&typed(None)).await, Some(Code::TokenType));

    let types = ["JWT", "", "callback+jwt", "countersign-assertion+jwt", "dpop+jwt"].map(String::from);
    let world = World::with(IssuerTerms { types: types.into(), ..terms() }, KeySource::Discovered);
    assert_eq!(world.token(&typed(Some("JWT"))).await, None);
    assert_eq!(world.token(&typed(None)).await, None);
    assert_eq!(world.token(&typed(Some("at+jwt"))).await, Some(Code::TokenType));
    let written_in_full = IssuerTerms { types: vec!["application/jwt".into()], ..terms() };
    let full = World::with(written_in_full, KeySource::Discovered);
    for (typ, code) in [("JWT", None), ("application/JWT", None), ("at+jwt", Some(Code::TokenType))] {
        assert_eq!(full.token(&typed(Some(typ))).await, code, "{typ}");
    }
    for typ in foreign {
        assert_eq!(
            world.token(&typed(Some(typ))).await,
            Some(Code::TokenType),
            "no setting makes it one: {typ}"
        );
    }
}

#[tokio::test]
async fn an_id_token_counts_where_the_issuer_is_listed_for_them_and_its_client_is_ours() {
    let id_token = |azp: Value| signed_as(1, None, Some("one"), &with(json!({ "azp": azp, "nonce": "n" })));
    assert_eq!(World::new().token(&id_token(json!(null))).await, Some(Code::TokenType));
    let world = World::with(IssuerTerms { id_tokens: true, ..terms() }, KeySource::Discovered);
    assert_eq!(world.token(&id_token(json!(null))).await, None);
    assert_eq!(world.token(&id_token(json!(AUDIENCE))).await, None);
    assert_eq!(world.token(&id_token(json!("another-client"))).await, Some(Code::TokenAudience));
    assert_eq!(world.token(&signed_as(1, Some("JWT"), Some("one"), &good())).await, None);
}

#[tokio::test]
async fn permissions_come_from_the_claim_that_is_configured() {
    let claims = with(json!({
        "scope": null, "scp": ["a", "b"], "realm_access": { "roles": ["boss"] }, "https://x.y/roles": "c d",
        "resource_access": { "my.app": { "roles": ["clerk"] }, "my": { "app": { "roles": ["another"] } } },
        "cognito:groups": ["staff"], "roles": "one", "permissions": ["read:orders"],
    }));
    let permissions = async |claim: Option<&str>, claims: &Value| {
        let permissions_claim = claim.map(|path| path.parse().unwrap());
        let world = World::with(IssuerTerms { permissions_claim, ..terms() }, KeySource::Discovered);
        world.principal(&signed(claims)).await.permissions
    };
    assert_eq!(permissions(None, &claims).await, only(&["a", "b"]));
    assert_eq!(permissions(Some("realm_access.roles"), &claims).await, only(&["boss"]));
    assert_eq!(permissions(Some("https://x.y/roles"), &claims).await, only(&["c", "d"]));
    assert_eq!(permissions(Some("realm_access.none"), &claims).await, Permissions::Unstated);
    let of_app = "resource_access.\"my.app\".roles";
    assert_eq!(permissions(Some(of_app), &claims).await, only(&["clerk"]));
    assert_eq!(permissions(Some("resource_access.my.app.roles"), &claims).await, only(&["another"]));
    assert_eq!(permissions(Some("cognito:groups"), &claims).await, only(&["staff"]));
    assert_eq!(permissions(Some("roles"), &claims).await, only(&["one"]));
    assert_eq!(permissions(Some("permissions"), &claims).await, only(&["read:orders"]));
    assert_eq!(permissions(None, &with(json!({ "scope": ["a", "b"] }))).await, only(&["a", "b"]));
    assert_eq!(permissions(None, &with(json!({ "scope": null, "scp": "a b" }))).await, only(&["a", "b"]));
    assert_eq!(permissions(None, &with(json!({ "scope": "" }))).await, only(&[]));
    assert_eq!(permissions(None, &with(json!({ "scope": null }))).await, Permissions::Unstated);
}

#[tokio::test]
async fn scopes_that_are_mapped_grant_what_the_map_says_and_others_nothing() {
    let map = [("orders:read".to_owned(), ["read".into(), "list".into()].into())].into();
    let world = World::with(IssuerTerms { permissions: Some(map), ..terms() }, KeySource::Discovered);
    assert_eq!(world.principal(&signed(&good())).await.permissions, only(&["list", "read"]));
}

#[tokio::test]
async fn a_subject_that_names_a_key_is_the_same_however_it_is_written() {
    let world = World::with(IssuerTerms { names_keys: true, ..terms() }, KeySource::Discovered);
    let subject = async |sub: String| world.principal(&signed(&with(json!({ "sub": sub })))).await.subject;
    let account = "0x52908400098527886E0F7030069857D2E4169EE7";
    let expected = format!("eip155:{}", account.to_lowercase());
    for sub in [
        account.to_owned(),
        account.to_lowercase(),
        account.replace("EE7", "Ee7"),
        format!("eip155:{account}"),
        format!("eip155:137:{account}"),
    ] {
        assert_eq!(subject(sub.clone()).await.to_string(), expected, "{sub}");
    }
    let print = thumbprint(7);
    assert_eq!(subject(print.clone()).await.to_string(), format!("jkt:{print}"));
    assert_eq!(subject(format!("jkt:{print}")).await.to_string(), format!("jkt:{print}"));
    for sub in [
        "alice".to_owned(),
        "0x52908400098527886E0F7030069857D2E4169EE".to_owned(),
        format!("eip155::{account}"),
        format!("eip155:x:{account}"),
        format!("eip155:1:1:{account}"),
        print[1..].to_owned(),
        format!("jkt:{}=", &print[1..]),
        format!("jkt:jkt:{print}"),
    ] {
        let token = signed(&with(json!({ "sub": sub.clone() })));
        assert_eq!(world.token(&token).await, Some(Code::TokenClaims), "{sub}");
    }
}

#[tokio::test]
async fn whoever_explains_at_another_time_hears_what_was_so_then() {
    let world = World::new();
    world.pass_seconds(100);
    let token = signed(&with(json!({ "nbf": world.now(), "exp": world.now() + 300 })));
    assert_eq!(world.token(&token).await, None);
    let explained = bearing(&token).explained();
    assert_eq!(world.code(&explained).await, None);
    let view = explained.view(NOW);
    let told = world.gate.explain(&world.rule, &view, &mut Bytes::new()).await;
    let told = told.denial().map(Denial::code);
    assert_eq!(told, Some(Code::TokenInvalid), "its time had not come, though it has passed since");
}
