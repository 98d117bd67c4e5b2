//! Access tokens through a gateway as a process: of a provider that others wrote, across a rotation of its
//! keys, with and without DPoP; and tokens that nobody should take.

mod as_written;

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::crypto::jwt::{JwtHeader, sign};
use countersign::crypto::{Ed25519Key, Secret, SigningKey};
use countersign_testing::peer::{Language, Peer};
use countersign_testing::signed::{self, Draft, PUBLIC};
use countersign_testing::{Echo, Gateway, Request, Response, free_address};
use serde_json::{Value, json};

/// The provider, and a client of it.
struct Provider {
    issuer: String,
    peer: Peer,
}

impl Provider {
    fn start() -> Self {
        let mut peer = Peer::start(Language::JavaScript, "oidc_peer");
        let ready = peer.ask(&json!({ "do": "listen", "port": free_address().port() }));
        Self { issuer: ready["issuer"].as_str().unwrap().to_owned(), peer }
    }

    fn ask(&mut self, order: &Value) -> Value {
        self.peer.ask(order)
    }

    fn token(&mut self, bound: bool) -> String {
        let answer = self.ask(&json!({ "do": "token", "bound": bound }));
        let expected = if bound { "DPoP" } else { "Bearer" };
        assert_eq!(answer["token_type"], expected, "{answer}");
        answer["access_token"].as_str().unwrap().to_owned()
    }

    /// A proof for a GET at the gateway's own URL.
    fn proof(&mut self, at: SocketAddr, path: &str, token: &str, nonce: Option<&str>) -> String {
        let url = format!("http://{at}{path}");
        let order = json!({ "do": "prove", "method": "GET", "url": url, "token": token, "nonce": nonce });
        self.ask(&order)["proof"].as_str().unwrap().to_owned()
    }

    /// What it was asked since this was looked at last.
    fn asked(&mut self) -> Vec<String> {
        serde_json::from_value(self.ask(&json!({ "do": "asked" }))["asked"].clone()).unwrap()
    }
}

fn configuration(echo: &Echo, issuer: &str, more: &str) -> String {
    format!(
        "[egress]\nallow_http_loopback = true\n\
         [[bearer.issuer]]\nissuer = \"{issuer}\"\naudience = \"orders\"\n{more}\n\
         [[route]]\npath = \"/orders/*\"\nupstream = \"{0}\"\naccept = [\"bearer\"]\n\
         require = {{ permission = [\"orders:read\"], claim = {{ client_id = [\"shop\"] }} }}\n\
         [[route]]\npath = \"/admin/*\"\nupstream = \"{0}\"\naccept = [\"bearer\"]\n\
         require = {{ permission = [\"admin\"] }}\n",
        echo.url()
    )
}

fn get(gateway: &Gateway, path: &str, token: &str) -> Response {
    gateway.send(&Request::get(path).header("Authorization", &format!("Bearer {token}")))
}

fn get_with_proof(gateway: &Gateway, path: &str, token: &str, proof: &str) -> Response {
    let authorization = format!("DPoP {token}");
    gateway.send(&Request::get(path).header("Authorization", &authorization).header("DPoP", proof))
}

#[test]
fn tokens_of_a_provider_that_others_wrote_pass_across_a_rotation_of_its_keys() {
    let (mut provider, echo) = (Provider::start(), Echo::start());
    let gateway = Gateway::started(&configuration(&echo, &provider.issuer, ""));
    let token = provider.token(false);
    assert_eq!(get(&gateway, "/orders/1", &token).status, 200);
    let seen = echo.last();
    assert_eq!(seen.header("countersign-subject"), Some(&*format!("{}#shop", provider.issuer)));
    assert_eq!(seen.header("countersign-scheme"), Some("bearer"));
    assert_eq!(seen.header("authorization"), None, "the token goes no further");
    assert_eq!(provider.asked(), ["/token", "/.well-known/openid-configuration", "/jwks"]);

    let refused = get(&gateway, "/admin/1", &token);
    refused.is(403, "permission_missing");
    assert!(refused.header("www-authenticate").unwrap().contains("error=\"insufficient_scope\""));

    // Half a minute has not passed since the keys were had: a name that is new is not asked for yet.
    provider.ask(&json!({ "do": "rotate" }));
    let after = provider.token(false);
    get(&gateway, "/orders/1", &after).is(401, "token_invalid");
    assert_eq!(provider.asked(), ["/token"]);
    // A gateway that begins now knows both keys.
    let another = Gateway::started(&configuration(&echo, &provider.issuer, ""));
    assert_eq!(get(&another, "/orders/1", &after).status, 200);
    assert_eq!(get(&another, "/orders/1", &token).status, 200, "signed before, and still published");
    provider.ask(&json!({ "do": "retire" }));
    let later = Gateway::started(&configuration(&echo, &provider.issuer, ""));
    assert_eq!(get(&later, "/orders/1", &after).status, 200);
    get(&later, "/orders/1", &token).is(401, "token_invalid");
}

