//! Figures, not checks: `cargo nextest run -p countersign-io --run-ignored only --no-capture`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use countersign::store::{Space, Store};
use countersign_io::{RedbStore, SystemClock};
use countersign_testing::Redis;
use countersign_testing::store::{bytes, fresh, id};

const KEYS: Space = Space::durable("keys");

fn say(what: &str, count: u32, took: Duration) {
    let rate = f64::from(count) / took.as_secs_f64();
    eprintln!("{what}: {count} in {took:?}, {rate:.0}/s, {:?} each", took / count);
}

async fn by_64_tasks<S: Store, F>(
    what: &str,
    store: &Arc<S>,
    each: u32,
    work: impl Fn(Arc<S>, String) -> F + Clone + Send + 'static,
) where
    F: Future<Output = ()> + Send,
{
    let start = Instant::now();
    let tasks: Vec<_> = (0..64)
        .map(|task| {
            let (store, work) = (Arc::clone(store), work.clone());
            tokio::spawn(async move {
                for number in 0..each {
                    work(Arc::clone(&store), format!("{task} {number}")).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    say(what, 64 * each, start.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "figures"]
async fn redb() {
    let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    let store = Arc::new(RedbStore::open(&folder.path().join("s.redb"), Arc::new(SystemClock)).unwrap());
    by_64_tasks("redb, durable inserts, 64 tasks", &store, 300, |store, name| async move {
        assert!(store.insert(KEYS, id(&name), bytes(&name), None).await.unwrap());
    })
    .await;
    let start = Instant::now();
    for number in 0..200 {
        store.insert(KEYS, id(&format!("one {number}")), bytes("v"), None).await.unwrap();
    }
    say("redb, durable inserts, one after another", 200, start.elapsed());
    by_64_tasks("redb, light spends, 64 tasks", &store, 10_000, |store, name| async move {
        store.spend(fresh(&name, &SystemClock)).await.unwrap();
    })
    .await;
    let ids: Vec<_> = (0..64).map(|task| id(&format!("{task} 7"))).collect();
    let start = Instant::now();
    for round in 0..1_000_000_usize {
        assert!(store.get(KEYS, ids[round % 64]).await.unwrap().is_some());
    }
    say("redb, get from the cache", 1_000_000, start.elapsed());
    store.close().await.unwrap();
    let store = RedbStore::open(&folder.path().join("s.redb"), Arc::new(SystemClock)).unwrap();
    let ids: Vec<_> = (0..19_200).map(|n| id(&format!("{} {}", n / 300, n % 300))).collect();
    let start = Instant::now();
    for id in ids {
        assert!(store.get(KEYS, id).await.unwrap().is_some());
    }
    say("redb, get past the cache", 19_200, start.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "figures"]
async fn redis() {
    let redis = Redis::forgetful();
    let store = Arc::new(redis.store().await);
    by_64_tasks("redis, inserts, 64 tasks", &store, 1_000, |store, name| async move {
        assert!(store.insert(KEYS, id(&name), bytes(&name), None).await.unwrap());
    })
    .await;
    by_64_tasks("redis, gets, 64 tasks", &store, 1_000, |store, name| async move {
        assert!(store.get(KEYS, id(&name)).await.unwrap().is_some());
    })
    .await;
    by_64_tasks("redis, spends, 64 tasks", &store, 1_000, |store, name| async move {
        store.spend(fresh(&name, &SystemClock)).await.unwrap();
    })
    .await;
}
