//! `bearer`: access tokens, as they are and bound to a key.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::crypto::jwt::{JwtHeader, sign};
use countersign::crypto::{Ed25519Key, Secret, SigningKey};
use countersign::dpop::{Dpop, DpopSigner, NoncePolicy};
use countersign::schemes::bearer::{BearerVerifier, IssuerTerms, Issuers, KeySet, KeySource, LONGEST_TOKEN};
use countersign::testing::Nobody;
use countersign::time::Timestamp;
use serde_json::{Value, json};

use crate::bytes::Request;
use crate::file::{File, NOW, Story, altered, kept, settings, steady_numbers, steady_proof, step, story};
use crate::keys::{self, signing};
use crate::world::World;

const BOB: &str = "https://bob.example";
const ISSUER: &str = "https://login.example";
const AUDIENCE: &str = "https://bob.example/api";
const PASSES: &str = "https://login.example#alice";

#[tokio::test]
async fn requests_of_bearer_end_as_their_vectors_say() {
    let file = kept("bearer", &made());
    for story in &file.stories {
        let (world, settings) = (World::new(), settings(&file, story));
        let issuer = &settings["bearer"]["issuer"];
        let text = |name: &str| issuer[name].as_str().unwrap();
        let keys = KeySet::read(issuer["jwks"].to_string().as_bytes()).unwrap();
        let terms = IssuerTerms::new(text("issuer"), text("audience"));
        let issuers = Arc::new(Issuers::new(vec![(terms, KeySource::Fixed(Arc::new(keys)))], None));
        let verifier = || BearerVerifier {
            issuers: issuers.clone(),
            dpop: Arc::new(Dpop::new(&Secret::new([9; 32]), NoncePolicy::Accepted)),
            // The issuer's keys are in a file.
            fetch: Nobody,
            longest_token: LONGEST_TOKEN,
        };
        let route = world.route(&settings, |rule| rule.verifier(verifier()));
        for step in &story.steps {
            world.play(&route, &settings, &story.name, step).await;
        }
    }
}

fn key(seed: u8) -> SigningKey {
    Ed25519Key::from_seed(Secret::new([seed; 32])).into()
}

fn jwk(seed: u8) -> Value {
    serde_json::from_str(&key(seed).verifying_key().to_jwk().unwrap()).unwrap()
}

fn holder(seed: u8) -> DpopSigner {
    DpopSigner::new(key(seed), Arc::new(steady_numbers())).unwrap()
}

fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "client_id": "shop", "jti": "t1",
        "iat": NOW, "exp": NOW + 300, "scope": "orders:read orders:write",
    })
}

fn with(name: &str, value: impl Into<Value>) -> String {
    let mut claims = claims();
    claims[name] = value.into();
    token(&claims)
}

fn without(name: &str) -> String {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    token(&claims)
}

fn token(claims: &Value) -> String {
    token_of(1, Some("at+jwt"), claims)
}

fn token_of(seed: u8, typ: Option<&str>, claims: &Value) -> String {
    sign(&key(seed), &JwtHeader { typ, kid: Some("one"), jwk: None }, claims).unwrap()
}

fn made() -> File {
    let mut issuers_key = jwk(1);
    issuers_key["kid"] = "one".into();
    let mut own = jwk(66);
    own["d"] = URL_SAFE_NO_PAD.encode([66; 32]).into();
    File {
        about: "bearer: access tokens (RFC 9068) as they are sent, and bound to a key (RFC 9449). The issuer signs \
                with the Ed25519 key whose seed is 32 bytes of 1."
            .to_owned(),
        receiver: json!({
            "public_url": BOB,
            "route": { "accept": ["bearer"] },
            "bearer": { "issuer": {
                "issuer": ISSUER, "audience": AUDIENCE, "jwks": { "keys": [issuers_key] },
            }},
        }),
        callers: json!({ "claims": claims(), "key": own, "thumbprint": holder(66).thumbprint(), "p256_key": keys::jwk("P256") }),
        stories: stories(),
    }
}

fn get() -> Request {
    Request::new("GET", &format!("{BOB}/orders/1?full=yes"))
}

fn bearing(token: &str) -> Request {
    get().with("authorization", format!("Bearer {token}"))
}

