//! Calls that wait for a place: few, and nobody is held up by one who must go on waiting.

use std::collections::VecDeque;
use std::task::Waker;

use super::counts::{Call, Counts};

/// Calls that wait in all.
const IN_ALL: usize = 256;
/// For one target.
const FOR_A_TARGET: usize = 64;
/// Of all that wait, how many may do so for sources that have not proven themselves lately.
const FOR_STRANGERS: usize = IN_ALL / 2;
/// Of those that wait for one target. A flood that names it is told at once that there is no place.
const FOR_STRANGERS_AT_A_TARGET: usize = 8;
/// Calls that wait for one source that has not proven itself lately.
const FOR_A_STRANGER: usize = 8;

#[derive(Default)]
pub(super) struct Queue {
    /// In the order they came.
    waiters: VecDeque<Waiter>,
    numbers: u64,
}

struct Waiter {
    number: u64,
    call: Call,
    /// It is counted as in flight, and whoever waits has not seen it yet.
    has_place: bool,
    waker: Option<Waker>,
}

impl Queue {
    /// Puts `call` at the end, if it may wait.
    pub(super) fn join(&mut self, call: Call, counts: &mut Counts) -> Option<u64> {
        if !self.has_room(&call) {
            return None;
        }
        self.numbers += 1;
        counts.reserve(&call);
        self.waiters.push_back(Waiter { number: self.numbers, call, has_place: false, waker: None });
        Some(self.numbers)
    }

    fn has_room(&self, call: &Call) -> bool {
        let waiting = |which: &dyn Fn(&Call) -> bool| {
            self.waiters.iter().filter(|waiter| !waiter.has_place && which(&waiter.call)).count()
        };
        let is_here = |other: &Call| other.target == call.target;
        if waiting(&|_| true) >= IN_ALL || waiting(&is_here) >= FOR_A_TARGET {
            return false;
        }
        call.friend
            || (waiting(&|other| !other.friend) < FOR_STRANGERS
                && waiting(&|other| !other.friend && is_here(other)) < FOR_STRANGERS_AT_A_TARGET
                && waiting(&|other| other.source == call.source) < FOR_A_STRANGER)
    }

    /// Gives places to those who may have one, in the order they came.
    pub(super) fn advance(&mut self, counts: &mut Counts) {
        for waiter in self.waiters.iter_mut().filter(|waiter| !waiter.has_place) {
            counts.know(&mut waiter.call);
            if counts.admits(&waiter.call).is_ok() {
                counts.enter(&waiter.call);
                waiter.has_place = true;
                waiter.waker.take().into_iter().for_each(Waker::wake);
            }
        }
    }

    /// The call with that number, once it has a place; it is no longer in the queue then.
    pub(super) fn turn(&mut self, number: u64, waker: &Waker) -> Option<Call> {
        let index = self.index(number)?;
        let waiter = self.waiters.get_mut(index)?;
        if !waiter.has_place {
            waiter.waker = Some(waker.clone());
            return None;
        }
        self.waiters.remove(index).map(|waiter| waiter.call)
    }

    /// Whoever waited waits no longer.
    pub(super) fn leave(&mut self, number: u64, counts: &mut Counts) {
        let waiter = self.index(number).and_then(|index| self.waiters.remove(index));
        match waiter {
            Some(Waiter { call, has_place: true, .. }) => {
                counts.leave(call);
                self.advance(counts);
            }
            Some(Waiter { call, .. }) => counts.release(&call),
            None => {}
        }
    }

