//! The issuer on real sockets: clients that others wrote get tokens and judge them, across a rotation of its
//! keys, and what a caller, an operator and a crash see of it.

mod support;

use std::time::Duration;

use countersign::crypto::ethereum::{EthereumKey, encode_hex};
use countersign::crypto::jwt::{JwtHeader, sign};
use countersign::crypto::{Ed25519Key, Random as _, Secret, SigningKey, SystemRandom};
use countersign::schemes::dpop::DpopSigner;
use http::Method;
use serde_json::{Value, json};
use support::peer::{Language, Peer};
use support::signed::now;
use support::{Gateway, Request, Response};

const WALLET: &str = "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318";
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const SIWE: &str = "urn:countersign:grant-type:siwe";

fn wallet() -> EthereumKey {
    EthereumKey::from_hex(WALLET).unwrap()
}

/// A gateway whose issuer knows these clients, as TOML, and one wallet. It has a route for nobody.
fn configure(gateway: &Gateway, clients: &str, more: &str) {
    let text = format!(
        "[issuer]\nenabled = true\naudience = \"orders\"\nclients = [{clients}]\nwallets = [\"{}\"]\n{more}\n\
         [[route]]\npath = \"/nothing\"\nupstream = \"http://127.0.0.1:9\"\npublic = true\n",
        wallet().address()
    );
    gateway.configure("", &text);
}

fn url(gateway: &Gateway) -> String {
    format!("http://{}", gateway.address)
}

/// Registers a peer's own key; its id is the client's.
fn registered(gateway: &Gateway, peer: &mut Peer) -> String {
    let public = peer.ask(&json!({ "do": "keys" }))["public"].as_str().unwrap().to_owned();
    let file = format!("{:?}.pem", peer.language);
    std::fs::write(gateway.path(&file), public).unwrap();
    let add = ["key", "add", "--label", "peer", "--public", &file, "--permission", "orders:read"];
    gateway.json(&add)["id"].as_str().unwrap().to_owned()
}

/// A gateway that runs, and a client in each language that discovered it.
fn with_peers(more: &str) -> (Gateway, Vec<(Peer, String)>) {
    let mut gateway = Gateway::new("");
    let peers = Peer::both("token_peer");
    let peers: Vec<_> = peers
        .into_iter()
        .map(|mut peer| {
            let id = registered(&gateway, &mut peer);
            (peer, id)
        })
        .collect();
    let ids: Vec<_> = peers.iter().map(|(_, id)| format!("\"{id}\"")).collect();
    configure(&gateway, &ids.join(", "), more);
    gateway.start();
    (gateway, peers)
}

#[track_caller]
fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}"))
}

#[test]
fn clients_that_others_wrote_get_refresh_judge_and_end_tokens() {
    let (gateway, peers) = with_peers("");
    for (mut peer, id) in peers {
        let language = peer.language;
        for how in ["oidc", "oauth2"] {
            let order = json!({ "do": "discover", "issuer": url(&gateway), "client": id, "how": how });
            let metadata = peer.ask(&order);
            assert_eq!(text(&metadata, "issuer"), url(&gateway), "{language:?} {metadata}");
        }
        for (grant, dpop) in [
            ("client_credentials", false),
            ("client_credentials", true),
            (JWT_BEARER, false),
            (JWT_BEARER, true),
        ] {
            let order = json!({ "do": "grant", "grant": grant, "dpop": dpop, "scope": "openid orders:read" });
            let tokens = peer.ask(&order);
            let what = format!("{language:?} {grant} {dpop}: {tokens}");
            let kind = if dpop { "dpop" } else { "bearer" };
            assert_eq!(tokens["token_type"].as_str().unwrap_or_default().to_lowercase(), kind, "{what}");
            let access =
                peer.ask(&json!({ "do": "access", "token": tokens["access_token"], "audience": "orders" }));
            assert_eq!(
                (text(&access, "client_id"), text(&access, "scope")),
                (&*id, "openid orders:read"),
                "{what}"
            );
            assert_eq!(access["cnf"]["jkt"].is_string(), dpop, "{what}");
            let who = peer.ask(&json!({ "do": "id", "token": tokens["id_token"], "audience": id }));
            assert_eq!(who["sub"], access["sub"], "{what}");
            // An ID token is no access token, and the other way round.
            for (what, token) in [("access", &tokens["id_token"]), ("id", &tokens["access_token"])] {
                let refused = peer.ask(&json!({ "do": what, "token": token, "audience": "orders" }));
                assert!(refused["error"].is_string(), "{language:?} {refused}");
            }
            let told = peer.ask(&json!({ "do": "introspect", "token": tokens["access_token"] }));
            assert_eq!((&told["active"], &told["sub"]), (&json!(true), &access["sub"]), "{what}");
            if grant == JWT_BEARER {
                keeps_and_ends(&mut peer, tokens, dpop);
            } else {
                let order = json!({ "do": "revoke", "token": tokens["access_token"] });
                assert_eq!(peer.ask(&order), json!({ "revoked": true }), "{what}");
                let told = peer.ask(&json!({ "do": "introspect", "token": tokens["access_token"] }));
                assert_eq!(told["active"], false, "{what}");
            }
        }
        let refused = peer.ask(&json!({ "do": "grant", "grant": "client_credentials", "scope": "admin" }));
        assert_eq!(text(&refused, "error"), "invalid_scope", "{language:?}");
    }
}

