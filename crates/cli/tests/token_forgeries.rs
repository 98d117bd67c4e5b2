//! Every way known to forge a token, against a gateway as a process: each is refused with its own code, nobody is
//! dialled, and the upstream hears nothing.

use std::net::TcpListener;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::crypto::jwt::{JwtHeader, sign};
use countersign::crypto::{Ed25519Key, Secret, Signer as _, SigningKey, sha256};
use countersign_testing::callbacks::{Callback, ROUTE, Results, SECRET, lab, post};
use countersign_testing::signed::{nonce, now};
use countersign_testing::{Echo, Gateway, Request, Response};
use serde_json::{Value, json};

const ISSUER: &str = "https://login.example";

fn ed25519(seed: u8) -> SigningKey {
    Ed25519Key::from_seed(Secret::new([seed; 32])).into()
}

fn jwk(key: &SigningKey) -> Value {
    serde_json::from_str(&key.verifying_key().to_jwk().unwrap()).unwrap()
}

fn hmac(secret: &[u8]) -> SigningKey {
    SigningKey::from_hmac_secret(&Secret::new(secret.to_vec())).unwrap()
}

/// A token whose header and claims are these texts, signed by `key` whatever they say.
fn token(header: &str, claims: &str, key: &SigningKey) -> String {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = key.sign(signed.as_bytes()).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// Listens where a token says that its key would be, and hears whether anybody comes.
struct Bait(TcpListener);

impl Bait {
    fn set() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    fn url(&self) -> String {
        format!("http://{}/eve", self.0.local_addr().unwrap())
    }

    #[track_caller]
    fn is_untouched(&self) {
        assert!(self.0.accept().is_err(), "somebody was dialled for a key");
    }
}

/// Tokens with these claims that `good` did not sign, or not so: what is tried, and the token. `alg` is the algorithm
/// of `good`; `public` is what anybody might take for its secret.
fn forged(
    claims: &str,
    typ: &str,
    alg: &str,
    good: &SigningKey,
    public: &[u8],
    bait: &Bait,
) -> Vec<(String, String)> {
    let bait = bait.url();
    let eve = ed25519(66);
    let header = |more: Value| {
        let mut header = json!({ "alg": alg, "typ": typ });
        header.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        header.to_string()
    };
    let unsigned = |alg: &str| {
        let header = header(json!({ "alg": alg }));
        format!("{}.{}.", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
    };
    let whole = token(&header(json!({})), claims, good);
    let (signed, signature) = whole.rsplit_once('.').unwrap();
    let mut all = vec![
        ("none, unsigned".into(), unsigned("none")),
        ("None, unsigned".into(), unsigned("None")),
        ("its own alg, unsigned".into(), unsigned(alg)),
        ("none, with its signature".into(), token(&header(json!({ "alg": "none" })), claims, good)),
        (
            "HS256 under what is public".into(),
            token(&header(json!({ "alg": "HS256" })), claims, &hmac(public)),
        ),
        ("another alg, its signature".into(), token(&header(json!({ "alg": "ES256" })), claims, good)),
        ("RS256, its signature".into(), token(&header(json!({ "alg": "RS256" })), claims, good)),
        ("another's key".into(), token(&header(json!({})), claims, &eve)),
        (
            "its own key in jwk".into(),
            token(&header(json!({ "alg": "EdDSA", "jwk": jwk(&eve) })), claims, &eve),
        ),
        ("jku".into(), token(&header(json!({ "alg": "EdDSA", "jku": bait })), claims, &eve)),
        ("x5u".into(), token(&header(json!({ "alg": "EdDSA", "x5u": bait })), claims, &eve)),
        ("x5c".into(), token(&header(json!({ "alg": "EdDSA", "x5c": ["AAAA"] })), claims, &eve)),
        (
            "kid that is a path".into(),
            token(&header(json!({ "kid": "../../../dev/null" })), claims, &hmac(&[0; 32])),
        ),
        ("kid that is SQL".into(), token(&header(json!({ "kid": "' OR 1=1 --" })), claims, &eve)),
        ("kid that is a URL".into(), token(&header(json!({ "kid": bait })), claims, &eve)),
        ("crit".into(), token(&header(json!({ "crit": ["https://x.example/y"] })), claims, good)),
        ("crit that is known".into(), token(&header(json!({ "crit": ["exp"], "exp": 1 })), claims, good)),
        ("b64".into(), token(&header(json!({ "b64": false })), claims, good)),
        (
            "alg twice".into(),
            token(&format!("{{\"alg\":\"none\",\"alg\":\"{alg}\",\"typ\":\"{typ}\"}}"), claims, good),
        ),
        ("a claim twice".into(), token(&header(json!({})), &claims.replacen('{', "{\"exp\":1,", 1), good)),
        (
            "a claim twice, escaped".into(),
            token(&header(json!({})), &claims.replacen('{', "{\"e\\u0078p\":1,", 1), good),
        ),
        ("claims in a list".into(), token(&header(json!({})), &format!("[{claims}]"), good)),
        ("something behind the claims".into(), token(&header(json!({})), &format!("{claims}{{}}"), good)),
        ("four parts".into(), format!("{whole}.AAAA")),
        ("a signature with padding".into(), format!("{whole}=")),
        ("half a signature".into(), format!("{signed}.{}", &signature[..signature.len() / 2])),
        (
            "one signature for another".into(),
            format!("{signed}.{}", signature.chars().rev().collect::<String>()),
        ),
    ];
    let (first, claims_part) = signed.split_once('.').unwrap();
    all.push(("other claims, the same signature".into(), {
        let other = URL_SAFE_NO_PAD.encode(claims.replace("42", "43").replace("alice", "mallo"));
        assert_ne!(other, claims_part);
        format!("{first}.{other}.{signature}")
    }));
    all
}

struct Lab {
    gateway: Gateway,
    echo: Echo,
    bait: Bait,
}

fn claims(changes: &Value) -> Value {
    let mut claims = json!({
        "iss": ISSUER, "aud": "orders", "sub": "alice", "exp": now().as_secs() + 60, "scope": "orders:read",
    });
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            value => claims.as_object_mut().unwrap().insert(name.clone(), value.clone()),
        };
    }
    claims
}

