//! The issuer on real sockets: clients that others wrote get tokens and judge them, across a rotation of its
//! keys, and what a caller, an operator and a crash see of it.

#[path = "../support/mod.rs"]
mod support;

mod keeping;
mod opening;
mod peers;
mod refusals;

use countersign::crypto::ethereum::{EthereumKey, encode_hex};
use countersign::crypto::jwt::{JwtHeader, sign};
use countersign::crypto::{Ed25519Key, Random as _, Secret, SigningKey, SystemRandom};
use serde_json::{Value, json};
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

#[track_caller]
fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}"))
}

/// The client `shop`, as the configuration describes it.
const SHOP: &str = "{ id = \"shop\", public_key_file = \"shop.jwk\", scopes = [\"orders:read\"] }";

fn shop() -> SigningKey {
    Ed25519Key::from_seed(Secret::new([1; 32])).into()
}

/// A client that is described in the configuration, with our own tools.
struct Client {
    key: SigningKey,
    gateway: Gateway,
}

impl Client {
    fn started(more: &str) -> Self {
        let (key, gateway) = (shop(), Gateway::new(""));
        std::fs::write(gateway.path("shop.jwk"), key.verifying_key().to_jwk().unwrap()).unwrap();
        configure(&gateway, SHOP, more);
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
