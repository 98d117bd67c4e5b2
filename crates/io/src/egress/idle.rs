//! Connections that wait for the next request to the same host: few, briefly, and taken only for addresses
//! that were judged just now.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use countersign::ChosenBy;
use tokio::time::Instant;

use super::target::Target;

/// How long a connection waits: less than what servers commonly do, of which gunicorn's 2 s are the least.
pub const IDLE_TIMEOUT: Duration = Duration::from_millis(1_500);

/// Idle connections, the oldest first. A list suffices: it is short, and looked through once a request.
pub(super) struct IdleConnections<C> {
    /// How long one waits.
    pub(super) life: Duration,
    state: Mutex<State<C>>,
}

struct State<C> {
    waiting: VecDeque<Waiting<C>>,
    /// Whether somebody is going to sweep.
    swept: bool,
}

/// Whom a connection may serve: one that the configuration's host opened serves no request's choice.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) target: Target,
    pub(super) chosen_by: ChosenBy,
}

struct Waiting<C> {
    key: Key,
    address: IpAddr,
    since: Instant,
    connection: C,
}

impl<C> Default for IdleConnections<C> {
    fn default() -> Self {
        Self::living(IDLE_TIMEOUT)
    }
}

impl<C> IdleConnections<C> {
    const IN_ALL: usize = 256;
    const TO_ONE_HOST: usize = 4;

    pub(super) fn living(life: Duration) -> Self {
        Self { life, state: Mutex::new(State { waiting: VecDeque::new(), swept: false }) }
    }

    /// What waits at `now`, without those that waited too long.
    fn state(&self, now: Instant) -> MutexGuard<'_, State<C>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let too_long = |one: &Waiting<C>| now.saturating_duration_since(one.since) >= self.life;
        while state.waiting.front().is_some_and(too_long) {
            state.waiting.pop_front();
        }
        state
    }

    /// The connection for `key` that has waited least, if it leads to one of `addresses`.
    pub(super) fn take(&self, key: &Key, addresses: &[IpAddr], now: Instant) -> Option<(IpAddr, C)> {
        let waiting = &mut self.state(now).waiting;
        let index = waiting.iter().rposition(|one| one.key == *key && addresses.contains(&one.address))?;
        waiting.remove(index).map(|one| (one.address, one.connection))
    }

    /// Keeps `connection`, which leads to `address`, in place of the oldest if there are too many. `true`
    /// when nobody is going to sweep yet: whoever gets that does, until `sweep` says that nothing is left.
    #[must_use]
    pub(super) fn put(&self, key: Key, address: IpAddr, connection: C, now: Instant) -> bool {
        let mut state = self.state(now);
        let waiting = &mut state.waiting;
        if waiting.iter().filter(|one| one.key == key).count() >= Self::TO_ONE_HOST {
            let oldest = waiting.iter().position(|one| one.key == key);
            oldest.and_then(|index| waiting.remove(index));
        }
        if waiting.len() >= Self::IN_ALL {
            waiting.pop_front();
        }
        waiting.push_back(Waiting { key, address, since: now, connection });
        !std::mem::replace(&mut state.swept, true)
    }

    /// Ends those that waited too long; says whether any are left.
    pub(super) fn sweep(&self, now: Instant) -> bool {
        let mut state = self.state(now);
        state.swept = !state.waiting.is_empty();
        state.swept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(1, 1, 1, 1));
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(1, 1, 1, 2));

    fn key(url: &str) -> Key {
        Key { target: Target::of(&url.parse().unwrap()).unwrap(), chosen_by: ChosenBy::Request }
    }

    fn drain(idle: &IdleConnections<usize>, key: &Key, now: Instant) -> Vec<usize> {
        std::iter::from_fn(|| idle.take(key, &[HERE], now)).map(|(_, connection)| connection).collect()
    }

    #[test]
    fn a_connection_serves_its_scheme_host_port_chooser_and_address_alone() {
        let (idle, now, alice) = (IdleConnections::default(), Instant::now(), key("https://alice.example"));
        let _ = idle.put(alice.clone(), HERE, 1, now);
        for other in ["http://alice.example:443", "https://bob.example", "https://alice.example:444"] {
            assert_eq!(idle.take(&key(other), &[HERE], now), None, "{other}");
        }
        let configured = Key { chosen_by: ChosenBy::Configuration, ..alice.clone() };
        assert_eq!(idle.take(&configured, &[HERE], now), None);
        assert_eq!(idle.take(&alice, &[THERE], now), None);
        assert_eq!(idle.take(&alice, &[THERE, HERE], now), Some((HERE, 1)));
        assert_eq!(idle.take(&alice, &[HERE], now), None, "taken is taken");
    }

    #[test]
    fn a_connection_waits_less_than_two_seconds() {
        let (idle, now, alice) = (IdleConnections::default(), Instant::now(), key("https://alice.example"));
        let _ = idle.put(alice.clone(), HERE, 1, now);
        assert!(idle.sweep(now + Duration::from_millis(1_499)));
        assert_eq!(idle.take(&alice, &[HERE], now + IDLE_TIMEOUT), None);
        assert!(!idle.put(alice.clone(), HERE, 2, now), "somebody sweeps");
        assert!(!idle.sweep(now + IDLE_TIMEOUT));
        assert!(idle.put(alice, HERE, 3, now), "nobody sweeps any more");
    }

    #[test]
    fn four_wait_for_a_host_and_the_newest_serves_first() {
        let (idle, now, alice) = (IdleConnections::default(), Instant::now(), key("https://alice.example"));
        for number in 0..6 {
            let _ = idle.put(alice.clone(), HERE, number, now);
        }
        assert_eq!(drain(&idle, &alice, now), [5, 4, 3, 2]);
    }

    #[test]
    fn two_hundred_and_fifty_six_wait_in_all() {
        let (idle, now) = (IdleConnections::default(), Instant::now());
        let hosts: Vec<Key> = (0..300).map(|number| key(&format!("https://h{number}.example"))).collect();
        for (number, host) in hosts.iter().enumerate() {
            let _ = idle.put(host.clone(), HERE, number, now);
        }
        let left: Vec<usize> = hosts.iter().flat_map(|host| drain(&idle, host, now)).collect();
        assert_eq!(left, (44..300).collect::<Vec<_>>());
    }
}