impl Lab {
    fn start() -> Self {
        let (echo, bait) = (Echo::start(), Bait::set());
        let mut gateway = Gateway::new(&format!(
            "[egress]\nallow_http_loopback = true\n\
             [[bearer.issuer]]\nissuer = \"{ISSUER}\"\naudience = \"orders\"\njwks_file = \"jwks.json\"\n\
             [[route]]\npath = \"/orders/*\"\nupstream = \"{}\"\naccept = [\"bearer\"]\n\
             require = {{ permission = [\"orders:read\"] }}\n",
            echo.url()
        ));
        std::fs::write(gateway.path("jwks.json"), json!({ "keys": [jwk(&ed25519(7))] }).to_string()).unwrap();
        gateway.start();
        Self { gateway, echo, bait }
    }

    fn get(&self, token: &str) -> Response {
        self.gateway.send(&Request::get("/orders/1").header("Authorization", &format!("Bearer {token}")))
    }

    fn with_proof(&self, token: &str, proof: &str) -> Response {
        let authorization = format!("DPoP {token}");
        let request = Request::get("/orders/1").header("Authorization", &authorization);
        self.gateway.send(&request.header("DPoP", proof))
    }
}

#[test]
fn no_forged_access_token_passes_and_nobody_is_dialled_for_a_key() {
    let lab = Lab::start();
    let good =
        sign(&ed25519(7), &JwtHeader { typ: Some("at+jwt"), ..JwtHeader::default() }, &claims(&json!({})))
            .unwrap();
    assert_eq!(lab.get(&good).status, 200);
    let written = claims(&json!({})).to_string();
    let x = URL_SAFE_NO_PAD.decode(jwk(&ed25519(7))["x"].as_str().unwrap()).unwrap();
    for public in [x, ed25519(7).verifying_key().to_jwk().unwrap().into_bytes()] {
        for (what, token) in forged(&written, "at+jwt", "EdDSA", &ed25519(7), &public, &lab.bait) {
            let refused = lab.get(&token);
            assert_eq!((refused.status, refused.code()), (401, "token_invalid".to_owned()), "{what}");
        }
    }
    lab.bait.is_untouched();
    lab.get(&format!("{}.{}.{}", "A".repeat(40_000), "A".repeat(40_000), "A".repeat(20_000)))
        .is(431, "headers_too_large");
    lab.get(&format!("{}.{}.{}", "A".repeat(4_000), "A".repeat(4_000), "A".repeat(200)))
        .is(401, "token_invalid");
    assert_eq!(lab.echo.seen().len(), 1);
}

