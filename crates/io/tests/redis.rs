//! What only Redis can do to us: stop, come back, forget, and be shared.

use std::sync::Arc;
use std::time::{Duration, Instant};

use countersign::store::{Space, Spend, Spent, Store as _, StoreError};
use countersign::time::{Clock as _, ManualClock};
use countersign_io::{AnyStore, OpenError, RedisStore, StoreUrl, SystemClock};
use countersign_testing::Redis;
use countersign_testing::store::{bytes, fresh, id, proof};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const KEYS: Space = Space::durable("keys");
/// What `[store] timeout` is where nobody says otherwise.
const HASTY: Duration = Duration::from_millis(100);
/// What that may become on a machine that is busy.
const IN_TIME: Duration = Duration::from_millis(600);
const CAREFUL: &[&str] = &["--save", "", "--appendonly", "yes", "--appendfsync", "always"];
/// The longest that proofs are refused after a restart that lost nothing: 2 s, and what is left of a second.
const SHORT: Duration = Duration::from_secs(3);

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
async fn a_redis_that_has_gone_is_unavailable_in_time_and_comes_back_by_itself() {
    let mut redis = Redis::forgetful();
    let store = redis.store_within(HASTY).await.unwrap();
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
async fn a_redis_that_hangs_is_unavailable_in_time_and_nothing_is_sent_twice() {
    let redis = Redis::forgetful();
    let store = redis.store_within(HASTY).await.unwrap();
    redis.signal("-STOP");
    let start = Instant::now();
    assert!(is_unavailable(&store.insert(KEYS, id("a"), bytes("unknown outcome"), None).await));
    assert!(start.elapsed() < IN_TIME, "{:?}", start.elapsed());
    redis.signal("-CONT");
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
    assert!(wait > Duration::from_secs(28) && wait <= Duration::from_secs(31), "{wait:?}");
    assert!(matches!(store.look(spent).await.unwrap(), Spent::PredatesBoot(_)));
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
    let StoreUrl::Redis(url) = redis.store_url() else { unreachable!() };
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
    let guess: StoreUrl = guarded.store_url().to_string().replace("//", "//:secret3@").parse().unwrap();
    for url in [guarded.store_url(), guess, "redis://:secret3@127.0.0.1:1/".parse().unwrap()] {
        let Err(error) = AnyStore::open(&url, Arc::new(SystemClock)).await else { panic!("it let us in") };
        assert!(matches!(error, OpenError::Redis { .. }));
        let shown = format!("{error} {error:?} {url:?}");
        assert!(!shown.contains("secret3") && shown.contains("127.0.0.1"), "{shown}");
    }
}

#[tokio::test]
async fn a_redis_that_closes_idle_connections_is_not_noticed() {
    let redis = Redis::start(&["--timeout", "1", "--save", ""]);
    let store = redis.store().await;
    past_the_first_cut_off().await;
    for round in 0..4 {
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        let name = format!("round {round}");
        assert_eq!(store.spend(now_fresh(&name)).await.unwrap(), Spent::Once, "{name}");
        assert!(store.insert(KEYS, id(&name), bytes("value"), None).await.unwrap(), "{name}");
    }
}

#[tokio::test]
async fn a_connection_that_redis_has_closed_is_noticed_before_it_is_used() {
    let redis = Redis::forgetful();
    let store = redis.store().await;
    past_the_first_cut_off().await;
    assert!(store.insert(KEYS, id("a"), bytes("value"), None).await.unwrap());
    for round in 0..20 {
        let name = format!("round {round}");
        // What the keeper asks meanwhile is answered: a connection with a question under way is not an idle one.
        tokio::time::sleep(Duration::from_millis(20)).await;
        redis.cli(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        // The runtime has had no moment to notice: this thread has only run redis-cli.
        match round % 4 {
            0 => assert_eq!(store.get(KEYS, id("a")).await.unwrap(), Some(bytes("value")), "{name}"),
            1 => assert_eq!(store.spend(now_fresh(&name)).await.unwrap(), Spent::Once, "{name}"),
            2 => assert!(store.insert(KEYS, id(&name), bytes("value"), None).await.unwrap(), "{name}"),
            _ => assert_eq!(store.take_if(KEYS, id("nothing"), None).await.unwrap(), None, "{name}"),
        }
    }
    assert!(redis.cli(&["INFO", "commandstats"]).contains("cmdstat_set:calls=11,"), "5 spent, 6 inserted");
}

#[tokio::test]
async fn a_redis_that_is_stopped_holds_up_nobody_and_accepts_nothing_twice() {
    let redis = Redis::forgetful();
    let store = redis.store_within(HASTY).await.unwrap();
    past_the_first_cut_off().await;
    let proofs: Vec<Spend> = (0..6).map(|number| now_fresh(&number.to_string())).collect();
    let mut accepted = vec![0; proofs.len()];
    for round in 0..3 {
        redis.signal("-STOP");
        for (index, proof) in proofs.iter().enumerate() {
            let start = Instant::now();
            match store.spend(*proof).await {
                Ok(Spent::Once) => accepted[index] += 1,
                Ok(_) => {}
                Err(error) => assert!(matches!(error, StoreError::Unavailable(_)), "{error}"),
            }
            let ready = store.ready().await;
            assert!(is_unavailable(&ready), "{ready:?}");
            assert!(start.elapsed() < 2 * IN_TIME, "round {round}: {:?}", start.elapsed());
        }
        // The system accepts connections for a server that is stopped.
        if round == 0 {
            let start = Instant::now();
            assert!(matches!(redis.store_within(HASTY).await, Err(OpenError::Redis { .. })));
            assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
        }
        redis.signal("-CONT");
        let start = Instant::now();
        while store.ready().await.is_err() {
            assert!(start.elapsed() < Duration::from_secs(2), "it answers again, and we do not see it");
        }
    }
    for (index, proof) in proofs.iter().enumerate() {
        for _ in 0..2 {
            accepted[index] += usize::from(spend_when_back(&store, *proof).await == Spent::Once);
        }
    }
    assert!(accepted.iter().all(|times| *times <= 1), "{accepted:?}");
}

/// Proofs that were accepted, dated before, now and ahead.
async fn accepted(store: &RedisStore) -> Vec<Spend> {
    let mut proofs = Vec::new();
    for ahead in 0..25 {
        let created = SystemClock.now().plus(Duration::from_secs(ahead));
        let name = format!("ahead by {ahead} at {created}");
        let proof = proof(&name, Some(created), SystemClock.now());
        assert_eq!(store.spend(proof).await.unwrap(), Spent::Once);
        proofs.push(proof);
    }
    proofs
}

async fn none_passes_again(store: &RedisStore, proofs: &[Spend]) {
    for proof in proofs {
        let spent = spend_when_back(store, *proof).await;
        assert_ne!(spent, Spent::Once, "a replay passed: {proof:?}");
    }
}

/// How long new proofs are refused; none of the old ones passes meanwhile and afterwards.
async fn refused_for(store: &RedisStore, proofs: &[Spend]) -> Duration {
    none_passes_again(store, proofs).await;
    let start = Instant::now();
    let Spent::PredatesBoot(wait) = spend_when_back(store, now_fresh("right after")).await else {
        panic!("nothing says yet that nothing is missing");
    };
    if wait <= SHORT {
        // Nor do new ones that say a later time, while others may object.
        let ahead = Some(SystemClock.now().plus(Duration::from_secs(10)));
        let early = store.spend(proof("right after, and ahead", ahead, SystemClock.now())).await.unwrap();
        assert!(matches!(early, Spent::PredatesBoot(_)), "{early:?}");
        tokio::time::sleep(wait).await;
        let whole = countersign::time::Timestamp::from_secs(SystemClock.now().as_secs());
        let told = proof(&format!("made when we were told to, {whole}"), Some(whole), SystemClock.now());
        assert_eq!(store.spend(told).await.unwrap(), Spent::Once, "{:?}", start.elapsed());
        none_passes_again(store, proofs).await;
    }
    wait
}

#[tokio::test]
async fn a_redis_that_writes_first_and_restarts_refuses_new_proofs_for_two_seconds_and_old_ones_for_ever() {
    let mut redis = Redis::start(CAREFUL);
    let (store, other) = (redis.store().await, redis.store().await);
    past_the_first_cut_off().await;
    for is_clean in [true, false, true] {
        let mut proofs = accepted(&store).await;
        proofs.extend(accepted_by(&other, is_clean).await);
        if is_clean {
            redis.shut_down();
        }
        redis.start_again();
        let wait = refused_for(&store, &proofs).await;
        assert!(wait <= SHORT, "{wait:?}");
        none_passes_again(&other, &proofs).await;
    }
}

async fn accepted_by(store: &RedisStore, is_clean: bool) -> Vec<Spend> {
    let proof = now_fresh(&format!("the other's {is_clean} {}", SystemClock.now()));
    assert_eq!(store.spend(proof).await.unwrap(), Spent::Once);
    vec![proof]
}

#[tokio::test]
async fn a_gateway_that_knows_of_more_objects_after_a_restart_and_one_that_does_not_agrees() {
    let mut redis = Redis::start(CAREFUL);
    let store = redis.store().await;
    past_the_first_cut_off().await;
    let proofs = accepted(&store).await;
    let replid = ledger(&redis, "replid");
    redis.shut_down();
    redis.start_again();
    assert!(matches!(spend_when_back(&store, proofs[0]).await, Spent::PredatesBoot(wait) if wait <= SHORT));
    says(&redis, &replid, proofs.len());
    let agreed = store.spend(now_fresh("agreed")).await.unwrap();
    assert!(matches!(agreed, Spent::PredatesBoot(wait) if wait <= SHORT), "{agreed:?}");
    says(&redis, &replid, proofs.len() + 1);
    let objected = store.spend(now_fresh("objected")).await.unwrap();
    assert!(matches!(objected, Spent::PredatesBoot(wait) if wait > 9 * SHORT), "{objected:?}");
}

/// What must not be taken for a restart that lost nothing.
#[tokio::test]
async fn a_restart_of_which_it_is_not_shown_that_nothing_was_lost_refuses_what_was_made_half_a_minute_ahead()
{
    // Written once a second, or not while the file is rewritten, or by a server that does not say.
    for settings in [
        &["--appendonly", "yes", "--appendfsync", "everysec"][..],
        &["--appendonly", "yes", "--appendfsync", "always", "--no-appendfsync-on-rewrite", "yes"],
        &["--appendonly", "yes", "--appendfsync", "always", "--rename-command", "CONFIG", ""],
    ] {
        let mut redis = Redis::start(settings);
        let store = redis.store().await;
        past_the_first_cut_off().await;
        let proofs = accepted(&store).await;
        redis.shut_down();
        redis.start_again();
        let wait = refused_for(&store, &proofs).await;
        assert!(wait > 9 * SHORT, "{settings:?}: {wait:?}");
    }
}

#[tokio::test]
async fn a_server_whose_settings_became_unreadable_in_its_last_life_is_not_vouched_for_by_the_life_before() {
    let mut redis = Redis::start(CAREFUL);
    let store = redis.store().await;
    past_the_first_cut_off().await;
    redis.shut_down();
    redis.start_again_with(&[CAREFUL, &["--rename-command", "CONFIG", ""]].concat());
    assert!(
        matches!(spend_when_back(&store, now_fresh("1")).await, Spent::PredatesBoot(wait) if wait <= SHORT)
    );
    until(|| ledger(&redis, "durable") == "0").await;
    redis.shut_down();
    redis.start_again();
    let Spent::PredatesBoot(wait) = spend_when_back(&store, now_fresh("2")).await else {
        panic!("it passed")
    };
    assert!(wait > 9 * SHORT, "{wait:?}");
}

#[tokio::test]
async fn what_was_read_of_a_server_counts_for_one_life_and_the_least_that_was_read_wins() {
    let mut redis = Redis::start(CAREFUL);
    let mut lives = |read: &[&str], durable: &str, trial: bool| {
        let known = ledger(&redis, "replid");
        redis.shut_down();
        redis.start_again();
        says_at(&redis, &known, 0, 0, "");
        assert_eq!(ledger(&redis, "trial") != "0", trial, "after the life before {read:?}");
        assert_eq!(ledger(&redis, "durable"), "", "nobody has read anything yet");
        let known = ledger(&redis, "replid");
        read.iter().for_each(|read| says_at(&redis, &known, 0, 0, read));
        assert_eq!(ledger(&redis, "durable"), durable, "{read:?}");
    };
    lives(&["1"], "1", false);
    lives(&["1", "", "1"], "1", true);
    lives(&["", ""], "", true);
    lives(&["1", "0"], "0", false);
    lives(&["0", "1", ""], "0", false);
    lives(&["1"], "1", false);
    lives(&["1"], "1", true);
}

#[tokio::test]
async fn an_older_copy_of_the_file_is_noticed_by_what_the_gateway_knows() {
    let mut redis = Redis::start(CAREFUL);
    let store = redis.store().await;
    past_the_first_cut_off().await;
    assert_eq!(store.spend(now_fresh("in the copy")).await.unwrap(), Spent::Once);
    let (files, copy) = (redis.folder().join("appendonlydir"), redis.folder().join("copy"));
    let run = |program: &str, arguments: &[&std::path::Path]| {
        assert!(std::process::Command::new(program).args(arguments).status().unwrap().success());
    };
    run("cp", &["-a".as_ref(), &files, &copy]);
    let proofs = accepted(&store).await;
    redis.shut_down();
    run("rm", &["-r".as_ref(), &files]);
    run("mv", &[&copy, &files]);
    redis.start_again();
    let wait = refused_for(&store, &proofs).await;
    assert!(wait > 9 * SHORT, "{wait:?}");
    assert_eq!(ledger(&redis, "trial"), "0", "at once, and not when somebody objected");
}

#[tokio::test]
async fn a_gateway_that_starts_with_redis_cannot_know_that_nothing_was_lost() {
    let mut redis = Redis::start(CAREFUL);
    let store = redis.store().await;
    past_the_first_cut_off().await;
    let proofs = accepted(&store).await;
    drop(store);
    redis.shut_down();
    redis.start_again();
    let store = redis.store().await;
    assert!(refused_for(&store, &proofs).await > 9 * SHORT);
}

/// Until `done`, ten seconds at most.
async fn until(done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(10), "it did not happen");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Says to the server what a gateway would that has seen `replid` and `count` proofs spent, and that the server writes
/// first.
fn says(redis: &Redis, replid: &str, count: usize) {
    says_at(redis, replid, count, 0, "1");
}

/// The same, when the server's clock showed `time`, and whether the server writes first.
fn says_at(redis: &Redis, replid: &str, count: usize, time: u64, writes_first: &str) {
    const SCRIPT: &str = include_str!("../src/redis_store/spend.lua");
    let (count, time) = (count.to_string(), time.to_string());
    let known = ["", "", "", "", replid, &count, &time, writes_first];
    let answer = redis.cli(&[&["EVAL", SCRIPT, "2", "cs:_ledger", "cs:_ledger"][..], &known[..]].concat());
    assert!(answer.starts_with("adopted"), "{answer}");
}

fn ledger(redis: &Redis, field: &str) -> String {
    redis.cli(&["HGET", "cs:_ledger", field])
}

#[tokio::test]
async fn replicas_are_warned_about_and_a_restart_that_a_replica_could_be_is_none() {
    let mut redis = Redis::start(CAREFUL);
    let store = redis.store().await;
    past_the_first_cut_off().await;
    let proofs = accepted(&store).await;
    assert_eq!(store.warnings(), [""; 0]);
    let master = redis.address.port().to_string();
    let replica = Redis::start(&[CAREFUL, &["--replicaof", "127.0.0.1", &master]].concat());
    until(|| replica.cli(&["INFO", "replication"]).contains("master_link_status:up")).await;
    let is_warned = |store: &RedisStore, of: &str| store.warnings().iter().any(|text| text.contains(of));
    until(|| is_warned(&store, "Redis has replicas")).await;
    assert!(is_warned(&replica.store().await, "this Redis is a replica"));

    assert_eq!((ledger(&redis, "durable"), ledger(&redis, "replicas")), ("1".into(), "1".into()));
    drop(replica);
    redis.shut_down();
    redis.start_again();
    assert!(refused_for(&store, &proofs).await > 8 * SHORT);
    assert_eq!(ledger(&redis, "trial"), "0", "not for what is left of an earlier cut-off");
}

#[tokio::test]
async fn a_replica_that_takes_over_is_no_restart_whatever_a_gateway_vouches_for() {
    let mut redis = Redis::start(CAREFUL);
    let store = redis.store().await;
    past_the_first_cut_off().await;
    let master = redis.address.port().to_string();
    let replica = Redis::start(&[CAREFUL, &["--replicaof", "127.0.0.1", &master]].concat());
    until(|| replica.cli(&["INFO", "replication"]).contains("master_link_status:up")).await;
    until(|| ledger(&replica, "replicas") == "1").await;
    drop(store);
    // The same server, but this time a replica is there.
    let known = ledger(&redis, "replid");
    redis.shut_down();
    redis.start_again();
    until(|| replica.cli(&["INFO", "replication"]).contains("master_link_status:up")).await;
    redis.cli(&["HSET", "cs:_ledger", "replicas", "0"]);
    says(&redis, &known, 0);
    assert_eq!((ledger(&redis, "trial"), ledger(&redis, "durable")), ("0".into(), "1".into()));
    until(|| ledger(&replica, "replid") == ledger(&redis, "replid")).await;
    redis.kill();
    let known = ledger(&replica, "replid");
    assert_eq!(replica.cli(&["REPLICAOF", "NO", "ONE"]), "OK");
    // As if nobody had seen it while it was a replica.
    replica.cli(&["HSET", "cs:_ledger", "replicas", "0"]);
    assert_eq!(ledger(&replica, "durable"), "1");
    says(&replica, &known, 0);
    assert_ne!(ledger(&replica, "replid"), known);
    assert_eq!(ledger(&replica, "trial"), "0");
}

#[tokio::test]
async fn a_restart_after_which_the_clock_is_behind_or_nothing_is_written_is_taken_for_a_loss() {
    for (is_behind, settings, trial) in
        [(false, CAREFUL, false), (true, CAREFUL, true), (false, &["--save", "", "--appendonly", "no"], true)]
    {
        let mut redis = Redis::start(CAREFUL);
        drop(redis.store().await);
        let known = ledger(&redis, "replid");
        assert_eq!(redis.cli(&["SAVE"]), "OK");
        redis.shut_down();
        redis.start_again_with(settings);
        let seen = SystemClock.now().plus(Duration::from_secs(u64::from(is_behind) * 20));
        says_at(&redis, &known, 0, seen.as_millis(), "1");
        assert_eq!(ledger(&redis, "trial") == "0", trial, "{settings:?}");
    }
}

/// Stands before Redis, and cuts the connection once it has handed on what holds the secret word.
struct Cutter {
    url: StoreUrl,
    word: Arc<std::sync::Mutex<Option<String>>>,
}

impl Cutter {
    async fn before(redis: &Redis) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://{}/0", listener.local_addr().unwrap()).parse().unwrap();
        let (word, port) = (Arc::<std::sync::Mutex<Option<String>>>::default(), redis.address.port());
        let cut = word.clone();
        tokio::spawn(async move {
            loop {
                let (near, _) = listener.accept().await.unwrap();
                let far = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                tokio::spawn(hand_on(near, far, cut.clone()));
            }
        });
        Self { url, word }
    }

    fn cut_after(&self, word: &str) {
        *self.word.lock().unwrap() = Some(word.to_owned());
    }
}

async fn hand_on(
    mut near: tokio::net::TcpStream,
    mut far: tokio::net::TcpStream,
    cut: Arc<std::sync::Mutex<Option<String>>>,
) {
    let (mut there, mut back) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        tokio::select! {
            read = near.read(&mut there) => {
                let Ok(length @ 1..) = read else { return };
                far.write_all(&there[..length]).await.unwrap();
                let text = String::from_utf8_lossy(&there[..length]).into_owned();
                let is_cut = cut.lock().unwrap().take_if(|word| text.contains(&**word)).is_some();
                if is_cut {
                    // Redis has it, and has answered.
                    let _ = far.read(&mut back).await;
                    return;
                }
            }
            read = far.read(&mut back) => {
                let Ok(length @ 1..) = read else { return };
                near.write_all(&back[..length]).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn what_reads_is_asked_again_when_the_connection_ends_and_what_may_have_changed_something_is_not() {
    let redis = Redis::forgetful();
    let cutter = Cutter::before(&redis).await;
    let StoreUrl::Redis(url) = cutter.url.clone() else { unreachable!() };
    let store =
        RedisStore::open(&url.with_timeout(Duration::from_secs(2)), Arc::new(SystemClock)).await.unwrap();
    past_the_first_cut_off().await;
    let calls = |command: &str| {
        let stats = redis.cli(&["INFO", "commandstats"]);
        let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
        line.map_or(0, |line| line.split(',').next().unwrap().parse::<u32>().unwrap())
    };
    assert!(store.insert(KEYS, id("a"), bytes("value"), None).await.unwrap());

    cutter.cut_after("GET");
    assert_eq!(store.get(KEYS, id("a")).await.unwrap(), Some(bytes("value")));
    assert_eq!(calls("get"), 2, "the answer was lost once");

    let proof = now_fresh("proof");
    cutter.cut_after("cs:_spent:");
    assert!(is_unavailable(&store.spend(proof).await), "nobody knows what became of it");
    assert_eq!(calls("set"), 2, "the value, and the proof once");
    assert_eq!(store.spend(proof).await.unwrap(), Spent::Replayed);

    cutter.cut_after("NX");
    assert!(is_unavailable(&store.insert(KEYS, id("b"), bytes("value"), None).await));
    // Known to the server, so that the next one runs at once.
    assert_eq!(store.take_if(KEYS, id("nothing"), None).await.unwrap(), None);
    cutter.cut_after("cs:keys:");
    assert!(is_unavailable(&store.take_if(KEYS, id("b"), None).await));
    assert_eq!(store.get(KEYS, id("b")).await.unwrap(), None, "it was there, and was taken once");
}