#[test]
fn a_reload_keeps_the_keys_of_a_provider() {
    let (mut provider, echo) = (Provider::start(), Echo::start());
    let gateway = Gateway::started(&configuration(&echo, &provider.issuer, ""));
    let token = provider.token(false);
    assert_eq!(get(&gateway, "/orders/1", &token).status, 200);
    assert_eq!(provider.asked().last().map(String::as_str), Some("/jwks"));
    let open = format!("[[route]]\npath = \"/reloaded\"\nupstream = \"{}\"\npublic = true\n", echo.url());
    gateway.configure("", &format!("{}{open}", configuration(&echo, &provider.issuer, "")));
    countersign_testing::eventually("the reload", || gateway.get("/reloaded", None).status == 200);
    assert_eq!(get(&gateway, "/orders/1", &token).status, 200);
    assert_eq!(provider.asked(), [""; 0]);
}

#[test]
fn a_running_gateway_learns_a_new_key_after_half_a_minute_and_asks_once() {
    let (mut provider, echo) = (Provider::start(), Echo::start());
    let gateway = Gateway::started(&configuration(&echo, &provider.issuer, ""));
    let token = provider.token(false);
    assert_eq!(get(&gateway, "/orders/1", &token).status, 200);
    let had = std::time::Instant::now();
    provider.ask(&json!({ "do": "rotate" }));
    let after = provider.token(false);
    provider.asked();
    while had.elapsed() < std::time::Duration::from_secs(29) {
        get(&gateway, "/orders/1", &after).is(401, "token_invalid");
        assert_eq!(get(&gateway, "/orders/1", &token).status, 200, "the old one is not disturbed");
        std::thread::sleep(std::time::Duration::from_secs(2));
    }
    assert_eq!(provider.asked(), Vec::<String>::new());
    countersign_testing::eventually("the new key", || get(&gateway, "/orders/1", &after).status == 200);
    assert_eq!(get(&gateway, "/orders/1", &token).status, 200);
    assert_eq!(provider.asked(), ["/jwks"]);
}

#[test]
fn a_bound_token_of_a_provider_that_others_wrote_passes_with_its_key_and_each_proof_once() {
    let (mut provider, echo) = (Provider::start(), Echo::start());
    let gateway = Gateway::started(&configuration(&echo, &provider.issuer, ""));
    let token = provider.token(true);
    let proof = provider.proof(gateway.address, "/orders/1", &token, None);
    assert_eq!(get_with_proof(&gateway, "/orders/1?page=2", &token, &proof).status, 200);
    assert_eq!(echo.last().header("dpop"), None, "the proof goes no further");
    let again = get_with_proof(&gateway, "/orders/1", &token, &proof);
    again.is(401, "dpop_invalid");
    assert!(again.header("www-authenticate").unwrap().contains("error=\"invalid_dpop_proof\""));
    assert!(again.header("dpop-nonce").is_some());

    get(&gateway, "/orders/1", &token).is(401, "token_invalid");
    let other = provider.proof(gateway.address, "/orders/2", &token, None);
    get_with_proof(&gateway, "/orders/1", &token, &other).is(401, "dpop_invalid");
    let unbound = provider.token(false);
    let proof = provider.proof(gateway.address, "/orders/1", &unbound, None);
    get_with_proof(&gateway, "/orders/1", &unbound, &proof).is(401, "token_invalid");
    assert_secret(&gateway, &[&token, &unbound]);
}

