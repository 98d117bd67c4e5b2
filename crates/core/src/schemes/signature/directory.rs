//! The key directories of web bots (draft-meunier-http-message-signatures-directory): asked for at listed
//! agents alone, remembered, and asked for again no more often than they need be.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue, Method, Uri};

use super::agent_key::{AgentKey, Keys};
use super::jwks::{self, MEDIA_TYPE};
use crate::denial::{Code, Denial};
use crate::fetch::{ChosenBy, Fetch, FetchRequest};
use crate::public_url::PublicUrl;
use crate::request::{Purpose, RequestView};
use crate::time::{SKEW, Timestamp};

/// Where an agent's directory is.
const PATH: &str = "/.well-known/http-message-signatures-directory";
/// How long an agent may take to answer, from the look-up of its name to the last byte.
const PATIENCE: Duration = Duration::from_secs(2);
/// How large a directory may be, in bytes.
const LARGEST: usize = 64 * 1024;
/// How long a directory that is no longer fresh still serves, while there is no newer one.
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// How long an agent is left in peace after an attempt that failed.
const PAUSE: Duration = Duration::from_secs(10);
/// How long an agent is left in peace about keys that it has not listed.
const UNKNOWN: Duration = Duration::from_secs(60);

/// Which agents are listed, and their directories as they were last had.
#[derive(Default)]
pub struct Directories {
    by_origin: BTreeMap<String, Arc<Directory>>,
}

struct Directory {
    origin: String,
    url: Uri,
    kept: Mutex<Kept>,
    /// Held by the one request that asks. When its caller leaves, the next one in line asks.
    asking: async_lock::Mutex<()>,
}

/// What is known of a directory at some moment.
#[derive(Clone, Default)]
struct Kept {
    keys: Option<Arc<Keys>>,
    fresh_until: Timestamp,
    /// When the last answer came, or did not.
    asked: Option<Timestamp>,
    /// Why the last attempt failed, if it did.
    failed: Option<String>,
}

impl Directories {
    /// The directories of these agents; what `before` remembers of the same ones is kept.
    #[must_use]
    pub fn new<'a>(agents: impl IntoIterator<Item = &'a PublicUrl>, before: Option<&Self>) -> Self {
        let directory = |agent: &PublicUrl| {
            let origin = agent.to_string();
            let known = before.and_then(|before| before.by_origin.get(&origin)).cloned();
            (origin.clone(), known.unwrap_or_else(|| Arc::new(Directory::new(origin))))
        };
        Self { by_origin: agents.into_iter().map(directory).collect() }
    }

    /// The key that `keyid` names in the directory of the agent at `origin`, which is asked where what is
    /// known will not do, unless the request is only explained. One request asks at a time; the others
    /// wait, or take the key that was there before.
    ///
    /// # Errors
    /// `signature_invalid` if the agent is not listed, or lists no such key, or the key has ended or not
    /// begun; `keys_unavailable` if the directory cannot be had, with the time of the next attempt.
    pub async fn find(
        &self,
        origin: &str,
        keyid: &str,
        request: &RequestView<'_>,
        fetch: &impl Fetch,
    ) -> Result<AgentKey, Denial> {
        let directory = self.by_origin.get(origin);
        let unlisted = || invalid(format!("{origin} is not among signature.web_bot_auth"));
        let directory = directory.ok_or_else(unlisted)?;
        let now = request.received_at;
        if directory.kept().is_due(keyid, now) {
            if request.purpose == Purpose::Explain {
                return directory.kept().unasked(origin, keyid, now);
            }
            directory.refresh(keyid, now, fetch).await;
        }
        directory.kept().key(origin, keyid, now)
    }

    /// Whether the directory of the agent at `origin`, as it was last had, lists this key at `now`.
    #[must_use]
    pub fn still_lists(&self, origin: &str, keyid: &str, now: Timestamp) -> bool {
        let directory = self.by_origin.get(origin);
        directory.is_some_and(|directory| directory.kept().key(origin, keyid, now).is_ok())
    }
}

impl Directory {
    fn new(origin: String) -> Self {
        // An origin and a path that is one make a URL.
        let url = format!("{origin}{PATH}").parse().unwrap_or_default();
        Self { origin, url, kept: Mutex::default(), asking: async_lock::Mutex::new(()) }
    }

