//! What only Redis can do to us: stop, come back, forget, and be shared.

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use countersign::store::{Space, Spend, Spent, Store as _, StoreError};
use countersign::time::{Clock as _, ManualClock};
use countersign_io::{AnyStore, OpenError, RedisStore, StoreUrl, SystemClock};
use rustix::process::Signal;
use support::{Redis, bytes, fresh, id, proof};

const KEYS: Space = Space::durable("keys");

fn now_fresh(name: &str) -> Spend {
    fresh(name, &SystemClock)
}

async fn past_the_first_cut_off() {
    tokio::time::sleep(Duration::from_millis(5)).await;
}

/// Spends `name` until the server answers again.
async fn spend_when_back(store: &RedisStore, spend: Spend) -> Spent {
    let start = Instant::now();
    loop {
        match store.spend(spend).await {
            Ok(spent) => return spent,
            Err(error) => assert!(start.elapsed() < Duration::from_secs(5), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn is_unavailable<T>(answer: &Result<T, StoreError>) -> bool {
    matches!(answer, Err(StoreError::Unavailable(_)))
}

#[tokio::test]
async fn a_redis_that_has_gone_is_unavailable_within_two_seconds_and_comes_back_by_itself() {
    let mut redis = Redis::forgetful();
    let store = redis.store().await;
    assert!(store.insert(KEYS, id("a"), bytes("value"), None).await.unwrap());
    redis.kill();
    for _ in 0..3 {
        let start = Instant::now();
        assert!(is_unavailable(&store.get(KEYS, id("a")).await));
        assert!(is_unavailable(&store.insert(KEYS, id("b"), bytes("value"), None).await));
        assert!(is_unavailable(&store.spend(now_fresh("proof")).await));
        assert!(is_unavailable(&store.ready().await));
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    }
    redis.start_again();
    let start = Instant::now();
    while store.ready().await.is_err() {
        assert!(start.elapsed() < Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(store.insert(KEYS, id("c"), bytes("value"), None).await.unwrap());
}

#[tokio::test]
async fn a_redis_that_hangs_is_unavailable_within_two_seconds_and_nothing_is_sent_twice() {
    let redis = Redis::forgetful();
    let store = redis.store().await;
    redis.signal(Signal::STOP);
    let start = Instant::now();
    assert!(is_unavailable(&store.insert(KEYS, id("a"), bytes("unknown outcome"), None).await));
    assert!(start.elapsed() < Duration::from_millis(2_200), "{:?}", start.elapsed());
    redis.signal(Signal::CONT);
    let start = Instant::now();
    while store.ready().await.is_err() {
        assert!(start.elapsed() < Duration::from_secs(5));
    }
    let stats = redis.cli(&["INFO", "commandstats"]);
    assert!(stats.contains("cmdstat_set:calls=1,"), "the one SET was sent once: {stats}");
}

#[tokio::test]
async fn a_redis_restarted_empty_refuses_what_it_can_no_longer_know() {
    let mut redis = Redis::forgetful();
    let store = redis.store().await;
    past_the_first_cut_off().await;
    let spent = now_fresh("spent before");
    let early =
        proof("dated ahead", Some(SystemClock.now().plus(Duration::from_secs(25))), SystemClock.now());
    assert_eq!(store.spend(spent).await.unwrap(), Spent::Once);
    assert_eq!(store.spend(early).await.unwrap(), Spent::Once);
    redis.start_again();
    let Spent::PredatesBoot(wait) = spend_when_back(&store, spent).await else { panic!("a replay passed") };
    assert!(wait > Duration::from_secs(28) && wait <= Duration::from_secs(30), "{wait:?}");
    assert!(matches!(store.spend(early).await.unwrap(), Spent::PredatesBoot(_)));
    assert!(matches!(store.spend(now_fresh("made after")).await.unwrap(), Spent::PredatesBoot(_)));
    // The cut-off is in Redis: it stands for another gateway, and does not move with every proof.
    let other = redis.store().await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let Spent::PredatesBoot(later) = other.spend(spent).await.unwrap() else { panic!("a replay passed") };
    assert!(later < wait, "{later:?} {wait:?}");
}

#[tokio::test]
async fn a_gateway_without_memory_that_comes_first_does_not_hide_the_loss() {
    let mut redis = Redis::forgetful();
    let old = redis.store().await;
    past_the_first_cut_off().await;
    let spent = now_fresh("spent before");
    let early =
        proof("dated ahead", Some(SystemClock.now().plus(Duration::from_secs(25))), SystemClock.now());
    assert_eq!(old.spend(spent).await.unwrap(), Spent::Once);
    assert_eq!(old.spend(early).await.unwrap(), Spent::Once);
    redis.start_again();
    let newcomer = redis.store().await;
    assert!(matches!(newcomer.spend(spent).await.unwrap(), Spent::PredatesBoot(_)));
    assert!(matches!(spend_when_back(&old, early).await, Spent::PredatesBoot(_)));
    assert!(matches!(newcomer.spend(early).await.unwrap(), Spent::PredatesBoot(_)));
}

#[tokio::test]
async fn a_flushed_redis_refuses_what_it_can_no_longer_know() {
    let redis = Redis::forgetful();
    let store = redis.store().await;
    past_the_first_cut_off().await;
    let spent = now_fresh("spent before");
    assert_eq!(store.spend(spent).await.unwrap(), Spent::Once);
    assert_eq!(redis.cli(&["FLUSHALL"]), "OK");
    assert!(matches!(store.spend(spent).await.unwrap(), Spent::PredatesBoot(_)));
}

#[tokio::test]
async fn a_replica_that_takes_over_on_the_same_connection_is_noticed() {
    let redis = Redis::start(&["--save", "", "--appendonly", "no", "--enable-debug-command", "yes"]);
    let store = redis.store().await;
    past_the_first_cut_off().await;
    let spent = now_fresh("spent before");
    assert_eq!(store.spend(spent).await.unwrap(), Spent::Once);
    // What a promotion does to the id, without closing a connection.
    // Later than the first start by enough to tell the two cut-offs apart.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(redis.cli(&["DEBUG", "CHANGE-REPL-ID"]), "OK");
    let Spent::PredatesBoot(wait) = store.spend(spent).await.unwrap() else { panic!("a replay passed") };
    assert!(wait > Duration::from_secs(28), "counted from the change, not from the first start: {wait:?}");
}

#[tokio::test]
async fn a_redis_that_persists_keeps_entries_and_still_refuses_replays_after_a_kill() {
    let mut redis = Redis::start(&["--save", "", "--appendonly", "yes", "--appendfsync", "always"]);
    let store = redis.store().await;
    past_the_first_cut_off().await;
    let (spent, bare) = (now_fresh("spent before"), proof("without a date", None, SystemClock.now()));
    assert_eq!(store.spend(spent).await.unwrap(), Spent::Once);
    assert_eq!(store.spend(bare).await.unwrap(), Spent::Once);
    assert!(store.insert(KEYS, id("a"), bytes("value"), None).await.unwrap());
    redis.start_again();
    assert_ne!(spend_when_back(&store, spent).await, Spent::Once);
    assert_eq!(store.spend(bare).await.unwrap(), Spent::Replayed);
    assert_eq!(store.get(KEYS, id("a")).await.unwrap(), Some(bytes("value")));
}

#[tokio::test]
async fn two_gateways_on_one_redis_share_one_ledger_and_its_entries() {
    let redis = Redis::forgetful();
    let (one, other) = (redis.store().await, redis.store().await);
    past_the_first_cut_off().await;
    let spend = now_fresh("proof");
    assert_eq!(one.spend(spend).await.unwrap(), Spent::Once);
    assert_eq!(other.spend(spend).await.unwrap(), Spent::Replayed);
    assert!(one.insert(KEYS, id("a"), bytes("value"), None).await.unwrap());
    assert_eq!(other.take_if(KEYS, id("a"), None).await.unwrap(), Some(bytes("value")));
    assert_eq!(one.get(KEYS, id("a")).await.unwrap(), None);
}

#[tokio::test]
async fn a_first_start_refuses_only_what_was_made_before_it() {
    let made_before = now_fresh("made before");
    tokio::time::sleep(Duration::from_millis(5)).await;
    let redis = Redis::forgetful();
    let store = redis.store().await;
    past_the_first_cut_off().await;
    assert_eq!(store.spend(made_before).await.unwrap(), Spent::PredatesBoot(Duration::from_secs(1)));
    assert_eq!(store.spend(now_fresh("made after")).await.unwrap(), Spent::Once);
}

#[tokio::test]
async fn a_spent_proof_is_remembered_a_minute_longer_than_it_lives() {
    let redis = Redis::forgetful();
    let store = redis.store().await;
    past_the_first_cut_off().await;
    assert_eq!(store.spend(now_fresh("proof")).await.unwrap(), Spent::Once);
    let key = redis.cli(&["--scan", "--pattern", "cs:_spent:*"]);
    let left: u64 = redis.cli(&["PTTL", &key]).parse().unwrap();
    assert!((119_000..=120_100).contains(&left), "{left}");
}

#[tokio::test]
async fn a_gateway_whose_clock_is_not_that_of_redis_spends_nothing() {
    let redis = Redis::forgetful();
    drop(redis.store().await);
    let StoreUrl::Redis(url) = redis.url() else { unreachable!() };
    let clock = Arc::new(ManualClock::new(SystemClock.now().minus(Duration::from_secs(35))));
    let store = RedisStore::open(&url, clock.clone()).await.unwrap();
    let refused = store.spend(proof("behind", None, clock.now())).await;
    assert!(matches!(refused, Err(StoreError::ClockRegressed)), "{refused:?}");
    clock.set(SystemClock.now().plus(Duration::from_secs(35)));
    let refused = store.spend(fresh("ahead", &*clock)).await;
    assert!(is_unavailable(&refused), "{refused:?}");
}

#[tokio::test]
async fn an_entry_of_another_version_is_corrupt_and_stays() {
    let redis = Redis::forgetful();
    let store = redis.store().await;
    assert!(store.insert(KEYS, id("a"), bytes("value"), None).await.unwrap());
    let key = redis.cli(&["--scan", "--pattern", "cs:keys:*"]);
    redis.cli(&["SET", &key, "\u{2}of another version"]);
    assert!(matches!(store.get(KEYS, id("a")).await, Err(StoreError::Corrupt(_))));
    assert!(matches!(store.take_if(KEYS, id("a"), None).await, Err(StoreError::Corrupt(_))));
    let replaced = store.replace(KEYS, id("a"), bytes("value"), bytes("new"), None).await;
    assert!(matches!(replaced, Err(StoreError::Corrupt(_))), "{replaced:?}");
    assert_eq!(redis.cli(&["EXISTS", &key]), "1");
}

#[tokio::test]
async fn settings_that_lose_what_must_be_remembered_are_warned_about() {
    let careful = Redis::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    assert_eq!(careful.store().await.warnings(), [""; 0]);

    let forgetful = Redis::start(&["--appendonly", "no", "--maxmemory-policy", "allkeys-lru"]);
    let warnings = forgetful.store().await.warnings().join("\n");
    assert!(warnings.contains("maxmemory-policy is allkeys-lru"), "{warnings}");
    assert!(warnings.contains("set appendonly yes"), "{warnings}");

    let hurried = Redis::start(&["--appendonly", "yes", "--appendfsync", "everysec"]);
    let warnings = hurried.store().await.warnings().join("\n");
    assert!(warnings.contains("appendfsync is everysec"), "{warnings}");

    let hosted = Redis::start(&["--appendonly", "yes", "--rename-command", "CONFIG", ""]);
    let warnings = hosted.store().await.warnings().join("\n");
    assert!(warnings.contains("cannot tell"), "{warnings}");
}

#[tokio::test]
async fn a_redis_that_does_not_let_us_in_is_said_without_the_password() {
    let guarded = Redis::start(&["--requirepass", "hunter2"]);
    let guess: StoreUrl = guarded.url().to_string().replace("//", "//:secret3@").parse().unwrap();
    for url in [guarded.url(), guess, "redis://:secret3@127.0.0.1:1/".parse().unwrap()] {
        let Err(error) = AnyStore::open(&url, Arc::new(SystemClock)).await else { panic!("it let us in") };
        assert!(matches!(error, OpenError::Redis { .. }));
        let shown = format!("{error} {error:?} {url:?}");
        assert!(!shown.contains("secret3") && shown.contains("127.0.0.1"), "{shown}");
    }
}