#[test]
fn where_nonces_are_required_the_provider_s_client_learns_one() {
    let (mut provider, echo) = (Provider::start(), Echo::start());
    let more = "[bearer]\ndpop_nonces = \"required\"\n";
    let gateway = Gateway::started(&format!("{more}{}", configuration(&echo, &provider.issuer, "")));
    let token = provider.token(true);
    let proof = provider.proof(gateway.address, "/orders/1", &token, None);
    let refused = get_with_proof(&gateway, "/orders/1", &token, &proof);
    refused.is(401, "dpop_invalid");
    assert!(refused.header("www-authenticate").unwrap().contains("error=\"use_dpop_nonce\""));
    let nonce = refused.header("dpop-nonce").unwrap().to_owned();
    let proof = provider.proof(gateway.address, "/orders/1", &token, Some(&nonce));
    let passed = get_with_proof(&gateway, "/orders/1", &token, &proof);
    assert_eq!(passed.status, 200);
    assert!(passed.header("dpop-nonce").is_some(), "the next one");
}

#[test]
fn tokens_that_jose_makes_for_eve_are_refused_and_nobody_is_asked_for_her_keys() {
    let (mut provider, echo) = (Provider::start(), Echo::start());
    let gateway = Gateway::started(&configuration(&echo, &provider.issuer, ""));
    let good = provider.token(false);
    assert_eq!(get(&gateway, "/orders/1", &good).status, 200);
    provider.asked();
    let forged = provider.ask(&json!({ "do": "forge", "good": good }));
    for (what, token) in forged.as_object().unwrap() {
        let token = token.as_str().unwrap();
        let refused = get(&gateway, "/orders/1", token);
        if what == "long" {
            refused.is(431, "headers_too_large");
            continue;
        }
        assert_eq!((refused.status, refused.code()), (401, "token_invalid".to_owned()), "{what}");
    }
    assert_eq!(provider.asked(), Vec::<String>::new());
    assert_eq!(echo.seen().len(), 1);
    assert_secret(&gateway, &[&good]);
}

#[test]
fn a_provider_that_is_down_is_503_and_no_permit() {
    let (provider, echo) = (Provider::start(), Echo::start());
    let issuer = provider.issuer.clone();
    drop(provider);
    let gateway = Gateway::started(&configuration(&echo, &issuer, ""));
    let now = now();
    let claims =
        json!({ "iss": issuer, "aud": "orders", "sub": "a", "exp": now + 60, "scope": "orders:read" });
    let refused = get(&gateway, "/orders/1", &signed("at+jwt", &claims));
    refused.is(503, "keys_unavailable");
    assert!(refused.header("retry-after").is_some() && refused.header("www-authenticate").is_none());
}

/// A gateway whose issuer's keys are in a file.
struct Lab {
    gateway: Gateway,
    echo: Echo,
}

const ISSUER: &str = "https://login.example";

fn key() -> SigningKey {
    Ed25519Key::from_seed(Secret::new([7; 32])).into()
}

fn now() -> u64 {
    countersign::Clock::now(&countersign_io::SystemClock).as_secs()
}

fn signed(typ: &str, claims: &Value) -> String {
    sign(&key(), &JwtHeader { typ: Some(typ), kid: None, jwk: None }, claims).unwrap()
}

/// The claims of a good token, and others.
fn claims(changes: &Value) -> Value {
    let mut claims = json!({
        "iss": ISSUER, "aud": "orders", "sub": "alice", "client_id": "shop", "exp": now() + 60,
        "scope": "orders:read",
    });
    claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    claims
}

impl Lab {
    fn start(more: &str) -> Self {
        let echo = Echo::start();
        let more = format!("jwks_file = \"jwks.json\"\n{more}");
        let mut gateway = Gateway::new(&configuration(&echo, ISSUER, &more));
        let jwks = format!("{{\"keys\":[{}]}}", key().verifying_key().to_jwk().unwrap());
        std::fs::write(gateway.path("jwks.json"), jwks).unwrap();
        gateway.start();
        Self { gateway, echo }
    }
}

