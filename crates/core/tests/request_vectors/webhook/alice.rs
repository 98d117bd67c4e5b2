//! The requester: requests that are asked about, that introduce a key, and that are signed with it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::crypto::{Ed25519Key, Random};
use countersign::schemes::signature::{Component, Derived, Parameters, cover_floor, sign};
use countersign::schemes::webhook::wire::Binding;
use countersign::schemes::webhook::{Algorithm, Token, TokenHash, receiver_url};
use countersign::testing::Seeded;
use countersign::time::Timestamp;
use http::HeaderName;
use serde_json::json;

use super::{ALICE, HOUR, asked};
use crate::bytes::Request;
use crate::file::{NOW, Question, Step, step};
use crate::world::base_of;

/// Who writes requests.
pub(super) struct Alice {
    pub(super) random: Seeded,
    pub(super) key: Ed25519Key,
    pub(super) jkt: String,
}

/// What the token of an introduction is bound to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Promise {
    This,
    /// The same with another `exp`.
    AnotherEnd,
    Nothing,
}

/// Of an introduction, what differs from one to the next.
pub(super) struct Terms<'a> {
    pub(super) expires: u64,
    pub(super) token: Promise,
    pub(super) scope: Option<&'a str>,
    pub(super) created: u64,
    pub(super) label: &'a str,
}

pub(super) const USUAL: Terms<'static> =
    Terms { expires: NOW + HOUR, token: Promise::This, scope: None, created: NOW, label: "cb" };

impl Alice {
    pub(super) fn question(hash: &str, request: &Request, answer: &str) -> Question {
        let url = receiver_url(&request.target.to_string()).unwrap();
        let body = json!({ "hash": hash, "url": url }).to_string();
        Question { request: asked(ALICE, body.as_bytes()), answer: answer.to_owned() }
    }

    pub(super) fn token(&self, algorithm: Algorithm) -> (Token, String) {
        let token = Token::generate(&self.random);
        let hash = TokenHash::of(&token, algorithm, &self.random).as_str().to_owned();
        (token, hash)
    }

    /// A request that is proven by a question, answered as `answers` says of the token.
    pub(super) fn one_shot(
        &self,
        request: Request,
        algorithm: Algorithm,
        answers: impl FnOnce(&str) -> String,
        outcome: &str,
    ) -> Step {
        let (token, hash) = self.token(algorithm);
        let request = request.with("authorization", format!("Webhook {ALICE} {hash}"));
        let question = Self::question(&hash, &request, &answers(token.reveal()));
        Step { question: Some(question), ..step(NOW, &request, outcome) }
    }

    /// A request that introduces the key.
    pub(super) fn introduce(&self, request: Request, terms: &Terms<'_>, outcome: &str) -> Step {
        let x = URL_SAFE_NO_PAD.encode(self.key.public());
        let Terms { expires, token, scope, created, label } = *terms;
        let digest = request.headers.get("content-digest").map(|value| value.to_str().unwrap().to_owned());
        let receiver = receiver_url(&request.target.to_string()).unwrap();
        let binding = Binding {
            webhook_url: ALICE,
            receiver_url: &receiver,
            thumbprint: &self.jkt,
            expires: if token == Promise::AnotherEnd { expires - 1 } else { expires },
            method: request.method.as_str(),
            target: &request.target.to_string(),
            content_digest: digest.as_deref().unwrap_or_default(),
            scope: scope.unwrap_or_default(),
        };
        let token = match token {
            Promise::Nothing => Token::generate(&self.random),
            _ => Token::bound_to(&binding.digest(), &self.random),
        };
        let hash = TokenHash::of(&token, Algorithm::Sha256, &self.random).as_str().to_owned();
        let key_terms = match scope {
            Some(scope) => format!("exp={expires}, scope=\"{scope}\""),
            None => format!("exp={expires}"),
        };
        let mut request = request
            .with("authorization", format!("Webhook {ALICE} {hash}"))
            .with("signature-key", format!("{label}=hwk;kty=\"OKP\";crv=\"Ed25519\";x=\"{x}\""))
            .with("webhook-key", key_terms);
        let parameters = Parameters {
            created: Some(Timestamp::from_secs(created)),
            keyid: Some(self.jkt.clone()),
            tag: Some("webhook-intro".to_owned()),
            ..Parameters::default()
        };
        self.sign(&mut request, label, &["authorization", "signature-key", "webhook-key"], &parameters);
        let question = Self::question(&hash, &request, &ok(token.reveal()));
        Step {
            question: Some(question),
            base: Some(base_of(&request)),
            ..step(terms.created.max(NOW), &request, outcome)
        }
    }

    pub(super) fn sign(
        &self,
        request: &mut Request,
        label: &str,
        also: &[&'static str],
        parameters: &Parameters,
    ) {
        let mut components = cover_floor(&request.headers, false);
        components.extend(also.iter().map(|name| Component::field(HeaderName::from_static(name))));
        let Request { method, target, headers, .. } = request;
        sign(headers, method, target, label, &components, parameters, &self.key).unwrap();
    }

    /// A later request, as usual.
    pub(super) fn later(&self, request: Request, created: u64) -> Request {
        self.later_of(request, &Later { created, expires: created + 60, ..LATER })
    }

    pub(super) fn later_of(&self, request: Request, terms: &Later<'_>) -> Request {
        let Later { created, expires, member, label, alg, also } = *terms;
        let mut request = request.with("signature-agent", format!("{member}=\"{ALICE}\";type=webhook"));
        let mut nonce = [0; 16];
        self.random.fill(&mut nonce);
        let parameters = Parameters {
            created: Some(Timestamp::from_secs(created)),
            expires: Some(Timestamp::from_secs(expires)),
            nonce: Some(URL_SAFE_NO_PAD.encode(nonce)),
            alg: alg.map(str::to_owned),
            keyid: Some(self.jkt.clone()),
            tag: Some("webhook-key".to_owned()),
        };
        let mut components = match also {
            Also::Fields(_) => cover_floor(&request.headers, false),
            // What is enough, in an order of its own.
            Also::Nothing => vec![
                Component::field(HeaderName::from_static("signature-agent")),
                Component::derived(Derived::TargetUri),
                Component::derived(Derived::Method),
            ],
        };
        if let Also::Fields(fields) = also {
            components.extend(fields.iter().map(|name| Component::field(HeaderName::from_static(name))));
        }
        let Request { method, target, headers, .. } = &mut request;
        sign(headers, method, target, label, &components, &parameters, &self.key).unwrap();
        request
    }
}

/// Of a later request, what differs from one to the next.
pub(super) struct Later<'a> {
    pub(super) created: u64,
    pub(super) expires: u64,
    /// Of `Signature-Agent`.
    pub(super) member: &'a str,
    pub(super) label: &'a str,
    pub(super) alg: Option<&'a str>,
    pub(super) also: Also,
}

/// What is covered.
#[derive(Clone, Copy)]
pub(super) enum Also {
    /// The usual, and these.
    Fields(&'static [&'static str]),
    /// The least that is enough without a body.
    Nothing,
}

pub(super) const LATER: Later<'static> = Later {
    created: NOW,
    expires: NOW + 60,
    member: "cb",
    label: "cb",
    alg: None,
    also: Also::Fields(&["signature-agent"]),
};

/// An answer with a body.
pub(super) fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}
