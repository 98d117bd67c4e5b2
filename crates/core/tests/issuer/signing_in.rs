//! EIP-4361: who may sign in, with which message, and what a token then says.

use super::*;
use countersign::issuer::siwe::{Message as Read, MessageError};

#[tokio::test]
async fn a_wallet_signs_in_and_its_token_names_it() {
    let world = World::new();
    let address = world.wallet.address().to_string();
    world.keep(&format!("eip155:{address}"), json!({ "country": "CH" }), &["orders:read"]).await.unwrap();
    let post = world.sign_in(&world.message());
    let issued = world.token(&post.clone().with("scope", "openid orders:read")).await.unwrap();
    let claims = world.claims(&issued.body["access_token"]).await;
    assert_eq!((&claims["sub"], &claims["client_id"]), (&json!(address), &json!(address)));
    assert_eq!((&claims["country"], &claims["scope"]), (&json!("CH"), &json!("openid orders:read")));
    assert_eq!(world.claims(&issued.body["id_token"]).await["aud"], address);
    assert_eq!(issued.subject.to_string(), format!("eip155:{address}"));
    assert!(issued.body.get("refresh_token").is_none(), "one that is bound to nothing would be bearer-class");
    refused(world.token(&post).await, "invalid_grant", 400, "it has been used");
}

#[tokio::test]
async fn the_assertion_may_be_in_base64url_and_has_two_members() {
    let world = World::new();
    let post = world.sign_in(&world.message());
    let json = post.form.iter().find(|(name, _)| name == "assertion").unwrap().1.clone();
    let value: Value = serde_json::from_str(&json).unwrap();
    let message = &value["message"];
    for (spoilt, cause) in [
        (json!({ "message": message }).to_string(), "once each"),
        (json!({ "message": message, "signature": value["signature"], "more": 1 }).to_string(), "once each"),
        (json!({ "message": 1, "signature": value["signature"] }).to_string(), "once each"),
        (json.replacen('{', "{\"message\":\"x\",", 1), "once each"),
        (json!({ "message": message, "signature": "0x00" }).to_string(), "130 hexadecimal"),
        (
            json!({ "message": message, "signature": value["signature"].as_str().unwrap()[2..] }).to_string(),
            "130 hexadecimal",
        ),
        ("???".to_owned(), "neither JSON nor base64url"),
        (format!("{{{}", " ".repeat(12 * 1024)), "longer"),
    ] {
        refused(world.token(&post.clone().with("assertion", &spoilt)).await, "invalid_grant", 400, cause);
    }
    assert!(world.token(&post.with("assertion", &URL_SAFE_NO_PAD.encode(json))).await.is_ok());
}

#[tokio::test]
async fn a_message_that_is_not_about_us_or_not_in_time_signs_nobody_in() {
    let world = World::new();
    let (now, good) = (world.now(), world.message());
    let at =
        |seconds: i64| Timestamp::from_secs(now.as_secs().checked_add_signed(seconds).unwrap()).to_string();
    let spoil = |change: &dyn Fn(&mut Message)| {
        let mut message = good.clone();
        change(&mut message);
        message
    };
    for (message, cause) in [
        (spoil(&|m| m.domain = "eve.example".into()), "the domain is not ours"),
        (spoil(&|m| m.domain = "bob.example:8443".into()), "the domain is not ours"),
        (spoil(&|m| m.domain = "http://bob.example".into()), "the scheme is not ours"),
        (spoil(&|m| m.uri = "https://eve.example".into()), "the URI is not ours"),
        (spoil(&|m| m.uri = "https://bob.example.eve.example/".into()), "the URI is not ours"),
        (spoil(&|m| m.uri = "https://bob.example@eve.example/".into()), "the URI is not ours"),
        (spoil(&|m| m.version = "2".into()), "the line `Version`"),
        (spoil(&|m| m.nonce = "12345678".into()), "none of ours"),
        (spoil(&|m| m.nonce = "a".repeat(64)), "none of ours"),
        (spoil(&|m| m.issued_at = at(31)), "in the future"),
        (spoil(&|m| m.issued_at = at(-630)), "more than 10 minutes ago"),
        (spoil(&|m| m.rest = format!("\nExpiration Time: {}", at(-30))), "expiration time has passed"),
        (spoil(&|m| m.rest = format!("\nNot Before: {}", at(31))), "not-before"),
        (spoil(&|m| m.address = m.address.replace("0x", "0X")), "40 hexadecimal digits"),
        (spoil(&|m| m.address = swap_case(&m.address)), "checksum"),
        (
            spoil(&|m| m.rest = "\nResources:\n- urn:ietf:params:oauth:jwk-thumbprint:sha-512:abc".into()),
            "SHA-256",
        ),
        (
            spoil(&|m| m.rest = "\nResources:\n- urn:ietf:params:oauth:jwk-thumbprint:sha-256:abc".into()),
            "SHA-256",
        ),
        (spoil(&|m| m.rest = format!("\nResources:\n- {0}\n- {0}", key_urn(7))), "two resources"),
    ] {
        refused(world.token(&world.sign_in(&message)).await, "invalid_grant", 400, cause);
    }
    // What was signed is not what was sent.
    let post = world.sign_in(&good);
    let assertion =
        post.form.iter().find(|(name, _)| name == "assertion").unwrap().1.replace("orders", "wallet");
    refused(world.token(&post.clone().with("assertion", &assertion)).await, "invalid_grant", 400, "not by");
    assert!(world.token(&post).await.is_ok(), "and none of these spent the nonce");
}

