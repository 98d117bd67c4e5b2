//! Key sets that others publish: asked for when they are needed, again when they are old or a key is meant that is not
//! there, and no more often than that. While nobody answers the last ones serve, for a while; then nobody can know.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use serde::Deserialize;
use serde_json::Value;

use crate::denial::{Code, Denial};
use crate::fetch::{ChosenBy, Fetch, FetchError, FetchRequest, FetchResponse};
use crate::time::Timestamp;

/// How long a publisher may take to answer one question, from the look-up of its name to the last byte.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a publisher is left in peace after an attempt that failed.
const PAUSE: Duration = Duration::from_secs(10);
/// How long keys are fresh by what their publisher says: at least, at most, and where it says nothing.
const LIFE: (Duration, Duration, Duration) =
    (Duration::from_secs(60), Duration::from_secs(24 * 3600), Duration::from_secs(3600));

/// How often a kind of publisher is asked, and how long its keys serve.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How long keys are fresh, at most, whatever their publisher says.
    pub longest_life: Duration,
    /// How long keys that are no longer fresh still serve, while there are no newer ones.
    pub stale: Duration,
    /// How long a publisher is left in peace about keys that it does not list.
    pub unknown: Duration,
}

/// What somebody published.
#[derive(Clone, Debug)]
pub struct Published<K> {
    /// The keys.
    pub keys: K,
    /// How long they are fresh, as the answer says: [`life`].
    pub life: Duration,
}

/// Why a publisher gave no keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoKeys {
    /// It was not asked, on purpose: nothing is remembered of that.
    NotAsked,
    /// In words, for the operator.
    Because(String),
}

impl NoKeys {
    /// The same, of what was asked for at `url`.
    #[must_use]
    pub fn at(self, url: &Uri) -> Self {
        match self {
            Self::NotAsked => Self::NotAsked,
            Self::Because(why) => Self::Because(format!("{url}: {why}")),
        }
    }
}

impl From<FetchError> for NoKeys {
    fn from(error: FetchError) -> Self {
        match error {
            FetchError::NotAsked => Self::NotAsked,
            error => Self::Because(error.to_string()),
        }
    }
}

impl From<String> for NoKeys {
    fn from(why: String) -> Self {
        Self::Because(why)
    }
}

impl From<&str> for NoKeys {
    fn from(why: &str) -> Self {
        Self::Because(why.to_owned())
    }
}

/// The keys of one publisher, as they were last had.
#[derive(Debug)]
pub struct RemoteKeys<K> {
    /// What they are called, as the beginning of a sentence.
    name: String,
    pace: Pace,
    kept: Mutex<Kept<K>>,
    /// Held by the one request that asks. When its caller leaves, the next one in line asks.
    asking: async_lock::Mutex<()>,
}

#[derive(Debug)]
struct Kept<K> {
    keys: Option<Arc<K>>,
    fresh_until: Timestamp,
    /// When the last answer came, or did not.
    asked: Option<Timestamp>,
    /// Why the last attempt failed, if it did.
    failed: Option<String>,
}

impl<K> RemoteKeys<K> {
    /// Nothing is known yet. The operator reads `name`: `the keys of https://login.example`.
    #[must_use]
    pub fn new(name: String, pace: Pace) -> Self {
        let kept = Kept { keys: None, fresh_until: Timestamp::default(), asked: None, failed: None };
        Self { name, pace, kept: Mutex::new(kept), asking: async_lock::Mutex::new(()) }
    }

    /// The keys, where those that are known will not do had anew by `ask`: one request asks at a time, the others wait,
    /// or take the keys that were there before. Whether the key that is meant is among them says `knows`; if it is not
    /// among those that come back, its publisher does not list it. Where nobody is asked, what is known must do.
    ///
    /// `ask` is given the keys that are still fresh: where they are is known.
    ///
    /// # Errors
    /// `keys_unavailable` if nobody can know, with the time of the next attempt.
    pub async fn having<A>(
        &self,
        knows: impl Fn(&K) -> bool,
        now: Timestamp,
        ask: impl FnOnce(Option<Arc<K>>) -> A,
    ) -> Result<Arc<K>, Denial>
    where
        A: Future<Output = Result<Published<K>, NoKeys>>,
    {
        {
            let kept = self.kept();
            if !kept.is_due(&knows, now, self.pace) {
                return self.judged(&kept, &knows, now);
            }
        }
        if self.refresh(&knows, now, ask).await {
            return self.judged(&self.kept(), &knows, now);
        }
        let known = self.usable(now).filter(|keys| knows(keys));
        let cause = || format!("{} would be asked for; explain asks nobody", self.name);
        known.ok_or_else(|| unavailable(cause(), Duration::ZERO))
    }

    fn judged(&self, kept: &Kept<K>, knows: &impl Fn(&K) -> bool, now: Timestamp) -> Result<Arc<K>, Denial> {
        match (kept.usable(now, self.pace), &kept.failed) {
            (Some(keys), _) if knows(keys) => Ok(keys.clone()),
            // A key that is not known may be one of a set that could not be had.
            (_, Some(why)) => {
                let cause = format!("{} cannot be had: {why}", self.name);
                Err(unavailable(cause, kept.next_attempt(knows, now, self.pace).since(now)))
            }
            (Some(keys), None) => Ok(keys.clone()),
            (None, None) => Err(unavailable(format!("{} are out of date", self.name), PAUSE)),
        }
    }

    /// The keys as they were last had, unless they are too old for anything.
    #[must_use]
    pub fn usable(&self, now: Timestamp) -> Option<Arc<K>> {
        self.kept().usable(now, self.pace).cloned()
    }