    fn index(&self, number: u64) -> Option<usize> {
        self.waiters.binary_search_by_key(&number, |waiter| waiter.number).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::future::{Future, pending, ready};
    use std::net::IpAddr;
    use std::pin::{Pin, pin};
    use std::sync::Arc;
    use std::task::{Context, Poll, Waker};
    use std::time::Duration;

    use super::super::{Budget, Place};
    use super::*;
    use crate::denial::{Code, Denial};
    use crate::time::{Timer, Timestamp};

    type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;
    type Entering<'a> = Pin<Box<dyn Future<Output = Result<Place, Denial>> + 'a>>;

    /// Whoever waits may do so for ever.
    struct Patient;

    impl Timer for Patient {
        fn sleep(&self, _: Duration) -> Sleep {
            Box::pin(pending())
        }
    }

    /// The time is always over.
    struct Impatient;

    impl Timer for Impatient {
        fn sleep(&self, _: Duration) -> Sleep {
            Box::pin(ready(()))
        }
    }

    fn source(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    fn now() -> Timestamp {
        Timestamp::from_secs(1)
    }

    fn entering<'a>(
        budget: &'a Arc<Budget>,
        target: &'a str,
        hash: String,
        from: u8,
        share: usize,
    ) -> Entering<'a> {
        Box::pin(async move { budget.enter_in_turn(target, &hash, source(from), now(), share).await })
    }

    fn poll(entering: &mut Entering<'_>) -> Poll<Result<Place, Denial>> {
        entering.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }

    fn place(entering: &mut Entering<'_>) -> Option<Place> {
        match poll(entering) {
            Poll::Ready(entered) => Some(entered.unwrap_or_else(|denial| panic!("{denial:?}"))),
            Poll::Pending => None,
        }
    }

    fn code(polled: Poll<Result<Place, Denial>>) -> Option<Code> {
        match polled {
            Poll::Ready(Err(denial)) => Some(denial.code()),
            _ => None,
        }
    }

    #[test]
    fn eight_at_once_from_a_source_that_nobody_knows_all_have_their_turn() {
        let budget = Arc::new(Budget::queueing(Arc::new(Patient)));
        let mut calls: Vec<_> = (0..8).map(|hash| entering(&budget, "a", hash.to_string(), 1, 4)).collect();
        let mut places: Vec<_> = calls.iter_mut().map(place).collect();
        assert_eq!(places.iter().flatten().count(), 2, "a source that nobody knows has two");
        places[0] = None;
        places[2] = place(&mut calls[2]);
        assert!(places[2].is_some() && place(&mut calls[3]).is_none(), "in the order they came");
        budget.proven(source(1), now());
        assert!(place(&mut calls[3]).is_some(), "its source is known now: no need to wait for another's end");
        drop(places);
        for call in &mut calls[4..] {
            assert!(place(call).is_some());
        }
        drop(calls);
        assert!(budget.state().counts.is_empty());
    }

