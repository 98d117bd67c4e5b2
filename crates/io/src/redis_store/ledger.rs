//! Spending a proof on Redis, and noticing that the server has lost what was spent.
//!
//! A ledger is lost with the history of writes it was kept in. Redis names that history: the
//! `master_replid` changes when a server starts, and when a replica takes over (which may lack the
//! last writes). `spend.lua` compares it with the one kept beside the ledger, in the same atomic
//! step that spends; when it differs, the cut-off becomes the server's time and 30 s, the most that
//! a proof may be dated ahead, and proofs made up to the cut-off are refused.
//!
//! A server that comes back empty has lost the remembered id too. So each gateway hands in the id
//! it has seen: absent there and known here is a loss, absent in both is a first start, with a
//! cut-off of the server's present moment. What that cannot see: the server *and* every gateway
//! lose their memory at once; then proofs dated ahead of that moment could pass again. A Redis
//! that persists (`appendonly yes`, `appendfsync always`) closes that too.
//!
//! Two conditions make 30 s enough. The script refuses a proof dated more than that ahead of the
//! *server's* clock, and a gateway that is more than that behind it. Failing over to a server whose
//! clock is behind its predecessor's is beyond it: servers need NTP.
//!
//! Reading `INFO replication` inside the script costs the server about 5 µs (92,000 against 170,000
//! to 220,000 such scripts a second). Asking once per connection would be cheaper and unsound: a replica
//! that is promoted keeps its connections.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use countersign::store::{Spend, Spent, StoreError};
use countersign::time::Timestamp;
use redis::Script;

use super::connection::Connection;
use super::{expiry, key};

/// Spaces are `[a-z-]+`: an underscore cannot collide.
const SPENT: &str = "_spent";
const STATE: &str = "cs:_ledger";

/// What the script answers: a word, a wait in milliseconds, the replication id.
type Answer = (String, u64, String);

pub(super) struct Ledger {
    script: Script,
    /// The replication id that this process has seen last; empty before it has seen one.
    known: RwLock<Arc<str>>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self { script: Script::new(include_str!("spend.lua")), known: RwLock::new(Arc::from("")) }
    }
}

impl Ledger {
    /// Learns the server's replication id, and leaves it there if nobody has. Then it waits for the
    /// next whole second: proofs say in seconds when they were made, and one made right after this
    /// must not look as if it came before.
    pub(super) async fn adopt(&self, connection: &Connection) -> Result<(), StoreError> {
        let mut call = self.script.prepare_invoke();
        call.key(STATE).key(STATE).arg("").arg("").arg("").arg("").arg(&*self.known());
        let answer: Answer = connection.invoke(&call).await?;
        match answer.0.as_str() {
            "adopted" => {
                self.learn(&answer.2);
                tokio::time::sleep(Duration::from_millis(answer.1.min(1000))).await;
                Ok(())
            }
            _ => Err(StoreError::Unavailable(String::from("Redis does not tell its replication id"))),
        }
    }

    pub(super) async fn spend(
        &self,
        connection: &Connection,
        spend: &Spend,
        now: Timestamp,
    ) -> Result<Spent, StoreError> {
        let mut call = self.script.prepare_invoke();
        call.key(key(SPENT, spend.id)).key(STATE);
        call.arg(spend.created.map_or_else(String::new, |created| created.as_millis().to_string()));
        call.arg(expiry(spend.until)).arg(spend.until.since(now).as_millis().min(1 << 52) as u64);
        call.arg(now.as_millis()).arg(&*self.known());
        let (word, wait, replid): Answer = connection.invoke(&call).await?;
        self.learn(&replid);
        match word.as_str() {
            "once" => Ok(Spent::Once),
            "replayed" => Ok(Spent::Replayed),
            "predates" => Ok(Spent::PredatesBoot(Duration::from_millis(wait).max(Duration::from_secs(1)))),
            "clock-behind" => Err(StoreError::ClockRegressed),
            "clock-ahead" => {
                Err(StoreError::Unavailable(String::from("this clock is ahead of Redis' clock")))
            }
            _ => Err(StoreError::Unavailable(String::from("Redis does not tell its replication id"))),
        }
    }

    fn known(&self) -> Arc<str> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn learn(&self, replid: &str) {
        if !replid.is_empty() && *self.known() != *replid {
            *self.known.write().unwrap_or_else(PoisonError::into_inner) = Arc::from(replid);
        }
    }
}
