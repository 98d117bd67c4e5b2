//! How many webhook URLs are asked at once, for whom, and on whose behalf: somebody who has proven
//! nothing cannot make us flood another, nor keep others from being asked.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::denial::{Code, Denial};
use crate::time::Timestamp;

/// Calls in flight in all.
const IN_ALL: usize = 64;
/// Calls in flight to one target.
const TO_A_TARGET: usize = 4;
/// Of those, how many may be made for sources that have not proven themselves lately.
const FOR_STRANGERS: usize = TO_A_TARGET / 2;
/// Calls in flight for one source that has not proven itself lately.
const FOR_A_STRANGER: usize = 2;
/// Calls in flight for one that has.
const FOR_A_FRIEND: usize = 32;
/// What is lately.
const LATELY: Duration = Duration::from_secs(600);
/// How many sources are remembered as having proven themselves.
const FRIENDS: usize = 16 * 1024;

/// Counts what is in flight. There is no queue: over budget is refused at once.
#[derive(Default)]
pub struct Budget {
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    all: usize,
    targets: HashMap<String, Target>,
    sources: HashMap<Option<IpAddr>, usize>,
    hashes: HashSet<String>,
    proven: HashMap<Option<IpAddr>, Timestamp>,
}

#[derive(Default)]
struct Target {
    all: usize,
    strangers: usize,
}

