//! What a token costs: reading it, judging its claims, verifying it, by each algorithm; beside the bare
//! primitive with a prepared key on the very same bytes, and beside `jsonwebtoken` doing the same.
//!
//! The token has the ten claims of an access token by RFC 9068.

use std::hint::black_box;
use std::sync::Arc;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use countersign::crypto::jwt::{Jwt, JwtHeader, JwtKey, sign};
use countersign::crypto::{Algorithm, Secret, Signer, SigningKey};
use countersign::fetch::{Fetch, FetchError, FetchRequest, FetchResponse};
use countersign::schemes::bearer::{BearerVerifier, IssuerTerms, Issuers, KeySet, KeySource, LONGEST_TOKEN};
use countersign::schemes::dpop::{Dpop, NoncePolicy};
use countersign::{Body, Purpose, RequestView, Timestamp, Verifier as _};
use criterion::{Criterion, criterion_group, criterion_main};
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method, Uri};
use jsonwebtoken::{DecodingKey, Validation, decode};
use serde_json::{Value, json};

const NOW: u64 = 1_800_000_000;
const ISSUER: &str = "https://login.example/realms/shop";
const SECRET: [u8; 32] = [7; 32];

fn claims(number: usize) -> Value {
    json!({
        "iss": ISSUER, "sub": "248289761001", "aud": "orders", "client_id": "s6BhdRkqt3", "iat": NOW,
        "nbf": NOW, "exp": 9_999_999_999_u64, "jti": format!("dbe39bf3a3ba4238a513f51d6e1691c4-{number}"),
        "scope": "orders:read orders:write", "country": "CH",
    })
}

enum Primitive {
    Public(ParsedPublicKey),
    Hmac(Box<hmac::Key>),
}

impl Primitive {
    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Public(key) => key.verify_sig(message, signature).is_ok(),
            Self::Hmac(key) => hmac::verify(key, message, signature).is_ok(),
        }
    }
}

struct Sample {
    name: &'static str,
    key: SigningKey,
    primitive: Primitive,
    theirs: DecodingKey,
    algorithm: jsonwebtoken::Algorithm,
}

fn samples() -> Vec<Sample> {
    let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/keys.json"));
    let samples: Value = serde_json::from_str(text).expect("JSON");
    let mut all = Vec::new();
    for sample in samples["keys"].as_array().expect("keys") {
        let algorithm = Algorithm::from_name(sample["algorithm"].as_str().expect("a name"));
        let key =
            SigningKey::from_pem(sample["private"][0].as_str().expect("PEM"), algorithm).expect("a key");
        let jwk: Value = serde_json::from_str(&key.verifying_key().to_jwk().expect("a JWK")).expect("JSON");
        let member = |name: &str| jwk[name].as_str().expect("a member");
        let raw = key.verifying_key().encode().expect("a public key").split_off(2);
        let (name, primitive, theirs, algorithm) = match key.algorithm() {
            Algorithm::Ed25519 => (
                "EdDSA",
                ParsedPublicKey::new(&ED25519, raw),
                DecodingKey::from_ed_components(member("x")),
                jsonwebtoken::Algorithm::EdDSA,
            ),
            Algorithm::EcdsaP256Sha256 => (
                "ES256",
                ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, raw),
                DecodingKey::from_ec_components(member("x"), member("y")),
                jsonwebtoken::Algorithm::ES256,
            ),
            _ => continue,
        };
        let primitive = Primitive::Public(primitive.expect("a key"));
        all.push(Sample { name, key, primitive, theirs: theirs.expect("a key"), algorithm });
    }
    all.push(Sample {
        name: "HS256",
        key: SigningKey::from_hmac_secret(&Secret::new(SECRET.to_vec())).expect("a key"),
        primitive: Primitive::Hmac(Box::new(hmac::Key::new(hmac::HMAC_SHA256, &SECRET))),
        theirs: DecodingKey::from_secret(&SECRET),
        algorithm: jsonwebtoken::Algorithm::HS256,
    });
    all
}

struct Nobody;

impl Fetch for Nobody {
    async fn fetch(&self, request: FetchRequest) -> Result<FetchResponse, FetchError> {
        Err(FetchError::Unreachable(request.url.to_string()))
    }
}