/// Refreshes, ends, and finds the end.
fn keeps_and_ends(peer: &mut Peer, mut tokens: Value, dpop: bool) {
    let language = peer.language;
    for _ in 0..2 {
        let order = json!({ "do": "refresh", "token": tokens["refresh_token"], "dpop": dpop });
        let next = peer.ask(&order);
        assert_ne!(text(&next, "refresh_token"), text(&tokens, "refresh_token"), "{language:?} {next}");
        tokens = next;
    }
    let order = json!({ "do": "revoke", "token": tokens["refresh_token"] });
    assert_eq!(peer.ask(&order), json!({ "revoked": true }), "{language:?}");
    for token in ["access_token", "refresh_token"] {
        let told = peer.ask(&json!({ "do": "introspect", "token": tokens[token] }));
        assert_eq!(told["active"], false, "{language:?} {token} {told}");
    }
    let refused = peer.ask(&json!({ "do": "refresh", "token": tokens["refresh_token"], "dpop": dpop }));
    assert_eq!(text(&refused, "error"), "invalid_grant", "{language:?}");
}

#[test]
fn wallets_that_others_wrote_sign_in_with_no_page_and_no_client() {
    let mut gateway = Gateway::new("");
    configure(&gateway, "", "");
    gateway.start();
    let address = wallet().address().to_string();
    let set = ["subject", "set", &wallet().address().checksummed(), "--claim", "country=CH"];
    gateway.json(&[&set[..], &["--permission", "orders:read"]].concat());
    for mut peer in Peer::both("token_peer") {
        let language = peer.language;
        peer.ask(&json!({ "do": "wallet", "issuer": url(&gateway), "key": format!("0x{WALLET}") }));
        for (dpop, names_key) in [(false, false), (true, false), (true, true)] {
            let order = json!({ "do": "sign_in", "scope": "openid orders:read", "dpop": dpop, "names_key": names_key });
            let tokens = peer.ask(&order);
            let access =
                peer.ask(&json!({ "do": "access", "token": tokens["access_token"], "audience": "orders" }));
            assert_eq!(
                (text(&access, "sub"), text(&access, "country")),
                (&*address, "CH"),
                "{language:?} {tokens}"
            );
            assert_eq!(access["cnf"]["jkt"].is_string(), dpop, "{language:?}");
            let who = peer.ask(&json!({ "do": "id", "token": tokens["id_token"], "audience": address }));
            assert_eq!((text(&who, "sub"), text(&who, "country")), (&*address, "CH"), "{language:?}");
            assert_eq!(tokens["refresh_token"].is_string(), dpop, "{language:?}");
            if dpop {
                let first = tokens["refresh_token"].clone();
                let order = json!({ "do": "refresh", "token": first, "dpop": true });
                assert!(peer.ask(&order)["refresh_token"].is_string(), "{language:?}");
                assert_eq!(text(&peer.ask(&order), "error"), "invalid_grant", "{language:?}: used before");
            }
        }
    }
}

