//! What is refused, in whose words, and what is told about it.

use countersign::dpop::DpopSigner;
use http::Method;

use super::*;

#[test]
fn refusals_are_in_the_words_of_rfc_6749_and_the_operator_finds_why() {
    let client = Client::started("");
    let token = |body: &str| client.post("/oauth/token", body);
    refused(&token("grant_type=password&username=a&password=b"), 400, "unsupported_grant_type");
    refused(&token("grant_type=client_credentials&grant_type=client_credentials"), 400, "invalid_request");
    refused(&token("grant_type=client_credentials"), 401, "invalid_client");
    let answer = client.gateway.explain_latest();
    assert_eq!(answer["code"], "token_invalid");
    assert!(answer.to_string().contains("no client was proven"), "{answer}");
    refused(&token(&format!("grant_type={SIWE}&assertion=x")), 400, "invalid_grant");
    refused(&token("grant_type=refresh_token&refresh_token=x"), 400, "invalid_grant");
    let basic = Request::new("POST", "/oauth/token").body(b"grant_type=client_credentials");
    let basic = basic.header("Content-Type", "application/x-www-form-urlencoded");
    let basic = client.gateway.send(&basic.header("Authorization", "Basic c2hvcDpodW50ZXIy"));
    refused(&basic, 401, "invalid_client");
    assert!(basic.header("www-authenticate").unwrap().starts_with("Basic "));
    let decision = basic.header("countersign-decision").unwrap();
    assert_eq!(client.gateway.explain_latest()["id"], decision);
    countersign_testing::eventually("the audit log names it", || {
        std::fs::read_to_string(client.gateway.path("audit.jsonl")).is_ok_and(|log| log.contains(decision))
    });
    let large = "x".repeat(16 * 1024 + 1);
    refused(&token(&large), 413, "invalid_request");
    let json = Request::new("POST", "/oauth/token").header("Content-Type", "application/json").body(b"{}");
    refused(&client.gateway.send(&json), 400, "invalid_request");
    refused(&client.post("/oauth/introspect", "token=x"), 401, "invalid_client");
    refused(&client.post("/oauth/revoke", "token=x"), 401, "invalid_client");
    refused(&client.post("/oauth/introspect", &client.proven()), 400, "invalid_request");
    let spoilt = post(
        &client.gateway,
        "/oauth/token",
        &format!("grant_type=client_credentials&{}", client.proven()),
        Some("a.b.c"),
    );
    refused(&spoilt, 400, "invalid_dpop_proof");
    // What is not served so is refused as everywhere.
    client.gateway.get("/oauth/token", None).is(405, "method_not_allowed");
    client.post("/oauth/jwks.json", "x").is(405, "method_not_allowed");
    let good = token(&format!("grant_type=client_credentials&{}", client.proven()));
    assert_eq!((good.status, good.header("cache-control")), (200, Some("no-store")));
    let metrics = metrics(&client.gateway);
    assert!(
        metrics.contains("issuer_tokens_total{grant=\"client_credentials\",result=\"issued\"} 1"),
        "{metrics}"
    );
    assert!(metrics.contains("result=\"invalid_dpop_proof\"} 1"), "{metrics}");
}

#[test]
fn an_issuer_that_is_not_enabled_serves_nothing() {
    let gateway = Gateway::started("[issuer]\naudience = \"orders\"\n");
    for path in
        ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server", "/oauth/jwks.json"]
    {
        gateway.get(path, None).is(404, "route_unknown");
    }
    post(&gateway, "/oauth/token", "grant_type=client_credentials", None).is(404, "route_unknown");
    assert_eq!(gateway.run(&["issuer", "rotate"]).status.code(), Some(2));
}

#[test]
fn a_proof_without_the_nonce_that_is_needed_is_told_one() {
    let client = Client::started("dpop_nonces = \"required\"");
    let signer = DpopSigner::new(
        Ed25519Key::from_seed(Secret::new([7; 32])).into(),
        std::sync::Arc::new(SystemRandom),
    )
    .unwrap();
    let target: http::Uri = format!("{}/oauth/token", url(&client.gateway)).parse().unwrap();
    let body = format!("grant_type=client_credentials&{}", client.proven());
    let proof = |nonce: Option<&str>| signer.prove(&Method::POST, &target, None, nonce, now()).unwrap();
    let told = post(&client.gateway, "/oauth/token", &body, Some(&proof(None)));
    refused(&told, 400, "use_dpop_nonce");
    let nonce = told.header("dpop-nonce").unwrap();
    let good = post(&client.gateway, "/oauth/token", &body, Some(&proof(Some(nonce))));
    assert_eq!((good.status, text(&good.json(), "token_type")), (200, "DPoP"));
    assert!(good.header("dpop-nonce").is_some());
}

