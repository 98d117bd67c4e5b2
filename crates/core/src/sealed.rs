//! Whether a sealing key is the one that sealed a store.
//!
//! With another key nothing that is sealed opens, and whatever is sealed anew does not open under the right one
//! when that comes back. So a store holds a value sealed for this alone, and nobody works on it before that
//! value has been opened. A store from before there was such a value is judged by whatever is sealed in it.

use bytes::Bytes;

use crate::crypto::{Random, SealKey};
use crate::issuer::keyring::{self, PURPOSES};
use crate::principal::KeyId;
use crate::schemes::api_key::{KEYS, KeyRegistry, KeyUnavailable, RegistryError};
use crate::schemes::session::USERS;
use crate::store::{Id, Inventory, Space, Store, StoreError};
use crate::time::Timestamp;

/// Where the value stands that only the right key opens.
const SEAL_CHECK: Space = Space::durable("seal-check");
const PURPOSE: &str = "seal-check";

fn place() -> Id {
    Id::of(&[b"seal check"])
}

/// What a store was, when a key was found to be its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It held nothing.
    Empty,
    /// It held keys, users, or what this key has sealed.
    Known,
}

/// A key that must not be used on a store.
#[derive(Debug, thiserror::Error)]
pub enum SealMismatch {
    /// It opens nothing: another key sealed this store.
    #[error("it was sealed with another key")]
    Other,
    /// It opens some of what is sealed, and not the rest: two keys were used on this store.
    #[error("this key does not open {0}, and opens what else is sealed in it: two keys were used on it")]
    Some(Closed),
    /// Nobody knows.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a sealing key does not open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Closed {
    /// Private keys that sign, by the purpose of their keyring and their name.
    pub signing: Vec<(&'static str, String)>,
    /// HMAC secrets that verify, by the key that they belong to.
    pub secrets: Vec<KeyId>,
}

impl Closed {
    /// Whether it opens everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.signing.is_empty() && self.secrets.is_empty()
    }
}

impl std::fmt::Display for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let signing = self.signing.iter().map(|(purpose, kid)| format!("the {purpose} key {kid}"));
        let secrets = self.secrets.iter().map(|id| format!("the HMAC secret {id}"));
        f.write_str(&signing.chain(secrets).collect::<Vec<_>>().join(", "))
    }
}

/// Looks whether `seal` is the key of `store`; from then on the store says so itself.
///
/// # Errors
/// [`SealMismatch`]; the store is then as it was.
pub async fn check<S: Store + Inventory + Clone>(
    store: &S,
    seal: &SealKey,
    random: &dyn Random,
) -> Result<Found, SealMismatch> {
    loop {
        if let Some(value) = store.get(SEAL_CHECK, place()).await? {
            let opened = seal.open(PURPOSE, place().as_bytes(), &value);
            return opened.map(|_| Found::Known).map_err(|_| SealMismatch::Other);
        }
        let (opened, closed) = look(store, seal).await?;
        match (opened, closed.is_empty()) {
            (0, false) => return Err(SealMismatch::Other),
            (_, false) => return Err(SealMismatch::Some(closed)),
            (_, true) => {}
        }
        let empty = opened == 0 && holds_none(store, KEYS).await? && holds_none(store, USERS).await?;
        // Another gateway may begin at this moment, with its own key.
        if store.insert(SEAL_CHECK, place(), value(seal, random), None).await? {
            return Ok(if empty { Found::Empty } else { Found::Known });
        }
    }
}

/// What of a store `seal` does not open.
///
/// # Errors
/// [`StoreError`].
pub async fn closed<S: Store + Inventory + Clone>(store: &S, seal: &SealKey) -> Result<Closed, StoreError> {
    Ok(look(store, seal).await?.1)
}

/// Gives up what `seal` does not open, and makes it the key of `store`: signing keys are made anew when they are
/// next needed, HMAC secrets are revoked and must be registered again. Returns what was given up.
///
/// # Errors
/// [`StoreError`]; done again, it goes on where it stopped.
pub async fn give_up_closed<S: Store + Inventory + Clone>(
    store: &S,
    seal: &SealKey,
    random: &dyn Random,
    now: Timestamp,
) -> Result<Closed, StoreError> {
    let closed = closed(store, seal).await?;
    for purpose in PURPOSES {
        keyring::forget_closed(store, purpose, seal).await?;
    }
    let registry = KeyRegistry::new(store.clone());
    for id in &closed.secrets {
        // One that is gone meanwhile opens nothing either.
        if let Err(RegistryError::Store(error)) = registry.revoke(*id, now).await {
            return Err(error);
        }
    }
    // Last: until then the store still says that this is not its key.
    loop {
        let new = value(seal, random);
        let done = match store.get(SEAL_CHECK, place()).await? {
            None => store.insert(SEAL_CHECK, place(), new, None).await?,
            Some(before) => store.replace(SEAL_CHECK, place(), before, new, None).await?,
        };
        if done {
            return Ok(closed);
        }
    }
}

fn value(seal: &SealKey, random: &dyn Random) -> Bytes {
    seal.seal(random, PURPOSE, place().as_bytes(), b"").into()
}

/// How many sealed values `seal` opens, and those that it does not.
async fn look<S: Store + Inventory + Clone>(
    store: &S,
    seal: &SealKey,
) -> Result<(usize, Closed), StoreError> {
    let (mut opened, mut closed) = (0, Closed::default());
    for purpose in PURPOSES {
        let (open, shut) = keyring::opened_by(store, purpose, seal).await?;
        opened += open;
        closed.signing.extend(shut.into_iter().map(|kid| (purpose, kid)));
    }
    for record in KeyRegistry::new(store.clone()).list().await? {
        if record.kind.as_str() != "hmac" || record.revoked.is_some() {
            continue;
        }
        match record.verifying_key(Some(seal)) {
            Err(KeyUnavailable::Sealed(id)) => closed.secrets.push(id),
            _ => opened += 1,
        }
    }
    Ok((opened, closed))
}

async fn holds_none<S: Inventory>(store: &S, space: Space) -> Result<bool, StoreError> {
    Ok(store.list(space, None, 1).await?.is_empty())
}

#[cfg(test)]
mod tests;
