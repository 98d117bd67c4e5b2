//! Argon2id (RFC 9106), in bounded memory, and as much of it for a user whom nobody knows.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use async_lock::Semaphore;
use serde::{Deserialize, Serialize};

use super::password::Password;
use crate::crypto::{Random, SealKey, Secret, equal};
use crate::workers::{Workers, run_on};

/// The most memory that a stored hash may ask for, in KiB: whoever can write to the store cannot make one
/// sign-in take the machine's.
const LARGEST_MEMORY: u32 = 1024 * 1024;
/// The most passes that a stored hash may ask for.
const MOST_PASSES: u32 = 64;

/// How much work one guess is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordCost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
}

/// 19 MiB and two passes, the least that OWASP's password storage cheat sheet names: 20 ms of one core.
impl Default for PasswordCost {
    fn default() -> Self {
        Self { memory_kib: 19 * 1024, passes: 2 }
    }
}

impl PasswordCost {
    fn params(self) -> Option<Params> {
        if self.memory_kib > LARGEST_MEMORY || self.passes > MOST_PASSES {
            return None;
        }
        Params::new(self.memory_kib, self.passes, 1, Some(32)).ok()
    }
}

/// A password's hash: Argon2id version 1.3 with one lane, and a pepper that the sealing key gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordHash {
    cost: PasswordCost,
    salt: [u8; 16],
    tag: [u8; 32],
}

/// A cost that Argon2 does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Argon2 takes 8 KiB to 1 GiB of memory and 1 to 64 passes")]
pub struct PasswordCostError;

/// So many passwords are being hashed that one more would wait too long; or the process is ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords are being hashed")]
pub struct TooBusy;

/// Hashes passwords. So many at a time, each in memory of its own that the next one takes over; so many wait,
/// and the rest are turned away: however many sign in at once, memory stays at `at_once` × the cost's.
pub struct Passwords {
    pepper: Arc<Secret<[u8; 32]>>,
    cost: PasswordCost,
    workers: Arc<dyn Workers>,
    running: Arc<Semaphore>,
    waiting: AtomicUsize,
    most_waiting: usize,
    memory: Arc<Mutex<Vec<Vec<Block>>>>,
    /// What the password of an unknown user is compared with: random bits, which are no password's hash.
    absent: PasswordHash,
}

/// How many passwords are hashed at once, and how many wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordLimits {
    /// At once: as many as there are cores.
    pub at_once: usize,
    /// Waiting.
    pub waiting: usize,
}

impl Passwords {
    /// A hasher whose hashes are worth nothing without `seal`.
    ///
    /// # Errors
    /// [`PasswordCostError`].
    pub fn new(
        seal: &SealKey,
        cost: PasswordCost,
        limits: PasswordLimits,
        workers: Arc<dyn Workers>,
        random: &dyn Random,
    ) -> Result<Self, PasswordCostError> {
        cost.params().ok_or(PasswordCostError)?;
        let mut absent = PasswordHash { cost, salt: [0; 16], tag: [0; 32] };
        random.fill(&mut absent.salt);
        random.fill(&mut absent.tag);
        Ok(Self {
            pepper: Arc::new(seal.derive("password-pepper")),
            cost,
            workers,
            running: Arc::new(Semaphore::new(limits.at_once.max(1))),
            waiting: AtomicUsize::new(0),
            most_waiting: limits.waiting,
            memory: Arc::default(),
            absent,
        })
    }

    /// The hash of a new password, with a salt of its own.
    ///
    /// # Errors
    /// [`TooBusy`].
    pub async fn hash(&self, password: Password, random: &dyn Random) -> Result<PasswordHash, TooBusy> {
        let mut salt = [0_u8; 16];
        random.fill(&mut salt);
        let tag = self.tag(password, self.cost, salt).await?.ok_or(TooBusy)?;
        Ok(PasswordHash { cost: self.cost, salt, tag: *tag.expose() })
    }

    /// Whether `hash` is of this password. `None`: there is no such user, which takes as long to find out.
    ///
    /// # Errors
    /// [`TooBusy`].
    pub async fn verify(&self, password: Password, hash: Option<&PasswordHash>) -> Result<bool, TooBusy> {
        let hash = hash.unwrap_or(&self.absent);
        let tag = self.tag(password, hash.cost, hash.salt).await?;
        Ok(tag.is_some_and(|tag| equal(tag.expose(), &hash.tag)))
    }

    /// Gives back the memory that no sign-in uses at this moment; the next one takes new.
    pub fn trim(&self) {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// `None`: of such a cost there is no hash.
    async fn tag(
        &self,
        password: Password,
        cost: PasswordCost,
        salt: [u8; 16],
    ) -> Result<Option<Secret<[u8; 32]>>, TooBusy> {
        let Some(params) = cost.params() else { return Ok(None) };
        let place = match self.running.try_acquire_arc() {
            Some(place) => place,
            None => {
                let _waits = Waits::begin(&self.waiting, self.most_waiting)?;
                self.running.acquire_arc().await
            }
        };
        let (pepper, memory) = (self.pepper.clone(), self.memory.clone());
        let work = move || {
            // Held by the work, not by whoever waits for it: a caller that leaves frees no place too early.
            let _place = place;
            let mut blocks = memory.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
            blocks.resize(params.block_count(), Block::new());
            let mut tag = [0_u8; 32];
            let password = password.expose().expose().as_bytes();
            let argon2 =
                Argon2::new_with_secret(pepper.expose(), Algorithm::Argon2id, Version::V0x13, params);
            let done = argon2.and_then(|argon2| {
                argon2.hash_password_into_with_memory(password, &salt, &mut tag, &mut blocks)
            });
            memory.lock().unwrap_or_else(PoisonError::into_inner).push(blocks);
            done.ok().map(|()| Secret::new(tag))
        };
        run_on(&*self.workers, work).await.ok_or(TooBusy)
    }
}

/// One of those who wait; whoever leaves makes room.
struct Waits<'a>(&'a AtomicUsize);

impl<'a> Waits<'a> {
    fn begin(waiting: &'a AtomicUsize, most: usize) -> Result<Self, TooBusy> {
        let more = |now: usize| (now < most).then_some(now + 1);
        match waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) {
            Ok(_) => Ok(Self(waiting)),
            Err(_) => Err(TooBusy),
        }
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
