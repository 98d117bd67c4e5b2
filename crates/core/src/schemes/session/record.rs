//! What is kept of a session: hashes of its halves, never a half.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::half::{Half, Halves};
use crate::crypto::{Digest, equal, hash_parts};
use crate::principal::{SessionId, UserId};
use crate::store::{Id, Space, StoreError};
use crate::time::Timestamp;

/// Where sessions are kept. Ending one is durable before it is acknowledged.
pub const SESSIONS: Space = Space::durable("sessions");

/// How often it is written down that a session is in use.
const SEEN_EVERY: Duration = Duration::from_secs(60);

/// The longest label, in characters.
const LABEL: usize = 200;

/// How long sessions live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// How long one lives unused. Use is written down once a minute, so one may end that much earlier.
    pub idle: Duration,
    /// How long one lives at all.
    pub absolute: Duration,
}

/// A day unused; thirty days at all, as NIST SP 800-63B says of assurance level 1.
impl Default for Lifetimes {
    fn default() -> Self {
        let day = Duration::from_secs(86_400);
        Self { idle: day, absolute: 30 * day }
    }
}

/// What a session begins with.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// Whose it is.
    pub user: UserId,
    /// The user's generation, as it was when the password was judged.
    pub generation: u32,
    /// The RFC 7638 thumbprint of the only key that may use it, if it is bound to one.
    pub bound: Option<Box<str>>,
    /// What the browser calls itself (`User-Agent`).
    pub agent: Option<String>,
}

/// What is kept of a session. Where it is kept is a hash of the cookie half.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRecord {
    /// Its name, by which it is listed and ended.
    pub id: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// The user's generation when it began. When the user's moves on, all sessions before it have ended.
    pub generation: u32,
    /// A hash of the token half.
    token_digest: Digest,
    /// When it began.
    pub created: Timestamp,
    /// When it was last used, to the minute.
    pub seen: Timestamp,
    /// When it ends whatever happens.
    pub ends: Timestamp,
    /// How long it lives unused.
    idle: Duration,
    /// The thumbprint of the only key that may use it, if it is bound to one.
    pub bound: Option<Box<str>>,
    /// What the browser called itself: its own words, to be escaped where they are shown.
    pub label: Option<String>,
}

impl SessionRecord {
    const VERSION: u8 = 1;

    /// The record of a session that begins at `now`.
    #[must_use]
    pub fn new(
        id: SessionId,
        halves: &Halves,
        new: NewSession,
        lifetimes: Lifetimes,
        now: Timestamp,
    ) -> Self {
        let NewSession { user, generation, bound, agent } = new;
        let clean = |agent: String| agent.chars().filter(|c| !c.is_control()).take(LABEL).collect::<String>();
        Self {
            id,
            user,
            generation,
            token_digest: token_digest(&halves.token),
            created: now,
            seen: now,
            ends: now.plus(lifetimes.absolute),
            idle: lifetimes.idle,
            bound,
            label: agent.map(clean).filter(|label| !label.is_empty()),
        }
    }

    /// Where the session of this cookie half is kept.
    #[must_use]
    pub fn place(cookie: &Half) -> Id {
        Id::of(&[b"countersign/session/cookie-half/1", cookie.expose()])
    }

    /// Whether this is the session's token half, in a time that says nothing of how much of it fits.
    #[must_use]
    pub fn is_token(&self, token: &Half) -> bool {
        equal(&token_digest(token), &self.token_digest)
    }

    /// When it ends if it is not used any more.
    #[must_use]
    pub fn lives_until(&self) -> Timestamp {
        self.seen.plus(self.idle).min(self.ends)
    }

    /// Whether it is worth writing down that it is used at `now`.
    #[must_use]
    pub fn is_stale(&self, now: Timestamp) -> bool {
        now.since(self.seen) >= SEEN_EVERY
    }

