//! What every store does, whichever it is: one suite over memory, redb and a real Redis.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use countersign::store::{Inventory as _, Space, Spent, Store as _, StoreError};
use countersign::testing::clock;
use countersign::time::{Clock, ManualClock, Timestamp};
use countersign_io::{AnyStore, StoreUrl, SystemClock};
use countersign_testing::Redis;
use countersign_testing::store::{bytes, fresh, id, proof};
use tempfile::TempDir;

const KEYS: Space = Space::durable("keys");
const USERS: Space = Space::durable("users");
const SESSIONS: Space = Space::volatile("sessions");

/// A store, its clock, and what has to outlive it.
struct Subject {
    store: Arc<AnyStore>,
    clock: TestClock,
    _folder: Option<TempDir>,
    _redis: Option<Redis>,
}

/// Redis expires by its own clock, so time has to pass there.
enum TestClock {
    Manual(Arc<ManualClock>),
    Real,
}

impl Subject {
    async fn memory() -> Self {
        Self::with_manual_clock("memory:".parse().unwrap(), None).await
    }

    async fn redb() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = StoreUrl::Redb(folder.path().join("store.redb"));
        Self::with_manual_clock(url, Some(folder)).await
    }

    async fn with_manual_clock(url: StoreUrl, folder: Option<TempDir>) -> Self {
        let clock = clock();
        let store = AnyStore::open(&url, Arc::clone(&clock) as Arc<dyn Clock>).await.unwrap();
        let store = Arc::new(store);
        Self { store, clock: TestClock::Manual(clock), _folder: folder, _redis: None }
    }

    async fn redis() -> Self {
        let redis = Redis::forgetful();
        let store = Arc::new(AnyStore::open(&redis.store_url(), Arc::new(SystemClock)).await.unwrap());
        // Past the cut-off of a first start, so that fresh proofs are fresh.
        tokio::time::sleep(Duration::from_millis(5)).await;
        Self { store, clock: TestClock::Real, _folder: None, _redis: Some(redis) }
    }

    fn now(&self) -> Timestamp {
        match &self.clock {
            TestClock::Manual(clock) => clock.now(),
            TestClock::Real => SystemClock.now(),
        }
    }

    async fn pass(&self, duration: Duration) {
        match &self.clock {
            TestClock::Manual(clock) => clock.advance(duration),
            TestClock::Real => tokio::time::sleep(duration).await,
        }
    }

    fn fresh(&self, name: &str) -> countersign::store::Spend {
        proof(name, Some(self.now()), self.now())
    }
}

