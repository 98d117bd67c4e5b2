//! Signing up, in and out: what `/auth/*` and `countersign user` do.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::email::Email;
use super::half::{Half, Halves};
use super::password::{Password, PasswordRefused};
use super::passwords::{PasswordHash, Passwords, TooBusy};
use super::record::{NewSession, SessionRecord};
use super::sessions::Sessions;
use super::throttle::Throttle;
use super::users::{UserRecord, Users, is_name};
use crate::crypto::Random;
use crate::denial::{Code, Denial};
use crate::principal::{SessionId, UserId};
use crate::store::{Store, StoreError};
use crate::time::Timestamp;

/// Why nobody was signed up or in.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AccountError {
    /// There is no such user, or the password is not theirs, or they are disabled: nobody is told which.
    #[error("the e-mail address and the password do not fit each other")]
    Refused,
    /// Too many attempts; the next one helps after this long.
    #[error("too many attempts: the next one is judged in {0:?}")]
    Throttled(Duration),
    /// Too many passwords are being hashed at this moment.
    #[error(transparent)]
    TooBusy(#[from] TooBusy),
    /// What was typed is no e-mail address.
    #[error("an e-mail address is something, an @ and something, in at most 254 bytes without spaces")]
    Email,
    /// What was typed is no name.
    #[error("a name is 1 to 200 characters, none of them a control character")]
    Name,
    /// The password is not taken.
    #[error(transparent)]
    Password(#[from] PasswordRefused),
    /// Somebody has this address.
    #[error("this e-mail address has an account")]
    Taken,
    /// There is no such user.
    #[error("there is no such user")]
    Unknown,
    /// The store gave no answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whoever signs up or in learns no more than what to do next.
impl From<AccountError> for Denial {
    fn from(error: AccountError) -> Self {
        let code = match &error {
            AccountError::Refused => Code::SignInRefused,
            AccountError::Throttled(wait) => {
                let wait = *wait;
                return Self::new(Code::RateLimited, error.to_string()).retry_after(wait);
            }
            AccountError::TooBusy(_) => Code::RateLimited,
            AccountError::Email | AccountError::Name | AccountError::Taken => Code::AccountInvalid,
            AccountError::Password(_) => Code::PasswordRefused,
            AccountError::Unknown => Code::ProofMismatch,
            AccountError::Store(error) => return error.clone().into(),
        };
        Self::new(code, error.to_string())
    }
}

/// What somebody types to sign in, and where.
#[derive(Clone, Copy, Debug)]
pub struct SignIn<'a> {
    /// The e-mail address, as typed.
    pub email: &'a str,
    /// The password, as typed.
    pub password: &'a str,
    /// Who opened the connection.
    pub source: Option<IpAddr>,
    /// What the browser calls itself.
    pub agent: Option<&'a str>,
    /// The cookie half that the browser had already: its session ends with this.
    pub presented: Option<&'a Half>,
    /// The thumbprint of a key that the browser has proven, which binds the session to it.
    pub bound: Option<&'a str>,
}

/// Users, their passwords and their sessions.
pub struct Accounts<S> {
    users: Users<S>,
    sessions: Sessions<S>,
    passwords: Arc<Passwords>,
    throttle: Arc<Throttle>,
    random: Arc<dyn Random>,
}

impl<S: Store> Accounts<S> {
    /// Accounts of `users`, who have `sessions`.
    pub fn new(
        users: Users<S>,
        sessions: Sessions<S>,
        passwords: Passwords,
        random: Arc<dyn Random>,
    ) -> Self {
        let (passwords, throttle) = (Arc::new(passwords), Arc::default());
        Self { users, sessions, passwords, throttle, random }
    }

    /// The same, with sessions that live otherwise: what is remembered of attempts stays.
    #[must_use]
    pub fn with_sessions(&self, sessions: Sessions<S>) -> Self
    where
        S: Clone,
    {
        Self {
            users: self.users.clone(),
            sessions,
            passwords: self.passwords.clone(),
            throttle: self.throttle.clone(),
            random: self.random.clone(),
        }
    }

    /// The users.
    #[must_use]
    pub const fn users(&self) -> &Users<S> {
        &self.users
    }

    /// The sessions.
    #[must_use]
    pub const fn sessions(&self) -> &Sessions<S> {
        &self.sessions
    }

    /// The hasher of passwords.
    #[must_use]
    pub fn passwords(&self) -> &Passwords {
        &self.passwords
    }

    /// Signs somebody up who came by themselves: counted by their source.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn sign_up(
        &self,
        email: &str,
        name: &str,
        password: &str,
        source: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<UserRecord, AccountError> {
        self.throttle.enrol(source, now).map_err(AccountError::Throttled)?;
        self.add(email, name, password, now).await
    }

    /// Adds a user, as an operator does.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn add(
        &self,
        email: &str,
        name: &str,
        password: &str,
        now: Timestamp,
    ) -> Result<UserRecord, AccountError> {
        let email = Email::parse(email).ok_or(AccountError::Email)?;
        let name = Some(name.trim()).filter(|name| is_name(name)).ok_or(AccountError::Name)?;
        let hash = self.chosen(password, &email, name).await?;
        let added = self.users.add(email, name.to_owned(), hash, now, &*self.random).await?;
        added.ok_or(AccountError::Taken)
    }

    /// Signs somebody in: a session that nobody has seen before, whatever cookie the browser had. One whose
    /// password, name or state is wrong is refused after as many hashes and reads as any other.
    ///
    /// # Errors
    /// [`AccountError::Refused`], [`AccountError::Throttled`], [`AccountError::TooBusy`],
    /// [`AccountError::Store`].
    pub async fn sign_in(
        &self,
        typed: SignIn<'_>,
        now: Timestamp,
    ) -> Result<(Halves, SessionRecord), AccountError> {
        let email = Email::parse(typed.email);
        // What is no address is counted as it was typed: it is nobody's.
        let account = email.as_ref().map_or(typed.email, Email::as_str);
        let attempt = self.throttle.attempt(account, typed.source, now).map_err(AccountError::Throttled)?;
        let user = match &email {
            Some(email) => self.users.get_by_email(email).await?,
            None => None,
        };
        let password = Password::typed(typed.password).unwrap_or_else(Password::impossible);
        let hash = user.as_ref().map(|user| &user.password);
        let proven = self.passwords.verify(password, hash).await.inspect_err(|_| {
            self.throttle.withdrawn(&attempt);
        })?;
        let user = user.filter(|user| proven && user.disabled.is_none()).ok_or(AccountError::Refused)?;
        self.throttle.succeeded(&attempt, now);
        let new = NewSession {
            user: user.id,
            generation: user.generation,
            bound: typed.bound.map(Into::into),
            agent: typed.agent.map(str::to_owned),
        };
        let begun = self.sessions.begin(new, now, &*self.random).await?;
        if let Some(presented) = typed.presented {
            self.sessions.end(presented, now).await?;
        }
        Ok(begun)
    }

    /// Ends the session of a cookie half. False: there was none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sign_out(&self, cookie: &Half, now: Timestamp) -> Result<bool, StoreError> {
        self.sessions.end(cookie, now).await
    }

    /// The sessions that a user has, oldest first.
    ///
    /// # Errors
    /// [`AccountError::Unknown`] or [`AccountError::Store`].
    pub async fn list_sessions(
        &self,
        user: UserId,
        now: Timestamp,
    ) -> Result<Vec<SessionRecord>, AccountError> {
        let user = self.users.get(user).await?.ok_or(AccountError::Unknown)?;
        Ok(self.sessions.list(user.id, user.generation, now).await?)
    }

    /// Ends one of a user's sessions. False: this user has none of that name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn end_session(&self, user: UserId, id: SessionId, now: Timestamp) -> Result<bool, StoreError> {
        self.sessions.end_named(user, id, now).await
    }

    /// Ends all of a user's sessions, those that begin at this moment included.
    ///
    /// # Errors
    /// [`AccountError::Unknown`] or [`AccountError::Store`].
    pub async fn end_sessions(&self, user: UserId, now: Timestamp) -> Result<(), AccountError> {
        let changed = self.users.end_sessions(user).await?;
        self.swept(changed, now).await.map(drop)
    }

    /// Disables a user; all their sessions have ended when this answers.
    ///
    /// # Errors
    /// [`AccountError::Unknown`] or [`AccountError::Store`].
    pub async fn disable(&self, user: UserId, now: Timestamp) -> Result<UserRecord, AccountError> {
        let changed = self.users.disable(user, now).await?;
        self.swept(changed, now).await
    }

    /// Sets a user's password; all their sessions have ended when this answers.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn set_password(
        &self,
        user: UserId,
        password: &str,
        now: Timestamp,
    ) -> Result<UserRecord, AccountError> {
        let user = self.users.get(user).await?.ok_or(AccountError::Unknown)?;
        let hash = self.chosen(password, &user.email, &user.name).await?;
        let changed = self.users.set_password(user.id, hash).await?;
        self.swept(changed, now).await
    }

    async fn chosen(&self, password: &str, email: &Email, name: &str) -> Result<PasswordHash, AccountError> {
        let password = Password::chosen(password, email, name)?;
        Ok(self.passwords.hash(password, &*self.random).await?)
    }

    /// A new generation has ended the sessions; what is kept of them goes now, or when it expires.
    async fn swept(&self, user: Option<UserRecord>, now: Timestamp) -> Result<UserRecord, AccountError> {
        let user = user.ok_or(AccountError::Unknown)?;
        self.sessions.sweep(user.id, user.generation, now).await?;
        Ok(user)
    }
}
