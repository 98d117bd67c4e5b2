//! The last decisions, for `explain`: proven and unproven apart, so that a flood of requests that
//! prove nothing pushes out no evidence.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use countersign::{Decision, DecisionId};

/// How many decisions of each kind are kept.
const KEPT: usize = 10_000;

/// The last decisions.
#[derive(Default)]
pub struct Decisions {
    proven: Ring,
    unproven: Ring,
}

#[derive(Default)]
struct Ring(Mutex<VecDeque<Arc<Decision>>>);

impl Ring {
    fn push(&self, decision: Arc<Decision>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pushed_out = if kept.len() >= KEPT { kept.pop_front() } else { None };
        kept.push_back(decision);
        drop(kept);
        drop(pushed_out);
    }

    fn find(&self, matches: impl Fn(&Decision) -> bool) -> Option<Arc<Decision>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().rev().find(|decision| matches(decision)).cloned()
    }
}

impl Decisions {
    /// Keeps a decision.
    pub fn push(&self, decision: Arc<Decision>) {
        let ring = if decision.is_proven() { &self.proven } else { &self.unproven };
        ring.push(decision);
    }

    /// The decision of this name, if it is among the last.
    #[must_use]
    pub fn get(&self, id: DecisionId) -> Option<Arc<Decision>> {
        let is_it = |decision: &Decision| decision.id == id;
        self.proven.find(is_it).or_else(|| self.unproven.find(is_it))
    }

    /// The latest decision of all.
    #[must_use]
    pub fn latest(&self) -> Option<Arc<Decision>> {
        let (proven, unproven) = (self.proven.find(|_| true), self.unproven.find(|_| true));
        [proven, unproven].into_iter().flatten().max_by_key(|decision| decision.id)
    }

    /// The latest `count` of each kind, latest first.
    #[must_use]
    pub fn last(&self, count: usize) -> Vec<Arc<Decision>> {
        let mut last = Vec::new();
        for ring in [&self.proven, &self.unproven] {
            let kept = ring.0.lock().unwrap_or_else(PoisonError::into_inner);
            last.extend(kept.iter().rev().take(count).cloned());
        }
        last.sort_by_key(|decision| std::cmp::Reverse(decision.id));
        last.truncate(count);
        last
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign::crypto::SystemRandom;
    use countersign::{Code, Denial, Outcome, Scheme, Subject, Timestamp};

    fn decision(second: u64, outcome: Outcome) -> Arc<Decision> {
        let at = Timestamp::from_secs(second);
        Arc::new(Decision {
            id: DecisionId::new(at, &SystemRandom),
            at,
            source: None,
            method: http::Method::GET,
            path: "/".into(),
            route: None,
            steps: Vec::new(),
            outcome,
            afterwards: std::sync::OnceLock::new(),
        })
    }

    #[test]
    fn a_flood_of_unproven_requests_pushes_out_no_evidence() {
        let decisions = Decisions::default();
        let proven =
            decision(1, Outcome::Permit(Some((Subject::Callback("a".into()), vec![Scheme::ApiKey]))));
        decisions.push(proven.clone());
        for second in 2..2 + KEPT as u64 * 2 {
            let outcome = match second % 2 {
                0 => Outcome::Permit(None),
                _ => Outcome::Deny(Arc::new(Denial::new(Code::CredentialMissing, ""))),
            };
            decisions.push(decision(second, outcome));
        }
        assert!(decisions.get(proven.id).is_some());
        assert_eq!(decisions.unproven.0.lock().unwrap().len(), KEPT);
        assert_eq!(decisions.latest().unwrap().at, Timestamp::from_secs(1 + KEPT as u64 * 2));
        assert_eq!(decisions.last(5).len(), 5);
    }
}
