//! How a call is proven: one variant for each way.

use std::net::SocketAddr;
use std::sync::Arc;

use countersign::crypto::SystemRandom;
use countersign::schemes::api_key::ApiKey;
use countersign::schemes::proof::Proof as KeyProof;
use countersign::schemes::webhook::signer::{Attempt, OutgoingBody, Requester};
use countersign::schemes::webhook::wire::WEBHOOK_KEY;
use countersign::schemes::webhook::{Algorithm, TokenHash, UrlRules, WebhookUrl};
use countersign::{Clock, FetchResponse, Timestamp};
use countersign_gateway::terminal::escape;
use countersign_io::key_file::{KeyFile, of_api_key};
use countersign_io::workers::Pool;
use countersign_io::{AnyStore, StoreUrl, SystemClock};
use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::answerer::Answerer;
use super::flags::ProofFlags;
use super::message::Message;
use super::sent::{By, Sent};
use super::shown::Screen;
use crate::failure::Failure;
use crate::global_flags::GlobalFlags;
use crate::settings::{environment, load_configuration};

/// Who we say that we are, and what makes it true.
pub(crate) enum Proof {
    /// Nobody.
    Nothing,
    /// Whoever holds this key.
    Key(KeyProof),
    /// The API at a webhook URL.
    Webhook {
        requester: Box<Requester<Arc<AnyStore>>>,
        /// Answers while the calls last, if the API at the URL does not.
        _answerer: Option<Answerer>,
    },
}

impl Proof {
    /// What the flags ask for.
    pub(crate) async fn prepare(
        global: &GlobalFlags,
        flags: &ProofFlags,
        listen: Option<SocketAddr>,
        message: &Message,
        screen: Screen,
    ) -> Result<Self, Failure> {
        let proof = match (&flags.webhook, key_proof(flags)?) {
            (Some(url), _) => Self::webhook(global, flags, listen, url, screen).await?,
            (None, Some(proof)) => Self::Key(proof),
            (None, None) if flags.bearer => {
                return Err(Failure::said("--bearer sends a key: add --key-file FILE or --key cs_…"));
            }
            (None, None) => Self::Nothing,
        };
        let is_authorization =
            matches!(proof, Self::Key(KeyProof::Bearer(_) | KeyProof::Token(_)) | Self::Webhook { .. });
        if is_authorization && message.headers.contains_key(AUTHORIZATION) {
            return Err(Failure::said(
                "a header Authorization and this proof exclude each other: the proof is that header",
            ));
        }
        Ok(proof)
    }

    async fn webhook(
        global: &GlobalFlags,
        flags: &ProofFlags,
        listen: Option<SocketAddr>,
        url: &str,
        screen: Screen,
    ) -> Result<Self, Failure> {
        // Where others ask is for them to dial; plain HTTP on loopback is for labs, and so is this flag.
        let rules = UrlRules { ports: (1..=u16::MAX).collect(), http_on_loopback: true };
        let url = WebhookUrl::parse(url, &rules)
            .map_err(|error| Failure::said(format!("--webhook {}: {error}", escape(url))))?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store_url = match listen {
            Some(_) => StoreUrl::Memory,
            None => shared_store(global)?,
        };
        let store = Arc::new(AnyStore::open(&store_url, clock).await?);
        let answerer = match listen {
            Some(address) => {
                let answerer =
                    Answerer::listen(address, &url, store.clone(), move |asked| screen.asked(&asked));
                let failed = |error| Failure::said(format!("--listen {address}: {error}"));
                Some(answerer.await.map_err(failed)?)
            }
            None => None,
        };
        let first = match flags.hash.as_deref() {
            Some("sha-256") => Algorithm::Sha256,
            _ => Algorithm::Bcrypt,
        };
        let requester = Requester::new(url, store, Arc::new(SystemRandom), Arc::new(Pool::default()));
        Ok(Self::Webhook { requester: Box::new(requester.hashing_first_by(first)), _answerer: answerer })
    }

    /// The headers of `message`, with the proof among them.
    pub(crate) async fn prove(&self, message: &Message, now: Timestamp) -> Result<Sent, Failure> {
        let mut headers = message.headers.clone();
        let body = match &message.body {
            Some(body) if !body.is_empty() => OutgoingBody::Whole(body),
            _ => OutgoingBody::Absent,
        };
        let (by, attempt) = match self {
            Self::Nothing => (By::Nothing, None),
            Self::Key(proof) => {
                let proven = proof.prove(&message.method, &message.url, &mut headers, body, now);
                proven.map_err(|error| Failure::said(escape(&error.to_string())))?;
                (By::of_key(proof), None)
            }
            Self::Webhook { requester, .. } => {
                let attempt = requester.prove(&message.method, &message.url, &mut headers, body, now).await?;
                (By::read(&attempt, &headers), Some(attempt))
            }
        };
        Ok(Sent { headers, by, attempt })
    }