#[test]
fn every_refusal_has_its_code() {
    let lab = Lab::start("");
    let get = |token: &str| get(&lab.gateway, "/orders/1", token);
    assert_eq!(get(&signed("at+jwt", &claims(&json!({})))).status, 200);
    assert_eq!(lab.echo.seen().len(), 1);
    for (typ, changes, code) in [
        ("at+jwt", json!({ "exp": now() - 31 }), "token_expired"),
        ("at+jwt", json!({ "exp": "soon" }), "token_claims"),
        ("at+jwt", json!({ "exp": null }), "token_claims"),
        ("at+jwt", json!({ "aud": null }), "token_claims"),
        ("at+jwt", json!({ "aud": "invoices" }), "token_audience"),
        ("at+jwt", json!({ "nbf": now() + 60 }), "token_invalid"),
        ("at+jwt", json!({ "iss": "https://eve.example" }), "token_invalid"),
        ("at+jwt", json!({ "cnf": { "x5t#S256": "x" } }), "token_invalid"),
        ("JWT", json!({}), "token_type"),
        ("callback+jwt", json!({}), "token_type"),
        ("countersign-assertion+jwt", json!({}), "token_type"),
        ("dpop+jwt", json!({}), "token_type"),
    ] {
        let refused = get(&signed(typ, &claims(&changes)));
        assert_eq!((refused.status, refused.code()), (401, code.to_owned()), "{typ} {changes}");
        let challenge = refused.header("www-authenticate").unwrap();
        assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
    }
    let nobody = lab.gateway.send(&Request::get("/orders/1"));
    nobody.is(401, "credential_missing");
    assert!(!nobody.header("www-authenticate").unwrap().contains("error"));
    lab.gateway.get("/orders/1", Some("nonsense")).is(401, "token_invalid");
    let other_claim = signed("at+jwt", &claims(&json!({ "client_id": "stall" })));
    get(&other_claim).is(403, "permission_missing");
}

#[test]
fn our_own_issuers_tokens_pass_and_name_the_key_that_signs_until_they_are_revoked() {
    let echo = Echo::start();
    let mut gateway = Gateway::with_server(&signed::server(), "");
    let signer = signed::registered(&gateway, key(), &["--permission", "orders:read"]);
    let route = |path: &str, accept: &str| {
        format!(
            "[[route]]\npath = \"{path}/*\"\nupstream = \"{}\"\naccept = [\"{accept}\"]\n\
             require = {{ permission = [\"orders:read\"] }}\n",
            echo.url()
        )
    };
    let routes = [route("/orders", "bearer"), route("/both", "bearer+signature")].concat();
    let own = format!(
        "[issuer]\nenabled = true\naudience = \"orders\"\nclients = [\"{}\"]\n\
         [[bearer.issuer]]\nissuer = \"{PUBLIC}\"\nnames_keys = true\n",
        signer.id
    );
    gateway.configure(&signed::server(), &format!("{own}{routes}"));
    gateway.start();
    let post = |path: &str, form: &str| {
        let assertion = json!({
            "iss": signer.id, "sub": signer.id, "aud": PUBLIC, "jti": signed::nonce(), "exp": now() + 60,
        });
        let assertion = sign(&key(), &JwtHeader::default(), &assertion).unwrap();
        let by = "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";
        let form = format!("{form}&{by}&client_assertion={assertion}");
        let request = Request::new("POST", path).header("Content-Type", "application/x-www-form-urlencoded");
        gateway.send(&request.body(form.as_bytes()))
    };
    let token = post("/oauth/token", "grant_type=client_credentials&scope=orders%3Aread").json();
    let token = token["access_token"].as_str().unwrap_or_else(|| panic!("{token}"));

    assert_eq!(get(&gateway, "/orders/1", token).status, 200);
    let name = key().verifying_key().thumbprint().unwrap();
    assert_eq!(echo.last().header("countersign-subject"), Some(&*format!("jkt:{name}")));
    let both = |key: &signed::Key| {
        let draft = Draft::get("/both/1").with("authorization", &format!("Bearer {token}")).signed(key);
        countersign_testing::exchange(gateway.address, &draft.bytes())
    };
    assert_eq!(both(&signer).status, 200);
    let subject = format!("key:{}", signer.id);
    assert_eq!(echo.last().header("countersign-subject"), Some(&*subject), "the group's is the key's");
    let (_, other) = gateway.key(&["orders:read"]);
    both(&signed::derived(&other)).is(401, "subject_mismatch");

    assert_eq!(post("/oauth/revoke", &format!("token={token}")).status, 200);
    get(&gateway, "/orders/1", token).is(401, "token_invalid");
    both(&signer).is(401, "token_invalid");
}

