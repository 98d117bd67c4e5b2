//! A store whose readers can be made to wait for each other, so that two of them see the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use countersign::Timestamp;
use countersign::store::{Id, Inventory, MemoryStore, Space, Spend, Spent, Store, StoreError};
use countersign::time::ManualClock;

pub(super) struct Shelf {
    store: MemoryStore<Arc<ManualClock>>,
    /// Whoever reads lets everybody else read first.
    pub(super) polite: AtomicBool,
    /// When it was put back from a copy, in milliseconds; 0 for never.
    pub(super) restored_at: AtomicU64,
}

impl Shelf {
    pub(super) fn new(clock: Arc<ManualClock>) -> Self {
        Self {
            store: MemoryStore::new(clock),
            polite: AtomicBool::new(false),
            restored_at: AtomicU64::new(0),
        }
    }
}

impl Store for Shelf {
    fn forgets_before(&self) -> Option<Timestamp> {
        Some(self.restored_at.load(Ordering::Relaxed)).filter(|at| *at > 0).map(Timestamp::from_millis)
    }

    async fn get(&self, space: Space, id: Id) -> Result<Option<Bytes>, StoreError> {
        let read = self.store.get(space, id).await;
        if self.polite.load(Ordering::Relaxed) {
            tokio::task::yield_now().await;
        }
        read
    }

    async fn insert(
        &self,
        space: Space,
        id: Id,
        value: Bytes,
        until: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        self.store.insert(space, id, value, until).await
    }

    async fn replace(
        &self,
        space: Space,
        id: Id,
        old: Bytes,
        new: Bytes,
        until: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        self.store.replace(space, id, old, new, until).await
    }

    async fn take_if(
        &self,
        space: Space,
        id: Id,
        expected: Option<Bytes>,
    ) -> Result<Option<Bytes>, StoreError> {
        self.store.take_if(space, id, expected).await
    }

    async fn spend(&self, spend: Spend) -> Result<Spent, StoreError> {
        self.store.spend(spend).await
    }
}

impl Inventory for Shelf {
    async fn list(
        &self,
        space: Space,
        after: Option<Id>,
        limit: usize,
    ) -> Result<Vec<(Id, Bytes)>, StoreError> {
        self.store.list(space, after, limit).await
    }
}
