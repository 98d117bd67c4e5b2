//! Where an issuer's keys come from, and how they are remembered: asked for when they are needed, again
//! when they are old or a token names one that is not there, and no more often than that.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::Uri;

use super::discovery;
use super::in_process::OwnIssuer;
use super::key_set::{Found, KeySet};
use crate::crypto::jwt::{JwtAlgorithm, JwtKey};
use crate::denial::{Code, Denial};
use crate::fetch::Fetch;
use crate::request::{Purpose, RequestView};
use crate::time::Timestamp;

/// How long keys that are no longer fresh still serve, while there are no newer ones.
pub const KEPT: Duration = Duration::from_secs(24 * 3600);
/// How long an issuer is left in peace after an attempt that failed.
const PAUSE: Duration = Duration::from_secs(10);
/// How long an issuer is left in peace about keys that it does not list.
const UNKNOWN: Duration = Duration::from_secs(30);

/// Where the keys of an issuer come from.
#[derive(Clone)]
pub enum KeySource {
    /// From where its metadata says.
    Discovered,
    /// From this URL, which the operator wrote.
    At(Uri),
    /// These, read once: from a file, or a shared secret.
    Fixed(Arc<KeySet>),
    /// From the issuer in this very process: nobody is dialled.
    InProcess(Arc<dyn OwnIssuer>),
}

/// The keys of one issuer, as they were last had.
pub(super) struct IssuerKeys {
    issuer: String,
    source: KeySource,
    kept: Mutex<Kept>,
    /// Held by the one request that asks. When its caller leaves, the next one in line asks.
    asking: async_lock::Mutex<()>,
}

#[derive(Default)]
struct Kept {
    keys: Option<Arc<KeySet>>,
    fresh_until: Timestamp,
    /// Where they were, by the issuer's metadata.
    found_at: Option<Uri>,
    /// When the last answer came, or did not.
    asked: Option<Timestamp>,
    /// Why the last attempt failed, if it did.
    failed: Option<String>,
}

impl IssuerKeys {
    pub(super) fn new(issuer: String, source: KeySource) -> Self {
        Self { issuer, source, kept: Mutex::default(), asking: async_lock::Mutex::new(()) }
    }

    /// Whether these are the keys of the same issuer from the same place on the network: then what is
    /// remembered of them outlives a new configuration.
    pub(super) fn is_of(&self, issuer: &str, source: &KeySource) -> bool {
        self.issuer == issuer
            && match (&self.source, source) {
                (KeySource::Discovered, KeySource::Discovered) => true,
                (KeySource::At(one), KeySource::At(other)) => one == other,
                _ => false,
            }
    }

    /// The key that a token means. The issuer is asked where what is known will not do, unless the request
    /// is only explained: one request asks at a time, the others wait, or take the key that was there before.
    ///
    /// # Errors
    /// `token_invalid` if there is no such key; `keys_unavailable` if nobody can know.
    pub(super) async fn find(
        &self,
        kid: Option<&str>,
        algorithm: JwtAlgorithm,
        request: &RequestView<'_>,
        fetch: &impl Fetch,
    ) -> Result<Arc<JwtKey>, Denial> {
        let now = request.received_at;
        let own;
        let fixed = match &self.source {
            KeySource::Fixed(keys) => Some(keys),
            KeySource::InProcess(issuer) => {
                own = issuer.keys(now).await?;
                Some(&own)
            }
            KeySource::Discovered | KeySource::At(_) => None,
        };
        if let Some(keys) = fixed {
            return self.only(keys.find(kid, algorithm));
        }
        if algorithm == JwtAlgorithm::Hs256 {
            // Published keys are no secrets: nobody need be asked.
            return Err(invalid(format!("{} shares no secret with us", self.issuer)));
        }
        if let Some(key) = self.kept().fresh(kid, algorithm, now) {
            return Ok(key);
        }
        if self.kept().is_due(kid, algorithm, now) {
            if request.purpose == Purpose::Explain {
                let cause = format!("{} would be asked for its keys; explain asks nobody", self.issuer);
                let known = self.kept().usable(now).map(|keys| keys.find(kid, algorithm));
                return match known {
                    Some(Found::Key(key)) => Ok(key),
                    _ => Err(unavailable(cause, Duration::ZERO)),
                };
            }
            self.refresh(kid, algorithm, now, fetch).await;
        }
        let (found, failed, next) = {
            let kept = self.kept();
            let found = kept.usable(now).map(|keys| keys.find(kid, algorithm));
            (found, kept.failed.clone(), kept.next_attempt(kid, algorithm, now))
        };
        match (found, failed) {
            // A key that is not known may be one of a set that could not be had.
            (None | Some(Found::Nothing), Some(why)) => Err(unavailable(why, next.since(now))),
            (Some(found), _) => self.only(found),
            (None, None) => Err(unavailable(format!("the keys of {} are out of date", self.issuer), PAUSE)),
        }
    }

