//! The gateway's public keys, as its upstreams have them: told once, or had from the gateway and kept.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Uri};
use serde::Deserialize;
use serde_json::Value;

use crate::crypto::jwt::JwtKey;
use crate::denial::{Code, Denial};
use crate::fetch::{ChosenBy, Fetch, FetchError, FetchRequest, FetchResponse};
use crate::public_url::PublicUrl;
use crate::time::Timestamp;

/// Where a gateway serves the keys of its assertions, and nothing else.
pub const PATH: &str = "/.well-known/jwks.json";
/// How long the keys are used before they are asked for anew.
const FRESH: Duration = Duration::from_secs(300);
/// How long they are used while the gateway does not answer.
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// How long the gateway is left in peace after it was asked, whatever names a key that it does not have.
const PAUSE: Duration = Duration::from_secs(5);
/// How long the gateway may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// How large its answer may be, in bytes.
const LARGEST: usize = 64 * 1024;

/// The keys that verify assertions.
pub struct AssertionKeys(Kind);

enum Kind {
    Told(Keys),
    Asked(Asked),
}

type Keys = HashMap<String, JwtKey>;
type Answer = Pin<Box<dyn Future<Output = Result<FetchResponse, FetchError>> + Send>>;

struct Asked {
    url: Uri,
    ask: Box<dyn Fn(FetchRequest) -> Answer + Send + Sync>,
    kept: Mutex<Kept>,
    /// Held by the one request that asks; the others wait.
    asking: async_lock::Mutex<()>,
}

#[derive(Default)]
struct Kept {
    keys: Option<(Timestamp, Arc<Keys>)>,
    asked: Option<Timestamp>,
    failed: String,
}

/// A text that is no JWK set, or has no key that verifies assertions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no JWK set with a key that verifies tokens")]
pub struct JwksError;

impl AssertionKeys {
    /// These keys, for good: a JWK set as the gateway serves it. The gateway makes new keys every 30 days, so
    /// this is for tests and for whoever brings the keys along some other way.
    ///
    /// # Errors
    /// [`JwksError`].
    pub fn told(jwks: &[u8]) -> Result<Self, JwksError> {
        read(jwks).map(|keys| Self(Kind::Told(keys)))
    }

    /// Those that the gateway serves at [`PATH`], asked for by `fetch` when they are first needed, every five
    /// minutes, and for a key that is not known. While the gateway does not answer, they are used for 24 hours.
    #[must_use]
    pub fn served_by(gateway: &PublicUrl, fetch: impl Fetch) -> Self {
        Self::served_at(gateway.target(&Uri::from_static(PATH)), fetch)
    }

    /// The same, at another URL: where the gateway is reached from inside, for example.
    #[must_use]
    pub fn served_at(url: Uri, fetch: impl Fetch) -> Self {
        let fetch = Arc::new(fetch);
        let ask = move |request| -> Answer {
            let fetch = fetch.clone();
            Box::pin(async move { fetch.fetch(request).await })
        };
        Self(Kind::Asked(Asked {
            url,
            ask: Box::new(ask),
            kept: Mutex::default(),
            asking: async_lock::Mutex::new(()),
        }))
    }

    /// The key that is called so.
    ///
    /// # Errors
    /// `keys_unavailable`: the gateway was asked and did not answer, and what was had is too old.
    pub(super) async fn find(&self, kid: &str, now: Timestamp) -> Result<Option<JwtKey>, Denial> {
        match &self.0 {
            Kind::Told(keys) => Ok(keys.get(kid).cloned()),
            Kind::Asked(asked) => asked.find(kid, now).await,
        }
    }
}

/// Where they come from, alone.
impl fmt::Debug for AssertionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Told(keys) => write!(f, "AssertionKeys({})", keys.len()),
            Kind::Asked(asked) => write!(f, "AssertionKeys({})", asked.url),
        }
    }
}

impl Asked {
    async fn find(&self, kid: &str, now: Timestamp) -> Result<Option<JwtKey>, Denial> {
        if self.kept().is_due(kid, now) {
            let known = self.kept().usable(now).is_some_and(|keys| keys.contains_key(kid));
            // The old key will do while somebody else asks.
            let asking = if known { self.asking.try_lock() } else { Some(self.asking.lock().await) };
            // Whoever asked meanwhile may have had the answer.
            if asking.is_some() && self.kept().is_due(kid, now) {
                self.refresh(now).await;
            }
        }
        let kept = self.kept();
        match kept.usable(now) {
            Some(keys) => Ok(keys.get(kid).cloned()),
            None => Err(Denial::new(Code::KeysUnavailable, format!("{}: {}", self.url, kept.failed))),
        }
    }

    async fn refresh(&self, now: Timestamp) {
        let request = FetchRequest {
            method: Method::GET,
            url: self.url.clone(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            chosen_by: ChosenBy::Configuration,
            timeout: PATIENCE,
            max_bytes: LARGEST,
            repeatable: true,
        };
        let answer = match (self.ask)(request).await {
            Ok(answer) if answer.status == StatusCode::OK => {
                read(&answer.body).map_err(|error| error.to_string())
            }
            Ok(answer) => Err(format!("it answered {}", answer.status.as_u16())),
            Err(error) => Err(error.to_string()),
        };
        let mut kept = self.kept();
        kept.asked = Some(now);
        match answer {
            Ok(keys) => kept.keys = Some((now, Arc::new(keys))),
            Err(why) => kept.failed = why,
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn usable(&self, now: Timestamp) -> Option<&Keys> {
        let (had, keys) = self.keys.as_ref()?;
        (now.since(*had) < KEPT).then_some(&**keys)
    }

    /// Whether the gateway is to be asked before a token of this key is judged.
    fn is_due(&self, kid: &str, now: Timestamp) -> bool {
        if self.asked.is_some_and(|asked| now.since(asked) < PAUSE) {
            return false;
        }
        match &self.keys {
            Some((had, keys)) => now.since(*had) >= FRESH || !keys.contains_key(kid),
            None => true,
        }
    }
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

/// Keys that are none here are passed over (RFC 7517 §5).
fn read(jwks: &[u8]) -> Result<Keys, JwksError> {
    let set: KeySet = serde_json::from_slice(jwks).map_err(|_| JwksError)?;
    let keys = set.keys.iter().filter_map(|jwk| {
        let kid = jwk.get("kid")?.as_str()?;
        Some((kid.to_owned(), JwtKey::from_jwk(&jwk.to_string()).ok()?))
    });
    let keys: Keys = keys.collect();
    if keys.is_empty() { Err(JwksError) } else { Ok(keys) }
}
