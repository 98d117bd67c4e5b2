//! The people who may sign in.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::email::Email;
use super::passwords::PasswordHash;
use super::record::{decode, encode};
use crate::crypto::Random;
use crate::principal::Subject;
use crate::principal::UserId;
use crate::store::{Id, Inventory, Space, Store, StoreError};
use crate::time::Timestamp;

/// Where users are kept.
pub const USERS: Space = Space::durable("users");
/// Which user an e-mail address names.
pub const USER_EMAILS: Space = Space::durable("user-emails");

/// A page of a listing.
const PAGE: usize = 1000;
/// The longest name, in characters.
const LONGEST_NAME: usize = 200;

/// What is kept of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRecord {
    /// Who: given once, and never to another.
    pub id: UserId,
    /// What they type to sign in.
    pub email: Email,
    /// What they are called.
    pub name: String,
    /// Their password's hash, which is worth nothing without the sealing key.
    pub password: PasswordHash,
    /// When they signed up, or were added.
    pub created: Timestamp,
    /// Since when they may not sign in, if so.
    pub disabled: Option<Timestamp>,
    /// Sessions of an earlier generation have ended.
    pub generation: u32,
}

impl UserRecord {
    const VERSION: u8 = 1;

    /// The subject of their requests.
    #[must_use]
    pub fn subject(&self) -> Subject {
        Subject::User(self.id)
    }

    /// Whether a session of `generation` is still theirs.
    #[must_use]
    pub const fn lets(&self, generation: u32) -> bool {
        self.disabled.is_none() && self.generation == generation
    }

    fn place(id: UserId) -> Id {
        Id::of(&[b"user", id.as_bytes()])
    }

    fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        decode(Self::VERSION, bytes, "a user record")
    }
}

/// Whether a name may be shown: 1 to 200 characters, none of them a control character.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let few = name.chars().take(LONGEST_NAME + 1).count() <= LONGEST_NAME;
    !name.trim().is_empty() && few && !name.chars().any(char::is_control)
}

/// The users in a store.
#[derive(Clone)]
pub struct Users<S> {
    store: S,
}

impl<S: Store> Users<S> {
    /// The users in `store`.
    pub const fn new(store: S) -> Self {
        Self { store }
    }

    /// Adds a user. `None`: somebody has this address.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn add(
        &self,
        email: Email,
        name: String,
        password: PasswordHash,
        now: Timestamp,
        random: &dyn Random,
    ) -> Result<Option<UserRecord>, StoreError> {
        let id = UserId::generate(random);
        let user = UserRecord { id, email, name, password, created: now, disabled: None, generation: 0 };
        // The user first: a crash between the two leaves a user whom no address names and who can never sign
        // in, not an address that nobody can have again.
        self.store.insert(USERS, UserRecord::place(id), encode(UserRecord::VERSION, &user)?, None).await?;
        let named = Bytes::copy_from_slice(id.as_bytes());
        if self.store.insert(USER_EMAILS, user.email.place(), named, None).await? {
            return Ok(Some(user));
        }
        self.store.take_if(USERS, UserRecord::place(id), None).await?;
        Ok(None)
    }

    /// The user of this name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn get(&self, id: UserId) -> Result<Option<UserRecord>, StoreError> {
        self.read(UserRecord::place(id)).await
    }

    /// The user whom this address names. Two reads, whether or not there is one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn get_by_email(&self, email: &Email) -> Result<Option<UserRecord>, StoreError> {
        let named = self.store.get(USER_EMAILS, email.place()).await?;
        let place = named.as_ref().map_or_else(|| Id::of(&[b"nobody"]), |id| Id::of(&[b"user", id]));
        self.read(place).await
    }

    async fn read(&self, place: Id) -> Result<Option<UserRecord>, StoreError> {
        let bytes = self.store.get(USERS, place).await?;
        bytes.map(|bytes| UserRecord::decode(&bytes)).transpose()
    }

    /// Disables a user: from this answer on no session of theirs passes, and none begins. `None`: there is
    /// nobody of this name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn disable(&self, id: UserId, now: Timestamp) -> Result<Option<UserRecord>, StoreError> {
        let disable = |user: &mut UserRecord| {
            user.disabled.get_or_insert(now);
            user.generation = user.generation.wrapping_add(1);
        };
        self.change(id, disable).await
    }

    /// Lets a user sign in again. Sessions that ended stay ended.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn enable(&self, id: UserId) -> Result<Option<UserRecord>, StoreError> {
        self.change(id, |user| user.disabled = None).await
    }

    /// Sets a password. Every session from before it has ended with this answer.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn set_password(
        &self,
        id: UserId,
        password: PasswordHash,
    ) -> Result<Option<UserRecord>, StoreError> {
        let set = |user: &mut UserRecord| {
            user.password = password.clone();
            user.generation = user.generation.wrapping_add(1);
        };
        self.change(id, set).await
    }

    /// Ends every session that a user has, in one durable write: also those that begin at this moment.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn end_sessions(&self, id: UserId) -> Result<Option<UserRecord>, StoreError> {
        self.change(id, |user| user.generation = user.generation.wrapping_add(1)).await
    }

    async fn change(
        &self,
        id: UserId,
        change: impl Fn(&mut UserRecord) + Send,
    ) -> Result<Option<UserRecord>, StoreError> {
        let place = UserRecord::place(id);
        loop {
            let Some(old) = self.store.get(USERS, place).await? else { return Ok(None) };
            let mut user = UserRecord::decode(&old)?;
            change(&mut user);
            if self.store.replace(USERS, place, old, encode(UserRecord::VERSION, &user)?, None).await? {
                return Ok(Some(user));
            }
        }
    }
}

impl<S: Store + Inventory> Users<S> {
    /// Every user, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list(&self) -> Result<Vec<UserRecord>, StoreError> {
        let mut users = Vec::new();
        let mut after: Option<Id> = None;
        loop {
            let page = self.store.list(USERS, after, PAGE).await?;
            for (_, bytes) in &page {
                users.push(UserRecord::decode(bytes)?);
            }
            match page.last() {
                Some((id, _)) if page.len() == PAGE => after = Some(*id),
                _ => break,
            }
        }
        users.sort_by_key(|user| (user.created, user.id));
        Ok(users)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_form() {
        let email = |text: &str| Email::parse(text).map(|email| email.as_str().to_owned());
        assert_eq!(email(" Ann@Example.ORG ").as_deref(), Some("ann@example.org"));
        assert_eq!(email("e\u{301}@x.ch"), email("É@x.ch"));
        let long = format!("{}@x.ch", "a".repeat(250));
        for text in ["", "ann", "@x", "ann@", "a@b@c", "a b@c", "a\0@c", "a\u{a0}b@c", &long] {
            assert_eq!(email(text), None, "{text}");
        }
    }

    #[test]
    fn a_name_can_be_shown() {
        assert!(is_name("Ann") && is_name(&"é".repeat(200)));
        for name in ["", "  ", "a\nb", "a\x1b[1m", &"a".repeat(201)] {
            assert!(!is_name(name), "{name}");
        }
    }
}