    /// Whether its issuer took a token back before its time: known of an issuer in this process alone.
    ///
    /// # Errors
    /// `token_invalid` if it was; `store_unavailable` if nobody can know.
    pub(super) async fn check_revoked(&self, jti: Option<&str>) -> Result<(), Denial> {
        let (KeySource::InProcess(issuer), Some(jti)) = (&self.source, jti) else { return Ok(()) };
        if issuer.is_revoked(jti).await? {
            return Err(invalid(format!("{} revoked it", self.issuer)));
        }
        Ok(())
    }

    fn only(&self, found: Found) -> Result<Arc<JwtKey>, Denial> {
        let why = match found {
            Found::Key(key) => return Ok(key),
            Found::OtherAlgorithm => "the key is of another algorithm than the token says",
            Found::Several => "several keys fit, and the token does not say which",
            Found::Nothing => "it lists no such key",
        };
        Err(invalid(format!("{}: {why}", self.issuer)))
    }

    async fn refresh(&self, kid: Option<&str>, algorithm: JwtAlgorithm, now: Timestamp, fetch: &impl Fetch) {
        let known = self.kept().usable(now).is_some_and(|keys| knows(keys, kid, algorithm));
        let _asking = if known {
            // The old key will do while somebody else asks.
            let Some(asking) = self.asking.try_lock() else { return };
            asking
        } else {
            self.asking.lock().await
        };
        // Whoever asked meanwhile may have had the answer.
        let known_place = {
            let kept = self.kept();
            if !kept.is_due(kid, algorithm, now) {
                return;
            }
            // Keys that are old, or that could not be had, may have moved.
            kept.found_at.clone().filter(|_| kept.failed.is_none() && now < kept.fresh_until)
        };
        let answer = self.ask(known_place, fetch).await;
        let mut kept = self.kept();
        kept.asked = Some(now);
        match answer {
            Ok((place, keys, life)) => {
                kept.keys = Some(Arc::new(keys));
                kept.fresh_until = now.plus(life);
                kept.found_at = Some(place);
                kept.failed = None;
            }
            Err(why) => kept.failed = Some(format!("the keys of {} cannot be had: {why}", self.issuer)),
        }
    }

    async fn ask(
        &self,
        known_place: Option<Uri>,
        fetch: &impl Fetch,
    ) -> Result<(Uri, KeySet, Duration), String> {
        let (place, by_operator) = match (&self.source, known_place) {
            (KeySource::At(place), _) => (place.clone(), true),
            (_, Some(place)) => (place, false),
            (_, None) => (discovery::discover(&self.issuer, fetch).await?, false),
        };
        let (keys, life) = discovery::keys(&place, &self.issuer, by_operator, fetch).await?;
        Ok((place, keys, life))
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// The keys, unless they are too old for anything.
    fn usable(&self, now: Timestamp) -> Option<&Arc<KeySet>> {
        self.keys.as_ref().filter(|_| now < self.fresh_until.plus(KEPT))
    }

    /// The key, while its set is fresh: nearly every request.
    fn fresh(&self, kid: Option<&str>, algorithm: JwtAlgorithm, now: Timestamp) -> Option<Arc<JwtKey>> {
        match self.keys.as_ref().filter(|_| now < self.fresh_until)?.find(kid, algorithm) {
            Found::Key(key) => Some(key),
            _ => None,
        }
    }

    /// Whether the issuer is to be asked before a token is judged.
    fn is_due(&self, kid: Option<&str>, algorithm: JwtAlgorithm, now: Timestamp) -> bool {
        now >= self.next_attempt(kid, algorithm, now)
    }

    /// When the issuer may be asked.
    fn next_attempt(&self, kid: Option<&str>, algorithm: JwtAlgorithm, now: Timestamp) -> Timestamp {
        let Some(asked) = self.asked else { return Timestamp::default() };
        let paused = if self.failed.is_some() { asked.plus(PAUSE) } else { Timestamp::default() };
        match self.usable(now) {
            Some(keys) if knows(keys, kid, algorithm) => self.fresh_until.max(paused),
            Some(_) => asked.plus(UNKNOWN),
            None => paused,
        }
    }
}

/// Whether asking again could not tell more about a key: another algorithm stays another.
fn knows(keys: &KeySet, kid: Option<&str>, algorithm: JwtAlgorithm) -> bool {
    !matches!(keys.find(kid, algorithm), Found::Nothing)
}

fn invalid(cause: String) -> Denial {
    Denial::new(Code::TokenInvalid, cause)
}

fn unavailable(cause: String, wait: Duration) -> Denial {
    Denial::new(Code::KeysUnavailable, cause).retry_after(wait.max(Duration::from_secs(1)))
}
