//! What our own tokens open at our own gateway, which dials nobody for their keys.

use countersign::schemes::asymmetric::signer::sign_header;
use http::Method;

use countersign::crypto::ethereum::EthereumKey;

use super::*;
use countersign_testing::Echo;
use countersign_testing::oauth::{siwe_message, siwe_nonce};

/// A gateway that takes its own tokens: with a wallet's signature at `/signed`, alone at `/plain`.
fn started() -> Gateway {
    let (mut gateway, echo) = (Gateway::new(""), Echo::start());
    let route = |path: &str, accept: &str| {
        format!(
            "[[route]]\npath = \"/{path}/*\"\nupstream = \"{}\"\naccept = [\"{accept}\"]\n\
             require = {{ permission = [\"orders:read\"], claim = {{ country = [\"CH\"] }} }}\n",
            echo.url()
        )
    };
    let bearer = format!(
        "[[bearer.issuer]]\nissuer = \"{}\"\naudience = \"orders\"\nnames_keys = true\n",
        url(&gateway)
    );
    let more = [bearer, route("signed", "bearer+asymmetric"), route("plain", "bearer")].concat();
    write_shop(&gateway);
    configure(&gateway, SHOP, &more);
    gateway.start();
    let set = ["subject", "set", &wallet().address().to_string(), "--claim", "country=CH"];
    gateway.json(&[&set[..], &["--permission", "orders:read"]].concat());
    gateway
}

fn signed_in(gateway: &Gateway) -> String {
    let assertion = siwe_message(gateway, &wallet(), &siwe_nonce(gateway));
    let assertion = assertion.replace('%', "%25").replace('+', "%2B").replace('&', "%26");
    let body = format!("grant_type={SIWE}&assertion={assertion}");
    let answer = post(gateway, "/oauth/token", &body, None);
    assert_eq!(answer.status, 200, "{}", answer.text());
    text_of(&answer.json(), "access_token")
}

fn text_of(value: &Value, name: &str) -> String {
    text(value, name).to_owned()
}

fn get(gateway: &Gateway, path: &str, token: &str, key: Option<&EthereumKey>) -> Response {
    let bearer = format!("Bearer {token}");
    let target: http::Uri = format!("{}{path}", url(gateway)).parse().unwrap();
    let signature = key.map(|key| sign_header(key, &Method::GET, &target, b"", now()).unwrap());
    let mut request = Request::get(path).header("Authorization", &bearer);
    if let Some(signature) = &signature {
        request = request.header("AsymmetricAuthentication", signature.to_str().unwrap());
    }
    gateway.send(&request)
}

#[test]
fn a_wallets_token_opens_with_its_own_signature_and_nothing_without() {
    let gateway = started();
    let token = signed_in(&gateway);
    assert_eq!(get(&gateway, "/signed/1", &token, Some(&wallet())).status, 200);
    get(&gateway, "/signed/1", &token, None).is(401, "credential_missing");
    let eve = EthereumKey::from_bytes(Secret::new([6; 32])).unwrap();
    get(&gateway, "/signed/1", &token, Some(&eve)).is(401, "subject_mismatch");
    assert_eq!(get(&gateway, "/plain/1", &token, None).status, 200);
    let decision = gateway.explain_latest();
    assert!(decision["subject"].as_str().unwrap().ends_with(&wallet().address().to_string()), "{decision}");
    // What the operator no longer grants is not in the next token, and in this one until it expires.
    let withdraw = ["subject", "set", &wallet().address().to_string(), "--remove-permission", "orders:read"];
    gateway.json(&withdraw);
    assert_eq!(get(&gateway, "/signed/1", &token, Some(&wallet())).status, 200);
    get(&gateway, "/signed/1", &signed_in(&gateway), Some(&wallet())).is(403, "permission_missing");
}

#[test]
fn a_revoked_token_opens_nothing_any_more_even_one_that_was_just_taken() {
    let client = Client { key: shop(), gateway: started() };
    let name = client.key.verifying_key().thumbprint().unwrap();
    client.gateway.json(&["subject", "set", &name, "--claim", "country=CH"]);
    let by_itself = client.tokens();
    let by_family = client.tokens();
    for tokens in [&by_itself, &by_family] {
        assert_eq!(get(&client.gateway, "/plain/1", text(tokens, "access_token"), None).status, 200);
    }
    for (tokens, ended) in [(&by_itself, "access_token"), (&by_family, "refresh_token")] {
        let body = format!("token={}&{}", text(tokens, ended), client.proven());
        assert_eq!(client.post("/oauth/revoke", &body).status, 200);
        get(&client.gateway, "/plain/1", text(tokens, "access_token"), None).is(401, "token_invalid");
    }
}

#[test]
fn an_id_token_and_a_refresh_token_open_nothing() {
    let client = Client { key: shop(), gateway: started() };
    let name = client.key.verifying_key().thumbprint().unwrap();
    client.gateway.json(&["subject", "set", &name, "--claim", "country=CH"]);
    let grant = JWT_BEARER.replace(':', "%3A");
    let body = format!("grant_type={grant}&scope=openid+orders%3Aread&assertion={}", client.assertion());
    let tokens = client.post("/oauth/token", &body).json();
    assert_eq!(get(&client.gateway, "/plain/1", text(&tokens, "access_token"), None).status, 200);
    get(&client.gateway, "/plain/1", text(&tokens, "id_token"), None).is(401, "token_type");
    get(&client.gateway, "/plain/1", text(&tokens, "refresh_token"), None).is(401, "token_invalid");
}
