//! What is in flight, and who may have more.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::net::IpAddr;
use std::time::Duration;

use crate::denial::{Code, Denial};
use crate::time::Timestamp;

/// Calls in flight in all.
const IN_ALL: usize = 64;
/// Calls in flight to one target, where nobody gave it more. Half of a target's calls may be made for
/// sources that have not proven themselves lately.
pub(in crate::schemes::webhook) const TO_A_TARGET: usize = 4;
/// Calls in flight for one source that has not proven itself lately.
const FOR_A_STRANGER: usize = 2;
/// Calls in flight for one that has.
const FOR_A_FRIEND: usize = 32;
/// What is lately.
const LATELY: Duration = Duration::from_secs(600);
/// How many sources are remembered as having proven themselves.
pub(super) const FRIENDS: usize = 16 * 1024;

/// One call: about which hash, to which target, for whom.
pub(super) struct Call {
    pub(super) target: String,
    hash: String,
    pub(super) source: Option<IpAddr>,
    at: Timestamp,
    /// How many may be in flight to its target.
    share: usize,
    /// Whether its source has proven itself lately.
    pub(super) friend: bool,
}

impl Call {
    pub(super) fn new(target: &str, hash: &str, source: Option<IpAddr>, at: Timestamp, share: usize) -> Self {
        Self { target: target.to_owned(), hash: hash.to_owned(), source, at, share, friend: false }
    }
}

#[derive(Default)]
pub(super) struct Counts {
    all: usize,
    targets: HashMap<String, Target>,
    sources: HashMap<Option<IpAddr>, usize>,
    /// Of what is in flight, and of what waits to be.
    hashes: HashSet<String>,
    proven: HashMap<Option<IpAddr>, Timestamp>,
}

#[derive(Default)]
struct Target {
    all: usize,
    strangers: usize,
}

impl Counts {
    /// Who asks, and whether about something new.
    pub(super) fn judge(&self, mut call: Call) -> Result<Call, Denial> {
        if self.hashes.contains(&call.hash) {
            let cause = "this hash is being asked about by another request";
            return Err(Denial::new(Code::WebhookDenied, cause));
        }
        self.know(&mut call);
        Ok(call)
    }

    /// Whether its source has proven itself meanwhile.
    pub(super) fn know(&self, call: &mut Call) {
        call.friend = self.proven.get(&call.source).is_some_and(|proven| call.at < proven.plus(LATELY));
    }

    /// Whether there is a place for it; why there is none.
    pub(super) fn admits(&self, call: &Call) -> Result<(), String> {
        let Call { target, share, friend, .. } = call;
        if self.all >= IN_ALL {
            return Err(format!("{IN_ALL} webhook calls are in flight"));
        }
        let in_flight = self.sources.get(&call.source).copied().unwrap_or(0);
        let allowed = if *friend { FOR_A_FRIEND } else { FOR_A_STRANGER };
        if in_flight >= allowed {
            return Err(format!("{allowed} webhook calls are in flight for this source"));
        }
        let Some(calls) = self.targets.get(target) else { return Ok(()) };
        if calls.all >= *share {
            return Err(format!("{share} calls to {target} are in flight"));
        }
        // What a target was given beyond the usual is not for strangers once much is in flight: naming a few
        // such targets would fill everything.
        let strangers = if self.all < IN_ALL / 2 { *share } else { TO_A_TARGET.min(*share) } / 2;
        if !friend && calls.strangers >= strangers {
            return Err(format!("{strangers} calls to {target} are in flight for strangers"));
        }
        Ok(())
    }

    pub(super) fn enter(&mut self, call: &Call) {
        self.all += 1;
        *self.sources.entry(call.source).or_default() += 1;
        let calls = self.targets.entry(call.target.clone()).or_default();
        calls.all += 1;
        calls.strangers += usize::from(!call.friend);
        self.reserve(call);
    }

    /// Nobody else asks about its hash.
    pub(super) fn reserve(&mut self, call: &Call) {
        self.hashes.insert(call.hash.clone());
    }

    pub(super) fn release(&mut self, call: &Call) {
        self.hashes.remove(&call.hash);
    }

    pub(super) fn leave(&mut self, call: Call) {
        self.release(&call);
        self.all -= 1;
        leave(&mut self.sources, call.source, |in_flight| {
            *in_flight -= 1;
            *in_flight == 0
        });
        leave(&mut self.targets, call.target, |calls| {
            calls.all -= 1;
            calls.strangers -= usize::from(!call.friend);
            calls.all == 0
        });
    }

    pub(super) fn proven(&mut self, source: Option<IpAddr>, now: Timestamp) {
        let known = &mut self.proven;
        if known.len() >= FRIENDS && !known.contains_key(&source) {
            known.retain(|_, proven| now < proven.plus(LATELY));
            if known.len() >= FRIENDS {
                return;
            }
        }
        known.insert(source, now);
    }

    pub(super) fn in_flight(&self) -> usize {
        self.all
    }
}

/// Counts down, and forgets whoever has nothing in flight.
fn leave<K: Hash + Eq, V>(counts: &mut HashMap<K, V>, key: K, down: impl FnOnce(&mut V) -> bool) {
    if let Entry::Occupied(mut entry) = counts.entry(key)
        && down(entry.get_mut())
    {
        entry.remove();
    }
}

#[cfg(test)]
impl Counts {
    pub(super) fn is_empty(&self) -> bool {
        self.all == 0 && self.targets.is_empty() && self.sources.is_empty() && self.hashes.is_empty()
    }

    pub(super) fn friends(&self) -> usize {
        self.proven.len()
    }
}
