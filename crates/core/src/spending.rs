//! What a permit costs, spent when everything has been judged; and what it leaves behind.

use std::sync::Arc;

use bytes::Bytes;

use crate::crypto::Digest;
use crate::denial::{Code, Denial};
use crate::held::Held;
use crate::reservation::Use;
use crate::store::{Id, Space, Spend, Spent, Store, StoreError};
use crate::time::Timestamp;
use crate::witness::Spawn;

/// What a permit costs.
#[derive(Clone, Debug)]
pub enum Spending {
    /// A proof that names itself.
    Proof {
        /// The proof.
        spend: Spend,
        /// What its second use is called.
        replayed: Code,
    },
    /// An entry that is taken out of the store.
    Entry {
        /// Its space.
        space: Space,
        /// Its identifier.
        id: Id,
        /// Its value.
        expected: Bytes,
        /// What it is called when it is not there.
        absent: Code,
    },
    /// A number that must be higher than the last one under its name.
    Rising {
        /// Its space.
        space: Space,
        /// Its name.
        id: Id,
        /// The number.
        value: u64,
        /// Until when it is remembered.
        until: Timestamp,
        /// What it is called when it is not higher.
        not_higher: Code,
    },
    /// A use of what may be used so often and no more, reserved now and settled when the upstream has
    /// answered: at most one for a request.
    Use {
        /// What is used.
        one: Use,
        /// Of the body that it is used with.
        digest: Digest,
    },
}

/// What a permit leaves behind: noted of a request that passes, and of no other.
pub enum Note {
    /// Whoever keeps it in memory is told.
    Told(Box<dyn FnOnce() + Send>),
    /// The entry replaces whatever is there, or, with `None`, takes it away.
    Kept {
        /// Its space.
        space: Space,
        /// Its identifier.
        id: Id,
        /// Its value and its end.
        entry: Option<(Bytes, Timestamp)>,
    },
    /// The entry replaces what was read, where that is still there: whoever took it away meanwhile has the last word.
    /// That something was used lately, and no more: where it cannot be written, what was used ends the sooner.
    Updated {
        /// Its space.
        space: Space,
        /// Its identifier.
        id: Id,
        /// What was read.
        old: Bytes,
        /// What is there from now on.
        new: Bytes,
        /// Its end.
        until: Timestamp,
    },
}

impl Note {
    /// Whether the request passes only if it is written down.
    pub(crate) const fn is_owed(&self) -> bool {
        !matches!(self, Self::Updated { .. })
    }

    /// Writes it down; durable where its space is.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn write<S: Store>(self, store: &S) -> Result<(), StoreError> {
        match self {
            Self::Told(tell) => tell(),
            Self::Kept { space, id, entry } => keep(store, space, id, entry).await?,
            Self::Updated { space, id, old, new, until } => {
                store.replace(space, id, old, new, Some(until)).await?;
            }
        }
        Ok(())
    }
}

impl Spending {
    /// Whether it is a proof, which is remembered for its signer.
    pub(crate) const fn is_proof(&self) -> bool {
        matches!(self, Self::Proof { .. })
    }

    /// Whether it could be spent; nothing is.
    ///
    /// # Errors
    /// What its second use is called; the store's.
    pub(crate) async fn look<S: Store>(&self, store: &S, now: Timestamp) -> Result<(), Denial> {
        match self {
            Self::Proof { spend, replayed } => once(store.look(*spend).await?, *replayed),
            Self::Entry { space, id, expected, absent } => {
                let there = store.get(*space, *id).await?;
                there.filter(|there| there == expected).map(drop).ok_or_else(|| not_there(*space, *absent))
            }
            Self::Rising { space, id, value, until: _, not_higher } => {
                let last = store.get(*space, *id).await?;
                let is_higher = last.is_none_or(|last| last < value.to_be_bytes()[..]);
                if is_higher { Ok(()) } else { Err(too_low(*not_higher)) }
            }
            Self::Use { one, digest } => one.look_with(store, *digest, now).await,
        }
    }

    /// Spends it. What is reserved is to be settled.
    ///
    /// # Errors
    /// What its second use is called; the store's.
    pub(crate) async fn spend<S: Store>(
        self,
        store: &Arc<S>,
        spawn: Option<&Arc<dyn Spawn>>,
        now: Timestamp,
    ) -> Result<Option<Box<Held<S>>>, Denial> {
        match self {
            Self::Proof { spend, replayed } => once(store.spend(spend).await?, replayed)?,
            Self::Entry { space, id, expected, absent } => {
                let taken = store.take_if(space, id, Some(expected)).await?;
                taken.ok_or_else(|| not_there(space, absent))?;
            }
            Self::Rising { space, id, value, until, not_higher } => {
                if !rise(&**store, space, id, value, until).await? {
                    return Err(too_low(not_higher));
                }
            }
            Self::Use { one, digest } => {
                return Ok(Some(Box::new(Held::reserve(one, digest, store, spawn, now).await?)));
            }
        }
        Ok(None)
    }
}

fn once(spent: Spent, replayed: Code) -> Result<(), Denial> {
    match spent {
        Spent::Once => Ok(()),
        Spent::Replayed => Err(Denial::new(replayed, "the proof has been used")),
        Spent::PredatesBoot(wait) => {
            let cause = "made before the ledger lost its memory";
            Err(Denial::new(Code::ProofPredatesBoot, cause).retry_after(wait))
        }
    }
}

fn not_there(space: Space, absent: Code) -> Denial {
    Denial::new(absent, format!("not in {}, or taken", space.name()))
}

fn too_low(not_higher: Code) -> Denial {
    Denial::new(not_higher, "not higher than the last one")
}

/// Puts a number in the place of a lower one; false if there is none lower. Whoever loses a race
/// against a lower number tries again, so that of several at once the highest always passes.
async fn rise<S: Store>(
    store: &S,
    space: Space,
    id: Id,
    value: u64,
    until: Timestamp,
) -> Result<bool, StoreError> {
    let new = Bytes::copy_from_slice(&value.to_be_bytes());
    loop {
        let done = match store.get(space, id).await? {
            None => store.insert(space, id, new.clone(), Some(until)).await?,
            // Big-endian numbers of one length compare as their bytes do.
            Some(last) if last >= new => return Ok(false),
            Some(last) => store.replace(space, id, last, new.clone(), Some(until)).await?,
        };
        if done {
            return Ok(true);
        }
    }
}

/// Puts an entry in the place of whatever is there. Whoever does the same at the same time wins or
/// loses as a whole.
async fn keep<S: Store>(
    store: &S,
    space: Space,
    id: Id,
    entry: Option<(Bytes, Timestamp)>,
) -> Result<(), StoreError> {
    let Some((value, until)) = entry else { return store.take_if(space, id, None).await.map(drop) };
    if store.insert(space, id, value.clone(), Some(until)).await? {
        return Ok(());
    }
    match store.get(space, id).await? {
        Some(old) => store.replace(space, id, old, value, Some(until)).await.map(drop),
        None => store.insert(space, id, value, Some(until)).await.map(drop),
    }
}
