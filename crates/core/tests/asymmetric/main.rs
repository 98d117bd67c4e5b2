//! `AsymmetricAuthentication` through the gate: what passes, what is refused, and as what.

mod binding;
mod freshness;
mod package;
mod reading;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use countersign::crypto::SystemRandom;
use countersign::crypto::ethereum::{Address, EthereumKey, encode_hex};
use countersign::request::Body;
use countersign::schemes::asymmetric::signer::{Nonces, SignError, sign_header, sign_query};
use countersign::schemes::asymmetric::{AsymmetricVerifier, LARGEST_BODY, wire};
use countersign::time::{ManualClock, Timestamp};
use countersign::{
    Carrier, Clock, Code, Denial, Gate, MemoryStore, Permissions, Policy, Purpose, RequestView, Requirement,
    Rule, Scheme, Subject, Verdict,
};
use http::{HeaderMap, HeaderValue, Method, Uri};
use serde::Deserialize;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const WINDOW: u64 = 120_000;
const MARKER: &str = "scheme=AsymmetricAuthentication";

struct World {
    clock: Arc<ManualClock>,
    gate: Gate<Arc<MemoryStore<Arc<ManualClock>>>>,
    rule: Arc<Rule>,
}

impl World {
    fn new() -> Self {
        Self::with(Policy::default())
    }

    /// Where nonces must rise.
    fn rising() -> Self {
        Self::verifying(AsymmetricVerifier { rising: true }, Policy::default())
    }

    fn with(policy: Policy) -> Self {
        Self::verifying(AsymmetricVerifier::default(), policy)
    }

    fn verifying(verifier: AsymmetricVerifier, policy: Policy) -> Self {
        let clock = Arc::new(ManualClock::new(NOW));
        let store = Arc::new(MemoryStore::new(clock.clone()));
        let gate = Gate::new(store, clock.clone(), &SystemRandom);
        let rule = Rule::requiring("test", Requirement::parse(["asymmetric"]).unwrap());
        let rule = Arc::new(rule.policy(policy).verifier(verifier).build().unwrap());
        Self { clock, gate, rule }
    }

    async fn decide(&self, request: &Request) -> Verdict {
        let view = request.view(self.clock.now());
        self.gate.decide(&self.rule, &view, &mut request.body.clone()).await
    }

    /// `None`: it passed.
    async fn code(&self, request: &Request) -> Option<Code> {
        self.decide(request).await.decision().denial().map(Denial::code)
    }
}

/// What a gate says that has seen nothing yet.
async fn code(request: &Request) -> Option<Code> {
    World::new().code(request).await
}

#[derive(Clone)]
struct Request {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
    withheld: bool,
    purpose: Purpose,
}

impl Request {
    fn new(method: &str, target: &str, body: &[u8]) -> Self {
        Self {
            method: method.parse().unwrap(),
            uri: uri(target),
            headers: HeaderMap::new(),
            body: Bytes::copy_from_slice(body),
            withheld: false,
            purpose: Purpose::Decide,
        }
    }

    /// Signed in the header at `at`.
    fn signed_at(mut self, at: Timestamp) -> Self {
        let header = sign_header(&key(), &self.method, &self.uri, &self.body, at).unwrap();
        self.headers.insert(wire::ASYMMETRIC_AUTHENTICATION, header);
        self
    }

    fn signed(self) -> Self {
        self.signed_at(NOW)
    }

    /// Signed in the query.
    fn signed_in_query(mut self) -> Self {
        self.uri = sign_query(&key(), &self.method, &self.uri, &self.body, NOW).unwrap();
        self
    }

    fn header(&self) -> String {
        self.headers[wire::ASYMMETRIC_AUTHENTICATION].to_str().unwrap().to_owned()
    }

    fn with_header(mut self, value: &str) -> Self {
        let value = HeaderValue::from_str(value).unwrap();
        self.headers.insert(wire::ASYMMETRIC_AUTHENTICATION, value);
        self
    }

    /// The same with some of its header's text replaced.
    fn altered(self, from: &str, to: &str) -> Self {
        let header = self.header();
        assert!(header.contains(from), "{header}");
        self.with_header(&header.replacen(from, to, 1))
    }

    fn at_target(mut self, target: &str) -> Self {
        self.uri = uri(target);
        self
    }

    /// The same with some of its target's text replaced.
    fn with_target(self, from: &str, to: &str) -> Self {
        let target = self.uri.path_and_query().unwrap().to_string();
        assert!(target.contains(from), "{target}");
        self.at_target(&target.replacen(from, to, 1))
    }

    fn view(&self, received_at: Timestamp) -> RequestView<'_> {
        RequestView {
            method: &self.method,
            target: &self.uri,
            headers: &self.headers,
            body: match (self.withheld, self.body.is_empty()) {
                (true, _) => Body::Withheld,
                (false, true) => Body::Absent,
                (false, false) => Body::Announced,
            },
            source: None,
            received_at,
            purpose: self.purpose,
        }
    }
}

fn uri(target: &str) -> Uri {
    format!("https://bob.example{target}").parse().unwrap()
}

fn key() -> EthereumKey {
    EthereumKey::from_hex(&vectors().key).unwrap()
}

fn order() -> Request {
    Request::new("POST", "/orders?draft=1", b"{\"item\":\"tea\"}")
}

#[derive(Deserialize)]
struct Vectors {
    key: String,
    address: String,
    now: u64,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    method: String,
    target: String,
    body: String,
    message: String,
    header: String,
    query_target: String,
}

fn vectors() -> Vectors {
    let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/asymmetric.json"));
    serde_json::from_str(text).unwrap()
}

fn bytes(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}
