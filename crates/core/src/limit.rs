//! Rates: so many requests in so long for each name, looked at first and taken last.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::time::Timestamp;

/// So many requests in a period: `100/min`, `5/s`, `1000/h`, `10000/day`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    count: u32,
    period: Duration,
}

/// A rate that cannot be read.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("a rate is a whole number above 0, a slash and s, min, h or day: 100/min")]
pub struct RateError;

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let (count, period) = text.split_once('/').ok_or(RateError)?;
        let period = Duration::from_secs(match period.trim() {
            "s" | "sec" | "second" => 1,
            "m" | "min" | "minute" => 60,
            "h" | "hour" => 3600,
            "d" | "day" => 86400,
            _ => return Err(RateError),
        });
        match count.trim().parse() {
            Ok(0) | Err(_) => Err(RateError),
            Ok(count) => Ok(Self { count, period }),
        }
    }
}

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let period = match self.period.as_secs() {
            1 => "s",
            60 => "min",
            3600 => "h",
            _ => "day",
        };
        write!(f, "{}/{period}", self.count)
    }
}

/// Counts requests by name with the generic cell rate algorithm (ITU-T I.371): a bucket that holds
/// one period's count and refills evenly. One number is kept for each name that has spent lately.
pub struct Limiter<K> {
    rate: Rate,
    hasher: RandomState,
    shards: Vec<Mutex<Shard<K>>>,
}

struct Shard<K> {
    /// When the bucket will be full again, in nanoseconds since the epoch.
    full_at: HashMap<K, u128>,
    sweep_at: usize,
}

impl<K: Hash + Eq> Limiter<K> {
    const SHARDS: usize = 16;

    /// An empty limiter.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        let shard = || Mutex::new(Shard { full_at: HashMap::new(), sweep_at: 256 });
        Self {
            rate,
            hasher: RandomState::new(),
            shards: std::iter::repeat_with(shard).take(Self::SHARDS).collect(),
        }
    }

    /// Its rate.
    #[must_use]
    pub const fn rate(&self) -> Rate {
        self.rate
    }

    /// Looks whether one more would pass, and takes nothing.
    ///
    /// # Errors
    /// How long to wait until one would.
    pub fn look(&self, name: &K, now: Timestamp) -> Result<(), Duration> {
        self.with(name, |shard, now_ns| self.next(shard.full_at.get(name).copied(), now_ns).map(|_| ()), now)
    }

    /// Takes one.
    ///
    /// # Errors
    /// How long to wait until one may be taken; nothing was.
    pub fn take(&self, name: K, now: Timestamp) -> Result<(), Duration> {
        let take = |shard: &mut Shard<K>, now: u128, name: K| {
            let full_at = self.next(shard.full_at.get(&name).copied(), now)?;
            if shard.full_at.len() >= shard.sweep_at {
                shard.full_at.retain(|_, full_at| *full_at > now);
                shard.sweep_at = (shard.full_at.len() * 2).max(256);
            }
            shard.full_at.insert(name, full_at);
            Ok(())
        };
        let shard = self.shard(&name);
        take(&mut shard.lock().unwrap_or_else(PoisonError::into_inner), nanos(now), name)
    }

    fn with<T>(&self, name: &K, act: impl FnOnce(&mut Shard<K>, u128) -> T, now: Timestamp) -> T {
        act(&mut self.shard(name).lock().unwrap_or_else(PoisonError::into_inner), nanos(now))
    }

    fn shard(&self, name: &K) -> &Mutex<Shard<K>> {
        &self.shards[self.hasher.hash_one(name) as usize % Self::SHARDS]
    }

    /// When the bucket will be full after one more, or how long until one more is allowed.
    fn next(&self, full_at: Option<u128>, now: u128) -> Result<u128, Duration> {
        let period = self.rate.period.as_nanos();
        // No bucket is emptier than empty: what is known of one that would be was noted by a clock that was ahead and
        // has been set back. It would keep its name out until that moment.
        let full_at = full_at.filter(|full_at| *full_at <= now + 2 * period);
        let next = full_at.unwrap_or(now).max(now) + period / u128::from(self.rate.count);
        match next.checked_sub(now + period) {
            None | Some(0) => Ok(next),
            Some(early) => Err(Duration::from_nanos(u64::try_from(early).unwrap_or(u64::MAX))),
        }
    }
}

fn nanos(now: Timestamp) -> u128 {
    u128::from(now.as_millis()) * 1_000_000
}

/// What a source counts as: an IPv6 host holds a whole /64, and counting its addresses one by one would
/// count nothing.
pub(crate) fn network(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_and_written() {
        for text in ["100/min", "1/s", "7/h", "3/day"] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }
        for text in ["", "100", "0/min", "-1/s", "1/fortnight", "1.5/s", "99999999999/s"] {
            assert_eq!(text.parse::<Rate>(), Err(RateError), "{text}");
        }
    }

    #[test]
    fn a_bucket_empties_refills_evenly_and_looking_takes_nothing() {
        let limiter = Limiter::new("3/min".parse().unwrap());
        let now = Timestamp::from_secs(1_000);
        for _ in 0..10 {
            assert_eq!(limiter.look(&"a", now), Ok(()));
        }
        for _ in 0..3 {
            assert_eq!(limiter.take("a", now), Ok(()));
        }
        assert_eq!(limiter.look(&"a", now), Err(Duration::from_secs(20)));
        assert_eq!(limiter.take("a", now), Err(Duration::from_secs(20)));
        assert_eq!(limiter.take("b", now), Ok(()), "another name has a bucket of its own");
        assert_eq!(limiter.take("a", Timestamp::from_secs(1_020)), Ok(()));
        assert!(limiter.take("a", Timestamp::from_secs(1_020)).is_err());
    }

    #[test]
    fn a_clock_that_was_ahead_keeps_nobody_out() {
        let limiter = Limiter::new("3/min".parse().unwrap());
        let now = Timestamp::from_secs(10_000);
        limiter.take("a", now.plus(Duration::from_secs(3_600))).unwrap();
        for _ in 0..3 {
            assert_eq!(limiter.look(&"a", now), Ok(()));
            limiter.take("a", now).unwrap();
        }
        assert_eq!(limiter.take("a", now), Err(Duration::from_secs(20)), "and is counted from then on");
    }

    #[test]
    fn names_that_are_full_again_are_forgotten() {
        let limiter = Limiter::new("1/s".parse().unwrap());
        for second in 0..10_000_u64 {
            limiter.take(second, Timestamp::from_secs(second)).unwrap();
        }
        let kept: usize = limiter.shards.iter().map(|shard| shard.lock().unwrap().full_at.len()).sum();
        assert!(kept <= 16 * 512, "{kept} kept");
    }
}
