//! How many webhook URLs are asked at once, for whom, and on whose behalf: somebody who has proven
//! nothing cannot make us flood another, nor keep others from being asked.

mod counts;
mod queue;

use std::future::poll_fn;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use self::counts::{Call, Counts};
use self::queue::Queue;
use crate::denial::{Code, Denial};
use crate::time::{Timer, Timestamp};

pub(super) use self::counts::TO_A_TARGET;

/// How long a call waits for its turn.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Counts what is in flight. Over budget is refused at once, but for callers that may queue.
#[derive(Default)]
pub struct Budget {
    state: Mutex<State>,
    timer: Option<Arc<dyn Timer>>,
}

#[derive(Default)]
struct State {
    counts: Counts,
    queue: Queue,
}

impl Budget {
    /// A budget with a queue for callers that are listed whole; `timer` ends their waiting.
    #[must_use]
    pub fn queueing(timer: Arc<dyn Timer>) -> Self {
        Self { timer: Some(timer), ..Self::default() }
    }

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
        let counts = &mut self.state().counts;
        let call = Call::new(target, hash, source, now, TO_A_TARGET);
        let call = counts.judge(call)?;
        counts.admits(&call).map_err(over)?;
        Ok(self.place(counts, call))
    }

    /// As [`enter`](Self::enter) with `share` places for the target. Over budget it waits for its turn,
    /// up to 2 s in a queue of bounded length; without a timer there is none.
    ///
    /// # Errors
    /// As for [`enter`](Self::enter): at once when the queue is full, else when the time is over.
    pub async fn enter_in_turn(
        self: &Arc<Self>,
        target: &str,
        hash: &str,
        source: Option<IpAddr>,
        now: Timestamp,
        share: usize,
    ) -> Result<Place, Denial> {
        let (number, why, timer) = {
            let State { counts, queue } = &mut *self.state();
            let call = counts.judge(Call::new(target, hash, source, now, share))?;
            let Err(why) = counts.admits(&call) else { return Ok(self.place(counts, call)) };
            let Some(timer) = &self.timer else { return Err(over(why)) };
            let Some(number) = queue.join(call, counts) else {
                return Err(over(format!("{why}, and no more may wait")));
            };
            (number, why, timer)
        };
        let waiting = Waiting { budget: self, number };
        let mut patience = timer.sleep(LONGEST_WAIT);
        // A turn that comes at the last moment counts.
        let called = poll_fn(|context| match self.state().queue.turn(waiting.number, context.waker()) {
            Some(call) => Poll::Ready(Some(call)),
            None => patience.as_mut().poll(context).map(|()| None),
        });
        match called.await {
            Some(call) => Ok(Place { budget: self.clone(), call: Some(call) }),
            None => Err(over(format!("{why}, and waiting was in vain"))),
        }
    }

    fn place(self: &Arc<Self>, counts: &mut Counts, call: Call) -> Place {
        counts.enter(&call);
        Place { budget: self.clone(), call: Some(call) }
    }

    /// Remembers that `source` proved itself.
    pub fn proven(&self, source: Option<IpAddr>, now: Timestamp) {
        let State { counts, queue } = &mut *self.state();
        counts.proven(source, now);
        queue.advance(counts);
    }

    /// How many calls are in flight.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.state().counts.in_flight()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn over(why: String) -> Denial {
    Denial::new(Code::WebhookBudget, why)
}

/// A place for one call; dropped, it is free again.
#[must_use = "the call is counted as long as its place is kept"]
pub struct Place {
    budget: Arc<Budget>,
    call: Option<Call>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let State { counts, queue } = &mut *self.budget.state();
        if let Some(call) = self.call.take() {
            counts.leave(call);
        }
        queue.advance(counts);
    }
}

/// A call that waits; dropped, it waits no longer, and gives back the place that it may have got.
struct Waiting<'a> {
    budget: &'a Budget,
    number: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let State { counts, queue } = &mut *self.budget.state();
        queue.leave(self.number, counts);
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
        assert!(attempt.budget.state().counts.is_empty());
    }

    #[test]
    fn those_who_proved_themselves_are_forgotten_in_time_and_bounded() {
        let budget = Budget::default();
        for caller in 0..u32::try_from(counts::FRIENDS).unwrap() + 10 {
            budget.proven(Some(IpAddr::from(caller.to_be_bytes())), Timestamp::from_secs(0));
        }
        assert_eq!(budget.state().counts.friends(), counts::FRIENDS);
        budget.proven(source(1), Timestamp::from_secs(601));
        assert_eq!(budget.state().counts.friends(), 1);
    }
}
