//! Sessions that are bound to a key: stolen halves open nothing anywhere.

use std::sync::Arc;

use countersign::crypto::{Ed25519Key, Secret, SystemRandom};
use countersign::dpop::DpopSigner;
use countersign::{Clock as _, Timestamp};
use http::Method;
use serde_json::json;

use crate::site::{ANN, Held, PASSWORD, Site, held};
use countersign_testing::{Echo, Request, Response};

fn key(seed: u8) -> DpopSigner {
    let key = Ed25519Key::from_seed(Secret::new([seed; 32]));
    DpopSigner::new(key.into(), Arc::new(SystemRandom)).unwrap()
}

struct Proof<'a> {
    key: &'a DpopSigner,
    token: Option<&'a str>,
    nonce: Option<&'a str>,
    at: Timestamp,
}

impl<'a> Proof<'a> {
    fn of(key: &'a DpopSigner, token: &'a str) -> Self {
        Self { key, token: Some(token), nonce: None, at: now() }
    }

    fn made(&self, site: &Site, method: &str, path: &str) -> String {
        let method: Method = method.parse().unwrap();
        let target = format!("http://{}{path}", site.gateway.address).parse().unwrap();
        self.key.prove(&method, &target, self.token, self.nonce, self.at).unwrap()
    }
}

fn now() -> Timestamp {
    countersign_io::SystemClock.now()
}

fn sign_in(site: &Site, proof: Option<&str>) -> Response {
    let body = json!({ "email": ANN, "password": PASSWORD }).to_string();
    let mut request = Request::new("POST", "/auth/signin").header("Content-Type", "application/json");
    if let Some(proof) = proof {
        request = request.header("DPoP", proof);
    }
    site.gateway.send(&request.body(body.as_bytes()))
}

fn bound(site: &Site, key: &DpopSigner) -> Held {
    let proof = Proof { token: None, ..Proof::of(key, "") }.made(site, "POST", "/auth/signin");
    let answer = sign_in(site, Some(&proof));
    sign_in(site, Some(&proof)).is(401, "dpop_invalid");
    assert!(answer.header("dpop-nonce").is_some(), "{:?}", answer.headers);
    held(&answer)
}

#[test]
fn a_bound_session_needs_a_proof_of_its_key_with_every_request_and_no_handshake() {
    let site = Site::new();
    site.sign_up(ANN).is(201, "");
    let (browser, eve) = (key(1), key(2));
    let ann = bound(&site, &browser);
    let send = |method: &str, proof: &str| site.send(&ann, method, "/api/orders", &[("DPoP", proof)]);
    let made = |key, method| Proof::of(key, &ann.token).made(&site, method, "/api/orders");
    for method in ["GET", "POST"] {
        let proof = made(&browser, method);
        send(method, &proof).is(200, "");
        assert_eq!(site.echo.last().header("dpop"), None);
        send(method, &proof).is(401, "dpop_invalid");
        send(method, &made(&eve, method)).is(401, "dpop_invalid");
        site.send(&ann, method, "/api/orders", &[]).is(401, "dpop_invalid");
    }
    // For another method, another path, over another half, over none, and twice.
    send("POST", &made(&browser, "GET")).is(401, "dpop_invalid");
    send("GET", &Proof::of(&browser, &ann.token).made(&site, "GET", "/api/other")).is(401, "dpop_invalid");
    send("GET", &Proof::of(&browser, &ann.cookie).made(&site, "GET", "/api/orders")).is(401, "dpop_invalid");
    let none = Proof { token: None, ..Proof::of(&browser, "") };
    send("GET", &none.made(&site, "GET", "/api/orders")).is(401, "dpop_invalid");
    let (one, two) = (made(&browser, "GET"), made(&browser, "GET"));
    site.send(&ann, "GET", "/api/orders", &[("DPoP", &one), ("DPoP", &two)]).is(401, "dpop_invalid");

    // Our own paths are no other.
    let own = |method: &str, path: &str| {
        let proof = Proof::of(&browser, &ann.token).made(&site, method, path);
        site.send(&ann, method, path, &[("DPoP", &proof)])
    };
    site.send(&ann, "GET", "/auth/whoami", &[]).is(401, "dpop_invalid");
    own("GET", "/auth/whoami").is(200, "");
    assert_eq!(own("GET", "/auth/sessions").is(200, "").json()[0]["key_bound"], true);
    site.send(&ann, "POST", "/auth/signout", &[]).is(401, "dpop_invalid");
    own("POST", "/auth/signout").is(200, "");
    own("GET", "/auth/whoami").is(401, "proof_mismatch");
}

#[test]
fn a_proof_s_url_is_compared_in_its_normal_form_for_a_bound_session_too() {
    let site = Site::new();
    site.sign_up(ANN).is(201, "");
    let browser = key(1);
    let ann = bound(&site, &browser);
    let holder = Ed25519Key::from_seed(Secret::new([1; 32])).into();
    let send = |path: &str, htu: &str| {
        let htu = format!("HTTP://{}{htu}", site.gateway.address);
        let proof = countersign_testing::oauth::proof(&holder, "GET", &htu, Some(&ann.token));
        site.send(&ann, "GET", path, &[("DPoP", &proof)])
    };
    for (path, htu) in
        [("/api/~a%3A", "/api/%7Ea%3a"), ("/api/%7ea", "/api/~a?x#y"), ("/auth/whoami", "/auth/./who%61mi")]
    {
        send(path, htu).is(200, "");
    }
    for (path, htu) in [("/api/a%3A", "/api/a:"), ("/api/a", "/api/A"), ("/auth/whoami", "/auth%2Fwhoami")] {
        send(path, htu).is(401, "dpop_invalid");
    }
}

