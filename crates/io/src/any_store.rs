//! The store that a configuration names, whichever it is.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use countersign::store::{Id, Inventory, MemoryStore, Space, Spend, Spent, Store, StoreError};
use countersign::time::{Clock, Timestamp};

use crate::{RedbStore, RedisStore, StoreUrl};

/// The store that a configuration names.
pub enum AnyStore {
    /// Lost with the process.
    Memory(MemoryStore<Arc<dyn Clock>>),
    /// One file beside the process.
    Redb(RedbStore),
    /// Shared by several machines.
    Redis(RedisStore),
}

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process, such as a running gateway, has the file open.
    #[error("another process has {} open", .0.display())]
    AlreadyOpen(PathBuf),
    /// The file cannot be opened, read or written.
    #[error("cannot open {}: {reason}", path.display())]
    File {
        /// The store's file.
        path: PathBuf,
        /// What the system or the database said.
        reason: String,
    },
    /// The Redis at that address did not answer, or refused us.
    #[error("cannot use {address}: {reason}")]
    Redis {
        /// Host, port and database, without credentials.
        address: String,
        /// What went wrong.
        reason: String,
    },
}

impl AnyStore {
    /// Opens the store that `url` names. Needs a tokio runtime with its timer.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(url: &StoreUrl, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        match url {
            StoreUrl::Memory => {
                // A process that has forgotten its last run: proofs made before it are not for it. They say
                // when they were made in whole seconds, so it begins with one: those made from then on
                // are told apart from those before.
                let start = Timestamp::from_secs(clock.now().as_millis().div_ceil(1000));
                tokio::time::sleep(start.since(clock.now())).await;
                Ok(Self::Memory(MemoryStore::new(clock).refusing_proofs_before(start)))
            }
            StoreUrl::Redb(path) => {
                let path = path.clone();
                let opened = tokio::task::spawn_blocking({
                    let path = path.clone();
                    move || RedbStore::open(&path, clock)
                });
                opened
                    .await
                    .unwrap_or_else(|_| {
                        Err(OpenError::File {
                            path,
                            reason: String::from("the file cannot be read: it is damaged"),
                        })
                    })
                    .map(Self::Redb)
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

    /// What the operator should know about how this store is set up.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        match self {
            Self::Memory(_) | Self::Redb(_) => &[],
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