#[test]
fn an_access_token_without_a_claim_or_with_one_of_another_type_is_refused() {
    let lab = Lab::start();
    let header = JwtHeader { typ: Some("at+jwt"), ..JwtHeader::default() };
    let now = now().as_secs();
    for (changes, code) in [
        (json!({ "exp": null }), "token_claims"),
        (json!({ "exp": "9999999999" }), "token_claims"),
        (json!({ "exp": -1 }), "token_claims"),
        (json!({ "exp": [now + 60] }), "token_claims"),
        (json!({ "exp": true }), "token_claims"),
        (json!({ "exp": now - 31 }), "token_expired"),
        (json!({ "aud": null }), "token_claims"),
        (json!({ "aud": 7 }), "token_claims"),
        (json!({ "aud": ["orders", 7] }), "token_claims"),
        (json!({ "aud": { "orders": true } }), "token_claims"),
        (json!({ "aud": "Orders" }), "token_audience"),
        (json!({ "aud": [] }), "token_audience"),
        (json!({ "iss": null }), "token_claims"),
        (json!({ "iss": [ISSUER] }), "token_claims"),
        (json!({ "iss": format!("{ISSUER}/") }), "token_invalid"),
        (json!({ "nbf": now + 31 + 5 }), "token_invalid"),
        (json!({ "nbf": "now" }), "token_claims"),
        (json!({ "iat": now + 31 + 5 }), "token_invalid"),
        (json!({ "sub": null }), "token_claims"),
        (json!({ "sub": 7 }), "token_claims"),
        (json!({ "sub": "" }), "token_claims"),
        (json!({ "sub": "a\nb" }), "token_claims"),
        (json!({ "scope": 7 }), "token_claims"),
        (json!({ "cnf": "x" }), "token_claims"),
        (json!({ "cnf": { "jkt": "x" } }), "token_invalid"),
    ] {
        let refused = lab.get(&sign(&ed25519(7), &header, &claims(&changes)).unwrap());
        assert_eq!((refused.status, refused.code()), (401, code.to_owned()), "{changes}");
    }
    let other_scope = sign(&ed25519(7), &header, &claims(&json!({ "scope": "orders:write" }))).unwrap();
    lab.get(&other_scope).is(403, "permission_missing");
    assert_eq!(lab.echo.seen().len(), 0);
}

#[test]
fn a_proof_that_is_wrong_in_one_thing_opens_nothing_and_the_right_one_opens_once() {
    let lab = Lab::start();
    let (holder, eve) = (ed25519(9), ed25519(66));
    let bound = claims(&json!({ "cnf": { "jkt": holder.verifying_key().thumbprint().unwrap() } }));
    let header = JwtHeader { typ: Some("at+jwt"), ..JwtHeader::default() };
    let access = sign(&ed25519(7), &header, &bound).unwrap();
    let ath = |token: &str| URL_SAFE_NO_PAD.encode(sha256(token.as_bytes()));
    let url = format!("http://{}/orders/1", lab.gateway.address);
    let proof = |typ: &str, key: &SigningKey, changes: Value| {
        let mut claims = json!({
            "htm": "GET", "htu": url, "iat": now().as_secs(), "jti": nonce(), "ath": ath(&access),
        });
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let jwk = key.verifying_key().to_jwk().unwrap();
        sign(key, &JwtHeader { typ: Some(typ), kid: None, jwk: Some(&jwk) }, &claims).unwrap()
    };
    let right = |changes| proof("dpop+jwt", &holder, changes);
    let (now, other) = (now().as_secs(), format!("http://{}/orders/2", lab.gateway.address));
    let own_jwk = jwk(&holder);
    let by_another = json!({ "alg": "EdDSA", "typ": "dpop+jwt", "jwk": own_jwk }).to_string();
    let claims_of_it = json!({ "htm": "GET", "htu": url, "iat": now, "jti": nonce(), "ath": ath(&access) });
    for (what, wrong) in [
        ("htm", right(json!({ "htm": "POST" }))),
        ("htm in small letters", right(json!({ "htm": "get" }))),
        ("htu: path", right(json!({ "htu": other }))),
        ("htu: host", right(json!({ "htu": "https://eve.example/orders/1" }))),
        ("htu: scheme", right(json!({ "htu": url.replace("http:", "https:") }))),
        ("htu: no text", right(json!({ "htu": 7 }))),
        ("ath: another token", right(json!({ "ath": ath("x") }))),
        ("ath: missing", right(json!({ "ath": null }))),
        ("jti: missing", right(json!({ "jti": null }))),
        ("jti: empty", right(json!({ "jti": "" }))),
        ("jti: too long", right(json!({ "jti": "x".repeat(257) }))),
        ("iat: old", right(json!({ "iat": now - 91 }))),
        ("iat: ahead", right(json!({ "iat": now + 40 }))),
        ("iat: missing", right(json!({ "iat": null }))),
        ("nonce: none of ours", right(json!({ "nonce": "x" }))),
        ("typ", proof("JWT", &holder, json!({}))),
        ("another key", proof("dpop+jwt", &eve, json!({}))),
        ("another's signature under the right key", token(&by_another, &claims_of_it.to_string(), &eve)),
        ("no proof at all", String::new()),
    ] {
        let refused = lab.with_proof(&access, &wrong);
        assert_eq!((refused.status, refused.code()), (401, "dpop_invalid".to_owned()), "{what}");
    }
    assert_eq!(lab.echo.seen().len(), 0);
    let good = right(json!({}));
    assert_eq!(lab.with_proof(&access, &good).status, 200);
    lab.with_proof(&access, &good).is(401, "dpop_invalid");
    // Mixed up: the proof's key with a token of somebody else's, and the token alone.
    let unbound = sign(&ed25519(7), &header, &claims(&json!({}))).unwrap();
    lab.with_proof(&unbound, &right(json!({ "ath": ath(&unbound) }))).is(401, "token_invalid");
    lab.get(&access).is(401, "token_invalid");
    lab.get(&good).is(401, "token_claims");
    assert_eq!(lab.echo.seen().len(), 1);
}