    /// Learns from the answer; true if the same request, proven anew, may pass.
    pub(super) fn learn(&self, sent: &Sent, answer: &FetchResponse, now: Timestamp) -> bool {
        match (self, &sent.attempt) {
            (Self::Webhook { requester, .. }, Some(attempt)) => {
                requester.learn(attempt, answer.status, &answer.headers, now)
            }
            (Self::Key(proof), _) => proof.learn(answer.status, &answer.headers),
            _ => false,
        }
    }
}

impl By {
    /// Whether the proof says when it was made.
    pub(super) const fn is_dated(self) -> bool {
        matches!(self, Self::Signature | Self::Asymmetric | Self::IntroducedKey)
    }

    const fn of_key(proof: &KeyProof) -> Self {
        match proof {
            KeyProof::Bearer(_) => Self::Bearer,
            KeyProof::Signature(_) => Self::Signature,
            KeyProof::Asymmetric { .. } => Self::Asymmetric,
            KeyProof::Token(_) => Self::AccessToken,
        }
    }

    fn read(attempt: &Attempt, headers: &HeaderMap) -> Self {
        if attempt.is_by_key() {
            return Self::IntroducedKey;
        }
        let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let hash = value.rsplit(' ').next().and_then(|hash| TokenHash::parse(hash).ok());
        let algorithm = hash.map_or(Algorithm::Bcrypt, |hash| hash.algorithm());
        Self::Token { algorithm, introduces: headers.contains_key(WEBHOOK_KEY) }
    }
}

/// The key that the flags name, and what it proves.
fn key_proof(flags: &ProofFlags) -> Result<Option<KeyProof>, Failure> {
    let random = Arc::new(SystemRandom);
    let file = match flags {
        ProofFlags { key: Some(text), bearer, base_digests, .. } => {
            // What is wrong with a key is said without repeating it.
            let key = ApiKey::parse(text.trim())
                .map_err(|error| Failure::said(format!("--key holds no API key: {error}")))?;
            return Ok(Some(of_api_key(key, *bearer, random, *base_digests)));
        }
        ProofFlags { key_file: Some(file), bearer, .. } => {
            KeyFile::ApiKey { file: file.clone(), bearer: *bearer }
        }
        ProofFlags { private_key: Some(file), key_id: Some(id), .. } => {
            KeyFile::Private { file: file.clone(), id: id.clone() }
        }
        ProofFlags { hmac_secret_file: Some(file), key_id: Some(id), .. } => {
            KeyFile::Hmac { file: file.clone(), id: id.clone() }
        }
        ProofFlags { wallet: Some(file), form, password_file, .. } => {
            KeyFile::Wallet { file: file.clone(), form: *form, password_file: password_file.clone() }
        }
        ProofFlags { token_file: Some(file), dpop_key, .. } => {
            KeyFile::Token { file: file.clone(), dpop_key: dpop_key.clone() }
        }
        ProofFlags { key_id: Some(_), .. } => {
            return Err(Failure::said(
                "--key-id names a key: add --private-key FILE or --hmac-secret-file FILE",
            ));
        }
        ProofFlags { base_digests: true, .. } => {
            return Err(Failure::said(
                "--base-digests goes with a signature: add --key-file FILE or --private-key FILE",
            ));
        }
        _ => return Ok(None),
    };
    let proof = file.read(random, flags.base_digests);
    proof.map(Some).map_err(|error| Failure::said(escape(&error.to_string())))
}

/// The store of the configuration, which the API at the webhook URL must look into as well.
fn shared_store(global: &GlobalFlags) -> Result<StoreUrl, Failure> {
    let hint = "add --listen ADDRESS to `call`, to answer from here";
    if !global.config.exists() {
        return Err(Failure::said(format!(
            "who answers at the webhook URL? {hint}, or --config FILE with the store that the API there uses"
        )));
    }
    let loaded = load_configuration(global, &environment()?)?;
    match loaded.config.store.url {
        url @ StoreUrl::Redis(_) => Ok(url),
        _ => Err(Failure::said(format!(
            "the store of {} belongs to one process, so the API at the webhook URL cannot see tokens that are \
             made here: {hint}, or use a Redis store",
            global.config.display()
        ))),
    }
}