    /// The bytes that are kept: a version byte, then postcard.
    ///
    /// # Errors
    /// None in practice; postcard fails only for types that this is not.
    pub fn encode(&self) -> Result<Bytes, StoreError> {
        encode(Self::VERSION, self)
    }

    /// Reads what [`SessionRecord::encode`] writes.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] for another version or broken bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        decode(Self::VERSION, bytes, "a session record")
    }
}

/// The hash of a token half: of another purpose than the cookie's, so that none is ever the other's.
/// One hash of 256 random bits is enough: there is nothing to guess.
fn token_digest(token: &Half) -> Digest {
    hash_parts(&[b"countersign/session/token-half/1", token.expose()])
}

/// A version byte, then postcard.
pub(super) fn encode<T: Serialize>(version: u8, value: &T) -> Result<Bytes, StoreError> {
    let bytes = postcard::to_extend(value, vec![version]);
    bytes.map(Bytes::from).map_err(|error| StoreError::Corrupt(error.to_string()))
}

/// Reads what [`encode`] writes, to its last byte.
pub(super) fn decode<'a, T: Deserialize<'a>>(
    version: u8,
    bytes: &'a [u8],
    what: &'static str,
) -> Result<T, StoreError> {
    let corrupt = || StoreError::Corrupt(format!("{what} of another version"));
    match bytes.split_first() {
        Some((first, rest)) if *first == version => match postcard::take_from_bytes(rest) {
            Ok((value, [])) => Ok(value),
            _ => Err(corrupt()),
        },
        _ => Err(corrupt()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SystemRandom;

    fn record(agent: Option<&str>) -> (Halves, SessionRecord) {
        let halves = Halves::generate(&SystemRandom);
        let new = NewSession {
            user: UserId::generate(&SystemRandom),
            generation: 3,
            bound: Some("thumbprint".into()),
            agent: agent.map(str::to_owned),
        };
        let (id, now) = (SessionId::generate(&SystemRandom), Timestamp::from_secs(1_000));
        let lifetimes = Lifetimes { idle: Duration::from_secs(600), absolute: Duration::from_secs(1_000) };
        let record = SessionRecord::new(id, &halves, new, lifetimes, now);
        (halves, record)
    }

    #[test]
    fn a_record_is_read_back_and_holds_no_half() {
        let (halves, record) = record(Some("Browser/1"));
        let bytes = record.encode().unwrap();
        assert_eq!(SessionRecord::decode(&bytes).unwrap(), record);
        for half in [&halves.cookie, &halves.token] {
            assert!(!bytes.windows(32).any(|window| window == half.expose()));
        }
        assert!(SessionRecord::decode(&bytes[..20]).is_err());
        assert!(SessionRecord::decode(&[&bytes[..], b"\0"].concat()).is_err());
        assert!(SessionRecord::decode(&[&b"\x02"[..], &bytes[1..]].concat()).is_err());
    }

    #[test]
    fn a_session_ends_unused_or_at_its_end() {
        let (_, mut record) = record(None);
        assert_eq!(record.lives_until(), Timestamp::from_secs(1_600));
        assert!(
            !record.is_stale(Timestamp::from_millis(1_059_999))
                && record.is_stale(Timestamp::from_secs(1_060))
        );
        record.seen = Timestamp::from_secs(1_900);
        assert_eq!(record.lives_until(), Timestamp::from_secs(2_000));
    }

    #[test]
    fn a_label_is_bounded_and_has_no_control_characters() {
        let label = |agent: &str| record(Some(agent)).1.label;
        assert_eq!(label("a\x1b[31m\nb").as_deref(), Some("a[31mb"));
        assert_eq!(label(&"é".repeat(500)).map(|label| label.chars().count()), Some(200));
        assert_eq!(label("\n"), None);
    }

    #[test]
    fn a_half_in_the_other_place_is_another() {
        let half = Half::generate(&SystemRandom);
        assert_ne!(SessionRecord::place(&half).as_bytes(), &token_digest(&half));
    }
}
