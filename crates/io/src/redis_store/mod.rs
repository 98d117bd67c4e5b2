//! The store that several gateways share: Redis or Valkey, one server (with replicas or without).
//!
//! - `line`: one connection, and what is known of it
//! - `connection`: there is one when it is needed; what may be sent twice
//! - `keeper`: looks whether the server answers, opens another line, tells the log of outages
//! - `ledger`: spending a proof, and noticing that the server has lost what was spent
//! - `checkup`: what the operator should know about the server
//! - `inventory`: listing, by scanning
//!
//! Keys are `cs:{space}:{hex id}`; values are envelopes, and expire by themselves.

mod checkup;
mod connection;
mod inventory;
mod keeper;
mod ledger;
mod line;

use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use countersign::store::{Envelope, Id, Inventory, Space, Spend, Spent, Store, StoreError};
use countersign::time::{Clock, Timestamp};
use redis::Script;
use tokio::task::JoinHandle;

use self::connection::Connection;
use self::keeper::{Shared, keep};
use crate::{OpenError, RedisUrl};

/// The Redis store.
///
/// Every operation is one command or one script, so it is atomic; when no answer comes in time, nobody
/// knows what became of it, and nothing that may change something is tried again.
pub struct RedisStore {
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
    replace: Script,
    take_if: Script,
    keeper: JoinHandle<()>,
}

impl Drop for RedisStore {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl RedisStore {
    /// Connects to the server at `url`. Needs a tokio runtime with its timer.
    ///
    /// # Errors
    /// [`OpenError::Redis`] if it cannot be reached, or does not let us in.
    pub async fn open(url: &RedisUrl, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let failed = |reason: String| OpenError::Redis { address: url.to_string(), reason };
        let opened = Shared::open(url).await;
        let (shared, writes_first) = opened.map_err(|error| failed(error.to_string()))?;
        let shared = Arc::new(shared);
        Ok(Self {
            keeper: tokio::spawn(keep(shared.clone(), writes_first)),
            shared,
            clock,
            replace: Script::new(include_str!("replace.lua")),
            take_if: Script::new(include_str!("take_if.lua")),
        })
    }

    /// What the operator should know about the server, as it was found last.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.shared.warnings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn connection(&self) -> &Connection {
        &self.shared.connection
    }

    /// Whether the server answers.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if it does not.
    pub async fn ready(&self) -> Result<(), StoreError> {
        self.connection().read::<()>(&redis::cmd("PING")).await
    }

    /// Reads an envelope. The server forgets by its own clock; ours is asked as well, so that a
    /// proof's expiry never depends on which of the two is late.
    fn living(&self, bytes: Option<Vec<u8>>) -> Result<Option<Bytes>, StoreError> {
        let Some(bytes) = bytes else { return Ok(None) };
        let entry = Envelope::decode(&Bytes::from(bytes))?;
        Ok(entry.lives(self.clock.now()).then_some(entry.value))
    }
}

/// The name of an entry in the server. Spaces are `[a-z-]+`, so names never run into each other.
fn key(space: &str, id: Id) -> String {
    use std::fmt::Write as _;
    let mut key = String::with_capacity(4 + space.len() + 64);
    let _ = write!(key, "cs:{space}:");
    id.as_bytes().iter().for_each(|byte| {
        let _ = write!(key, "{byte:02x}");
    });
    key
}

/// An expiry as the server takes it: above 0, and far from what overflows there.
fn expiry(until: Timestamp) -> u64 {
    until.as_millis().clamp(1, 1 << 52)
}

impl Store for RedisStore {
    async fn get(&self, space: Space, id: Id) -> Result<Option<Bytes>, StoreError> {
        self.living(self.connection().read(redis::cmd("GET").arg(key(space.name(), id))).await?)
    }

    async fn insert(
        &self,
        space: Space,
        id: Id,
        value: Bytes,
        until: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        let mut set = redis::cmd("SET");
        set.arg(key(space.name(), id)).arg(Envelope::encode(&value, until)).arg("NX");
        if let Some(until) = until {
            set.arg("PXAT").arg(expiry(until));
        }
        let done: Option<String> = self.connection().write(&set).await?;
        Ok(done.is_some())
    }

    async fn replace(
        &self,
        space: Space,
        id: Id,
        old: Bytes,
        new: Bytes,
        until: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        let mut call = self.replace.key(key(space.name(), id));
        call.arg(&old[..]).arg(Envelope::encode(&new, until));
        call.arg(until.map_or_else(String::new, |until| expiry(until).to_string()));
        self.connection().invoke(&call).await
    }

    async fn take_if(
        &self,
        space: Space,
        id: Id,
        expected: Option<Bytes>,
    ) -> Result<Option<Bytes>, StoreError> {
        let mut call = self.take_if.key(key(space.name(), id));
        if let Some(expected) = expected {
            call.arg(&expected[..]);
        }
        self.living(self.connection().invoke(&call).await?)
    }

    async fn spend(&self, spend: Spend) -> Result<Spent, StoreError> {
        self.shared.ledger.spend(self.connection(), &spend, self.clock.now()).await
    }

    async fn look(&self, spend: Spend) -> Result<Spent, StoreError> {
        self.shared.ledger.look(self.connection(), &spend, self.clock.now()).await
    }
}

impl Inventory for RedisStore {
    async fn list(
        &self,
        space: Space,
        after: Option<Id>,
        limit: usize,
    ) -> Result<Vec<(Id, Bytes)>, StoreError> {
        let ids = inventory::ids(self.connection(), space, after, limit).await?;
        let mut listed = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(inventory::CHUNK) {
            let mut get = redis::cmd("MGET");
            chunk.iter().for_each(|id| {
                get.arg(key(space.name(), *id));
            });
            let values: Vec<Option<Vec<u8>>> = self.connection().read(&get).await?;
            for (id, bytes) in chunk.iter().zip(values) {
                listed.extend(self.living(bytes)?.map(|value| (*id, value)));
            }
        }
        Ok(listed)
    }
}