#[test]
fn a_proof_s_url_is_compared_in_its_normal_form_here_too() {
    let client = Client::started("");
    let holder = SigningKey::from(Ed25519Key::from_seed(Secret::new([7; 32])));
    let port = client.gateway.address.port();
    let ask = |htu: &str| {
        let proof = countersign_testing::oauth::proof(&holder, "POST", htu, None);
        let body = format!("grant_type=client_credentials&{}", client.proven());
        post(&client.gateway, "/oauth/token", &body, Some(&proof))
    };
    for path in ["/oauth/token", "/oauth/%74oken?x=1#y", "/%6Fauth/%74%6fken", "/x/../oauth/token"] {
        let answer = ask(&format!("HTTP://127.0.0.1:{port}{path}"));
        assert_eq!((answer.status, text(&answer.json(), "token_type")), (200, "DPoP"), "{path}");
    }
    for path in ["/oauth/Token", "/oauth%2Ftoken", "/oauth/token/", "/oauth/%2574oken"] {
        refused(&ask(&format!("http://127.0.0.1:{port}{path}")), 400, "invalid_dpop_proof");
    }
    refused(&ask("http://127.0.0.1/oauth/token"), 400, "invalid_dpop_proof");
}

#[test]
fn whoever_fails_too_often_waits_and_is_told_so_in_oauths_words() {
    let client = Client::started("[limits]\nunproven = \"5/min\"");
    for _ in 0..5 {
        refused(&client.post("/oauth/token", "grant_type=client_credentials"), 401, "invalid_client");
    }
    let body = format!("grant_type=client_credentials&{}", client.proven());
    for path in ["/oauth/token", "/oauth/nonce", "/oauth/introspect", "/oauth/revoke"] {
        let answer = client.post(path, &body);
        refused(&answer, 429, "temporarily_unavailable");
        assert!(answer.header("retry-after").is_some());
    }
    // What everybody may know is not kept from anybody.
    assert_eq!(client.gateway.get("/oauth/jwks.json", None).status, 200);
}

#[test]
fn mistakes_in_the_configuration_are_told_with_their_place() {
    let gateway = Gateway::new("");
    let check = |issuer: &str| {
        gateway.configure("", &format!("[issuer]\nenabled = true\n{issuer}\n"));
        let output = gateway.run(&["config", "check"]);
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for (issuer, said) in [
        ("clients = [\"shop\"]", "12 letters and digits"),
        ("clients = [{ id = \"a\", public_key_file = \"x\", jwks_file = \"y\" }]", "not both"),
        ("clients = [{ id = \"a\", key = \"x\" }]", "unknown field `key`"),
        ("clients = [{ id = \"a\" }, { id = \"a\" }]", "two clients `a`"),
        ("clients = [{ id = \"a\", scopes = [] }]", "`scopes` is empty"),
        ("wallets = \"all\"", "a list of addresses"),
        ("wallets = [\"0x00\"]", "40 hexadecimal digits"),
        ("access_ttl = \"2h\"", "issuer.access_ttl is from"),
        ("publish_before = \"2d\"\nrotate_every = \"1d\"", "published for a shorter time"),
        ("dpop_nonces = \"never\"", "is no policy"),
        ("audience = \"\"", "an audience has a name"),
    ] {
        let (code, complaint) = check(issuer);
        assert!(code == Some(2) && complaint.contains(said), "{issuer}: {complaint}");
    }
    let (code, warned) = check("wallets = \"any\"");
    assert!(code == Some(0) && warned.contains("whoever makes a wallet"), "{warned}");
    let (code, warned) = check("");
    assert!(code == Some(0) && warned.contains("nobody gets a token"), "{warned}");
    let shown = gateway.run(&["config", "show"]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("issuer.access_ttl"));
    // A client's file that cannot be read keeps the gateway from starting.
    gateway
        .configure("", "[issuer]\nenabled = true\nclients = [{ id = \"a\", public_key_file = \"x.pem\" }]\n");
    let refused = gateway.refuses_to_start(&[]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("x.pem"));
    std::fs::write(gateway.path("x.pem"), "no key").unwrap();
    assert!(String::from_utf8_lossy(&gateway.refuses_to_start(&[]).stderr).contains("x.pem"));
}
