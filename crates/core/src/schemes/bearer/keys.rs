//! Where an issuer's keys come from, and how they are remembered: asked for when they are needed, again
//! when they are old or a token names one that is not there, and no more often than that.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::Uri;

use super::discovery;
use super::in_process::OwnIssuer;
use super::key_set::{Candidates, KeySet};
use crate::crypto::jwt::JwtAlgorithm;
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

    /// The keys that a token may mean. The issuer is asked where what is known will not do, unless the request
    /// is only explained: one request asks at a time, the others wait, or take the keys that were there before.
    ///
    /// # Errors
    /// `token_invalid` if there are no such keys; `keys_unavailable` if nobody can know.
    pub(super) async fn find(
        &self,
        wanted: Wanted<'_>,
        request: &RequestView<'_>,
        fetch: &impl Fetch,
    ) -> Result<Meant, Denial> {
        let now = request.received_at;
        match &self.source {
            KeySource::Fixed(keys) => return self.only(wanted, keys),
            KeySource::InProcess(issuer) => return self.only(wanted, &issuer.keys(now).await?),
            KeySource::Discovered | KeySource::At(_) => {}
        }
        if wanted.algorithm == JwtAlgorithm::Hs256 {
            // Published keys are no secrets: nobody need be asked.
            return Err(self.invalid("it shares no secret with us"));
        }
        if let Some(meant) = self.kept().fresh(now).and_then(|keys| wanted.among(keys)) {
            return Ok(meant);
        }
        if self.kept().is_due(wanted, now) {
            if request.purpose == Purpose::Explain {
                let cause = format!("{} would be asked for its keys; explain asks nobody", self.issuer);
                let known = self.kept().usable(now).and_then(|keys| wanted.among(keys));
                return known.ok_or_else(|| unavailable(cause, Duration::ZERO));
            }
            self.refresh(wanted, now, fetch).await;
        }
        let (known, failed, next) = {
            let kept = self.kept();
            (kept.usable(now).cloned(), kept.failed.clone(), kept.next_attempt(wanted, now))
        };
        let knows = known.as_ref().is_some_and(|keys| wanted.is_known_to(keys));
        match (known, failed) {
            // A key that is not known may be one of a set that could not be had.
            (_, Some(why)) if !knows => Err(unavailable(why, next.since(now))),
            (Some(keys), _) => self.only(wanted, &keys),
            (None, _) => Err(unavailable(format!("the keys of {} are out of date", self.issuer), PAUSE)),
        }
    }

    /// Whether its issuer took a token back before its time: known of an issuer in this process alone.
    ///
    /// # Errors
    /// `token_invalid` if it was; `store_unavailable` if nobody can know.
    pub(super) async fn check_revoked(&self, jti: Option<&str>) -> Result<(), Denial> {
        let (KeySource::InProcess(issuer), Some(jti)) = (&self.source, jti) else { return Ok(()) };
        if issuer.is_revoked(jti).await? {
            return Err(self.invalid("it revoked this token"));
        }
        Ok(())
    }

    fn only(&self, wanted: Wanted<'_>, keys: &Arc<KeySet>) -> Result<Meant, Denial> {
        wanted.among(keys).ok_or_else(|| {
            let found = keys.find(wanted.kid, wanted.algorithm);
            self.invalid(&match found.is_empty() {
                true => keys.why_none(wanted.kid, wanted.algorithm),
                false => keys.why_in_vain(wanted.kid, &found),
            })
        })
    }

    fn invalid(&self, why: &str) -> Denial {
        Denial::new(Code::TokenInvalid, format!("{}: {why}", self.issuer))
    }

    async fn refresh(&self, wanted: Wanted<'_>, now: Timestamp, fetch: &impl Fetch) {
        let known = self.kept().usable(now).is_some_and(|keys| wanted.is_known_to(keys));
        let _asking = if known {
            // The old keys will do while somebody else asks.
            let Some(asking) = self.asking.try_lock() else { return };
            asking
        } else {
            self.asking.lock().await
        };
        // Whoever asked meanwhile may have had the answer.
        let known_place = {
            let kept = self.kept();
            if !kept.is_due(wanted, now) {
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

    /// The keys, while they are fresh: nearly every request.
    fn fresh(&self, now: Timestamp) -> Option<&Arc<KeySet>> {
        self.keys.as_ref().filter(|_| now < self.fresh_until)
    }

    /// Whether the issuer is to be asked before a token is judged.
    fn is_due(&self, wanted: Wanted<'_>, now: Timestamp) -> bool {
        now >= self.next_attempt(wanted, now)
    }

    /// When the issuer may be asked.
    fn next_attempt(&self, wanted: Wanted<'_>, now: Timestamp) -> Timestamp {
        let Some(asked) = self.asked else { return Timestamp::default() };
        let paused = if self.failed.is_some() { asked.plus(PAUSE) } else { Timestamp::default() };
        match self.usable(now) {
            Some(keys) if wanted.is_known_to(keys) => self.fresh_until.max(paused),
            Some(_) => asked.plus(UNKNOWN),
            None => paused,
        }
    }
}

/// What a token says of the key that signed it.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) kid: Option<&'a str>,
    pub(super) algorithm: JwtAlgorithm,
    /// The set of which no key signed it, nor has its very name: one of a newer set may.
    pub(super) in_vain: Option<&'a Arc<KeySet>>,
}

/// The keys that a token may mean, and the set that they are of.
pub(super) struct Meant {
    pub(super) keys: Candidates,
    pub(super) set: Arc<KeySet>,
}

impl Wanted<'_> {
    fn among(self, set: &Arc<KeySet>) -> Option<Meant> {
        if self.was_in_vain(set) {
            return None;
        }
        let keys = set.find(self.kid, self.algorithm);
        (!keys.is_empty()).then(|| Meant { keys, set: set.clone() })
    }

    /// Whether asking again could not tell more: another algorithm stays another.
    fn is_known_to(self, set: &Arc<KeySet>) -> bool {
        set.has(self.kid) && !self.was_in_vain(set)
    }

    fn was_in_vain(self, set: &Arc<KeySet>) -> bool {
        self.in_vain.is_some_and(|tried| Arc::ptr_eq(tried, set))
    }
}

fn unavailable(cause: String, wait: Duration) -> Denial {
    Denial::new(Code::KeysUnavailable, cause).retry_after(wait.max(Duration::from_secs(1)))
}
