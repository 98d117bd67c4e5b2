//! Slows guessing down, by account and by source, and locks nobody out.
//!
//! - Each pair of account and source has a few attempts, then waits longer and longer, up to five minutes.
//!   Nobody at another source has any part in that: whoever guesses elsewhere cannot make the owner wait.
//! - An account that is guessed at from many sources gives each of them one attempt, then longer waits; the
//!   first attempt of a source always passes, so that its owner gets in from wherever they are.
//! - A source that guesses at many accounts waits for all of them, except for those that have been proven
//!   there lately, which keep what they have.
//!
//! Unknown accounts are counted as known ones are. All of it is memory of this process.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::limit;
use crate::store::Id;
use crate::time::Timestamp;

/// Attempts of one account at one source before it waits.
const FREE: u32 = 5;
/// The same, of an account that is under attack, at a source that it has not been proven from.
const FREE_UNDER_ATTACK: u32 = 1;
/// The first wait, and the first under attack; each failure doubles it.
const WAIT: Duration = Duration::from_secs(1);
const WAIT_UNDER_ATTACK: Duration = Duration::from_secs(30);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// After this long without an attempt a pair begins anew.
const FORGET: Duration = Duration::from_secs(3_600);
/// How long a source is remembered from which an account was proven.
const PROVEN: Duration = Duration::from_secs(30 * 86_400);
/// Failures of an account, at all sources, from which on it is under attack: so many in an hour.
const ACCOUNT: Level = Level { many: 50, period: Duration::from_secs(3_600) };
/// Attempts at one source, at all accounts, from which on it waits: so many in ten minutes.
const SOURCE: Level = Level { many: 60, period: Duration::from_secs(600) };
/// How many pairs, and how many accounts and sources, are remembered: some 10 MB of them.
const REMEMBERED: usize = 65_536;

/// A leaking bucket's size.
struct Level {
    many: u32,
    period: Duration,
}

impl Level {
    /// When a bucket that empties at `empty_at` will be empty after one more, or how long until one fits.
    fn one_more(&self, empty_at: Option<Timestamp>, now: Timestamp) -> Result<Timestamp, Duration> {
        let after = empty_at.unwrap_or(now).max(now).plus(self.step());
        match after.since(now.plus(self.period)) {
            Duration::ZERO => Ok(after),
            wait => Err(wait),
        }
    }

    fn is_full(&self, empty_at: Option<Timestamp>, now: Timestamp) -> bool {
        self.one_more(empty_at, now).is_err()
    }

