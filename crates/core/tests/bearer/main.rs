//! Access tokens through the gate, with issuers whose answers are scripted: what passes, what is refused, as
//! what, and who is asked.

mod challenges;
mod claims;
mod groups;
mod hostile;
mod keys;
mod network;
mod possession;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use countersign::crypto::jwt::{JwtHeader, sign};
use countersign::crypto::{Ed25519Key, Secret, Signer, SigningKey, SystemRandom};
use countersign::schemes::bearer::{BearerVerifier, IssuerTerms, Issuers, KeySource, LONGEST_TOKEN};
use countersign::schemes::dpop::{Dpop, NoncePolicy};
use countersign::time::ManualClock;
use countersign::{
    Body, Clock, Code, Denial, Gate, MemoryStore, Permissions, Policy, Principal, Purpose, RequestView,
    Requirement, Rule, Timestamp, Verdict,
};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method, Uri};
use network::{Network, jwks_of};
use serde_json::{Value, json};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const ISSUER: &str = "https://login.example/realms/a";
const AUDIENCE: &str = "orders";
const TARGET: &str = "https://bob.example/orders/42";

type Store = Arc<MemoryStore<Arc<ManualClock>>>;

/// A gate that takes tokens of `ISSUER`, which signs with key number 1, called `one`.
struct World {
    clock: Arc<ManualClock>,
    network: Arc<Network>,
    issuers: Arc<Issuers>,
    gate: Gate<Store>,
    rule: Arc<Rule>,
}

impl World {
    fn new() -> Self {
        Self::with(terms(), KeySource::Discovered)
    }

    fn with(terms: IssuerTerms, source: KeySource) -> Self {
        Self::listing(vec![(terms, source)], NoncePolicy::Accepted, Policy::default())
    }

    fn listing(listed: Vec<(IssuerTerms, KeySource)>, policy: NoncePolicy, demands: Policy) -> Self {
        let clock = Arc::new(ManualClock::new(NOW));
        let network = Arc::new(Network::default());
        network.discovered(ISSUER, &jwks_of(&[(1, "one")]));
        let issuers = Arc::new(Issuers::new(listed, None));
        let verifier = BearerVerifier {
            issuers: issuers.clone(),
            dpop: Arc::new(dpop(policy)),
            fetch: network.clone(),
            longest_token: LONGEST_TOKEN,
        };
        let store: Store = Arc::new(MemoryStore::new(clock.clone()));
        let gate = Gate::new(store, clock.clone(), &SystemRandom);
        let rule = Rule::requiring("test", Requirement::parse(["bearer"]).unwrap());
        let rule = Arc::new(rule.policy(demands).verifier(verifier).build().unwrap());
        Self { clock, network, issuers, gate, rule }
    }

    async fn decide(&self, request: &Request) -> Verdict {
        let view = request.view(self.clock.now());
        self.gate.decide(&self.rule, &view, &mut Bytes::new()).await
    }

    /// `None`: it passed.
    async fn code(&self, request: &Request) -> Option<Code> {
        self.decide(request).await.decision().denial().map(Denial::code)
    }

    /// What becomes of a token that comes by `Bearer`.
    async fn token(&self, token: &str) -> Option<Code> {
        self.code(&Request::bearing(token)).await
    }

    async fn denial(&self, request: &Request) -> Denial {
        self.decide(request).await.decision().denial().expect("it passed").clone()
    }

    async fn principal(&self, token: &str) -> Principal {
        match self.decide(&Request::bearing(token)).await {
            Verdict::Permit(permit) => permit.principal().expect("somebody was proven").clone(),
            Verdict::Deny(decision) => panic!("{}", decision.denial().unwrap()),
        }
    }

    fn pass_seconds(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
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

fn ed25519(seed: u8) -> SigningKey {
    Ed25519Key::from_seed(Secret::new([seed; 32])).into()
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

#[derive(Clone)]
struct Request {
    method: Method,
    target: Uri,
    headers: HeaderMap,
    purpose: Purpose,
}

impl Request {
    fn new(authorization: &str) -> Self {
        let authorization = HeaderValue::from_str(authorization).unwrap();
        Self {
            method: Method::GET,
            target: Uri::from_static(TARGET),
            headers: HeaderMap::from_iter([(AUTHORIZATION, authorization)]),
            purpose: Purpose::Decide,
        }
    }

    fn bearing(token: &str) -> Self {
        Self::new(&format!("Bearer {token}"))
    }

    fn explained(mut self) -> Self {
        self.purpose = Purpose::Explain;
        self
    }

    fn view(&self, received_at: Timestamp) -> RequestView<'_> {
        RequestView {
            method: &self.method,
            target: &self.target,
            headers: &self.headers,
            body: Body::Absent,
            source: None,
            received_at,
            purpose: self.purpose,
        }
    }
}
