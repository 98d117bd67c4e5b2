//! How many frames that carry nothing a caller may send: some at any time, a few each second, and more for what it is
//! sent itself.

use std::time::Duration;

use tokio::time::Instant;

use super::frames::FrameHead;

/// So many at once.
const BURST: u32 = 1000;
/// And one more in each of these: 33 a second, as nghttp2 allows resets.
const REFILL: Duration = Duration::from_millis(30);
/// For each frame of a response: an update for the stream and for the connection, and some for measuring the way.
const EARNED: u32 = 4;
/// More than the frames of the largest window are worth to nobody who reads as it comes.
const MOST_EARNED: u32 = 64 * 1024;
/// A smaller DATA frame earns nothing: a caller that opens its window byte by byte would pay for it by what it asks.
const WORTH: u32 = 32;

/// What is left.
#[derive(Debug)]
pub(super) struct Budget {
    burst: u32,
    refilled: Instant,
    earned: u32,
}

impl Budget {
    pub(super) fn new(now: Instant) -> Self {
        Self { burst: BURST, refilled: now, earned: 0 }
    }

    /// Takes in a frame of the caller's. False when there was one too many.
    pub(super) fn spend(&mut self, frame: FrameHead, now: Instant) -> bool {
        match frame.kind {
            // Each is a request, or a part of one: how many there are at once is limited elsewhere.
            FrameHead::HEADERS | FrameHead::CONTINUATION => return true,
            FrameHead::DATA if frame.length > 0 => return true,
            _ => {}
        }
        if let Some(left) = self.earned.checked_sub(1) {
            self.earned = left;
            return true;
        }
        let periods = now.duration_since(self.refilled).as_millis() / REFILL.as_millis();
        let periods = u32::try_from(periods).unwrap_or(u32::MAX).min(BURST);
        if periods > 0 {
            self.burst = (self.burst + periods).min(BURST);
            // What is left of a period counts for the next, unless there was nothing to fill.
            self.refilled = if self.burst == BURST { now } else { self.refilled + REFILL * periods };
        }
        let left = self.burst.checked_sub(1);
        self.burst = left.unwrap_or(0);
        left.is_some()
    }

    /// Takes in a frame of ours.
    pub(super) fn earn(&mut self, frame: FrameHead) {
        let worth = match frame.kind {
            FrameHead::HEADERS => true,
            FrameHead::DATA => frame.length >= WORTH,
            _ => false,
        };
        if worth {
            self.earned = (self.earned + EARNED).min(MOST_EARNED);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PING: FrameHead = FrameHead { kind: 6, length: 8 };

    fn spend(budget: &mut Budget, frame: FrameHead, now: Instant) -> u32 {
        let mut spent = 0;
        while spent < 100_000 && budget.spend(frame, now) {
            spent += 1;
        }
        spent
    }

    #[test]
    fn what_carries_nothing_is_bounded_at_once_and_over_time() {
        let start = Instant::now();
        for kind in [2, 3, 4, 6, 7, 8, 16, 255] {
            let mut budget = Budget::new(start);
            assert_eq!(spend(&mut budget, FrameHead { kind, length: 5 }, start), 1000, "kind {kind}");
        }
        let mut budget = Budget::new(start);
        assert_eq!(spend(&mut budget, FrameHead { kind: FrameHead::DATA, length: 0 }, start), 1000);
        assert_eq!(spend(&mut budget, PING, start + Duration::from_secs(3)), 100);
        assert_eq!(spend(&mut budget, PING, start + Duration::from_secs(3)), 0);
        assert_eq!(spend(&mut budget, PING, start + Duration::from_millis(3029)), 0);
        assert_eq!(spend(&mut budget, PING, start + Duration::from_millis(3030)), 1);
        assert_eq!(spend(&mut budget, PING, start + Duration::from_secs(100_000)), 1000);
    }

    #[test]
    fn requests_and_their_bodies_cost_nothing_here() {
        let now = Instant::now();
        for kind in [FrameHead::HEADERS, FrameHead::CONTINUATION, FrameHead::DATA] {
            assert_eq!(spend(&mut Budget::new(now), FrameHead { kind, length: 1 }, now), 100_000);
        }
    }

    #[test]
    fn whoever_is_sent_much_may_say_that_it_came() {
        let now = Instant::now();
        let mut budget = Budget::new(now);
        for _ in 0..100 {
            budget.earn(FrameHead { kind: FrameHead::DATA, length: 16_384 });
            budget.earn(FrameHead { kind: FrameHead::HEADERS, length: 0 });
            // Nothing for a window that is opened byte by byte, nor for what we say about ourselves.
            budget.earn(FrameHead { kind: FrameHead::DATA, length: 1 });
            budget.earn(PING);
        }
        assert_eq!(spend(&mut budget, PING, now), 1800);
        for _ in 0..1_000_000 {
            budget.earn(FrameHead { kind: FrameHead::DATA, length: 16_384 });
        }
        assert_eq!(spend(&mut budget, PING, now), 65_536);
    }
}