#[test]
fn a_nonce_of_ours_stands_in_for_a_clock_that_is_wrong() {
    let site = Site::new();
    site.sign_up(ANN).is(201, "");
    let browser = key(1);
    let wrong_clock = now().minus(std::time::Duration::from_secs(3 * 3600));
    let mut proof = Proof { key: &browser, token: None, nonce: None, at: wrong_clock };
    let refused = sign_in(&site, Some(&proof.made(&site, "POST", "/auth/signin")));
    let nonce = refused.is(401, "dpop_invalid").header("dpop-nonce").unwrap().to_owned();
    proof.nonce = Some(&nonce);
    let ann = held(&sign_in(&site, Some(&proof.made(&site, "POST", "/auth/signin"))));
    let mut proof = Proof { at: wrong_clock, ..Proof::of(&browser, &ann.token) };
    let send = |proof: &Proof<'_>| {
        let proof = proof.made(&site, "GET", "/api/orders");
        site.send(&ann, "GET", "/api/orders", &[("DPoP", &proof)])
    };
    let nonce = send(&proof).is(401, "dpop_invalid").header("dpop-nonce").unwrap().to_owned();
    proof.nonce = Some(&nonce);
    send(&proof).is(200, "");
}

#[test]
fn where_keys_are_asked_for_no_other_session_begins_or_passes() {
    let echo = Echo::start();
    let vault = format!(
        "[[route]]\npath = \"/vault\"\nupstream = \"{}\"\naccept = [\"session\"]\nanyone = true\nkey_bound = true\n",
        echo.url()
    );
    let site = Site::with("signup = true", &vault);
    let loose = site.somebody(ANN);
    let refused = site.send(&loose, "GET", "/vault", &[]);
    refused.is(401, "dpop_invalid");
    assert_eq!(refused.header("www-authenticate"), Some("Session realm=\"session\", key-bound=true"));
    let browser = key(1);
    let ann = bound(&site, &browser);
    let proof = Proof::of(&browser, &ann.token).made(&site, "GET", "/vault");
    site.send(&ann, "GET", "/vault", &[("DPoP", &proof)]).is(200, "");

    let strict = Site::with("signup = true\nkey_bound = true\ndpop_nonces = \"required\"", "");
    strict.sign_up(ANN).is(201, "");
    let refused = sign_in(&strict, None);
    let nonce = refused.is(401, "dpop_invalid").header("dpop-nonce").unwrap().to_owned();
    let proof = Proof { key: &browser, token: None, nonce: None, at: now() };
    sign_in(&strict, Some(&proof.made(&strict, "POST", "/auth/signin"))).is(401, "dpop_invalid");
    let proof = Proof { nonce: Some(&nonce), ..proof };
    let answer = sign_in(&strict, Some(&proof.made(&strict, "POST", "/auth/signin")));
    let (ann, nonce) = (held(&answer), answer.header("dpop-nonce").unwrap().to_owned());
    let proof = Proof { nonce: Some(&nonce), ..Proof::of(&browser, &ann.token) };
    let answer = strict.send(&ann, "POST", "/api/a", &[("DPoP", &proof.made(&strict, "POST", "/api/a"))]);
    assert!(answer.is(200, "").header("dpop-nonce").is_some(), "the next proof needs one");
}

#[test]
fn a_websocket_carries_its_proof_as_a_subprotocol() {
    let site = Site::new();
    site.sign_up(ANN).is(201, "");
    let browser = key(1);
    let ann = bound(&site, &browser);
    let cookie = ann.cookie_header();
    let upgrade = |proof: &str| {
        let protocols = format!("live.v1, countersign.half.{}, countersign.dpop.{proof}", ann.token);
        let request =
            Request::get("/api/live").header("Connection", "upgrade").header("Upgrade", "websocket");
        let request = request.header("Cookie", &cookie).header("Sec-WebSocket-Version", "13");
        site.gateway.send(&request.header("Sec-WebSocket-Protocol", &protocols))
    };
    let fresh = || Proof::of(&browser, &ann.token).made(&site, "GET", "/api/live");
    let proof = fresh();
    upgrade(&proof).is(200, "");
    assert_eq!(site.echo.last().header("sec-websocket-protocol"), Some("live.v1"));
    upgrade(&proof).is(401, "dpop_invalid");
    let (one, other) = (fresh(), fresh());
    let protocols = format!("countersign.dpop.{one}");
    let both = [("DPoP", other.as_str()), ("Sec-WebSocket-Protocol", &protocols)];
    let upgrades = [("Connection", "upgrade"), ("Upgrade", "websocket")];
    site.send(&ann, "GET", "/api/live", &[&both[..], &upgrades].concat()).is(401, "dpop_invalid");
    upgrade(&format!("{proof}, countersign.dpop.{proof}")).is(401, "dpop_invalid");
}
