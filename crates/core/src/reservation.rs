//! Single use in two phases: reserved before the request goes on, settled when the upstream has answered.
//!
//! A reservation is durable and carries the digest of the body, so that a crash in between opens the use
//! again for that same body alone. It lasts longer than the upstream may take; what nobody settles until
//! then counts as a delivery that failed.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::crypto::Digest;
use crate::denial::{Code, Denial};
use crate::store::{Id, Space, Store, StoreError};
use crate::time::Timestamp;

/// How often one body may be tried.
pub const ATTEMPTS: u8 = 5;
/// A caller that meets another at work is told to wait no longer than this; the other is nearly always done.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// One use of something that may be used `uses` times.
#[derive(Clone, Debug)]
pub struct Use {
    /// A durable space.
    pub space: Space,
    /// What is used.
    pub id: Id,
    /// Its name, which the upstream gets as `Idempotency-Key`: it may see one delivery twice.
    pub name: String,
    /// How often it may be used.
    pub uses: u32,
    /// Until when it could be used, and so is remembered.
    pub until: Timestamp,
    /// How long a delivery may take.
    pub lease: Duration,
    /// Counts as used from the start: at most one delivery, even if that gets lost.
    pub strict: bool,
}

/// What is known of something that is used so often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    /// It was taken back.
    Revoked,
    /// Used `used` times, and nothing is in progress.
    Idle { used: u32 },
    /// A delivery is in progress until `leased_until`, or failed before: then open for this body alone.
    Tried { used: u32, digest: Digest, attempts: u8, leased_until: Timestamp },
}

/// The version of the stored form.
const VERSION: u8 = 1;

impl State {
    fn encode(&self) -> Bytes {
        // Serialising plain numbers cannot fail; should it ever, the entry is one that nobody can read.
        let mut bytes = vec![VERSION];
        bytes.extend(postcard::to_stdvec(self).unwrap_or_default());
        bytes.into()
    }

    fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let corrupt = || StoreError::Corrupt("a use of another version".to_owned());
        match bytes {
            [VERSION, rest @ ..] => postcard::from_bytes(rest).map_err(|_| corrupt()),
            _ => Err(corrupt()),
        }
    }
}

impl Use {
    /// Whether it could be used with some body at `now`; nothing is reserved.
    ///
    /// # Errors
    /// `callback_revoked`, `callback_consumed`, `callback_in_use`; the store's.
    pub async fn look<S: Store>(&self, store: &S, now: Timestamp) -> Result<(), Denial> {
        self.look_at(store, None, now).await
    }

    /// The same, with the body of this digest.
    ///
    /// # Errors
    /// As [`Use::look`].
    pub(crate) async fn look_with<S: Store>(
        &self,
        store: &S,
        digest: Digest,
        now: Timestamp,
    ) -> Result<(), Denial> {
        self.look_at(store, Some(digest), now).await
    }

    async fn look_at<S: Store>(
        &self,
        store: &S,
        digest: Option<Digest>,
        now: Timestamp,
    ) -> Result<(), Denial> {
        let Some(bytes) = store.get(self.space, self.id).await? else { return Ok(()) };
        self.next(Some(&State::decode(&bytes)?), digest, now).map(drop)
    }

    /// Reserves a use for the body with this digest.
    ///
    /// # Errors
    /// `callback_revoked`, `callback_consumed`, `callback_in_use` with the time after which to come back;
    /// the store's.
    pub(crate) async fn reserve<S: Store>(
        self,
        store: &S,
        digest: Digest,
        now: Timestamp,
    ) -> Result<Reservation, Denial> {
        loop {
            let before = store.get(self.space, self.id).await?;
            let state = before.as_deref().map(State::decode).transpose()?;
            let next = self.next(state.as_ref(), Some(digest), now)?;
            let written = next.encode();
            let won = match before {
                None => store.insert(self.space, self.id, written.clone(), Some(self.until)).await?,
                Some(before) => {
                    store.replace(self.space, self.id, before, written.clone(), Some(self.until)).await?
                }
            };
            if won {
                return Ok(Reservation { one: self, state: next, written });
            }
        }
    }