    /// Whether the publisher was asked, by this request or by another, or need not be.
    async fn refresh<A>(
        &self,
        knows: &impl Fn(&K) -> bool,
        now: Timestamp,
        ask: impl FnOnce(Option<Arc<K>>) -> A,
    ) -> bool
    where
        A: Future<Output = Result<Published<K>, NoKeys>>,
    {
        let _asking = if self.usable(now).is_some_and(|keys| knows(&keys)) {
            // The old keys will do while somebody else asks.
            let Some(asking) = self.asking.try_lock() else { return true };
            asking
        } else {
            self.asking.lock().await
        };
        // Whoever asked meanwhile may have had the answer.
        let fresh = {
            let kept = self.kept();
            if !kept.is_due(knows, now, self.pace) {
                return true;
            }
            // Keys that are old, or that could not be had, may have moved.
            kept.keys.clone().filter(|_| kept.failed.is_none() && now < kept.fresh_until)
        };
        let answer = ask(fresh).await;
        let mut kept = self.kept();
        match answer {
            Ok(Published { keys, life }) => {
                kept.keys = Some(Arc::new(keys));
                kept.fresh_until = now.plus(life.min(self.pace.longest_life));
                kept.failed = None;
            }
            Err(NoKeys::Because(why)) => kept.failed = Some(why),
            Err(NoKeys::NotAsked) => return false,
        }
        kept.asked = Some(now);
        true
    }

    fn kept(&self) -> MutexGuard<'_, Kept<K>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K> Kept<K> {
    fn usable(&self, now: Timestamp, pace: Pace) -> Option<&Arc<K>> {
        self.keys.as_ref().filter(|_| now < self.fresh_until.plus(pace.stale))
    }

    /// Whether the publisher is to be asked before anything is judged by what is known.
    fn is_due(&self, knows: &impl Fn(&K) -> bool, now: Timestamp, pace: Pace) -> bool {
        now >= self.next_attempt(knows, now, pace)
    }

    /// When the publisher may be asked.
    fn next_attempt(&self, knows: &impl Fn(&K) -> bool, now: Timestamp, pace: Pace) -> Timestamp {
        let Some(asked) = self.asked else { return Timestamp::default() };
        let paused = if self.failed.is_some() { asked.plus(PAUSE) } else { Timestamp::default() };
        match self.usable(now, pace) {
            Some(keys) if knows(keys) => self.fresh_until.max(paused),
            Some(_) => asked.plus(pace.unknown),
            None => paused,
        }
    }
}

/// Asks for one document of at most `largest` bytes, and takes nothing for it but a `200`.
///
/// # Errors
/// Why it cannot be had, for the operator.
pub async fn ask(
    url: &Uri,
    media_type: &'static str,
    chosen_by: ChosenBy,
    largest: usize,
    fetch: &impl Fetch,
) -> Result<FetchResponse, NoKeys> {
    let question = FetchRequest {
        method: Method::GET,
        url: url.clone(),
        headers: HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(media_type))]),
        body: Bytes::new(),
        chosen_by,
        timeout: PATIENCE,
        max_bytes: largest,
        repeatable: true,
    };
    let answer = fetch.fetch(question).await?;
    match answer.status {
        StatusCode::OK => Ok(answer),
        status => Err(format!("it answered {}", status.as_u16()).into()),
    }
}

/// How long an answer is fresh, from its `Cache-Control` (RFC 9111 §5.2.2): a minute to a day.
#[must_use]
pub fn life(headers: &HeaderMap) -> Duration {
    let (shortest, longest, usual) = LIFE;
    let lines = headers.get_all(CACHE_CONTROL).iter().filter_map(|line| line.to_str().ok());
    let mut life = usual;
    for directive in lines.flat_map(|line| line.split(',')) {
        let (name, value) = directive.trim().split_once('=').unwrap_or((directive.trim(), ""));
        match &*name.to_ascii_lowercase() {
            "no-store" | "no-cache" => return shortest,
            "max-age" => {
                let seconds = value.trim_matches('"').parse();
                life = seconds.map_or(life, Duration::from_secs);
            }
            _ => {}
        }
    }
    life.clamp(shortest, longest)
}

/// The members of a JWK set (RFC 7517 §5). Which of them are keys here is for whoever asked to say.
///
/// # Errors
/// It is no JWK set.
pub fn jwk_set(json: &[u8]) -> Result<Vec<Value>, &'static str> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<Value>,
    }
    serde_json::from_slice::<Set>(json).map(|set| set.keys).map_err(|_| "it is no JWK set")
}

fn unavailable(cause: String, wait: Duration) -> Denial {
    Denial::new(Code::KeysUnavailable, cause).retry_after(wait.max(Duration::from_secs(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_fresh_for_as_long_as_it_says_from_a_minute_to_a_day() {
        for (line, seconds) in [
            ("max-age=7200", 7200),
            ("public, Max-Age=\"120\"", 120),
            ("max-age=5", 60),
            ("max-age=31536000", 86400),
            ("max-age=18446744073709551615", 86400),
            ("no-cache, max-age=7200", 60),
            ("max-age=7200, no-store", 60),
            ("s-maxage=7200", 3600),
            ("max-age=soon", 3600),
        ] {
            let headers = HeaderMap::from_iter([(CACHE_CONTROL, line.parse().unwrap())]);
            assert_eq!(life(&headers), Duration::from_secs(seconds), "{line}");
        }
        assert_eq!(life(&HeaderMap::new()), LIFE.2);
    }
}
