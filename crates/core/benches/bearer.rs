//! What a token costs: reading it, judging its claims, verifying it, by each algorithm; beside the bare
//! primitive with a prepared key on the very same bytes, and beside `jsonwebtoken` doing the same. Prints
//! Markdown.
//!
//! ```text
//! cargo bench -p countersign --bench bearer
//! ```
//!
//! The token has the ten claims of an access token by RFC 9068.

#![allow(clippy::print_stdout, reason = "it prints what it measures")]

use std::hint::black_box;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use countersign::crypto::jwt::{Jwt, JwtHeader, JwtKey, sign};
use countersign::crypto::{Algorithm, Secret, Signer as _, SigningKey};
use countersign::dpop::{Dpop, NoncePolicy};
use countersign::fetch::{Fetch, FetchError, FetchRequest, FetchResponse};
use countersign::schemes::bearer::{BearerVerifier, IssuerTerms, Issuers, KeySet, KeySource, LONGEST_TOKEN};
use countersign::{Body, RequestView, Timestamp, Verifier as _};
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method, Uri};
use jsonwebtoken::{DecodingKey, Validation, decode};
use serde_json::{Map, Value, json};

#[path = "support/samples.rs"]
#[expect(dead_code, reason = "messages are signed elsewhere")]
mod samples;
#[path = "support/timing.rs"]
mod timing;

use samples::Primitive;
use timing::Contender;

const NOW: u64 = 1_700_000_000;
const ISSUER: &str = "https://login.example/realms/shop";
const ROUNDS: usize = 101;
/// More than are remembered, so that none is found again; and enough for the few runs that are counted.
const DISTINCT: usize = 10_000;
const COUNTED: usize = 64;

fn main() {
    let samples = samples();
    if let Some((name, runs)) = timing::asked() {
        for sample in &samples {
            if let Some(contender) = sample.contenders().iter_mut().find(|contender| contender.name == name) {
                return timing::answer(contender, runs);
            }
        }
    }
    println!("| | µs | ratio to the primitive | by instructions |");
    println!("|---|--:|--:|--:|");
    for sample in &samples {
        let mut contenders = sample.contenders();
        let took = timing::measure(&mut contenders, ROUNDS);
        let primitive = timing::instructions(&contenders[0].name);
        for (contender, took_here) in contenders.iter().zip(&took) {
            let ratios = took_here.iter().zip(&took[0]).map(|(whole, primitive)| whole / primitive);
            let [_, micros, _] = timing::quartiles(took_here.clone());
            let [_, ratio, _] = timing::quartiles(ratios.collect());
            let work = timing::instructions(&contender.name).zip(primitive);
            let work = work.map_or_else(String::new, |(whole, primitive)| {
                format!("{:.2} ({whole} / {primitive})", whole as f64 / primitive as f64)
            });
            println!("| {} | {micros:.2} | {ratio:.2} | {work} |", contender.name);
        }
    }
}

/// A key, by what both libraries call its algorithm.
struct Sample {
    name: &'static str,
    key: SigningKey,
    primitive: Primitive,
    theirs: DecodingKey,
    algorithm: jsonwebtoken::Algorithm,
}

fn samples() -> Vec<Sample> {
    let sample = |(key, primitive): (SigningKey, Primitive)| {
        let jwk: Value = key
            .verifying_key()
            .to_jwk()
            .map_or(Value::Null, |jwk| serde_json::from_str(&jwk).expect("a JWK is JSON"));
        let member = |name: &str| jwk[name].as_str().expect("a member");
        let (name, theirs, algorithm) = match key.algorithm() {
            Algorithm::Ed25519 => {
                ("EdDSA", DecodingKey::from_ed_components(member("x")), jsonwebtoken::Algorithm::EdDSA)
            }
            Algorithm::EcdsaP256Sha256 => {
                let theirs = DecodingKey::from_ec_components(member("x"), member("y"));
                ("ES256", theirs, jsonwebtoken::Algorithm::ES256)
            }
            Algorithm::HmacSha256 => {
                ("HS256", Ok(DecodingKey::from_secret(&samples::SECRET)), jsonwebtoken::Algorithm::HS256)
            }
            _ => return None,
        };
        Some(Sample { name, key, primitive, theirs: theirs.expect("a key"), algorithm })
    };
    samples::keys().into_iter().filter_map(sample).collect()
}

impl Sample {
    fn token(&self, number: usize) -> String {
        let claims = json!({
            "iss": ISSUER, "sub": "248289761001", "aud": "orders", "client_id": "s6BhdRkqt3", "iat": NOW,
            "nbf": NOW, "exp": 9_999_999_999_u64, "jti": format!("dbe39bf3a3ba4238a513f51d6e1691c4-{number}"),
            "scope": "orders:read orders:write", "country": "CH",
        });
        let header = JwtHeader { typ: Some("at+jwt"), kid: Some("2026-01"), jwk: None };
        sign(&self.key, &header, &claims).expect("a token")
    }