impl Budget {
    /// Takes a place for one call to `target` about `hash` on behalf of `source` (`None`: nobody
    /// knows who opened the connection). The place is given back when it is dropped.
    ///
    /// # Errors
    /// `webhook_budget`; and `webhook_denied` while the same hash is being asked about, since one
    /// token proves one request.
    pub fn enter(
        self: &Arc<Self>,
        target: &str,
        hash: &str,
        source: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<Place, Denial> {
        let over = |what: String| Err(Denial::new(Code::WebhookBudget, what));
        let mut counts = self.counts();
        if counts.hashes.contains(hash) {
            return Err(Denial::new(
                Code::WebhookDenied,
                "this hash is being asked about by another request",
            ));
        }
        let friend = counts.proven.get(&source).is_some_and(|proven| now < proven.plus(LATELY));
        if counts.all >= IN_ALL {
            return over(format!("{IN_ALL} webhook calls are in flight"));
        }
        let in_flight = counts.sources.get(&source).copied().unwrap_or(0);
        let allowed = if friend { FOR_A_FRIEND } else { FOR_A_STRANGER };
        if in_flight >= allowed {
            return over(format!("{allowed} webhook calls are in flight for this source"));
        }
        if let Some(calls) = counts.targets.get(target) {
            if calls.all >= TO_A_TARGET {
                return over(format!("{TO_A_TARGET} calls to {target} are in flight"));
            }
            if !friend && calls.strangers >= FOR_STRANGERS {
                return over(format!("{FOR_STRANGERS} calls to {target} are in flight for strangers"));
            }
        }
        counts.all += 1;
        *counts.sources.entry(source).or_default() += 1;
        let calls = counts.targets.entry(target.to_owned()).or_default();
        calls.all += 1;
        calls.strangers += usize::from(!friend);
        counts.hashes.insert(hash.to_owned());
        Ok(Place { budget: self.clone(), target: target.to_owned(), hash: hash.to_owned(), source, friend })
    }

    /// Remembers that `source` proved itself.
    pub fn proven(&self, source: Option<IpAddr>, now: Timestamp) {
        let mut counts = self.counts();
        if counts.proven.len() >= FRIENDS && !counts.proven.contains_key(&source) {
            counts.proven.retain(|_, proven| now < proven.plus(LATELY));
            if counts.proven.len() >= FRIENDS {
                return;
            }
        }
        counts.proven.insert(source, now);
    }

    /// How many calls are in flight.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.counts().all
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place for one call; dropped, it is free again.
#[must_use = "the call is counted as long as its place is kept"]
pub struct Place {
    budget: Arc<Budget>,
    target: String,
    hash: String,
    source: Option<IpAddr>,
    friend: bool,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.budget.counts();
        counts.all -= 1;
        counts.hashes.remove(&self.hash);
        let source = self.source;
        leave(&mut counts.sources, source, |in_flight| {
            *in_flight -= 1;
            *in_flight == 0
        });
        let friend = self.friend;
        leave(&mut counts.targets, std::mem::take(&mut self.target), |calls| {
            calls.all -= 1;
            calls.strangers -= usize::from(!friend);
            calls.all == 0
        });
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
mod tests {
    use super::*;

    fn source(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    struct Try {
        budget: Arc<Budget>,
        hashes: usize,
        places: Vec<Place>,
    }

    impl Try {
        fn new() -> Self {
            Self { budget: Arc::default(), hashes: 0, places: Vec::new() }
        }

        fn enter(&mut self, target: &str, source: Option<IpAddr>, now: u64) -> Option<Code> {
            self.hashes += 1;
            let hash = self.hashes.to_string();
            match self.budget.enter(target, &hash, source, Timestamp::from_secs(now)) {
                Ok(place) => self.places.push(place),
                Err(denial) => return Some(denial.code()),
            }
            None
        }
    }

    #[test]
    fn a_stranger_has_two_calls_and_all_strangers_have_half_of_a_target() {
        let mut attempt = Try::new();
        assert_eq!(attempt.enter("a", source(1), 0), None);
        assert_eq!(attempt.enter("b", source(1), 0), None);
        assert_eq!(attempt.enter("c", source(1), 0), Some(Code::WebhookBudget));
        assert_eq!(attempt.enter("a", source(2), 0), None);
        assert_eq!(attempt.enter("a", source(3), 0), Some(Code::WebhookBudget));
        assert_eq!(attempt.enter("c", source(3), 0), None);
    }

    #[test]
    fn whoever_proved_itself_lately_has_the_other_half_and_more_calls() {
        let mut attempt = Try::new();
        for stranger in 1..=2 {
            assert_eq!(attempt.enter("a", source(stranger), 0), None);
        }
        attempt.budget.proven(source(9), Timestamp::from_secs(0));
        assert_eq!(attempt.enter("a", source(9), 1), None);
        assert_eq!(attempt.enter("a", source(9), 1), None);
        assert_eq!(attempt.enter("a", source(9), 1), Some(Code::WebhookBudget), "a target has four");
        for target in 0..30 {
            assert_eq!(attempt.enter(&target.to_string(), source(9), 1), None);
        }
        assert_eq!(attempt.enter("z", source(9), 1), Some(Code::WebhookBudget), "a source has 32");
        attempt.places.clear();
        for target in ["a", "b"] {
            assert_eq!(attempt.enter(target, source(9), 600), None);
        }
        assert_eq!(attempt.enter("c", source(9), 600), Some(Code::WebhookBudget), "lately has passed");
    }

    #[test]
    fn there_are_sixty_four_in_all() {
        let mut attempt = Try::new();
        for caller in 0..64 {
            assert_eq!(attempt.enter(&caller.to_string(), source(caller), 0), None);
        }
        assert_eq!(attempt.enter("another", source(99), 0), Some(Code::WebhookBudget));
        assert_eq!(attempt.budget.in_flight(), 64);
    }

    #[test]
    fn a_hash_is_asked_about_once_at_a_time() {
        let budget = Arc::new(Budget::default());
        let now = Timestamp::from_secs(0);
        let place = budget.enter("a", "h", source(1), now).unwrap();
        let second = budget.enter("b", "h", source(2), now).err().map(|denial| denial.code());
        assert_eq!(second, Some(Code::WebhookDenied));
        drop(place);
        assert!(budget.enter("b", "h", source(2), now).is_ok());
    }

    #[test]
    fn nothing_is_remembered_of_calls_that_have_ended() {
        let mut attempt = Try::new();
        for caller in 0..64 {
            attempt.enter(&caller.to_string(), source(caller), 0);
        }
        attempt.places.clear();
        let counts = attempt.budget.counts();
        assert_eq!(counts.all, 0);
        assert!(counts.targets.is_empty() && counts.sources.is_empty() && counts.hashes.is_empty());
    }

    #[test]
    fn those_who_proved_themselves_are_forgotten_in_time_and_bounded() {
        let budget = Budget::default();
        for caller in 0..u32::try_from(FRIENDS).unwrap() + 10 {
            budget.proven(Some(IpAddr::from(caller.to_be_bytes())), Timestamp::from_secs(0));
        }
        assert_eq!(budget.counts().proven.len(), FRIENDS);
        budget.proven(source(1), Timestamp::from_secs(601));
        assert_eq!(budget.counts().proven.len(), 1);
    }
}
