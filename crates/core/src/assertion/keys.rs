//! The gateway's public keys, as its upstreams have them: told once, or had from the gateway and kept.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;

use crate::crypto::jwt::JwtKey;
use crate::denial::Denial;
use crate::fetch::{ChosenBy, Fetch, FetchError, FetchRequest, FetchResponse};
use crate::public_url::PublicUrl;
use crate::remote_keys::{NoKeys, Pace, Published, RemoteKeys, ask, jwk_set, life};
use crate::time::Timestamp;

/// Where a gateway serves the keys of its assertions, and nothing else.
pub const PATH: &str = "/.well-known/jwks.json";
/// How large the gateway's answer may be, in bytes.
const LARGEST: usize = 64 * 1024;
/// Every request here is by the one gateway: a key of its own that is not known is its newest, and nobody else can
/// have it asked. Its keys serve for a day in all.
const PACE: Pace = Pace {
    longest_life: Duration::from_secs(300),
    stale: Duration::from_secs(24 * 3600 - 300),
    unknown: Duration::from_secs(5),
};

/// The keys that verify assertions.
pub struct AssertionKeys(Kind);

enum Kind {
    Told(Keys),
    Asked(Box<Asked>),
}

type Keys = HashMap<String, JwtKey>;
type Answer = Pin<Box<dyn Future<Output = Result<FetchResponse, FetchError>> + Send>>;

struct Asked {
    url: Uri,
    fetch: AnyFetch,
    keys: RemoteKeys<Keys>,
}

/// A [`Fetch`] of whatever type.
struct AnyFetch(Box<dyn Fn(FetchRequest) -> Answer + Send + Sync>);

impl Fetch for AnyFetch {
    fn fetch(&self, request: FetchRequest) -> impl Future<Output = Result<FetchResponse, FetchError>> + Send {
        (self.0)(request)
    }
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
        let fetch = move |request| -> Answer {
            let fetch = fetch.clone();
            Box::pin(async move { fetch.fetch(request).await })
        };
        let keys = RemoteKeys::new(format!("the keys at {url}"), PACE);
        Self(Kind::Asked(Box::new(Asked { url, fetch: AnyFetch(Box::new(fetch)), keys })))
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
        let knows = |keys: &Keys| keys.contains_key(kid);
        let keys = self.keys.having(knows, now, |_| self.ask()).await?;
        Ok(keys.get(kid).cloned())
    }

    async fn ask(&self) -> Result<Published<Keys>, NoKeys> {
        let answer =
            ask(&self.url, "application/json", ChosenBy::Configuration, LARGEST, &self.fetch).await?;
        let keys = read(&answer.body).map_err(|error| error.to_string())?;
        Ok(Published { keys, life: life(&answer.headers) })
    }
}

/// Keys that are none here are passed over (RFC 7517 §5).
fn read(jwks: &[u8]) -> Result<Keys, JwksError> {
    let set = jwk_set(jwks).map_err(|_| JwksError)?;
    let keys = set.iter().filter_map(|jwk| {
        let kid = jwk.get("kid")?.as_str()?;
        Some((kid.to_owned(), JwtKey::from_jwk(&jwk.to_string()).ok()?))
    });
    let keys: Keys = keys.collect();
    if keys.is_empty() { Err(JwksError) } else { Ok(keys) }
}
