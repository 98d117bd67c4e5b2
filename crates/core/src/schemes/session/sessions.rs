//! The sessions in a store: begun, found, listed, ended.

use serde::{Deserialize, Serialize};

use super::half::{Half, Halves};
use super::record::{Lifetimes, NewSession, SESSIONS, SessionRecord, decode, encode};
use crate::crypto::Random;
use crate::principal::{SessionId, UserId};
use crate::store::{Id, Space, Store, StoreError};
use crate::time::Timestamp;

/// Which sessions each user has.
pub const USER_SESSIONS: Space = Space::durable("user-sessions");

/// How many sessions one user may have; one more ends the oldest.
pub const MOST_SESSIONS: usize = 100;

const VERSION: u8 = 1;

/// The sessions of one user, oldest first: their names and where they are kept.
#[derive(Default, Serialize, Deserialize)]
struct Own(Vec<(SessionId, [u8; 32])>);

/// The sessions in a store.
#[derive(Clone)]
pub struct Sessions<S> {
    store: S,
    lifetimes: Lifetimes,
}

impl<S: Store> Sessions<S> {
    /// The sessions in `store`; new ones live as long as `lifetimes` says.
    pub const fn new(store: S, lifetimes: Lifetimes) -> Self {
        Self { store, lifetimes }
    }

    /// How long new sessions live.
    #[must_use]
    pub const fn lifetimes(&self) -> Lifetimes {
        self.lifetimes
    }

    /// Begins a session, with halves and a name that nobody has seen. It is durable when this answers; the
    /// halves are in the answer and nowhere else.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn begin(
        &self,
        new: NewSession,
        now: Timestamp,
        random: &dyn Random,
    ) -> Result<(Halves, SessionRecord), StoreError> {
        let (halves, id) = (Halves::generate(random), SessionId::generate(random));
        let record = SessionRecord::new(id, &halves, new, self.lifetimes, now);
        let place = SessionRecord::place(&halves.cookie);
        self.store.insert(SESSIONS, place, record.encode()?, Some(record.lives_until())).await?;
        let add = |own: &mut Vec<(SessionId, [u8; 32])>| {
            own.push((id, *place.as_bytes()));
            let too_many = own.len().saturating_sub(MOST_SESSIONS);
            own.drain(..too_many).collect::<Vec<_>>()
        };
        for (_, evicted) in self.change(record.user, now, add).await? {
            self.store.take_if(SESSIONS, Id::from_bytes(evicted), None).await?;
        }
        Ok((halves, record))
    }

    /// The session of a cookie half, if there is one and it has not ended at `now`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find(&self, cookie: &Half, now: Timestamp) -> Result<Option<SessionRecord>, StoreError> {
        self.read(SessionRecord::place(cookie), now).await
    }

    /// The sessions that a user of this `generation` has, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list(
        &self,
        user: UserId,
        generation: u32,
        now: Timestamp,
    ) -> Result<Vec<SessionRecord>, StoreError> {
        let mut records = Vec::new();
        for (_, place) in self.own(user).await? {
            records.extend(self.read(Id::from_bytes(place), now).await?);
        }
        records.retain(|record| record.generation == generation);
        Ok(records)
    }

    /// A user's session of this name, if it has not ended at `now`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn get(
        &self,
        user: UserId,
        id: SessionId,
        now: Timestamp,
    ) -> Result<Option<SessionRecord>, StoreError> {
        match self.own(user).await?.into_iter().find(|(own, _)| *own == id) {
            Some((_, place)) => self.read(Id::from_bytes(place), now).await,
            None => Ok(None),
        }
    }

    /// Ends the session of a cookie half. False: there was none. It is durable when this answers.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn end(&self, cookie: &Half, now: Timestamp) -> Result<bool, StoreError> {
        let Some(bytes) = self.store.take_if(SESSIONS, SessionRecord::place(cookie), None).await? else {
            return Ok(false);
        };
        let record = SessionRecord::decode(&bytes)?;
        self.change(record.user, now, |own| own.retain(|(id, _)| *id != record.id)).await?;
        Ok(true)
    }

    /// Ends a user's session by its name. False: this user has none of that name. It is durable when this
    /// answers.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn end_named(&self, user: UserId, id: SessionId, now: Timestamp) -> Result<bool, StoreError> {
        let named = self.own(user).await?.into_iter().find(|(own, _)| *own == id);
        let Some((_, place)) = named else { return Ok(false) };
        let ended = self.store.take_if(SESSIONS, Id::from_bytes(place), None).await?.is_some();
        self.change(user, now, |own| own.retain(|(own, _)| *own != id)).await?;
        Ok(ended)
    }

    /// Takes away what is kept of a user's sessions. They have ended before, with the user's generation.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sweep(&self, user: UserId, generation: u32, now: Timestamp) -> Result<(), StoreError> {
        let mut over = Vec::new();
        for (id, place) in self.own(user).await? {
            let place = Id::from_bytes(place);
            match self.read(place, now).await? {
                Some(record) if record.generation == generation => {}
                Some(_) => {
                    self.store.take_if(SESSIONS, place, None).await?;
                    over.push(id);
                }
                None => over.push(id),
            }
        }
        self.change(user, now, |own| own.retain(|(id, _)| !over.contains(id))).await
    }

    async fn read(&self, place: Id, now: Timestamp) -> Result<Option<SessionRecord>, StoreError> {
        let Some(bytes) = self.store.get(SESSIONS, place).await? else { return Ok(None) };
        Ok(Some(SessionRecord::decode(&bytes)?).filter(|record| now < record.lives_until()))
    }

    async fn own(&self, user: UserId) -> Result<Vec<(SessionId, [u8; 32])>, StoreError> {
        match self.store.get(USER_SESSIONS, own_place(user)).await? {
            Some(bytes) => decode(VERSION, &bytes, "a list of sessions").map(|Own(own)| own),
            None => Ok(Vec::new()),
        }
    }

    /// Changes the list of a user's sessions. It is kept as long as the latest of them may live.
    async fn change<T>(
        &self,
        user: UserId,
        now: Timestamp,
        change: impl Fn(&mut Vec<(SessionId, [u8; 32])>) -> T + Send,
    ) -> Result<T, StoreError> {
        let (place, until) = (own_place(user), Some(now.plus(self.lifetimes.absolute)));
        loop {
            let old = self.store.get(USER_SESSIONS, place).await?;
            let Own(mut own) = match &old {
                Some(bytes) => decode(VERSION, bytes, "a list of sessions")?,
                None => Own::default(),
            };
            let result = change(&mut own);
            let new = encode(VERSION, &Own(own))?;
            let written = match old {
                Some(old) => self.store.replace(USER_SESSIONS, place, old, new, until).await?,
                None => self.store.insert(USER_SESSIONS, place, new, until).await?,
            };
            if written {
                return Ok(result);
            }
        }
    }
}

fn own_place(user: UserId) -> Id {
    Id::of(&[b"user-sessions", user.as_bytes()])
}