fn swap_case(address: &str) -> String {
    let swap = |c: char| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
    format!("0x{}", address[2..].chars().map(swap).collect::<String>())
}

fn key_urn(seed: u8) -> String {
    format!("urn:ietf:params:oauth:jwk-thumbprint:sha-256:{}", print(&ed25519(seed)))
}

#[tokio::test]
async fn what_is_allowed_besides_passes() {
    let world = World::new();
    let at = |seconds: u64| Timestamp::from_secs(world.now().as_secs() + seconds).to_string();
    let changes: [&dyn Fn(&mut Message); 8] = [
        &|m| m.domain = "https://bob.example".into(),
        &|m| m.uri = "https://bob.example/oauth/token".into(),
        &|m| m.statement = "\n".into(),
        &|m| m.address = m.address.to_ascii_lowercase(),
        &|m| m.rest = format!("\nExpiration Time: {}\nNot Before: {}\nRequest ID: 7", at(9), at(0)),
        &|m| m.rest = "\nResources:\n- https://bob.example/terms\n- ipfs://x".into(),
        &|m| m.rest = "\nResources:".into(),
        &|m| m.issued_at = Timestamp::from_secs(NOW.as_secs() - 600).to_string(),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut message = world.message();
        change(&mut message);
        let token = world.token(&world.sign_in(&message)).await;
        assert!(token.is_ok(), "{number}: {:?}", token.err());
    }
}

#[test]
fn a_text_is_such_a_message_only_in_its_one_form() {
    let good = "bob.example wants you to sign in with your Ethereum account:\n\
        0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f\n\nHello.\n\nURI: https://bob.example\nVersion: 1\n\
        Chain ID: 1\nNonce: abcdefgh1\nIssued At: 2026-01-31T12:00:00Z";
    assert!(Read::parse(good).is_ok());
    for (from, to, error) in [
        ("bob.example wants", "wants", MessageError::Header),
        ("bob.example wants", "bob@eve.example wants", MessageError::Header),
        ("bob.example wants", "bob.example/x wants", MessageError::Header),
        ("bob.example wants", "://bob.example wants", MessageError::Header),
        ("account:\n", "account:\r\n", MessageError::Header),
        (
            "account:\n",
            "account:\n\n",
            MessageError::Address(countersign::crypto::ethereum::AddressError::Form),
        ),
        ("5a4f\n\n", "5a4f\n", MessageError::EmptyLines),
        ("Hello.\n\n", "Hello.\n", MessageError::EmptyLines),
        ("Hello.", "Hello\"", MessageError::Statement),
        ("Hello.", "Hellö", MessageError::Statement),
        ("URI: ", "Uri: ", MessageError::Missing("URI:")),
        ("https://bob.example\n", "bob\n", MessageError::Value("URI")),
        ("https://bob.example\n", "https:x\n", MessageError::Value("URI")),
        ("https://bob.example\n", "https://b b\n", MessageError::Value("URI")),
        ("Version: 1\n", "", MessageError::Missing("Version:")),
        ("Version: 1\n", "Version: 01\n", MessageError::Value("Version")),
        ("Chain ID: 1", "Chain ID: 01", MessageError::Value("Chain ID")),
        ("Chain ID: 1", "Chain ID: +1", MessageError::Value("Chain ID")),
        ("Chain ID: 1", "Chain ID: 99999999999999999999", MessageError::Value("Chain ID")),
        ("abcdefgh1", "abcdefg", MessageError::Value("Nonce")),
        ("abcdefgh1", "abcdef-h1", MessageError::Value("Nonce")),
        ("Nonce: abcdefgh1", "Nonce: abcdefgh1\nNonce: abcdefgh1", MessageError::Missing("Issued At:")),
        ("2026-01-31T12:00:00Z", "2026-01-31", MessageError::Value("Issued At")),
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00", MessageError::Value("Issued At")),
        ("2026-01-31T12:00:00Z", "2026-01-31 12:00:00Z", MessageError::Value("Issued At")),
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00.Z", MessageError::Value("Issued At")),
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00.0000000001Z", MessageError::Value("Issued At")),
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00Z[UTC]", MessageError::Value("Issued At")),
        ("2026-01-31T12:00:00Z", "2026-02-31T12:00:00Z", MessageError::Value("Issued At")),
        ("12:00:00Z", "12:00:00Z\n", MessageError::Rest),
        ("12:00:00Z", "12:00:00Z\nRequest ID: a b", MessageError::Value("Request ID")),
        ("12:00:00Z", "12:00:00Z\nExpiration Time: never", MessageError::Value("Expiration Time")),
        (
            "12:00:00Z",
            "12:00:00Z\nNot Before: 2026-01-31T12:00:00Z\nExpiration Time: 2026-01-31T12:00:00Z",
            MessageError::Rest,
        ),
        ("12:00:00Z", "12:00:00Z\nResources:\n- x y", MessageError::Value("Resources")),
        ("12:00:00Z", "12:00:00Z\nResources:\nx", MessageError::Rest),
    ] {
        let spoilt = good.replacen(from, to, 1);
        assert_ne!(spoilt, good, "{from}");
        assert_eq!(Read::parse(&spoilt).unwrap_err(), error, "{to:?}");
    }
    let many = format!("{good}\nResources:{}", "\n- a:b".repeat(33));
    assert_eq!(Read::parse(&many).unwrap_err(), MessageError::Value("Resources"));
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}", cut in 0..300_usize, byte in "\\PC") {
        let _ = Read::parse(&text);
        let mut good = String::from("b wants you to sign in with your Ethereum account:\n0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f\n\n\nURI: a:b\nVersion: 1\nChain ID: 1\nNonce: abcdefgh1\nIssued At: 2026-01-31T12:00:00Z\nResources:\n- a:b");
        let cut = cut.min(good.len());
        good.replace_range(cut..cut, &byte);
        let _ = Read::parse(&good);
        let _ = Read::parse(&good[..cut]);
    }
}

