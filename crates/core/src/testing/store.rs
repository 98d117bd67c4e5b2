//! A store in memory that counts, and that fails, lags or forgets when it is told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;

use super::clock::clock;
use super::let_others_go_first;
use crate::store::{Id, Inventory, MemoryStore, Space, Spend, Spent, Store, StoreError};
use crate::time::{ManualClock, Timestamp};

/// A [`MemoryStore`] that is watched.
pub struct TestStore {
    memory: MemoryStore<Arc<ManualClock>>,
    reads: AtomicUsize,
    writes: AtomicUsize,
    down: AtomicBool,
    replaces: AtomicBool,
    lags: AtomicBool,
    /// In milliseconds; 0 for never.
    restored_at: AtomicU64,
}

impl TestStore {
    /// An empty store that reads expiry by `clock`.
    #[must_use]
    pub fn new(clock: Arc<ManualClock>) -> Self {
        Self::over(MemoryStore::new(clock))
    }

    /// The same over a memory that was made elsewhere.
    #[must_use]
    pub fn over(memory: MemoryStore<Arc<ManualClock>>) -> Self {
        Self {
            memory,
            reads: AtomicUsize::new(0),
            writes: AtomicUsize::new(0),
            down: AtomicBool::new(false),
            replaces: AtomicBool::new(true),
            lags: AtomicBool::new(false),
            restored_at: AtomicU64::new(0),
        }
    }

    /// A store that answers nothing.
    #[must_use]
    pub fn down() -> Self {
        let store = Self::new(clock());
        store.set_down(true);
        store
    }

    /// Answers nothing from here on, or everything again.
    pub fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    /// Replaces nothing from here on, or everything again: what is there can still be read, and more be put in.
    pub fn set_replacing(&self, replaces: bool) {
        self.replaces.store(replaces, Ordering::SeqCst);
    }

    /// Whoever reads lets everybody else read first, so that two of them see the same; whoever puts something in hears
    /// of it later.
    pub fn set_lagging(&self, lags: bool) {
        self.lags.store(lags, Ordering::SeqCst);
    }

    /// Was put back from a copy at this moment, as far as anybody can see.
    pub fn set_restored_at(&self, moment: Timestamp) {
        self.restored_at.store(moment.as_millis(), Ordering::SeqCst);
    }

    /// How often a value was read since this was asked last.
    pub fn reads(&self) -> usize {
        self.reads.swap(0, Ordering::SeqCst)
    }

    /// How often anything was written, taken or spent since this was asked last, whatever came of it.
    pub fn writes(&self) -> usize {
        self.writes.swap(0, Ordering::SeqCst)
    }

    async fn lag(&self) {
        if self.lags.load(Ordering::SeqCst) {
            let_others_go_first(1).await;
        }
    }

    fn counted(&self, count: &AtomicUsize) -> Result<&MemoryStore<Arc<ManualClock>>, StoreError> {
        count.fetch_add(1, Ordering::SeqCst);
        self.up()
    }

    fn up(&self) -> Result<&MemoryStore<Arc<ManualClock>>, StoreError> {
        match self.down.load(Ordering::SeqCst) {
            true => Err(StoreError::Unavailable("down".into())),
            false => Ok(&self.memory),
        }
    }
}

impl Store for TestStore {
    async fn get(&self, space: Space, id: Id) -> Result<Option<Bytes>, StoreError> {
        let read = self.counted(&self.reads)?.get(space, id).await;
        self.lag().await;
        read
    }

    async fn insert(
        &self,
        space: Space,
        id: Id,
        value: Bytes,
        until: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        let inserted = self.counted(&self.writes)?.insert(space, id, value, until).await;
        self.lag().await;
        inserted
    }

    async fn replace(
        &self,
        space: Space,
        id: Id,
        old: Bytes,
        new: Bytes,
        until: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        let memory = self.counted(&self.writes)?;
        match self.replaces.load(Ordering::SeqCst) {
            true => memory.replace(space, id, old, new, until).await,
            false => Err(StoreError::Unavailable("replaces nothing".into())),
        }
    }

    async fn take_if(
        &self,
        space: Space,
        id: Id,
        expected: Option<Bytes>,
    ) -> Result<Option<Bytes>, StoreError> {
        self.counted(&self.writes)?.take_if(space, id, expected).await
    }

    async fn spend(&self, spend: Spend) -> Result<Spent, StoreError> {
        self.counted(&self.writes)?.spend(spend).await
    }

    async fn look(&self, spend: Spend) -> Result<Spent, StoreError> {
        self.counted(&self.reads)?.look(spend).await
    }

    fn forgets_before(&self) -> Option<Timestamp> {
        match self.restored_at.load(Ordering::SeqCst) {
            0 => self.memory.forgets_before(),
            millis => Some(Timestamp::from_millis(millis)),
        }
    }
}

impl Inventory for TestStore {
    async fn list(
        &self,
        space: Space,
        after: Option<Id>,
        limit: usize,
    ) -> Result<Vec<(Id, Bytes)>, StoreError> {
        self.up()?.list(space, after, limit).await
    }
}
