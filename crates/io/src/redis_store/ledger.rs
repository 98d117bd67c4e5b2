//! Spending a proof on Redis, and noticing that the server has lost what was spent.
//!
//! A ledger is lost with the history of writes it was kept in. Redis names that history: the
//! `master_replid` changes when a server starts, and when a replica takes over (which may lack the
//! last writes). `spend.lua` compares it with the one kept beside the ledger, in the same atomic
//! step that spends; when it differs, the cut-off becomes the server's time and 30 s, the most that
//! a proof may be dated ahead, and proofs made up to the cut-off are refused.
//!
//! Unless it is shown that nothing is missing (decision 42): the server wrote before it acknowledged, had
//! no replica that could have taken its place, and holds at least as many spent proofs as this gateway
//! and every other was told of. Then the cut-off is 2 s, in which the other gateways may object and
//! no dated proof passes.
//!
//! A server that comes back empty has lost the remembered id too. So each gateway hands in what
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

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use countersign::store::{Spend, Spent, StoreError};
use countersign::time::Timestamp;
use redis::{Script, ScriptInvocation};

use super::connection::Connection;
use super::line::{Line, unavailable};
use super::{expiry, key};

/// Spaces are `[a-z-]+`: an underscore cannot collide.
const SPENT: &str = "_spent";
const STATE: &str = "cs:_ledger";

/// What the script answers: a word, a wait in milliseconds, and what was seen.
type Answer = (String, u64, String, u64, u64);

pub(super) struct Ledger {
    script: Script,
    look: Script,
    known: RwLock<Known>,
}

/// What this process has seen last.
#[derive(Clone, Default)]
struct Known {
    /// The replication id; empty before one was seen.
    replid: String,
    /// How many proofs were spent.
    count: u64,
    /// The server's clock, in milliseconds.
    time: u64,
}

impl Default for Ledger {
    fn default() -> Self {
        let (script, look) = (include_str!("spend.lua"), include_str!("look.lua"));
        Self { script: Script::new(script), look: Script::new(look), known: RwLock::default() }
    }
}

impl Ledger {
    /// Says that this gateway is there and what it knows, and learns what the server knows: often, so that
    /// a loss is noticed which happened to proofs that others spent. What a new ledger must wait yet:
    /// proofs say in seconds when they were made, and one made right after this must not look as if it
    /// came before.
    pub(super) async fn beat(&self, line: &Line, writes_first: bool) -> Result<Duration, StoreError> {
        let mut call = self.script.prepare_invoke();
        call.key(STATE).key(STATE).arg("").arg("").arg("").arg("");
        self.say_known(&mut call);
        call.arg(if writes_first { "1" } else { "0" });
        let (word, wait, replid, count, time): Answer = line.invoke(&call).await.map_err(unavailable)?;
        if word != "adopted" {
            return Err(StoreError::Unavailable(String::from("Redis does not tell its replication id")));
        }
        self.learn(replid, count, time);
        Ok(Duration::from_millis(wait.min(1000)))
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
        call.arg(now.as_millis());
        self.say_known(&mut call);
        call.arg("");
        let (word, wait, replid, count, time): Answer = connection.invoke(&call).await?;
        self.learn(replid, count, time);
        spent(&word, wait)
    }

    pub(super) async fn look(
        &self,
        connection: &Connection,
        spend: &Spend,
        now: Timestamp,
    ) -> Result<Spent, StoreError> {
        let mut call = self.look.prepare_invoke();
        call.key(key(SPENT, spend.id)).key(STATE);
        call.arg(spend.created.map_or_else(String::new, |created| created.as_millis().to_string()));
        call.arg(now.as_millis());
        let (word, wait): (String, u64) = connection.invoke(&call).await?;
        spent(&word, wait)
    }

    fn say_known(&self, call: &mut ScriptInvocation<'_>) {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        call.arg(known.replid.as_str()).arg(known.count).arg(known.time);
    }

    fn learn(&self, replid: String, count: u64, time: u64) {
        if replid.is_empty() {
            return;
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        // Answers may overtake one another.
        *known = match known.replid == replid {
            true => Known { replid, count: known.count.max(count), time: known.time.max(time) },
            false => Known { replid, count, time },
        };
    }
}

/// What a script says of a proof.
fn spent(word: &str, wait: u64) -> Result<Spent, StoreError> {
    match word {
        "once" => Ok(Spent::Once),
        "replayed" => Ok(Spent::Replayed),
        "predates" => Ok(Spent::PredatesBoot(Duration::from_millis(wait).max(Duration::from_secs(1)))),
        "clock-behind" => Err(StoreError::ClockRegressed),
        "clock-ahead" => Err(StoreError::Unavailable(String::from("this clock is ahead of Redis' clock"))),
        _ => Err(StoreError::Unavailable(String::from("Redis does not tell its replication id"))),
    }
}