#[test]
fn keys_rotate_and_every_request_succeeds() {
    let (gateway, mut peers) = with_peers("publish_before = \"10s\"");
    let (peer, id) = peers.iter_mut().find(|(peer, _)| peer.language == Language::JavaScript).unwrap();
    peer.ask(&json!({ "do": "discover", "issuer": url(&gateway), "client": id, "how": "oauth2" }));
    peer.order(&json!({ "do": "hammer", "seconds": 14, "audience": "orders" }));
    std::thread::sleep(Duration::from_secs(1));
    let states = |keys: &Value| -> Vec<String> {
        keys["keys"].as_array().unwrap().iter().map(|key| text(key, "state").to_owned()).collect()
    };
    assert_eq!(states(&gateway.json(&["issuer", "rotate"])), ["active", "published"]);
    // Once more publishes no third key.
    assert_eq!(states(&gateway.json(&["issuer", "rotate"])), ["active", "published"]);
    let published = gateway.get("/oauth/jwks.json", None);
    assert_eq!(published.header("cache-control"), Some("public, max-age=5"));
    let published = published.json();
    assert_eq!(published["keys"].as_array().unwrap().len(), 2);
    assert!(published["keys"].as_array().unwrap().iter().all(|key| key.get("d").is_none()));
    let count = peer.answer();
    assert_eq!(count["failed"], json!([]));
    assert_eq!(count["keys"].as_array().unwrap().len(), 2, "{count}");
    assert!(count["requests"].as_u64().unwrap() > 50, "{count}");
}

/// A client that is described in the configuration, with our own tools.
struct Client {
    key: SigningKey,
    gateway: Gateway,
}

impl Client {
    fn started(more: &str) -> Self {
        let key: SigningKey = Ed25519Key::from_seed(Secret::new([1; 32])).into();
        let gateway = Gateway::new("");
        std::fs::write(gateway.path("shop.jwk"), key.verifying_key().to_jwk().unwrap()).unwrap();
        let shop = "{ id = \"shop\", public_key_file = \"shop.jwk\", scopes = [\"orders:read\"] }";
        configure(&gateway, shop, more);
        let mut client = Self { key, gateway };
        client.gateway.start();
        client
    }

    fn assertion(&self) -> String {
        let mut jti = [0; 12];
        SystemRandom.fill(&mut jti);
        let claims = json!({
            "iss": "shop", "sub": "shop", "aud": url(&self.gateway), "jti": encode_hex(&jti),
            "iat": now().as_secs(), "exp": now().as_secs() + 60,
        });
        sign(&self.key, &JwtHeader::default(), &claims).unwrap()
    }

    fn proven(&self) -> String {
        let by = "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";
        format!("{by}&client_assertion={}", self.assertion())
    }

    fn post(&self, path: &str, body: &str) -> Response {
        post(&self.gateway, path, body, None)
    }