    /// The state that one more delivery makes of `state`.
    fn next(&self, state: Option<&State>, digest: Option<Digest>, now: Timestamp) -> Result<State, Denial> {
        let consumed = |cause: String| Err(Denial::new(Code::CallbackConsumed, cause));
        let (used, attempts) = match state {
            None => (0, 0),
            Some(State::Revoked) => {
                return Err(Denial::new(Code::CallbackRevoked, format!("{} has been revoked", self.name)));
            }
            Some(State::Idle { used }) => (*used, 0),
            Some(State::Tried { leased_until, .. }) if now < *leased_until => {
                let wait = leased_until.since(now).min(LONGEST_WAIT);
                let cause = format!("a delivery of {} is in progress", self.name);
                return Err(Denial::new(Code::CallbackInUse, cause).retry_after(wait));
            }
            Some(State::Tried { digest: tried, .. }) if digest.is_some_and(|digest| digest != *tried) => {
                return consumed(format!("{} was tried with another body", self.name));
            }
            Some(State::Tried { attempts: ATTEMPTS.., .. }) => {
                return consumed(format!("{} was tried {ATTEMPTS} times", self.name));
            }
            Some(State::Tried { used, attempts, .. }) => (*used, *attempts),
        };
        if used >= self.uses {
            return consumed(format!("{} has been used {used} times", self.name));
        }
        Ok(match self.strict {
            true => State::Idle { used: used + 1 },
            false => State::Tried {
                used,
                digest: digest.unwrap_or_default(),
                attempts: attempts + 1,
                leased_until: now.plus(self.lease),
            },
        })
    }

    /// Takes something back for good, whatever is known of it: what is in progress may still arrive, and
    /// nothing after it. `true`: this very call did it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn revoke<S: Store>(
        store: &S,
        space: Space,
        id: Id,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        let revoked = State::Revoked.encode();
        loop {
            let done = match store.get(space, id).await? {
                None => store.insert(space, id, revoked.clone(), Some(until)).await?,
                Some(before) if before == revoked => return Ok(false),
                Some(before) => store.replace(space, id, before, revoked.clone(), Some(until)).await?,
            };
            if done {
                return Ok(true);
            }
        }
    }
}

/// What became of a request that was forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The upstream took it: the use is consumed.
    Taken,
    /// The upstream wants nothing of it (4xx): the use is as if it had not been tried.
    Declined,
    /// Nobody knows what the upstream did: open for the same body.
    Uncertain,
    /// Nothing of it was sent: the use is as it was before this delivery. A strict one stays consumed.
    NotSent,
}

impl Delivery {
    /// What a response says.
    #[must_use]
    pub fn of(status: StatusCode) -> Self {
        match status.as_u16() {
            400..=499 => Self::Declined,
            500.. => Self::Uncertain,
            _ => Self::Taken,
        }
    }
}

/// A use that is reserved.
#[derive(Clone, Debug)]
pub(crate) struct Reservation {
    one: Use,
    state: State,
    written: Bytes,
}

impl Reservation {
    /// The `Idempotency-Key` of the delivery.
    pub(crate) fn idempotency_key(&self) -> &str {
        &self.one.name
    }

    /// Makes what came of it durable. Where it was revoked meanwhile, or its time was over and another
    /// delivery began, theirs stands.
    pub(crate) async fn settle<S: Store>(self, store: &S, delivery: Delivery) -> Result<(), StoreError> {
        let Self { one, state, written } = self;
        let State::Tried { used, digest, attempts, .. } = state else { return Ok(()) };
        let tried = |attempts| State::Tried { used, digest, attempts, leased_until: Timestamp::default() };
        let after = match delivery {
            Delivery::Taken => State::Idle { used: used + 1 },
            Delivery::Declined => State::Idle { used },
            Delivery::Uncertain => tried(attempts),
            // Without an earlier attempt, no upstream has seen any body: none is bound.
            Delivery::NotSent if attempts == 1 => State::Idle { used },
            Delivery::NotSent => tried(attempts - 1),
        };
        store.replace(one.space, one.id, written, after.encode(), Some(one.until)).await.map(drop)
    }
}

#[cfg(test)]
mod tests;