    #[test]
    fn a_share_is_more_for_whoever_is_known_and_half_of_it_for_strangers_while_little_is_in_flight() {
        let budget = Arc::new(Budget::queueing(Arc::new(Patient)));
        let enter = |target: &'static str, hash: String, from: u8, share| {
            place(&mut entering(&budget, target, hash, from, share))
        };
        let strangers: Vec<_> = (0..8).filter_map(|from| enter("a", format!("s{from}"), from, 8)).collect();
        assert_eq!(strangers.len(), 4);
        budget.proven(source(99), now());
        let friends: Vec<_> = (0..8).filter_map(|hash| enter("a", format!("f{hash}"), 99, 8)).collect();
        assert_eq!(friends.len(), 4, "eight for the target");
        budget.proven(source(98), now());
        let many: Vec<_> = (0..32).filter_map(|hash| enter("b", format!("m{hash}"), 98, 32)).collect();
        assert_eq!(many.len(), 32);
        let strangers: Vec<_> = (0..8).filter_map(|from| enter("c", format!("t{from}"), from, 32)).collect();
        assert_eq!(strangers.len(), 2, "no more than ever, now that half of all is in flight");
    }

    #[test]
    fn who_waits_for_one_target_holds_up_nobody_who_asks_for_another() {
        let budget = Arc::new(Budget::queueing(Arc::new(Patient)));
        budget.proven(source(1), now());
        let mut full: Vec<_> = (0..20).map(|hash| entering(&budget, "a", format!("a{hash}"), 1, 4)).collect();
        let _places: Vec<_> = full.iter_mut().map(place).collect();
        let mut other: Vec<_> = (0..2).map(|hash| entering(&budget, "b", format!("b{hash}"), 2, 4)).collect();
        assert!(other.iter_mut().map(place).all(|place| place.is_some()));
        // And of those who wait for the same target, a stranger does not hold up whoever is known.
        let mut stranger = entering(&budget, "c", "c0".into(), 3, 4);
        let _held: Vec<_> =
            (4..6).map(|from| place(&mut entering(&budget, "c", format!("c{from}"), from, 4))).collect();
        assert!(place(&mut stranger).is_none());
        assert!(place(&mut entering(&budget, "c", "friend".into(), 1, 4)).is_some());
    }

    #[test]
    fn a_queue_has_an_end_and_strangers_do_not_fill_it() {
        let budget = Arc::new(Budget::queueing(Arc::new(Patient)));
        budget.proven(source(255), now());
        let enter = |hash: String, from: u8| entering(&budget, "a", hash, from, 4);
        let mut strangers: Vec<_> = (0..40).map(|from| enter(format!("s{from}"), from)).collect();
        let mut friends: Vec<_> = (0..90).map(|hash| enter(format!("f{hash}"), 255)).collect();
        let polled: Vec<_> = strangers.iter_mut().map(poll).collect();
        let refused = |polled: &[Poll<Result<Place, Denial>>]| {
            polled.iter().filter(|polled| matches!(polled, Poll::Ready(Err(_)))).count()
        };
        assert_eq!(refused(&polled), 40 - 2 - FOR_STRANGERS_AT_A_TARGET);
        let others: Vec<_> = friends.iter_mut().map(poll).collect();
        assert_eq!(refused(&others), 90 - 2 - (FOR_A_TARGET - FOR_STRANGERS_AT_A_TARGET));
    }

    #[test]
    fn waiting_ends_in_time_with_the_budget_s_code() {
        let budget = Arc::new(Budget::queueing(Arc::new(Impatient)));
        let _held: Vec<_> =
            (0..2).map(|hash| place(&mut entering(&budget, "a", hash.to_string(), 1, 4))).collect();
        assert_eq!(code(poll(&mut entering(&budget, "a", "late".into(), 1, 4))), Some(Code::WebhookBudget));
        assert!(budget.state().queue.waiters.is_empty());
        let without = Arc::new(Budget::default());
        let _held: Vec<_> =
            (0..2).map(|hash| place(&mut entering(&without, "a", hash.to_string(), 1, 4))).collect();
        assert_eq!(code(poll(&mut entering(&without, "a", "late".into(), 1, 4))), Some(Code::WebhookBudget));
    }

    #[test]
    fn whoever_goes_while_waiting_leaves_nothing_behind_and_hands_on_what_it_was_given() {
        let budget = Arc::new(Budget::queueing(Arc::new(Patient)));
        let mut calls: Vec<_> = (0..4).map(|hash| entering(&budget, "a", hash.to_string(), 1, 4)).collect();
        let held: Vec<_> = calls.iter_mut().map(place).collect();
        let mut last = calls.pop().unwrap();
        let given = calls.pop().unwrap();
        let again = code(poll(&mut entering(&budget, "b", "3".into(), 2, 4)));
        assert_eq!(again, Some(Code::WebhookDenied), "its hash waits already");
        // The one that goes has got its place, and has not seen it.
        let mut held = held.into_iter().flatten();
        drop(held.next());
        drop(given);
        assert!(place(&mut last).is_some());
        drop((held, calls, last));
        assert!(budget.state().counts.is_empty() && budget.state().queue.waiters.is_empty());
    }

    #[test]
    fn a_call_that_waits_is_woken() {
        let budget = Arc::new(Budget::queueing(Arc::new(Patient)));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let first = budget.enter_in_turn("a", "1", source(1), now(), 4).await.unwrap();
            let second = budget.enter_in_turn("a", "2", source(1), now(), 4).await.unwrap();
            let waits = budget.clone();
            let third =
                tokio::spawn(async move { waits.enter_in_turn("a", "3", source(1), now(), 4).await.is_ok() });
            tokio::task::yield_now().await;
            drop(first);
            assert!(pin!(third).await.unwrap());
            drop(second);
        });
    }
}
