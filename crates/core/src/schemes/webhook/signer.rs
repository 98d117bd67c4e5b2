//! The requester: makes a token for each request, answers the question about it, and introduces a key,
//! so that the next requests need neither.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::AUTHORIZATION;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};

use super::hash::{Algorithm, Token, TokenHash};
use super::introduction::LONGEST_LIFE;
use super::tokens::Tokens;
use super::url::{WebhookUrl, receiver_url};
use super::wire::{
    Binding, INTRODUCTION_TAG, KEY_TAG, LABEL, Offer, SIGNATURE_AGENT, SIGNATURE_KEY, WEBHOOK_KEY,
};
use crate::crypto::{Ed25519Key, Random, thumbprint};
use crate::schemes::signature::{
    CONTENT_DIGEST, Component, ContentDigest, Parameters, SignError, cover_floor, sign,
};
use crate::store::{Store, StoreError};
use crate::time::Timestamp;
use crate::workers::{Workers, run_on};

/// How long before its end an introduced key is introduced anew.
const MARGIN: Duration = Duration::from_secs(60);
/// How long it is believed that a receiver knows the seed's protocol alone.
const FORGET: Duration = Duration::from_secs(600);
/// How many receivers are remembered.
const PEERS: usize = 4096;

/// Why a request could not be given a proof.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// It is for no absolute HTTP URL.
    #[error("a request for {0} cannot be proven: its target is no absolute URL")]
    Target(String),
    /// The token could not be kept, so nobody could confirm it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A header cannot be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The process is ending.
    #[error("the process is ending")]
    Ending,
}

/// What is known of a request's body before it is sent.
#[derive(Clone, Copy, Debug)]
pub enum OutgoingBody<'a> {
    /// There is none.
    Absent,
    /// All of it: it can be signed.
    Whole(&'a [u8]),
    /// It comes as it comes: such a request is proven by a question alone.
    Streaming,
}

/// How a request was proven.
#[derive(Clone, Debug)]
pub struct Attempt {
    origin: String,
    how: How,
}

#[derive(Clone, Copy, Debug)]
enum How {
    OneShot { algorithm: Algorithm, introduced: Option<Timestamp> },
    Key,
}

impl Attempt {
    /// Whether an introduced key signed it, so that nobody will ask.
    #[must_use]
    pub const fn is_by_key(&self) -> bool {
        matches!(self.how, How::Key)
    }
}

/// What a requester has learnt of a receiver.
#[derive(Clone, Copy, Debug)]
struct Peer {
    offer: Option<Offer>,
    introduced_until: Option<Timestamp>,
    learnt: Timestamp,
}

/// Proves requests as the API at its webhook URL.
pub struct Requester<S> {
    url: WebhookUrl,
    tokens: Tokens<S>,
    key: Ed25519Key,
    thumbprint: String,
    random: Arc<dyn Random>,
    workers: Arc<dyn Workers>,
    first: Algorithm,
    introduces: bool,
    scope: Option<String>,
    peers: Mutex<HashMap<String, Peer>>,
}

impl<S: Store> Requester<S> {
    /// A requester whose tokens wait in `store` until they are asked for at `url`, with a new key of
    /// its own.
    #[must_use]
    pub fn new(url: WebhookUrl, store: S, random: Arc<dyn Random>, workers: Arc<dyn Workers>) -> Self {
        let key = Ed25519Key::generate(&*random);
        Self {
            url,
            tokens: Tokens::new(store),
            thumbprint: thumbprint(&key.public()),
            key,
            random,
            workers,
            first: Algorithm::Bcrypt,
            introduces: true,
            scope: None,
            peers: Mutex::default(),
        }
    }

    /// The same, hashing by `algorithm` towards receivers that it does not know yet. By default that
    /// is bcrypt, which every receiver knows.
    #[must_use]
    pub const fn hashing_first_by(mut self, algorithm: Algorithm) -> Self {
        self.first = algorithm;
        self
    }

    /// The same, introducing no key: one question a request.
    #[must_use]
    pub const fn without_keys(mut self) -> Self {
        self.introduces = false;
        self
    }