/// Runs each check of the suite over each store, as a test of its own.
macro_rules! suite {
    ($($check:ident),+ $(,)?) => {
        mod memory { $( #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $check() { super::$check(super::Subject::memory().await).await; } )+ }
        mod redb { $( #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $check() { super::$check(super::Subject::redb().await).await; } )+ }
        mod redis { $( #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $check() { super::$check(super::Subject::redis().await).await; } )+ }
    };
}

suite![
    what_was_put_in_is_there_and_nothing_else,
    a_second_insert_changes_nothing,
    a_replacement_needs_the_value_that_is_there,
    a_wrong_expected_burns_nothing,
    what_was_taken_is_gone,
    any_bytes_are_kept_as_they_are,
    spaces_do_not_see_each_other,
    an_expired_entry_is_absent_for_every_operation,
    a_replacement_sets_its_own_expiry,
    of_64_racing_inserts_one_wins,
    of_64_racing_takes_one_wins,
    of_64_racing_replacements_one_wins,
    a_listing_is_in_order_and_comes_in_pages,
    a_listing_holds_what_is_alive_in_that_space_alone,
    a_proof_is_spent_once,
    looking_at_a_proof_says_what_spending_it_would_and_spends_nothing,
    a_proof_without_creation_time_is_spent_once,
    a_proof_from_the_near_future_is_spent_once,
    of_64_racing_spends_one_wins,
    a_store_in_order_is_ready,
];

async fn what_was_put_in_is_there_and_nothing_else(subject: Subject) {
    let store = &subject.store;
    for space in [KEYS, SESSIONS] {
        assert_eq!(store.get(space, id("a")).await.unwrap(), None);
        assert!(store.insert(space, id("a"), bytes("value"), None).await.unwrap());
        assert_eq!(store.get(space, id("a")).await.unwrap(), Some(bytes("value")));
        assert_eq!(store.get(space, id("b")).await.unwrap(), None);
    }
}

async fn a_second_insert_changes_nothing(subject: Subject) {
    let store = &subject.store;
    for space in [KEYS, SESSIONS] {
        assert!(store.insert(space, id("a"), bytes("first"), None).await.unwrap());
        assert!(!store.insert(space, id("a"), bytes("second"), None).await.unwrap());
        assert_eq!(store.get(space, id("a")).await.unwrap(), Some(bytes("first")));
    }
}

async fn a_replacement_needs_the_value_that_is_there(subject: Subject) {
    let store = &subject.store;
    for space in [KEYS, SESSIONS] {
        assert!(!store.replace(space, id("a"), bytes(""), bytes("new"), None).await.unwrap());
        assert_eq!(store.get(space, id("a")).await.unwrap(), None);
        assert!(store.insert(space, id("a"), bytes("old"), None).await.unwrap());
        assert!(!store.replace(space, id("a"), bytes("other"), bytes("new"), None).await.unwrap());
        assert_eq!(store.get(space, id("a")).await.unwrap(), Some(bytes("old")));
        assert!(store.replace(space, id("a"), bytes("old"), bytes("new"), None).await.unwrap());
        assert_eq!(store.get(space, id("a")).await.unwrap(), Some(bytes("new")));
    }
}

async fn a_wrong_expected_burns_nothing(subject: Subject) {
    let store = &subject.store;
    for space in [KEYS, SESSIONS] {
        assert!(store.insert(space, id("a"), bytes("value"), None).await.unwrap());
        for wrong in ["", "valu", "value ", "other"] {
            assert_eq!(store.take_if(space, id("a"), Some(bytes(wrong))).await.unwrap(), None);
        }
        assert_eq!(store.get(space, id("a")).await.unwrap(), Some(bytes("value")));
        let taken = store.take_if(space, id("a"), Some(bytes("value"))).await.unwrap();
        assert_eq!(taken, Some(bytes("value")));
    }
}

async fn what_was_taken_is_gone(subject: Subject) {
    let store = &subject.store;
    for space in [KEYS, SESSIONS] {
        assert_eq!(store.take_if(space, id("a"), None).await.unwrap(), None);
        assert!(store.insert(space, id("a"), bytes("value"), None).await.unwrap());
        assert_eq!(store.take_if(space, id("a"), None).await.unwrap(), Some(bytes("value")));
        assert_eq!(store.take_if(space, id("a"), None).await.unwrap(), None);
        assert_eq!(store.get(space, id("a")).await.unwrap(), None);
        assert!(store.insert(space, id("a"), bytes("again"), None).await.unwrap());
    }
}

async fn any_bytes_are_kept_as_they_are(subject: Subject) {
    let store = &subject.store;
    let all: bytes::Bytes = (0..=255_u8).cycle().take(100_000).collect();
    for space in [KEYS, SESSIONS] {
        assert!(store.insert(space, id("all"), all.clone(), None).await.unwrap());
        assert!(store.insert(space, id("empty"), bytes(""), None).await.unwrap());
        assert_eq!(store.get(space, id("all")).await.unwrap(), Some(all.clone()));
        assert_eq!(store.get(space, id("empty")).await.unwrap(), Some(bytes("")));
        assert!(store.replace(space, id("empty"), bytes(""), all.clone(), None).await.unwrap());
        let taken = store.take_if(space, id("empty"), Some(all.clone())).await.unwrap();
        assert_eq!(taken, Some(all.clone()));
    }
}

async fn spaces_do_not_see_each_other(subject: Subject) {
    let store = &subject.store;
    assert!(store.insert(KEYS, id("a"), bytes("key"), None).await.unwrap());
    assert_eq!(store.get(USERS, id("a")).await.unwrap(), None);
    assert_eq!(store.get(SESSIONS, id("a")).await.unwrap(), None);
    assert_eq!(store.take_if(USERS, id("a"), None).await.unwrap(), None);
    assert!(store.insert(USERS, id("a"), bytes("user"), None).await.unwrap());
    assert!(store.insert(SESSIONS, id("a"), bytes("session"), None).await.unwrap());
    assert_eq!(store.take_if(USERS, id("a"), None).await.unwrap(), Some(bytes("user")));
    assert_eq!(store.get(KEYS, id("a")).await.unwrap(), Some(bytes("key")));
    assert_eq!(store.get(SESSIONS, id("a")).await.unwrap(), Some(bytes("session")));
}

async fn an_expired_entry_is_absent_for_every_operation(subject: Subject) {
    let store = &subject.store;
    let life = Duration::from_millis(300);
    for space in [KEYS, SESSIONS] {
        let until = Some(subject.now().plus(life));
        for name in ["get", "insert", "replace", "take"] {
            assert!(store.insert(space, id(name), bytes("value"), until).await.unwrap());
            assert_eq!(store.get(space, id(name)).await.unwrap(), Some(bytes("value")));
        }
        subject.pass(life).await;
        assert_eq!(store.get(space, id("get")).await.unwrap(), None);
        assert!(!store.replace(space, id("replace"), bytes("value"), bytes("new"), None).await.unwrap());
        assert_eq!(store.take_if(space, id("take"), None).await.unwrap(), None);
        assert_eq!(store.list(space, None, 10).await.unwrap(), []);
        assert!(store.insert(space, id("insert"), bytes("new"), None).await.unwrap());
        assert_eq!(store.get(space, id("insert")).await.unwrap(), Some(bytes("new")));
    }
}

async fn a_replacement_sets_its_own_expiry(subject: Subject) {
    let store = &subject.store;
    let life = Duration::from_millis(300);
    for space in [KEYS, SESSIONS] {
        let soon = Some(subject.now().plus(life));
        assert!(store.insert(space, id("longer"), bytes("old"), soon).await.unwrap());
        assert!(store.insert(space, id("shorter"), bytes("old"), None).await.unwrap());
        assert!(store.replace(space, id("longer"), bytes("old"), bytes("new"), None).await.unwrap());
        assert!(store.replace(space, id("shorter"), bytes("old"), bytes("new"), soon).await.unwrap());
        subject.pass(life).await;
        assert_eq!(store.get(space, id("longer")).await.unwrap(), Some(bytes("new")));
        assert_eq!(store.get(space, id("shorter")).await.unwrap(), None);
    }
}

/// How many of 64 tasks at once say that they won.
async fn winners<F>(store: &Arc<AnyStore>, attempt: impl Fn(Arc<AnyStore>, usize) -> F) -> usize
where
    F: Future<Output = Result<bool, StoreError>> + Send + 'static,
{
    let tasks: Vec<_> = (0..64).map(|number| tokio::spawn(attempt(Arc::clone(store), number))).collect();
    let mut winners = 0;
    for task in tasks {
        winners += usize::from(task.await.unwrap().unwrap());
    }
    winners
}

async fn of_64_racing_inserts_one_wins(subject: Subject) {
    for space in [KEYS, SESSIONS] {
        let won = winners(&subject.store, move |store, number| async move {
            store.insert(space, id("a"), bytes(&number.to_string()), None).await
        });
        assert_eq!(won.await, 1);
    }
}

async fn of_64_racing_takes_one_wins(subject: Subject) {
    for space in [KEYS, SESSIONS] {
        assert!(subject.store.insert(space, id("a"), bytes("value"), None).await.unwrap());
        let won = winners(&subject.store, move |store, number| async move {
            let expected = (number % 2 == 0).then(|| bytes("value"));
            store.take_if(space, id("a"), expected).await.map(|taken| taken.is_some())
        });
        assert_eq!(won.await, 1);
    }
}

async fn of_64_racing_replacements_one_wins(subject: Subject) {
    for space in [KEYS, SESSIONS] {
        assert!(subject.store.insert(space, id("a"), bytes("old"), None).await.unwrap());
        let won = winners(&subject.store, move |store, number| async move {
            store.replace(space, id("a"), bytes("old"), bytes(&number.to_string()), None).await
        });
        assert_eq!(won.await, 1);
    }
}

async fn a_listing_is_in_order_and_comes_in_pages(subject: Subject) {
    let store = &subject.store;
    for space in [KEYS, SESSIONS] {
        let mut expected = BTreeSet::new();
        for number in 0..250_u32 {
            let name = number.to_string();
            assert!(store.insert(space, id(&name), bytes(&name), None).await.unwrap());
            expected.insert((id(&name), bytes(&name)));
        }
        let (mut listed, mut after) = (Vec::new(), None);
        loop {
            let page = store.list(space, after, 100).await.unwrap();
            assert!(page.len() <= 100);
            let Some((last, _)) = page.last() else { break };
            after = Some(*last);
            listed.extend(page);
        }
        assert_eq!(listed, expected.into_iter().collect::<Vec<_>>());
        assert_eq!(store.list(space, None, 0).await.unwrap(), []);
    }
}

async fn a_listing_holds_what_is_alive_in_that_space_alone(subject: Subject) {
    let store = &subject.store;
    let until = subject.now().plus(Duration::from_millis(300));
    assert_eq!(store.list(KEYS, None, 10).await.unwrap(), []);
    assert!(store.insert(KEYS, id("stays"), bytes("key"), None).await.unwrap());
    assert!(store.insert(KEYS, id("goes"), bytes("key"), Some(until)).await.unwrap());
    assert!(store.insert(USERS, id("other"), bytes("user"), None).await.unwrap());
    store.spend(subject.fresh("proof")).await.unwrap();
    subject.pass(Duration::from_millis(300)).await;
    assert_eq!(store.list(KEYS, None, 10).await.unwrap(), [(id("stays"), bytes("key"))]);
    assert_eq!(store.list(USERS, None, 10).await.unwrap(), [(id("other"), bytes("user"))]);
}

async fn a_proof_is_spent_once(subject: Subject) {
    let (store, first, second) = (&subject.store, subject.fresh("first"), subject.fresh("second"));
    assert_eq!(store.spend(first).await.unwrap(), Spent::Once);
    assert_eq!(store.spend(first).await.unwrap(), Spent::Replayed);
    assert_eq!(store.spend(second).await.unwrap(), Spent::Once);
    assert_eq!(store.spend(first).await.unwrap(), Spent::Replayed);
}

async fn looking_at_a_proof_says_what_spending_it_would_and_spends_nothing(subject: Subject) {
    let (store, now) = (&subject.store, subject.now());
    let early = proof("early", Some(now.plus(Duration::from_secs(20))), now);
    for spend in [subject.fresh("fresh"), proof("no creation", None, now), early] {
        for _ in 0..2 {
            assert_eq!(store.look(spend).await.unwrap(), Spent::Once, "{spend:?}");
        }
        assert_eq!(store.spend(spend).await.unwrap(), Spent::Once, "{spend:?}");
        for _ in 0..2 {
            assert_eq!(store.look(spend).await.unwrap(), Spent::Replayed, "{spend:?}");
        }
    }
}

async fn a_proof_without_creation_time_is_spent_once(subject: Subject) {
    let spend = proof("no creation", None, subject.now());
    assert_eq!(subject.store.spend(spend).await.unwrap(), Spent::Once);
    assert_eq!(subject.store.spend(spend).await.unwrap(), Spent::Replayed);
}

async fn a_proof_from_the_near_future_is_spent_once(subject: Subject) {
    let now = subject.now();
    let early = proof("early", Some(now.plus(Duration::from_secs(20))), now);
    assert_eq!(subject.store.spend(early).await.unwrap(), Spent::Once);
    assert_eq!(subject.store.spend(early).await.unwrap(), Spent::Replayed);
    // The same proof, sent again when its moment has come.
    let later = countersign::store::Spend { received_at: now.plus(Duration::from_secs(21)), ..early };
    assert_eq!(subject.store.spend(later).await.unwrap(), Spent::Replayed);
}

async fn of_64_racing_spends_one_wins(subject: Subject) {
    let now = subject.now();
    for (name, created) in
        [("light", Some(now)), ("without", None), ("early", Some(now.plus(Duration::from_secs(9))))]
    {
        let spend = proof(name, created, now);
        let won = winners(&subject.store, move |store, _| async move {
            store.spend(spend).await.map(|spent| spent == Spent::Once)
        });
        assert_eq!(won.await, 1, "{name}");
    }
}

async fn a_store_in_order_is_ready(subject: Subject) {
    subject.store.ready().await.unwrap();
    subject.store.spend(fresh("proof", &SystemClock)).await.unwrap();
    subject.store.ready().await.unwrap();
}
