//! The store that a configuration names, whichever it is.

use std::sync::Arc;

use bytes::Bytes;
use countersign::store::{Id, Inventory, MemoryStore, Space, Spend, Spent, Store, StoreError};
use countersign::time::{Clock, Timestamp};

use crate::{ClockAccepted, OpenError, RedbStore, RedisStore, StoreUrl};

/// The store that a configuration names.
pub enum AnyStore {
    /// Lost with the process.
    Memory(MemoryStore<Arc<dyn Clock>>),
    /// One file beside the process.
    Redb(RedbStore),
    /// Shared by several machines.
    Redis(RedisStore),
}

impl AnyStore {
    /// Opens the store that `url` names. Needs a tokio runtime with its timer.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(url: &StoreUrl, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        Self::open_as(url, clock, false).await
    }

    /// The same, for a store that was put back from a copy: proofs made so far are refused.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open_restored(url: &StoreUrl, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        Self::open_as(url, clock, true).await
    }

    async fn open_as(url: &StoreUrl, clock: Arc<dyn Clock>, restored: bool) -> Result<Self, OpenError> {
        match url {
            StoreUrl::Memory | StoreUrl::Redis(_) if restored => Err(OpenError::NotRestored(url.to_string())),
            StoreUrl::Memory => {
                // A process that has forgotten its last run: proofs made before it are not for it. They say
                // when they were made in whole seconds, so it begins with one: those made from then on
                // are told apart from those before.
                let start = Timestamp::from_secs(clock.now().as_millis().div_ceil(1000));
                tokio::time::sleep(start.since(clock.now())).await;
                Ok(Self::Memory(MemoryStore::new(clock).refusing_proofs_before(start)))
            }
            StoreUrl::Redb(path) => {
                let (place, open) =
                    (path.clone(), if restored { RedbStore::open_restored } else { RedbStore::open });
                let opened = tokio::task::spawn_blocking(move || open(&place, clock)).await;
                let gone = |error: tokio::task::JoinError| OpenError::File {
                    path: path.clone(),
                    reason: error.to_string(),
                };
                opened.map_err(gone)?.map(Self::Redb)
            }
            StoreUrl::Redis(url) => RedisStore::open(url, clock).await.map(Self::Redis),
        }
    }

    /// Stops cleanly: everything remembered is durable when this returns, and the store answers
    /// nothing any more.
    ///
    /// # Errors
    /// [`StoreError`] if that could not be written; the next start then refuses proofs made so far.
    pub async fn close(&self) -> Result<(), StoreError> {
        match self {
            Self::Memory(_) | Self::Redis(_) => Ok(()),
            Self::Redb(store) => store.close().await,
        }
    }

    /// Whether the store can answer and write, for `/readyz`.
    ///
    /// # Errors
    /// Why it cannot.
    pub async fn ready(&self) -> Result<(), StoreError> {
        match self {
            Self::Memory(_) => Ok(()),
            Self::Redb(store) => store.ready().await,
            Self::Redis(store) => store.ready().await,
        }
    }

    /// The latest moment that the clock has shown, for a store that remembers it beyond its process.
    #[must_use]
    pub fn latest(&self) -> Option<Timestamp> {
        match self {
            Self::Memory(_) | Self::Redis(_) => None,
            Self::Redb(store) => Some(store.latest()),
        }
    }

    /// Believes a clock that went back. `None`: this store remembers no clock beyond its process.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn accept_clock(&self) -> Result<Option<ClockAccepted>, StoreError> {
        match self {
            Self::Memory(_) | Self::Redis(_) => Ok(None),
            Self::Redb(store) => store.accept_clock().await.map(Some),
        }
    }

    /// What the operator should know about how this store is set up.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        match self {
            Self::Memory(_) | Self::Redb(_) => Vec::new(),
            Self::Redis(store) => store.warnings(),
        }
    }
}

/// The same call on whichever store it is.
macro_rules! on_each {
    ($self:ident, $store:ident => $call:expr) => {
        match $self {
            AnyStore::Memory($store) => $call.await,
            AnyStore::Redb($store) => $call.await,
            AnyStore::Redis($store) => $call.await,
        }
    };
}

impl Store for AnyStore {
    async fn get(&self, space: Space, id: Id) -> Result<Option<Bytes>, StoreError> {
        on_each!(self, store => store.get(space, id))
    }

    async fn insert(
        &self,
        space: Space,
        id: Id,
        value: Bytes,
        until: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        on_each!(self, store => store.insert(space, id, value, until))
    }

    async fn replace(
        &self,
        space: Space,
        id: Id,
        old: Bytes,
        new: Bytes,
        until: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        on_each!(self, store => store.replace(space, id, old, new, until))
    }

    async fn take_if(
        &self,
        space: Space,
        id: Id,
        expected: Option<Bytes>,
    ) -> Result<Option<Bytes>, StoreError> {
        on_each!(self, store => store.take_if(space, id, expected))
    }

    async fn spend(&self, spend: Spend) -> Result<Spent, StoreError> {
        on_each!(self, store => store.spend(spend))
    }

    async fn look(&self, spend: Spend) -> Result<Spent, StoreError> {
        on_each!(self, store => store.look(spend))
    }

    fn forgets_before(&self) -> Option<Timestamp> {
        match self {
            Self::Memory(store) => store.forgets_before(),
            Self::Redb(store) => store.forgets_before(),
            Self::Redis(store) => store.forgets_before(),
        }
    }
}

impl Inventory for AnyStore {
    async fn list(
        &self,
        space: Space,
        after: Option<Id>,
        limit: usize,
    ) -> Result<Vec<(Id, Bytes)>, StoreError> {
        on_each!(self, store => store.list(space, after, limit))
    }
}