    async fn refresh(&self, keyid: &str, now: Timestamp, fetch: &impl Fetch) {
        let _asking = if self.kept().usable(now).is_some_and(|keys| keys.contains_key(keyid)) {
            // The old key will do while somebody else asks.
            let Some(asking) = self.asking.try_lock() else { return };
            asking
        } else {
            self.asking.lock().await
        };
        // Whoever asked meanwhile may have had the answer.
        if !self.kept().is_due(keyid, now) {
            return;
        }
        let answer = match fetch.fetch(self.question()).await {
            Ok(response) => jwks::read(&response),
            Err(error) => Err(error.to_string()),
        };
        let mut kept = self.kept();
        kept.asked = Some(now);
        match answer {
            Ok((keys, life)) => {
                kept.keys = Some(Arc::new(keys));
                kept.fresh_until = now.plus(life);
                kept.failed = None;
            }
            Err(why) => kept.failed = Some(format!("the directory of {} cannot be had: {why}", self.origin)),
        }
    }

    fn question(&self) -> FetchRequest {
        FetchRequest {
            method: Method::GET,
            url: self.url.clone(),
            headers: HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(MEDIA_TYPE))]),
            body: Bytes::new(),
            // The operator listed this very origin.
            chosen_by: ChosenBy::Configuration,
            timeout: PATIENCE,
            max_bytes: LARGEST,
            repeatable: true,
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// The keys, unless they are too old for anything.
    fn usable(&self, now: Timestamp) -> Option<&Arc<Keys>> {
        self.keys.as_ref().filter(|_| now < self.fresh_until.plus(KEPT))
    }

    /// Whether the agent is to be asked before a request with this `keyid` is judged.
    fn is_due(&self, keyid: &str, now: Timestamp) -> bool {
        now >= self.next_attempt(keyid, now)
    }

    /// When the agent may be asked about this `keyid`.
    fn next_attempt(&self, keyid: &str, now: Timestamp) -> Timestamp {
        let Some(asked) = self.asked else { return Timestamp::default() };
        let paused = if self.failed.is_some() { asked.plus(PAUSE) } else { Timestamp::default() };
        match self.usable(now) {
            Some(keys) if keys.contains_key(keyid) => self.fresh_until.max(paused),
            Some(_) => asked.plus(UNKNOWN),
            None => paused,
        }
    }

    fn key(&self, origin: &str, keyid: &str, now: Timestamp) -> Result<AgentKey, Denial> {
        let found = self.usable(now).map(|keys| keys.get(keyid));
        if let Some(Some(found)) = found {
            return found.at(now);
        }
        let Some(why) = &self.failed else {
            return Err(match found {
                Some(_) => invalid(format!("no key in the directory of {origin} has that thumbprint")),
                None => unavailable(format!("the directory of {origin} is out of date"), PAUSE),
            });
        };
        // A key that is not known may be one of a directory that could not be had.
        Err(unavailable(why.clone(), self.next_attempt(keyid, now).since(now)))
    }

    /// What can be said of a key without asking anybody.
    fn unasked(&self, origin: &str, keyid: &str, now: Timestamp) -> Result<AgentKey, Denial> {
        match self.usable(now).and_then(|keys| keys.get(keyid)) {
            Some(found) => found.at(now),
            None => {
                let cause = format!("the directory of {origin} would be asked for; explain asks nobody");
                Err(unavailable(cause, Duration::ZERO))
            }
        }
    }
}

impl AgentKey {
    fn at(&self, now: Timestamp) -> Result<Self, Denial> {
        if let Some(expires) = self.expires.filter(|expires| *expires <= now) {
            return Err(invalid(format!("its directory says that the key ended at {expires}")));
        }
        if let Some(begins) = self.begins.filter(|begins| *begins > now.plus(SKEW)) {
            return Err(invalid(format!("its directory says that the key begins at {begins}")));
        }
        Ok(self.clone())
    }
}

fn invalid(cause: String) -> Denial {
    Denial::new(Code::SignatureInvalid, cause)
}

fn unavailable(cause: String, wait: Duration) -> Denial {
    Denial::new(Code::KeysUnavailable, cause).retry_after(wait.max(Duration::from_secs(1)))
}