    /// The same, with keys that may do no more than `scope`, permissions separated by spaces.
    #[must_use]
    pub fn limited_to(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into());
        self
    }

    /// Where it is asked.
    #[must_use]
    pub const fn url(&self) -> &WebhookUrl {
        &self.url
    }

    /// The tokens that wait for their question.
    #[must_use]
    pub const fn tokens(&self) -> &Tokens<S> {
        &self.tokens
    }

    /// Adds a proof to a request's headers. `target` is what is called, absolute; `headers` hold
    /// whatever else is sent, and an `Authorization` among them is replaced when a question will prove
    /// the request.
    ///
    /// # Errors
    /// [`ProveError`].
    pub async fn prove(
        &self,
        method: &Method,
        target: &Uri,
        headers: &mut HeaderMap,
        body: OutgoingBody<'_>,
        now: Timestamp,
    ) -> Result<Attempt, ProveError> {
        let (target, receiver, origin) = normal(target)?;
        let peer = self.peer(&origin, now);
        // What is left of another attempt, or was never ours to send.
        for name in [SIGNATURE_KEY, WEBHOOK_KEY, SIGNATURE_AGENT] {
            headers.remove(name);
        }
        let signs = self.introduces && !matches!(body, OutgoingBody::Streaming);
        let by_key = signs
            && peer.and_then(|peer| peer.introduced_until).is_some_and(|until| now.plus(MARGIN) < until);
        if signs && let OutgoingBody::Whole(whole) = body {
            headers.insert(CONTENT_DIGEST, ContentDigest::of_sha256(whole));
        }
        if by_key {
            self.sign_with_key(method, &target, headers, now)?;
            return Ok(Attempt { origin, how: How::Key });
        }
        let offer = peer.and_then(|peer| peer.offer);
        // A receiver that has answered, and offered nothing, knows the seed's protocol alone.
        let introduces = signs && peer.is_none_or(|peer| peer.offer.is_some_and(|offer| offer.ed25519));
        let algorithm = match offer {
            Some(offer) if offer.sha256 => Algorithm::Sha256,
            Some(offer) if offer.bcrypt => Algorithm::Bcrypt,
            _ => self.first,
        };
        let expires = now.plus(LONGEST_LIFE);
        let token = if introduces {
            let content_digest = headers.get(CONTENT_DIGEST).and_then(|value| value.to_str().ok());
            let binding = Binding {
                webhook_url: self.url.as_str(),
                receiver_url: &receiver,
                thumbprint: &self.thumbprint,
                expires: expires.as_secs(),
                method: method.as_str(),
                target: &target.to_string(),
                content_digest: content_digest.unwrap_or_default(),
                scope: self.scope.as_deref().unwrap_or_default(),
            };
            Token::bound_to(&binding.digest(), &*self.random)
        } else {
            Token::generate(&*self.random)
        };
        let hash = self.hash(&token, algorithm).await?;
        self.tokens.keep(&hash, &receiver, &token, now).await?;
        let value = format!("Webhook {} {}", self.url, hash.as_str());
        headers.insert(AUTHORIZATION, header(&value));
        if introduces {
            self.introduce(method, &target, headers, expires, now)?;
        }
        let introduced = introduces.then_some(expires);
        Ok(Attempt { origin, how: How::OneShot { algorithm, introduced } })
    }

    /// Learns from the answer to a proven request. True if the same request, proven anew, may now
    /// pass: then it is worth sending it once more, and no more than once.
    pub fn learn(&self, attempt: &Attempt, status: StatusCode, headers: &HeaderMap, now: Timestamp) -> bool {
        let offer = Offer::read(headers);
        let mut peers = self.peers();
        let before = peers.get(&attempt.origin).copied();
        // An application may answer 400 or 401 to a request that was let in: then its proof was good.
        let challenged = Offer::challenged(headers).is_some();
        let refused = challenged && matches!(status.as_u16(), 400 | 401);
        let mut peer = Peer {
            offer: offer.or_else(|| before.and_then(|peer| peer.offer)),
            introduced_until: before.and_then(|peer| peer.introduced_until),
            learnt: now,
        };
        let again = match (attempt.how, offer) {
            (How::Key, Some(_)) if refused => {
                // It has forgotten the key, or never had it: the next request introduces it again.
                peer.introduced_until = None;
                true
            }
            (How::OneShot { algorithm, .. }, Some(offer)) if refused => {
                let taken = match algorithm {
                    Algorithm::Sha256 => offer.sha256,
                    Algorithm::Bcrypt => offer.bcrypt,
                };
                !taken && (offer.sha256 || offer.bcrypt)
            }
            (How::OneShot { introduced: Some(until), .. }, Some(offer)) if offer.ed25519 && !challenged => {
                peer.introduced_until = Some(until);
                false
            }
            _ => false,
        };
        if offer.is_some() || status.is_success() {
            if peers.len() >= PEERS && before.is_none() {
                peers.retain(|_, peer| now < peer.learnt.plus(FORGET));
            }
            if peers.len() < PEERS || before.is_some() {
                peers.insert(attempt.origin.clone(), peer);
            }
        }
        again
    }

    fn peer(&self, origin: &str, now: Timestamp) -> Option<Peer> {
        let peer = self.peers().get(origin).copied();
        peer.filter(|peer| peer.offer.is_some() || now < peer.learnt.plus(FORGET))
    }

    fn peers(&self) -> MutexGuard<'_, HashMap<String, Peer>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn hash(&self, token: &Token, algorithm: Algorithm) -> Result<TokenHash, ProveError> {
        match algorithm {
            Algorithm::Sha256 => Ok(TokenHash::of(token, algorithm, &*self.random)),
            Algorithm::Bcrypt => {
                let (token, random) = (token.clone(), self.random.clone());
                let hash = move || TokenHash::of(&token, algorithm, &*random);
                run_on(&*self.workers, hash).await.ok_or(ProveError::Ending)
            }
        }
    }

    fn introduce(
        &self,
        method: &Method,
        target: &Uri,
        headers: &mut HeaderMap,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<(), ProveError> {
        let x = URL_SAFE_NO_PAD.encode(self.key.public());
        let key = format!("{LABEL}=hwk;kty=\"OKP\";crv=\"Ed25519\";x=\"{x}\"");
        headers.insert(SIGNATURE_KEY, header(&key));
        let terms = match &self.scope {
            Some(scope) => format!("exp={}, scope=\"{scope}\"", expires.as_secs()),
            None => format!("exp={}", expires.as_secs()),
        };
        headers.insert(WEBHOOK_KEY, header(&terms));
        let mut components = cover_floor(headers, false);
        components.extend([AUTHORIZATION, SIGNATURE_KEY, WEBHOOK_KEY].map(Component::field));
        let parameters = Parameters {
            created: Some(now),
            keyid: Some(self.thumbprint.clone()),
            tag: Some(INTRODUCTION_TAG.to_owned()),
            ..Parameters::default()
        };
        Ok(sign(headers, method, target, LABEL, &components, &parameters, &self.key)?)
    }

    fn sign_with_key(
        &self,
        method: &Method,
        target: &Uri,
        headers: &mut HeaderMap,
        now: Timestamp,
    ) -> Result<(), ProveError> {
        let agent = format!("{LABEL}=\"{}\";type=webhook", self.url);
        headers.insert(SIGNATURE_AGENT, header(&agent));
        let mut components = cover_floor(headers, false);
        components.push(Component::field(SIGNATURE_AGENT));
        let parameters = Parameters {
            keyid: Some(self.thumbprint.clone()),
            tag: Some(KEY_TAG.to_owned()),
            ..Parameters::fresh(now, &*self.random)
        };
        Ok(sign(headers, method, target, LABEL, &components, &parameters, &self.key)?)
    }
}

/// What is called, as its receiver will see it: target, URL without the query, and origin.
fn normal(target: &Uri) -> Result<(Uri, String, String), ProveError> {
    let unusable = || ProveError::Target(target.path().to_owned());
    let text = target.to_string();
    let receiver = receiver_url(&text).ok_or_else(unusable)?;
    let path = target.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    let path_length = if path.path().is_empty() { 1 } else { path.path().len() };
    let origin = receiver.get(..receiver.len() - path_length).ok_or_else(unusable)?.to_owned();
    let whole = format!("{origin}{}", if path.as_str().is_empty() { "/" } else { path.as_str() });
    Ok((whole.parse().map_err(|_| unusable())?, receiver, origin))
}

/// What we put together is visible ASCII; should a scope ever not be, the receiver will say so.
fn header(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).unwrap_or_else(|_| HeaderValue::from_static(""))
}
