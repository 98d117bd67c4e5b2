//! The issuer on real sockets: clients that others wrote get tokens and judge them, across a rotation of its
//! keys, and what a caller, an operator and a crash see of it.

mod keeping;
mod opening;
mod peers;
mod refusals;

use countersign::crypto::{Ed25519Key, Secret, SigningKey, SystemRandom};
use countersign_testing::oauth::{
    JWT_BEARER, SHOP, SIWE, WALLET, client_assertion, post, proven_by, shop, url, wallet, write_shop,
};
use countersign_testing::signed::now;
use countersign_testing::{Gateway, Request, Response};
use serde_json::{Value, json};

/// A gateway whose issuer knows these clients, as TOML, and one wallet. It has a route for nobody.
fn configure(gateway: &Gateway, clients: &str, more: &str) {
    let text = format!(
        "[issuer]\nenabled = true\naudience = \"orders\"\nclients = [{clients}]\nwallets = [\"{}\"]\n{more}\n\
         [[route]]\npath = \"/nothing\"\nupstream = \"http://127.0.0.1:9\"\npublic = true\n",
        wallet().address()
    );
    gateway.configure("", &text);
}

#[track_caller]
fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}"))
}

/// A client that is described in the configuration, with our own tools.
struct Client {
    key: SigningKey,
    gateway: Gateway,
}

impl Client {
    fn started(more: &str) -> Self {
        let (key, gateway) = (shop(), Gateway::new(""));
        write_shop(&gateway);
        configure(&gateway, SHOP, more);
        let mut client = Self { key, gateway };
        client.gateway.start();
        client
    }

    fn assertion(&self) -> String {
        client_assertion(&self.gateway)
    }

    fn proven(&self) -> String {
        proven_by(&self.assertion())
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