    fn contenders(&self) -> Vec<Contender<'_>> {
        let named = |what: &str| format!("{}: {what}", self.name);
        let token = self.token(0);
        let (signed, signature) = token.rsplit_once('.').expect("three parts");
        let (signed, signature) = (signed.to_owned(), URL_SAFE_NO_PAD.decode(signature).expect("base64url"));
        let primitive = Contender::new(named("primitive"), move || {
            assert!(self.primitive.verify(black_box(signed.as_bytes()), &signature));
        });

        let (key, now, ours) =
            (JwtKey::from(self.key.verifying_key().clone()), Timestamp::from_secs(NOW), token.clone());
        let library = Contender::new(named("our library, with its claims"), move || {
            let mut buffer = Vec::new();
            let jwt = Jwt::parse(black_box(&ours), LONGEST_TOKEN, &mut buffer).expect("a token");
            assert!(jwt.is_type("at+jwt"));
            let claims = jwt.verify(&key).expect("good");
            assert!(claims.is_for("orders") == Ok(true) && claims.text("iss") == Ok(Some(ISSUER)));
            assert!(claims.moment("exp").is_ok_and(|exp| exp > Some(now)));
            black_box(claims);
        });

        let mut validation = Validation::new(self.algorithm);
        validation.set_audience(&["orders"]);
        validation.set_issuer(&[ISSUER]);
        validation.validate_nbf = true;
        validation.set_required_spec_claims(&["exp", "aud", "iss"]);
        let theirs = Contender::new(named("jsonwebtoken, with its claims"), move || {
            let read = decode::<Map<String, Value>>(black_box(&token), &self.theirs, &validation);
            black_box(read.expect("good"));
        });

        let count = if timing::asked().is_some() { COUNTED } else { DISTINCT };
        let distinct: Vec<_> = (0..count).map(|number| bearing(&self.token(number))).collect();
        let (verifier, mut next) = (self.verifier(), 0);
        let every = Contender::new(named("our verifier, distinct tokens"), move || {
            next = (next + 1) % count;
            assert!(passes(&verifier, black_box(&distinct[next])));
        });
        let (verifier, same) = (self.verifier(), bearing(&self.token(0)));
        let again = Contender::new(named("our verifier, one token again and again"), move || {
            assert!(passes(&verifier, black_box(&same)));
        });
        vec![primitive, library, theirs, every, again]
    }

    fn verifier(&self) -> BearerVerifier<Nobody> {
        let keys = match self.key.verifying_key().to_jwk() {
            None => KeySet::of_secret(&Secret::new(samples::SECRET.to_vec())).expect("a secret"),
            Some(jwk) => {
                let set = format!("{{\"keys\":[{}]}}", jwk.replacen('{', "{\"kid\":\"2026-01\",", 1));
                KeySet::read(set.as_bytes()).expect("a set")
            }
        };
        let listed = vec![(IssuerTerms::new(ISSUER, "orders"), KeySource::Fixed(Arc::new(keys)))];
        BearerVerifier {
            issuers: Arc::new(Issuers::new(listed, None)),
            dpop: Arc::new(Dpop::new(&Secret::new([9; 32]), NoncePolicy::Accepted)),
            fetch: Nobody,
            longest_token: LONGEST_TOKEN,
        }
    }
}

struct Nobody;

impl Fetch for Nobody {
    async fn fetch(&self, request: FetchRequest) -> Result<FetchResponse, FetchError> {
        Err(FetchError::Unreachable(request.url.to_string()))
    }
}

fn bearing(token: &str) -> HeaderMap {
    HeaderMap::from_iter([(AUTHORIZATION, format!("Bearer {token}").parse().expect("a header"))])
}

/// Whether a request passes the verifier of the scheme, asked as the gate does.
fn passes(verifier: &BearerVerifier<Nobody>, headers: &HeaderMap) -> bool {
    let target = Uri::from_static("https://api.example/orders/42");
    let request = RequestView {
        method: &Method::GET,
        target: &target,
        headers,
        body: Body::Absent,
        source: None,
        received_at: Timestamp::from_secs(NOW),
    };
    let Ok(Some(credential)) = verifier.extract(&request) else { return false };
    let mut body = Bytes::new();
    // Nobody is asked, so that it is ready at once.
    let mut judged = std::pin::pin!(verifier.verify(credential, &request, &mut body));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    matches!(judged.as_mut().poll(&mut context), std::task::Poll::Ready(Ok(_)))
}
