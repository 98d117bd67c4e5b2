//! Access tokens through the gate, with issuers whose answers are scripted: what passes, what is refused, as
//! what, and who is asked.

mod challenges;
mod claims;
mod groups;
mod hostile;
mod keys;
mod network;
mod possession;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use countersign::crypto::jwt::{JwtHeader, sign};
use countersign::crypto::{Secret, Signer, SystemRandom};
use countersign::dpop::{Dpop, NoncePolicy};
use countersign::schemes::bearer::{BearerVerifier, IssuerTerms, Issuers, KeySource, LONGEST_TOKEN};
use countersign::testing::Verdict;
use countersign::testing::{self, NOW, Request, Table, ed25519, rule};
use countersign::{Clock, Code, Denial, Permissions, Policy, Principal, Rule, Timestamp};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method, Uri};
use network::{Issuing as _, jwks_of};
use serde_json::{Value, json};

const ISSUER: &str = "https://login.example/realms/a";
const AUDIENCE: &str = "orders";
const TARGET: &str = "https://bob.example/orders/42";

/// A gate that takes tokens of `ISSUER`, which signs with key number 1, called `one`.
struct World {
    common: testing::World,
    network: Arc<Table>,
    issuers: Arc<Issuers>,
    rule: Arc<Rule>,
}

impl Deref for World {
    type Target = testing::World;

    fn deref(&self) -> &testing::World {
        &self.common
    }
}

impl World {
    fn new() -> Self {
        Self::with(terms(), KeySource::Discovered)
    }

    fn with(terms: IssuerTerms, source: KeySource) -> Self {
        Self::listing(vec![(terms, source)], NoncePolicy::Accepted, Policy::default())
    }

    fn listing(listed: Vec<(IssuerTerms, KeySource)>, policy: NoncePolicy, demands: Policy) -> Self {
        let network = Arc::new(Table::default());
        // Whoever else is judged at this moment goes on meanwhile.
        network.set_lag(1);
        network.discovered(ISSUER, &jwks_of(&[(1, "one")]));
        let issuers = Arc::new(Issuers::new(listed, None));
        let verifier = BearerVerifier {
            issuers: issuers.clone(),
            dpop: Arc::new(dpop(policy)),
            fetch: network.clone(),
            longest_token: LONGEST_TOKEN,
        };
        let rule = rule("bearer", |rule| rule.policy(demands).verifier(verifier));
        Self { common: testing::World::new(), network, issuers, rule }
    }

    async fn decide(&self, request: &Request) -> Verdict {
        self.common.decide(&self.rule, request).await
    }

    /// `None`: it passed.
    async fn code(&self, request: &Request) -> Option<Code> {
        self.common.code(&self.rule, request).await
    }

    /// What becomes of a token that comes by `Bearer`.
    async fn token(&self, token: &str) -> Option<Code> {
        self.code(&bearing(token)).await
    }

    async fn denial(&self, request: &Request) -> Denial {
        self.common.denial(&self.rule, request).await
    }

    async fn principal(&self, token: &str) -> Principal {
        let permit = self.common.permit(&self.rule, &bearing(token)).await;
        permit.principal().expect("somebody was proven").clone()
    }

    fn now(&self) -> u64 {
        self.clock.now().as_secs()
    }
}

fn terms() -> IssuerTerms {
    IssuerTerms::new(ISSUER, AUDIENCE)
}

fn dpop(policy: NoncePolicy) -> Dpop {
    Dpop::new(&Secret::new([9; 32]), policy)
}

fn thumbprint(seed: u8) -> String {
    ed25519(seed).verifying_key().thumbprint().unwrap()
}

/// The claims of a good token at `NOW`.
fn good() -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "client_id": "shop", "jti": "t1",
        "iat": NOW.as_secs(), "exp": NOW.as_secs() + 300, "scope": "orders:read orders:write",
    })
}

/// A good token with other claims; those that are null are left out.
#[expect(clippy::needless_pass_by_value, reason = "it is written in place")]
fn with(changes: Value) -> Value {
    let mut claims = good();
    let members = claims.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => members.remove(name),
            value => members.insert(name.clone(), value.clone()),
        };
    }
    claims
}

/// Signed by key number 1, as an access token.
fn signed(claims: &Value) -> String {
    signed_as(1, Some("at+jwt"), Some("one"), claims)
}

fn signed_as(seed: u8, typ: Option<&str>, kid: Option<&str>, claims: &Value) -> String {
    sign(&ed25519(seed), &JwtHeader { typ, kid, jwk: None }, claims).unwrap()
}

/// A token of these very texts, signed by `key`.
fn raw(key: &dyn Signer, header: &str, claims: &str) -> String {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = key.sign(signed.as_bytes()).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn only(names: &[&str]) -> Permissions {
    Permissions::Only(names.iter().map(|name| Arc::from(*name)).collect())
}

/// A GET with this in `Authorization`.
fn authorized(value: &str) -> Request {
    Request::get(TARGET).with(AUTHORIZATION, value)
}

fn bearing(token: &str) -> Request {
    authorized(&format!("Bearer {token}"))
}
