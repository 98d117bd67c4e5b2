//! `AsymmetricAuthentication` through the gate: what passes, what is refused, and as what.

mod binding;
mod freshness;
mod package;
mod reading;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use countersign::crypto::SystemRandom;
use countersign::crypto::ethereum::{Address, EthereumKey, encode_hex};
use countersign::request::Body;
use countersign::schemes::asymmetric::signer::{Nonces, SignError, sign_header, sign_query};
use countersign::schemes::asymmetric::{AsymmetricVerifier, LARGEST_BODY, wire};
use countersign::testing::Verdict;
use countersign::testing::{self, NOW, Request, rule};
use countersign::time::Timestamp;
use countersign::{Carrier, Code, Denial, Permissions, Policy, Rule, Scheme, Subject};
use http::{HeaderValue, Method, Uri};
use serde::Deserialize;

const WINDOW: u64 = 120_000;
const MARKER: &str = "scheme=AsymmetricAuthentication";

struct World {
    common: testing::World,
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
        let rule = rule("asymmetric", |rule| rule.policy(policy).verifier(verifier));
        Self { common: testing::World::new(), rule }
    }

    async fn decide(&self, request: &Request) -> Verdict {
        self.common.decide(&self.rule, request).await
    }

    /// `None`: it passed.
    async fn code(&self, request: &Request) -> Option<Code> {
        self.common.code(&self.rule, request).await
    }
}

/// What a gate says that has seen nothing yet.
async fn code(request: &Request) -> Option<Code> {
    World::new().code(request).await
}

/// A request, and what its signer makes of it.
trait Signing: Sized {
    /// Signed in the header at `at`.
    fn signed_at(self, at: Timestamp) -> Self;

    fn signed(self) -> Self {
        self.signed_at(NOW)
    }

    /// Signed in the query.
    fn signed_in_query(self) -> Self;

    fn proof(&self) -> String;

    fn with_proof(self, value: &str) -> Self;

    /// The same with some of its header's text replaced.
    fn altered(self, from: &str, to: &str) -> Self;

    /// The same with some of its target's text replaced.
    fn with_target(self, from: &str, to: &str) -> Self;
}

impl Signing for Request {
    fn signed_at(mut self, at: Timestamp) -> Self {
        let header = sign_header(&key(), &self.method, &self.target, &self.body, at).unwrap();
        self.headers.insert(wire::ASYMMETRIC_AUTHENTICATION, header);
        self
    }

    fn signed_in_query(mut self) -> Self {
        self.target = sign_query(&key(), &self.method, &self.target, &self.body, NOW).unwrap();
        self
    }

    fn proof(&self) -> String {
        self.header(wire::ASYMMETRIC_AUTHENTICATION.as_str()).to_owned()
    }

    fn with_proof(mut self, value: &str) -> Self {
        let value = HeaderValue::from_str(value).unwrap();
        self.headers.insert(wire::ASYMMETRIC_AUTHENTICATION, value);
        self
    }

    fn altered(self, from: &str, to: &str) -> Self {
        let header = self.proof();
        assert!(header.contains(from), "{header}");
        self.with_proof(&header.replacen(from, to, 1))
    }

    fn with_target(self, from: &str, to: &str) -> Self {
        let target = self.target.path_and_query().unwrap().to_string();
        assert!(target.contains(from), "{target}");
        self.to(&target.replacen(from, to, 1))
    }
}

fn call(method: &str, target: &str, body: &[u8]) -> Request {
    Request::new(method, target).body(Bytes::copy_from_slice(body))
}

fn uri(target: &str) -> Uri {
    format!("https://bob.example{target}").parse().unwrap()
}

fn key() -> EthereumKey {
    EthereumKey::from_hex(&vectors().key).unwrap()
}

fn order() -> Request {
    call("POST", "/orders?draft=1", b"{\"item\":\"tea\"}")
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