    fn step(&self) -> Duration {
        self.period / self.many
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Pair(Id, IpAddr);

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Bucket {
    Account(Id),
    Source(IpAddr),
}

#[derive(Clone, Copy, Default)]
struct Tries {
    failures: u32,
    last: Timestamp,
    not_before: Timestamp,
    proven: Option<Timestamp>,
}

impl Tries {
    fn forgotten_at(&self) -> Timestamp {
        let failures = self.last.plus(FORGET);
        self.proven.map_or(failures, |proven| failures.max(proven.plus(PROVEN)))
    }

    fn is_proven(&self, now: Timestamp) -> bool {
        self.proven.is_some_and(|proven| now < proven.plus(PROVEN))
    }
}

#[derive(Default)]
struct Remembered {
    pairs: HashMap<Pair, Tries>,
    empty_at: HashMap<Bucket, Timestamp>,
}

/// Counts attempts to sign in and to sign up.
#[derive(Default)]
pub struct Throttle {
    remembered: Mutex<Remembered>,
}

/// An attempt that was let through. Until it is said to have been one's own, it counts as a failure: so many
/// attempts at one moment are no more than one after another.
#[derive(Clone, Copy)]
pub struct Attempt {
    pair: Pair,
    before: Option<Tries>,
}

impl Throttle {
    /// Nothing remembered.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets an attempt at `account`, known or unknown, through, and counts it as a failure for now.
    ///
    /// # Errors
    /// How long to wait; then nothing was counted.
    pub fn attempt(
        &self,
        account: &str,
        source: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<Attempt, Duration> {
        let account = Id::of(&[b"account", account.as_bytes()]);
        let pair = Pair(account, network(source));
        let mut remembered = self.remembered();
        let before = remembered.pairs.get(&pair).copied();
        let mut tries = before.filter(|tries| now < tries.forgotten_at()).unwrap_or_default();
        if now >= tries.last.plus(FORGET) {
            tries = Tries { proven: tries.proven, ..Tries::default() };
        }
        if now < tries.not_before {
            return Err(tries.not_before.since(now));
        }
        let proven = tries.is_proven(now);
        let (by_account, by_source) = (Bucket::Account(account), Bucket::Source(pair.1));
        match SOURCE.one_more(remembered.empty_at.get(&by_source).copied(), now) {
            Ok(empty_at) => remembered.put(by_source, empty_at, now),
            Err(_) if proven => {}
            Err(wait) => return Err(wait),
        }
        let attacked = ACCOUNT.is_full(remembered.empty_at.get(&by_account).copied(), now);
        if let Ok(empty_at) = ACCOUNT.one_more(remembered.empty_at.get(&by_account).copied(), now) {
            remembered.put(by_account, empty_at, now);
        }
        tries.failures = tries.failures.saturating_add(1);
        tries.last = now;
        tries.not_before = now.plus(wait(tries.failures, attacked && !proven));
        remembered.put_pair(pair, tries, now);
        Ok(Attempt { pair, before })
    }

    /// The attempt was the owner's: nothing is held against them, and this source is remembered as theirs.
    pub fn succeeded(&self, attempt: &Attempt, now: Timestamp) {
        let mut remembered = self.remembered();
        remembered.give_back(attempt.pair);
        let proven = Tries { proven: Some(now), last: now, ..Tries::default() };
        remembered.put_pair(attempt.pair, proven, now);
    }

    /// The attempt was not judged: it is as if it had not been.
    pub fn withdrawn(&self, attempt: &Attempt) {
        let mut remembered = self.remembered();
        remembered.give_back(attempt.pair);
        match attempt.before {
            Some(before) => drop(remembered.pairs.insert(attempt.pair, before)),
            None => drop(remembered.pairs.remove(&attempt.pair)),
        }
    }

    /// Lets one sign-up of this source through.
    ///
    /// # Errors
    /// How long to wait.
    pub fn enrol(&self, source: Option<IpAddr>, now: Timestamp) -> Result<(), Duration> {
        let mut remembered = self.remembered();
        let source = Bucket::Source(network(source));
        let empty_at = SOURCE.one_more(remembered.empty_at.get(&source).copied(), now)?;
        remembered.put(source, empty_at, now);
        Ok(())
    }

    fn remembered(&self) -> MutexGuard<'_, Remembered> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Remembered {
    fn put(&mut self, bucket: Bucket, empty_at: Timestamp, now: Timestamp) {
        make_room(&mut self.empty_at, now, |empty_at| *empty_at);
        self.empty_at.insert(bucket, empty_at);
    }

    fn put_pair(&mut self, pair: Pair, tries: Tries, now: Timestamp) {
        make_room(&mut self.pairs, now, Tries::forgotten_at);
        self.pairs.insert(pair, tries);
    }

    fn give_back(&mut self, Pair(account, source): Pair) {
        for (bucket, level) in [(Bucket::Account(account), ACCOUNT), (Bucket::Source(source), SOURCE)] {
            if let Some(empty_at) = self.empty_at.get_mut(&bucket) {
                *empty_at = empty_at.minus(level.step());
            }
        }
    }
}

/// Forgets what is over; and if that is not enough, the half that is over first, so that whoever fills it up
/// pays once for many, and what has been proven stays longest.
fn make_room<K, V>(remembered: &mut HashMap<K, V>, now: Timestamp, over_at: impl Fn(&V) -> Timestamp) {
    if remembered.len() < REMEMBERED {
        return;
    }
    let mut ends: Vec<_> = remembered.values().map(&over_at).collect();
    let middle = ends.len() / 2;
    let (_, middle, _) = ends.select_nth_unstable(middle);
    let end = now.max(*middle);
    remembered.retain(|_, value| over_at(value) > end);
}

fn wait(failures: u32, attacked: bool) -> Duration {
    let (free, first) = if attacked { (FREE_UNDER_ATTACK, WAIT_UNDER_ATTACK) } else { (FREE, WAIT) };
    match failures.checked_sub(free) {
        None => Duration::ZERO,
        Some(more) => first.saturating_mul(1_u32.checked_shl(more).unwrap_or(u32::MAX)).min(LONGEST_WAIT),
    }
}

/// Whoever is not known counts as one.
fn network(source: Option<IpAddr>) -> IpAddr {
    source.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), limit::network)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;
    use crate::testing::NOW;

    fn at(seconds: u64) -> Timestamp {
        NOW.plus(Duration::from_secs(seconds))
    }

    fn address(number: u32) -> Option<IpAddr> {
        Some(IpAddr::V4(Ipv4Addr::from_bits(0x0b00_0000 + number)))
    }

    /// Fails from `many` sources once each.
    fn attack(throttle: &Throttle, many: u32) {
        for number in 100..100 + many {
            throttle.attempt("ann", address(number), NOW).ok();
        }
    }

    #[test]
    fn a_source_waits_longer_and_longer_and_never_for_good() {
        let throttle = Throttle::new();
        let mut now = NOW;
        let mut waits = Vec::new();
        for _ in 0..20 {
            let attempt = throttle.attempt("ann", address(1), now).unwrap();
            let not_before = throttle.remembered().pairs[&attempt.pair].not_before;
            if not_before > now {
                let early = throttle.attempt("ann", address(1), not_before.minus(Duration::from_millis(1)));
                assert_eq!(early.err(), Some(Duration::from_millis(1)));
            }
            waits.push(not_before.since(now).as_secs());
            now = not_before;
        }
        assert_eq!(waits[..10], [0, 0, 0, 0, 1, 2, 4, 8, 16, 32]);
        assert_eq!(waits.iter().max(), Some(&300));
        assert!(throttle.attempt("ann", address(2), now).is_ok(), "another source has no part in it");
        assert!(throttle.attempt("bob", address(1), now).is_ok(), "nor has another account");
        assert!(throttle.attempt("ann", address(1), now.plus(FORGET)).is_ok());
        assert!(throttle.attempt("ann", address(1), now.plus(FORGET)).is_ok(), "an hour later it is new");
    }

    #[test]
    fn attempts_at_one_moment_are_counted_before_they_are_judged() {
        let throttle = Throttle::new();
        let passed = (0..64).filter(|_| throttle.attempt("ann", address(1), NOW).is_ok()).count();
        assert_eq!(passed, FREE as usize);
    }

    #[test]
    fn an_account_under_attack_still_gives_every_source_its_first_attempt() {
        let throttle = Throttle::new();
        attack(&throttle, 500);
        assert!(throttle.attempt("ann", address(1), NOW).is_ok());
        assert_eq!(throttle.attempt("ann", address(1), NOW).err(), Some(WAIT_UNDER_ATTACK));
        assert!(throttle.attempt("ann", address(1), at(30)).is_ok());
    }

    #[test]
    fn where_an_account_was_proven_lately_an_attack_changes_nothing() {
        let throttle = Throttle::new();
        let attempt = throttle.attempt("ann", address(1), NOW).unwrap();
        throttle.succeeded(&attempt, NOW);
        attack(&throttle, 500);
        for other in 0..200 {
            throttle.attempt(&format!("user {other}"), address(1), NOW).ok();
        }
        for _ in 0..FREE {
            assert!(throttle.attempt("ann", address(1), NOW).is_ok());
        }
        assert_eq!(throttle.attempt("ann", address(1), NOW).err(), Some(WAIT));
    }

    #[test]
    fn an_hour_later_a_source_that_was_proven_begins_anew_too() {
        let throttle = Throttle::new();
        let attempt = throttle.attempt("ann", address(1), NOW).unwrap();
        throttle.succeeded(&attempt, NOW);
        let failed = |now| (0..64).filter(|_| throttle.attempt("ann", address(1), now).is_ok()).count();
        assert_eq!(failed(NOW), FREE as usize);
        assert_eq!(failed(NOW.plus(FORGET)), FREE as usize);
    }

    #[test]
    fn a_whole_office_signs_in_from_one_address() {
        let throttle = Throttle::new();
        for number in 0..1_000 {
            let attempt = throttle.attempt(&format!("user {number}"), address(1), NOW).unwrap();
            throttle.succeeded(&attempt, NOW);
        }
    }

    #[test]
    fn success_and_withdrawal_give_back_what_was_counted() {
        let throttle = Throttle::new();
        for _ in 0..1_000 {
            let attempt = throttle.attempt("ann", address(1), NOW).unwrap();
            throttle.succeeded(&attempt, NOW);
            let attempt = throttle.attempt("bob", address(2), NOW).unwrap();
            throttle.withdrawn(&attempt);
        }
        assert!(
            !throttle
                .remembered()
                .pairs
                .contains_key(&Pair(Id::of(&[b"account", b"bob"]), network(address(2))))
        );
    }

    #[test]
    fn a_source_that_tries_many_accounts_waits() {
        let throttle = Throttle::new();
        let passed = |from: u32, now| {
            let tried = (0..100)
                .filter(|other| throttle.attempt(&format!("{other} {now}"), address(from), now).is_ok());
            tried.count()
        };
        assert_eq!(passed(1, NOW), 60);
        assert_eq!(passed(1, at(20)), 2, "one more every ten seconds");
        assert_eq!(passed(2, NOW), 60);
        assert!(throttle.enrol(address(1), at(20)).is_err(), "sign-ups count with them");
    }

    #[test]
    fn a_whole_ipv6_network_is_one_source() {
        let source = |last: u16| Some(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, last)));
        let throttle = Throttle::new();
        let passed = (0..64).filter(|last| throttle.attempt("ann", source(*last), NOW).is_ok()).count();
        assert_eq!(passed, FREE as usize);
        assert_eq!(network("::ffff:192.0.2.1".parse().ok()), network("192.0.2.1".parse().ok()));
    }

    #[test]
    fn memory_is_bounded_and_what_was_proven_stays() {
        let throttle = Throttle::new();
        let attempt = throttle.attempt("ann", address(1), NOW).unwrap();
        throttle.succeeded(&attempt, NOW);
        for number in 0..200_000 {
            throttle.attempt("bob", address(1_000 + number), NOW).ok();
        }
        let remembered = throttle.remembered();
        assert!(remembered.pairs.len() <= REMEMBERED && remembered.empty_at.len() <= REMEMBERED);
        assert!(remembered.pairs.contains_key(&attempt.pair));
    }
}
