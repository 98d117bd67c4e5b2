//! Introductions and signatures made by hand, so that any part of them can be wrong.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::crypto::{Ed25519Key, Secret, SystemRandom, thumbprint};
use countersign::schemes::signature::{
    CONTENT_DIGEST, Component, ContentDigest, Parameters, cover_floor, sign,
};
use countersign::schemes::webhook::wire::{Binding, INTRODUCTION_TAG, KEY_TAG};
use countersign::schemes::webhook::{Algorithm, Token, TokenHash, receiver_url};
use countersign::time::Timestamp;
use http::HeaderName;

use crate::world::{Api, Call, Calling as _};

/// What an introduced request carries besides its credential.
pub(crate) const INTRODUCTION: [&str; 4] = ["signature-key", "webhook-key", "signature-input", "signature"];

/// A key whose private half the tests hold: somebody's, as each test says.
pub(crate) fn key() -> Ed25519Key {
    Ed25519Key::from_seed(Secret::new([7; 32]))
}

/// An introduction of [`key`].
#[derive(Clone)]
pub(crate) struct IntroductionByHand {
    pub(crate) signature_key: String,
    pub(crate) webhook_key: String,
    /// The component that the signature leaves out.
    pub(crate) uncovered: &'static str,
    pub(crate) expires: u64,
    pub(crate) scope: &'static str,
}

impl IntroductionByHand {
    pub(crate) fn until(expires: u64) -> Self {
        let x = URL_SAFE_NO_PAD.encode(key().public());
        Self {
            signature_key: format!("cb=hwk;kty=\"OKP\";crv=\"Ed25519\";x=\"{x}\""),
            webhook_key: format!("exp={expires}"),
            uncovered: "",
            expires,
            scope: "",
        }
    }

    pub(crate) fn limited_to(self, scope: &'static str) -> Self {
        Self { webhook_key: format!("{}, scope=\"{scope}\"", self.webhook_key), scope, ..self }
    }

    /// A call with a token that is bound to this introduction, and that `api` will confirm.
    pub(crate) async fn prove(&self, api: &Api, mut call: Call, now: Timestamp) -> Call {
        if !call.body.is_empty() {
            call.headers.insert(CONTENT_DIGEST, ContentDigest::of_sha256(&call.body));
        }
        let receiver = receiver_url(&call.target.to_string()).unwrap();
        let content_digest = call.headers.get(CONTENT_DIGEST).map(|value| value.to_str().unwrap());
        let binding = Binding {
            webhook_url: api.url().as_str(),
            receiver_url: &receiver,
            thumbprint: &thumbprint(&key().public()),
            expires: self.expires,
            method: call.method.as_str(),
            target: &call.target.to_string(),
            content_digest: content_digest.unwrap_or_default(),
            scope: self.scope,
        };
        let token = Token::bound_to(&binding.digest(), &SystemRandom);
        let hash = TokenHash::of(&token, Algorithm::Sha256, &SystemRandom);
        api.tokens().keep(&hash, &receiver, &token, now).await.unwrap();
        self.sign(call.naming(api.url().as_str(), hash.as_str()))
    }

    /// The same call, carrying this introduction whatever its token.
    pub(crate) fn sign(&self, call: Call) -> Call {
        let call = call.with("signature-key", &self.signature_key).with("webhook-key", &self.webhook_key);
        let parameters = Parameters { tag: Some(INTRODUCTION_TAG.to_owned()), ..Parameters::default() };
        signed(call, &["authorization", "signature-key", "webhook-key"], self.uncovered, &parameters)
    }
}

/// A signature by [`key`] as the introduced key of the API at some URL.
#[derive(Clone)]
pub(crate) struct KeyCallByHand {
    pub(crate) agent: String,
    pub(crate) parameters: Parameters,
    pub(crate) uncovered: &'static str,
}

impl KeyCallByHand {
    pub(crate) fn new(url: &str, now: Timestamp) -> Self {
        Self {
            agent: format!("cb=\"{url}\";type=webhook"),
            parameters: Parameters {
                created: Some(now),
                expires: Some(Timestamp::from_secs(now.as_secs() + 60)),
                nonce: Some("n".to_owned()),
                keyid: Some(thumbprint(&key().public())),
                tag: Some(KEY_TAG.to_owned()),
                ..Parameters::default()
            },
            uncovered: "",
        }
    }

    pub(crate) fn sign(&self, mut call: Call) -> Call {
        if !call.body.is_empty() {
            call.headers.insert(CONTENT_DIGEST, ContentDigest::of_sha256(&call.body));
        }
        let call = call.with("signature-agent", &self.agent);
        signed(call, &["signature-agent"], self.uncovered, &self.parameters)
    }
}

fn signed(mut call: Call, also: &[&'static str], uncovered: &str, parameters: &Parameters) -> Call {
    let mut components = cover_floor(&call.headers, false);
    components.extend(also.iter().map(|name| Component::field(HeaderName::from_static(name))));
    components.retain(|component| component.as_str() != format!("\"{uncovered}\""));
    sign(&mut call.headers, &call.method, &call.target, "cb", &components, parameters, &key()).unwrap();
    call
}