#[tokio::test]
async fn a_nonce_is_good_for_ten_minutes() {
    let world = World::new();
    let mut message = world.message();
    world.clock.advance(Duration::from_secs(599));
    message.issued_at = world.now().to_string();
    assert!(world.token(&world.sign_in(&message)).await.is_ok());
    let mut message = world.message();
    world.clock.advance(Duration::from_secs(600));
    message.issued_at = world.now().to_string();
    refused(world.token(&world.sign_in(&message)).await, "invalid_grant", 400, "too old");
}

#[tokio::test]
async fn a_key_that_the_message_names_is_the_only_one_that_tokens_are_bound_to() {
    let world = World::new();
    let mut message = world.message();
    message.rest = format!("\nResources:\n- {}", key_urn(7));
    let post = world.sign_in(&message);
    refused(world.token(&post).await, "invalid_dpop_proof", 400, "there is no proof");
    refused(world.token(&world.proven(post.clone(), 8)).await, "invalid_grant", 400, "another DPoP key");
    let issued = world.token(&world.proven(post, 7)).await.unwrap();
    let claims = world.claims(&issued.body["access_token"]).await;
    assert_eq!(claims["cnf"]["jkt"], print(&ed25519(7)));
    assert!(issued.body["refresh_token"].is_string());
}

#[tokio::test]
async fn a_wallet_that_is_not_listed_is_nobody_unless_anybody_may() {
    let strict = World::with(NoncePolicy::Accepted, |_| Wallets::Listed(BTreeSet::new()));
    refused(
        strict.token(&strict.sign_in(&strict.message())).await,
        "invalid_grant",
        400,
        "not among the wallets",
    );
    let open = World::with(NoncePolicy::Accepted, |_| Wallets::Any);
    assert_eq!(open.token(&open.sign_in(&open.message())).await.unwrap().body["scope"], "");
}

#[tokio::test]
async fn a_wallet_signs_in_by_itself_or_by_a_client_that_is_listed() {
    let world = World::new();
    let address = world.wallet.address();
    world.keep(&address.to_string(), json!({}), &["orders:read", "orders:write"]).await.unwrap();
    let by = |id: &str| world.sign_in(&world.message()).with("client_id", id);
    for own in [address.to_string(), address.checksummed()] {
        assert_eq!(world.token(&by(&own)).await.unwrap().client_id, address.to_string());
    }
    let page = world.token(&by("page")).await.unwrap();
    assert_eq!((&*page.client_id, &page.body["scope"]), ("page", &json!("orders:read")));
    refused(world.token(&by("nobody")).await, "invalid_client", 401, "not listed");
    refused(world.token(&by("shop")).await, "invalid_client", 401, "did not prove itself");
    let proven = by("shop").by(&world.assertion("shop"), &ed25519(1));
    let shop = world.token(&proven).await.unwrap();
    assert_eq!((&*shop.client_id, &shop.body["scope"]), ("shop", &json!("orders:read orders:write")));
    assert!(shop.body["refresh_token"].is_string(), "bound to the client's key");
}