#[test]
fn no_forged_callback_passes_and_none_uses_the_true_one_up() {
    let (results, bait) = (Results::start(), Bait::set());
    let mut gateway = lab(results.address);
    gateway.start();
    let own = format!("http://{}", gateway.address);
    let written = json!({
        "iss": own, "aud": format!("{own}/callbacks"), "exp": now().as_secs() + 600, "jti": "one", "_id": "alice",
        "path": ROUTE, "res_id": "42",
    });
    let try_it = |token: &str| post(&gateway, &format!("/v1/results/42/{token}"), "evil");
    let shared = hmac(SECRET);
    for (what, token) in forged(&written.to_string(), "callback+jwt", "HS256", &shared, &[0; 32], &bait) {
        let refused = try_it(&token);
        assert_eq!((refused.status, refused.code()), (401, "token_invalid".to_owned()), "{what}");
    }
    // The header of a token that was minted, whose key is the gateway's own, over Eve's claims.
    let minted = Callback::mint(&gateway, &[]);
    let (header, _) = minted.token().split_once('.').unwrap();
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
    let kid = &header["kid"];
    for (what, header, key) in [
        ("another's signature", header.clone(), ed25519(66)),
        ("the shared secret", json!({ "alg": "HS256", "typ": "callback+jwt", "kid": kid }), hmac(SECRET)),
        ("the key's name as a secret", json!({ "alg": "HS256", "typ": "callback+jwt", "kid": kid }), {
            hmac(format!("{:0<32}", kid.as_str().unwrap()).as_bytes())
        }),
        ("jku", json!({ "alg": "EdDSA", "typ": "callback+jwt", "kid": kid, "jku": bait.url() }), ed25519(66)),
    ] {
        let refused = try_it(&token(&header.to_string(), &written.to_string(), &key));
        assert_eq!((refused.status, refused.code()), (401, "token_invalid".to_owned()), "{what}");
    }
    let mine = |typ: &str, changes: Value| {
        let mut claims = written.clone();
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        sign(&shared, &JwtHeader { typ: Some(typ), ..JwtHeader::default() }, &claims).unwrap()
    };
    for (typ, changes, status, code) in [
        ("at+jwt", json!({}), 401, "token_type"),
        ("JWT", json!({}), 401, "token_type"),
        ("countersign-assertion+jwt", json!({}), 401, "token_type"),
        ("callback+jwt", json!({ "exp": null }), 401, "token_claims"),
        ("callback+jwt", json!({ "exp": "1" }), 401, "token_claims"),
        ("callback+jwt", json!({ "exp": 1 }), 401, "token_expired"),
        ("callback+jwt", json!({ "nbf": now().as_secs() + 60 }), 401, "token_invalid"),
        ("callback+jwt", json!({ "iss": "https://eve.example" }), 401, "token_invalid"),
        ("callback+jwt", json!({ "aud": "orders" }), 401, "token_audience"),
        ("callback+jwt", json!({ "aud": null }), 401, "token_claims"),
        ("callback+jwt", json!({ "jti": null }), 401, "token_claims"),
        ("callback+jwt", json!({ "_id": 7 }), 401, "token_claims"),
        ("callback+jwt", json!({ "uses": 0 }), 401, "token_claims"),
        ("callback+jwt", json!({ "htm": [] }), 401, "token_claims"),
        ("callback+jwt", json!({ "res_id": 42 }), 401, "token_claims"),
        ("callback+jwt", json!({ "res_id": "042" }), 403, "callback_scope"),
        ("callback+jwt", json!({ "path": "/v2/results/{res_id}/{token}" }), 403, "callback_scope"),
        ("callback+jwt", json!({ "htm": "PUT" }), 403, "callback_scope"),
    ] {
        let refused = try_it(&mine(typ, changes.clone()));
        assert_eq!((refused.status, refused.code()), (status, code.to_owned()), "{typ} {changes}");
    }
    bait.is_untouched();
    assert_eq!(results.seen().len(), 0);
    assert_eq!(try_it(&mine("callback+jwt", json!({}))).status, 200, "nothing of this has used it up");
    assert_eq!(minted.post(&gateway, "good").status, 200);
}