#[test]
fn call_sends_a_token_and_proves_its_key_and_learns_a_nonce() {
    let echo = Echo::start();
    let more = format!("[bearer]\ndpop_nonces = \"required\"\n{}", {
        configuration(&echo, ISSUER, "jwks_file = \"jwks.json\"")
    });
    let mut gateway = Gateway::new(&more);
    let jwks = format!("{{\"keys\":[{}]}}", key().verifying_key().to_jwk().unwrap());
    std::fs::write(gateway.path("jwks.json"), jwks).unwrap();
    gateway.start();
    let holder = Ed25519Key::from_seed(Secret::new([8; 32]));
    let bound = json!({ "cnf": { "jkt": SigningKey::from(holder).verifying_key().thumbprint().unwrap() } });
    let seed = URL_SAFE_NO_PAD.encode([8; 32]);
    let holder = SigningKey::from(Ed25519Key::from_seed(Secret::new([8; 32])));
    let jwk = holder.verifying_key().to_jwk().unwrap().replacen('{', &format!("{{\"d\":\"{seed}\","), 1);
    for (name, text) in [
        ("bound", signed("at+jwt", &claims(&bound))),
        ("plain", signed("at+jwt", &claims(&json!({})))),
        ("key", jwk),
    ] {
        std::fs::write(gateway.path(name), text).unwrap();
        std::fs::set_permissions(gateway.path(name), std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let url = format!("http://{}/orders/1", gateway.address);
    let called = gateway.json(&["call", "--token-file", "plain", &url]);
    assert_eq!((&called["status"], &called["proof"]), (&json!(200), &json!("token")));
    let called = gateway.json(&["call", "--token-file", "bound", "--dpop-key", "key", &url]);
    assert_eq!((&called["status"], &called["retried"]), (&json!(200), &json!(true)));
    let called = gateway.json_of(&["call", "--token-file", "bound", &url]);
    assert_eq!(called["status"], 401, "without its key it opens nothing");
}

#[test]
fn explain_says_what_a_token_proves_without_its_text() {
    let lab = Lab::start("");
    let token = signed("at+jwt", &claims(&json!({ "aud": "invoices" })));
    get(&lab.gateway, "/orders/1", &token).is(401, "token_audience");
    let explained = lab.gateway.explain_latest();
    assert_eq!(explained["code"], "token_audience");
    assert!(explained.to_string().contains("aud is not orders"), "{explained}");
    assert_secret(&lab.gateway, &[&token]);
}

#[test]
fn mistakes_in_the_configuration_are_found_before_a_port_is_bound() {
    let echo = Echo::start();
    let gateway = Gateway::new("");
    for (issuer, more, expected) in [
        ("login.example", "", "is no URL of an issuer"),
        ("https://login.example?x", "", "is no URL of an issuer"),
        ("http://login.example", "", "cannot be asked for keys"),
        ("https://login.example:8443", "", "cannot be asked for keys"),
        (ISSUER, "types = [\"callback+jwt\"]", "something else than access tokens"),
        (ISSUER, "types = []", "`types` is empty"),
        (ISSUER, "jwks_file = \"a\"\njwks_uri = \"https://a.example/\"", "from one place"),
        (ISSUER, "jwks_uri = \"/jwks\"", "is no URL of an issuer"),
        (
            ISSUER,
            "[[bearer.issuer]]\nissuer = \"https://login.example\"\naudience = \"x\"",
            "another [[bearer.issuer]]",
        ),
        (ISSUER, "[bearer]\ndpop_nonces = \"never\"", "is no policy"),
    ] {
        let text = configuration(&echo, issuer, more).replace("allow_http_loopback = true", "ports = [443]");
        gateway.configure("", &text);
        let output = gateway.run(&["config", "check"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(expected), "{issuer} {more}: {said}");
    }
    for audience in ["audience = \"\"", "audience = []", ""] {
        let text = configuration(&echo, ISSUER, "").replace("audience = \"orders\"", audience);
        gateway.configure("", &text);
        let output = gateway.run(&["config", "check"]);
        assert!(String::from_utf8_lossy(&output.stderr).contains("name the audience"), "{audience}");
    }
    let own = format!("http://{}", gateway.address);
    gateway.configure("", &configuration(&echo, &own, ""));
    let output = gateway.run(&["config", "check"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("issuer.enabled is not true"));
    gateway.configure("", &configuration(&echo, ISSUER, "jwks_file = \"nowhere.json\""));
    let refused = gateway.refuses_to_start(&[]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("nowhere.json"));
}

/// Nothing that a running gateway writes or says holds a part of a token.
fn assert_secret(gateway: &Gateway, tokens: &[&str]) {
    let audit = std::fs::read_to_string(gateway.path("audit.jsonl")).unwrap_or_default();
    let written = format!("{}{audit}{}", gateway.log(), gateway.explain_latest());
    for token in tokens {
        for part in token.split('.').skip(1) {
            assert!(!written.contains(part), "{written}");
        }
    }
}