/// A token through the verifier of the scheme, as the gate asks it.
fn verified(verifier: &BearerVerifier<Nobody>, headers: &HeaderMap) -> bool {
    let target = Uri::from_static("https://api.example/orders/42");
    let request = RequestView {
        method: &Method::GET,
        target: &target,
        headers,
        body: Body::Absent,
        source: None,
        received_at: Timestamp::from_secs(NOW),
        purpose: Purpose::Decide,
    };
    let Ok(Some(credential)) = verifier.extract(&request) else { return false };
    let mut body = Bytes::new();
    let future = verifier.verify(credential, &request, &mut body);
    // Nobody is asked, so that it is ready at once.
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    matches!(future.as_mut().poll(&mut context), std::task::Poll::Ready(Ok(_)))
}

fn bearing(token: &str) -> HeaderMap {
    HeaderMap::from_iter([(AUTHORIZATION, format!("Bearer {token}").parse().expect("a header"))])
}

fn tokens(criterion: &mut Criterion) {
    for Sample { name, key, primitive, theirs, algorithm } in samples() {
        let header = JwtHeader { typ: Some("at+jwt"), kid: Some("2026-01"), jwk: None };
        let token = sign(&key, &header, &claims(0)).expect("a token");
        let mut group = criterion.benchmark_group(name);

        let (signed, signature) = token.rsplit_once('.').expect("three parts");
        let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
        group.bench_function("primitive", |bencher| {
            bencher.iter(|| assert!(primitive.verify(black_box(signed.as_bytes()), &signature)));
        });

        let ours = JwtKey::from(key.verifying_key().clone());
        let now = Timestamp::from_secs(NOW);
        group.bench_function("library", |bencher| {
            bencher.iter(|| {
                let mut buffer = Vec::new();
                let jwt = Jwt::parse(black_box(&token), LONGEST_TOKEN, &mut buffer).expect("a token");
                assert!(jwt.is_type("at+jwt"));
                let claims = jwt.verify(&ours).expect("good");
                assert!(claims.is_for("orders") == Ok(true) && claims.text("iss") == Ok(Some(ISSUER)));
                assert!(claims.moment("exp").is_ok_and(|exp| exp > Some(now)));
                claims
            });
        });

        let mut validation = Validation::new(algorithm);
        validation.set_audience(&["orders"]);
        validation.set_issuer(&[ISSUER]);
        validation.validate_nbf = true;
        validation.set_required_spec_claims(&["exp", "aud", "iss"]);
        group.bench_function("jsonwebtoken", |bencher| {
            bencher
                .iter(|| decode::<serde_json::Map<String, Value>>(black_box(&token), &theirs, &validation));
        });
        decode::<Value>(&token, &theirs, &validation).expect("it takes it too");

        let listed = || match key.verifying_key().to_jwk() {
            None => KeySet::of_secret(&Secret::new(SECRET.to_vec())).expect("a secret"),
            Some(jwk) => {
                let set = format!("{{\"keys\":[{}]}}", jwk.replacen('{', "{\"kid\":\"2026-01\",", 1));
                KeySet::read(set.as_bytes()).expect("a set")
            }
        };
        let verifier = BearerVerifier {
            issuers: Arc::new(Issuers::new(
                vec![(IssuerTerms::new(ISSUER, "orders"), KeySource::Fixed(Arc::new(listed())))],
                None,
            )),
            dpop: Arc::new(Dpop::new(&Secret::new([9; 32]), NoncePolicy::Accepted)),
            fetch: Nobody,
        };
        // More than are remembered, so that none is found again.
        let distinct: Vec<HeaderMap> = (0..10_000)
            .map(|number| bearing(&sign(&key, &header, &claims(number)).expect("a token")))
            .collect();
        let mut next = distinct.iter().cycle();
        group.bench_function("verifier, distinct tokens", |bencher| {
            bencher.iter(|| assert!(verified(&verifier, next.next().expect("it goes on"))));
        });
        let same = bearing(&token);
        group.bench_function("verifier, the same token again", |bencher| {
            bencher.iter(|| assert!(verified(&verifier, black_box(&same))));
        });
        group.finish();
    }
}

criterion_group!(benches, tokens);
criterion_main!(benches);