    fn tokens(&self) -> Value {
        let grant = JWT_BEARER.replace(':', "%3A");
        let answer = self.post("/oauth/token", &format!("grant_type={grant}&assertion={}", self.assertion()));
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    fn refresh(&self, tokens: &Value) -> Response {
        let token = text(tokens, "refresh_token");
        let body = format!("grant_type=refresh_token&refresh_token={token}&{}", self.proven());
        self.post("/oauth/token", &body)
    }

    fn is_active(&self, token: &Value) -> bool {
        let body = format!("token={}&{}", token.as_str().unwrap(), self.proven());
        self.post("/oauth/introspect", &body).json()["active"] == true
    }
}

fn post(gateway: &Gateway, path: &str, body: &str, proof: Option<&str>) -> Response {
    let mut request = Request::new("POST", path).body(body.as_bytes());
    request = request.header("Content-Type", "application/x-www-form-urlencoded");
    if let Some(proof) = proof {
        request = request.header("DPoP", proof);
    }
    gateway.send(&request)
}

fn metrics(gateway: &Gateway) -> String {
    Request::get("/metrics").send(gateway.admin).text()
}

/// Asserts the status and the error, and that nobody keeps a copy.
#[track_caller]
fn refused(answer: &Response, status: u16, error: &str) {
    let body = answer.json();
    assert_eq!((answer.status, text(&body, "error")), (status, error), "{body}");
    assert!(body["error_description"].is_string());
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

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
fn what_was_used_or_ended_stays_so_after_a_crash() {
    let mut client = Client::started("");
    let (first, ended) = (client.tokens(), client.tokens());
    let second = client.refresh(&first).json();
    assert!(client.is_active(&ended["access_token"]));
    let body = format!("token={}&{}", text(&ended, "access_token"), client.proven());
    assert_eq!(client.post("/oauth/revoke", &body).status, 200);
    let assertion = client.proven();
    let token = format!("grant_type=client_credentials&{assertion}");
    assert_eq!(client.post("/oauth/token", &token).status, 200);
    client.gateway.kill();
    client.gateway.start();
    let again = client.post("/oauth/token", &token);
    assert!([401, 503].contains(&again.status), "{}", again.text());
    // Proofs from before the crash could be told from repeated ones by nobody: new ones pass a moment later.
    std::thread::sleep(Duration::from_secs(3));
    assert!(!client.is_active(&ended["access_token"]) && client.is_active(&second["access_token"]));
    let third = client.refresh(&second);
    assert_eq!(third.status, 200, "{}", third.text());
    refused(&client.refresh(&first), 400, "invalid_grant");
    refused(&client.refresh(&third.json()), 400, "invalid_grant");
    assert!(!client.is_active(&second["access_token"]), "its family ended");
}

#[test]
fn what_is_kept_of_a_subject_is_audited_shown_and_in_its_next_token() {
    let client = Client::started("");
    let name = format!("jkt:{}", client.key.verifying_key().thumbprint().unwrap());
    let set = |more: &[&str]| client.gateway.json(&[&["subject", "set", &name], more].concat());
    let kept = set(&["--claim", "country=CH", "--claim", "age:=42", "--permission", "reports"]);
    assert_eq!(
        kept,
        json!({ "subject": name, "claims": { "country": "CH", "age": 42 }, "permissions": ["reports"] })
    );
    let audit = std::fs::read_to_string(client.gateway.path("audit.jsonl")).unwrap();
    assert!(audit.lines().any(|line| line.contains("subject-changed") && line.contains(&name)), "{audit}");
    let bare = name.trim_start_matches("jkt:");
    assert_eq!(client.gateway.json(&["subject", "show", bare]), kept);
    assert_eq!(client.gateway.json(&["subject", "show"]), json!([kept]));
    let tokens = client.tokens();
    assert_eq!(tokens["scope"], "orders:read reports");
    let body = format!("token={}&{}", text(&tokens, "access_token"), client.proven());
    let told = client.post("/oauth/introspect", &body).json();
    assert_eq!((&told["country"], &told["age"]), (&json!("CH"), &json!(42)));
    set(&["--claim", "age=", "--remove-permission", "reports"]);
    assert_eq!(client.tokens()["scope"], "orders:read");
    for wrong in [
        &["subject", "set", "nobody", "--claim", "a=b"][..],
        &["subject", "set", &name, "--claim", "sub=eve"],
        &["subject", "set", &name, "--claim", "x"],
        &["subject", "set", &name],
    ] {
        assert_eq!(client.gateway.run(wrong).status.code(), Some(2), "{wrong:?}");
    }
    let shown = client.gateway.run(&["subject", "show"]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("country  CH"));
}

#[test]
fn no_token_is_left_in_a_log_a_metric_or_a_decision() {
    let mut client = Client::started("");
    let tokens = client.tokens();
    let next = client.refresh(&tokens).json();
    client.refresh(&tokens);
    let in_path = format!("/oauth/{}", text(&next, "access_token"));
    client.gateway.get(&in_path, None);
    client.gateway.get(&format!("/oauth/{}", text(&next, "refresh_token")), None);
    let metrics = metrics(&client.gateway);
    let decisions = client.gateway.explain_latest().to_string();
    client.gateway.stop();
    let audit = std::fs::read_to_string(client.gateway.path("audit.jsonl")).unwrap();
    for (name, left) in
        [("log", client.gateway.log()), ("metrics", metrics), ("decision", decisions), ("audit", audit)]
    {
        for tokens in [&tokens, &next] {
            let access = text(tokens, "access_token");
            let signature = access.rsplit('.').next().unwrap();
            assert!(!left.contains(signature), "{name} holds an access token");
            assert!(!left.contains(&text(tokens, "refresh_token")[30..]), "{name} holds a refresh token");
        }
    }
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