fn stories() -> Vec<Story> {
    let one = |name: &str, request: &Request, outcome: &str| story(name, [step(NOW, request, outcome)]);
    let plain = |name: &str, token: &str, outcome: &str| one(name, &bearing(token), outcome);
    let at = |name: &str, received_at, outcome: &str| {
        story(name, [step(received_at, &bearing(&token(&claims())), outcome)])
    };
    let mut all = vec![
        plain("a token", &token(&claims()), PASSES),
        plain("one of several audiences", &with("aud", json!(["other", AUDIENCE])), PASSES),
        at("29 s after its end", NOW + 329, PASSES),
        at("refused: 31 s after it", NOW + 331, "401 token_expired"),
        plain("valid in half a minute", &with("nbf", NOW + 30), PASSES),
        plain("refused: not valid yet", &with("nbf", NOW + 31), "401 token_invalid"),
        plain("refused: another issuer", &with("iss", "https://login.example/"), "401 token_invalid"),
        plain("refused: another audience", &with("aud", "other"), "401 token_audience"),
        plain("refused: no audience", &without("aud"), "401 token_claims"),
        plain("refused: no end", &without("exp"), "401 token_claims"),
        plain("refused: an ID token", &token_of(1, Some("JWT"), &claims()), "401 token_type"),
        plain("refused: no type", &token_of(1, None, &claims()), "401 token_type"),
        plain("refused: by another key", &token_of(2, Some("at+jwt"), &claims()), "401 token_invalid"),
        plain("refused: no token", "abc", "401 token_invalid"),
        plain(
            "refused: bound by a certificate",
            &with("cnf", json!({ "x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2" })),
            "401 token_invalid",
        ),
        one("refused: nothing is presented", &get(), "401 credential_missing"),
        story(
            "refused: tampered with",
            [altered(step(NOW, &bearing(&token(&claims())), PASSES), ".eyJ", ".eyK", "401 token_invalid")],
        ),
    ];
    all.extend(bound());
    all
}

fn bound() -> Vec<Story> {
    let bound = || with("cnf", json!({ "jkt": holder(66).thumbprint() }));
    let proof = |seed, token: &str, request: &Request, at| {
        let now = Timestamp::from_secs(at);
        holder(seed).prove(&request.method, &request.target, Some(token), None, now).unwrap()
    };
    let sent = |request: Request, seed, made_at| {
        let proof = proof(seed, &bound(), &request, made_at);
        request.with("authorization", format!("DPoP {}", bound())).with("dpop", proof)
    };
    let one = |name: &str, request: &Request, outcome: &str| story(name, [step(NOW, request, outcome)]);
    let dated = |name: &str, made_at, received_at, outcome: &str| {
        story(name, [step(received_at, &sent(get(), 66, made_at), outcome)])
    };
    let over_another = {
        let other = proof(66, &token(&claims()), &get(), NOW);
        get().with("authorization", format!("DPoP {}", bound())).with("dpop", other)
    };
    let by_p256 = {
        let key = signing(&keys::jwk("P256"));
        let verifying = key.verifying_key().clone();
        let signer = DpopSigner::new(key, Arc::new(steady_numbers())).unwrap();
        let token = with("cnf", json!({ "jkt": signer.thumbprint() }));
        let (request, now) = (get(), Timestamp::from_secs(NOW));
        let proof = signer.prove(&request.method, &request.target, Some(&token), None, now).unwrap();
        let request = request.with("authorization", format!("DPoP {token}"));
        request.with("dpop", steady_proof("bearer", &proof, &verifying))
    };
    let unbound = token(&claims());
    vec![
        story(
            "bound to a key, with its proof, which passes once",
            [
                step(NOW, &sent(get(), 66, NOW), PASSES),
                step(NOW + 1, &sent(get(), 66, NOW), "401 dpop_invalid"),
            ],
        ),
        story("bound to a key of P-256", [step(NOW, &by_p256, PASSES)]),
        story(
            "the query is not covered",
            [altered(step(NOW, &sent(get(), 66, NOW), PASSES), "full=yes", "full=no", PASSES)],
        ),
        dated("a proof that is 89 s old", NOW, NOW + 89, PASSES),
        dated("refused: 91 s old", NOW, NOW + 91, "401 dpop_invalid"),
        dated("refused: 31 s ahead", NOW + 31, NOW, "401 dpop_invalid"),
        one(
            "refused: no proof",
            &get().with("authorization", format!("DPoP {}", bound())),
            "401 dpop_invalid",
        ),
        one("refused: a proof by another key", &sent(get(), 67, NOW), "401 dpop_invalid"),
        one("refused: a proof over another token", &over_another, "401 dpop_invalid"),
        one(
            "refused: a bound token by Bearer",
            &bearing(&bound()).with("dpop", proof(66, &bound(), &get(), NOW)),
            "401 token_invalid",
        ),
        one(
            "refused: a token that is bound to no key, by DPoP",
            &get()
                .with("authorization", format!("DPoP {unbound}"))
                .with("dpop", proof(66, &unbound, &get(), NOW)),
            "401 token_invalid",
        ),
        story(
            "refused: another method",
            [altered(step(NOW, &sent(get(), 66, NOW), PASSES), "GET", "DELETE", "401 dpop_invalid")],
        ),
        story(
            "refused: another path",
            [altered(step(NOW, &sent(get(), 66, NOW), PASSES), "/orders/1", "/orders/2", "401 dpop_invalid")],
        ),
    ]
}
