//! What the guard tells the service about a connection, and the service the guard.
//!
//! The guard puts the facts of every head it hands to hyper into a queue; hyper calls the service once for
//! each, in order; so the first that the service takes out is about the request in its hands.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use http::Request;
use tokio::time::Instant;

use countersign_http1::Facts;
use countersign_http1::Violation;

/// A handle on one connection, shared by its guard and its service. Cloning it is cheap.
#[derive(Clone, Debug, Default)]
pub struct ConnectionState {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Heads that hyper has and the service has not asked about. hyper reads one ahead, so rarely more than
    /// two.
    heads: VecDeque<Result<Facts, Violation>>,
    heads_given: u64,
    heads_taken: u64,
    /// The request whose body was refused. There is at most one: nothing is read behind it.
    refused_body: Option<(u64, Violation)>,
    in_flight: usize,
    finished_at: Option<Instant>,
    upgrade: Upgrade,
    reader: Option<Waker>,
}

/// What becomes of the bytes behind a request that asked for an upgrade.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Upgrade {
    #[default]
    Undecided,
    Accepted,
    Refused,
}

/// What the service learns when it begins with a request.
#[derive(Debug)]
#[must_use = "the connection may be closed as idle when `in_flight` is dropped"]
pub struct Admitted {
    /// The facts of its head, or why it must be refused: the request in hand is then a stand-in, and the
    /// connection closes behind the answer.
    pub head: Result<Facts, Violation>,
    /// To be kept until the response's body is dropped: [`InFlight::with_body`].
    pub in_flight: InFlight,
    /// Present when the request asks for an upgrade.
    pub upgrade: Option<UpgradeDecision>,
}

/// A request between its head and the end of its response. While there is one, the connection is not idle.
#[derive(Debug)]
pub struct InFlight {
    connection: ConnectionState,
    index: u64,
}

/// The say over the bytes behind a request that asked for an upgrade; they are held until then. Dropped, it
/// refuses.
#[derive(Debug)]
pub struct UpgradeDecision {
    connection: ConnectionState,
}

impl ConnectionState {
    /// A handle for a fresh connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// To be called once for every call of the service, before anything else.
    ///
    /// hyper's reading of the request is held against ours: should the two ever count differently, every
    /// request from there on is refused.
    pub fn admit<B>(&self, request: &Request<B>) -> Admitted {
        let mut shared = self.lock();
        let index = shared.heads_taken;
        shared.heads_taken += 1;
        shared.in_flight += 1;
        let head = match shared.heads.pop_front() {
            Some(Ok(facts)) if facts.method != *request.method() || facts.version != request.version() => {
                Err(Violation::framing("the parser behind the guard read another request"))
            }
            Some(head) => head,
            None => {
                Err(Violation::framing("the parser behind the guard read a request that the guard did not"))
            }
        };
        drop(shared);
        let upgrade = matches!(&head, Ok(facts) if facts.upgrade);
        Admitted {
            head,
            in_flight: InFlight { connection: self.clone(), index },
            upgrade: upgrade.then(|| UpgradeDecision { connection: self.clone() }),
        }
    }

    pub(super) fn give_head(&self, head: Result<Facts, Violation>) {
        let mut shared = self.lock();
        if matches!(&head, Ok(facts) if facts.upgrade) {
            shared.upgrade = Upgrade::Undecided;
        }
        shared.heads.push_back(head);
        shared.heads_given += 1;
    }

    /// Refuses the body of the head given last.
    pub(super) fn refuse_body(&self, violation: Violation) {
        let mut shared = self.lock();
        let index = shared.heads_given.saturating_sub(1);
        shared.refused_body = Some((index, violation));
    }

    /// The decision about an upgrade; while there is none, `reader` is woken when it is made.
    pub(super) fn upgrade(&self, reader: &Waker) -> Upgrade {
        let mut shared = self.lock();
        if shared.upgrade == Upgrade::Undecided {
            shared.reader = Some(reader.clone());
        }
        shared.upgrade
    }

    fn decide(&self, upgrade: Upgrade) {
        let reader = {
            let mut shared = self.lock();
            shared.upgrade = upgrade;
            shared.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Whether a request is in flight, and when the last one that was ended.
    pub(super) fn activity(&self) -> (bool, Option<Instant>) {
        let shared = self.lock();
        (shared.in_flight > 0 || !shared.heads.is_empty(), shared.finished_at)
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        // Nothing panics while it is held; if something did, the fields are still sound.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InFlight {
    /// Which request of the connection this is, from 0.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Why the body broke off, if the guard broke it off. To be asked when the body yields an error: the
    /// answer is then ours to give, with `Connection: close`; without a violation the client went away.
    pub fn body_violation(&self) -> Option<Violation> {
        let shared = self.connection.lock();
        shared.refused_body.and_then(|(index, violation)| (index == self.index).then_some(violation))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let now = Instant::now();
        let mut shared = self.connection.lock();
        shared.in_flight = shared.in_flight.saturating_sub(1);
        shared.finished_at = Some(now);
    }
}

impl UpgradeDecision {
    /// The response is 101 (or 2xx to CONNECT): what follows is another protocol, and is not read by the
    /// guard. To be called before the response is returned to hyper.
    pub fn accept(self) {
        self.connection.decide(Upgrade::Accepted);
    }
}

impl Drop for UpgradeDecision {
    fn drop(&mut self) {
        let undecided = self.connection.lock().upgrade == Upgrade::Undecided;
        if undecided {
            self.connection.decide(Upgrade::Refused);
        }
    }
}
