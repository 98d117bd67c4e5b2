//! Spent proofs across restarts of the embedded store: clean stops, crashes, clocks set back.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use countersign::store::{Space, Spend, Spent, Store as _, StoreError};
use countersign::testing::clock;
use countersign::time::{Clock as _, Timestamp};
use countersign_io::{AnyStore, OpenError, RedbStore, StoreUrl, SystemClock};
use countersign_testing::store::{bytes, fresh, id, open_redb, proof};
use tempfile::TempDir;

const KEYS: Space = Space::durable("keys");
const SECOND: Duration = Duration::from_secs(1);

fn file() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    (folder, path)
}

fn is_regressed<T>(answer: &Result<T, StoreError>) -> bool {
    matches!(answer, Err(StoreError::ClockRegressed))
}

#[tokio::test]
async fn a_clean_stop_refuses_replays_and_no_fresh_proof() {
    let ((_folder, path), clock) = (file(), clock());
    let store = open_redb(&path, &clock);
    let proofs: Vec<Spend> = (0..10_000).map(|number| fresh(&number.to_string(), &*clock)).collect();
    for spend in &proofs {
        assert_eq!(store.spend(*spend).await.unwrap(), Spent::Once);
    }
    store.close().await.unwrap();
    let store = open_redb(&path, &clock);
    for spend in &proofs {
        assert_eq!(store.spend(*spend).await.unwrap(), Spent::Replayed);
    }
    // Made at the very same moment as the others, but never spent.
    assert_eq!(store.spend(fresh("unspent", &*clock)).await.unwrap(), Spent::Once);
}

#[tokio::test]
async fn an_unclean_stop_refuses_what_was_made_up_to_the_mark_and_nothing_later() {
    let ((_folder, path), clock) = (file(), clock());
    let store = open_redb(&path, &clock);
    let (spent, start) = (fresh("spent", &*clock), clock.now());
    assert_eq!(store.spend(spent).await.unwrap(), Spent::Once);
    drop(store);
    let store = open_redb(&path, &clock);
    let mark = start.plus(2 * SECOND);
    assert_eq!(store.spend(spent).await.unwrap(), Spent::PredatesBoot(2 * SECOND));
    clock.set(mark.plus(SECOND));
    let at_the_mark = proof("at the mark", Some(mark), clock.now());
    assert_eq!(store.spend(at_the_mark).await.unwrap(), Spent::PredatesBoot(SECOND));
    let after = proof("after", Some(mark.plus(Duration::from_millis(1))), clock.now());
    assert_eq!(store.spend(after).await.unwrap(), Spent::Once);
    assert_eq!(store.spend(after).await.unwrap(), Spent::Replayed);
}

#[tokio::test]
async fn a_clean_stop_does_not_vouch_for_what_an_earlier_crash_has_lost() {
    let ((_folder, path), clock) = (file(), clock());
    let spent = fresh("spent", &*clock);
    let store = open_redb(&path, &clock);
    assert_eq!(store.spend(spent).await.unwrap(), Spent::Once);
    drop(store);
    for _ in 0..2 {
        open_redb(&path, &clock).close().await.unwrap();
    }
    let refused = open_redb(&path, &clock).spend(spent).await.unwrap();
    assert!(matches!(refused, Spent::PredatesBoot(_)), "{refused:?}");
}

#[tokio::test]
async fn the_word_of_a_clean_stop_counts_once() {
    let ((_folder, path), clock) = (file(), clock());
    open_redb(&path, &clock).close().await.unwrap();
    let store = open_redb(&path, &clock);
    let spent = fresh("spent", &*clock);
    assert_eq!(store.spend(spent).await.unwrap(), Spent::Once);
    drop(store);
    assert!(matches!(open_redb(&path, &clock).spend(spent).await.unwrap(), Spent::PredatesBoot(_)));
}

#[tokio::test]
async fn proofs_without_a_date_or_from_the_future_survive_an_unclean_stop() {
    let ((_folder, path), clock) = (file(), clock());
    let now = clock.now();
    let bare = proof("without a date", None, now);
    let early = proof("from the future", Some(now.plus(20 * SECOND)), now);
    let store = open_redb(&path, &clock);
    assert_eq!(store.spend(bare).await.unwrap(), Spent::Once);
    assert_eq!(store.spend(early).await.unwrap(), Spent::Once);
    drop(store);
    let store = open_redb(&path, &clock);
    assert_eq!(store.spend(bare).await.unwrap(), Spent::Replayed);
    assert_eq!(store.spend(early).await.unwrap(), Spent::Replayed);
    clock.advance(21 * SECOND);
    let in_its_time = Spend { received_at: clock.now(), ..early };
    assert_eq!(store.spend(in_its_time).await.unwrap(), Spent::Replayed);
    assert_eq!(store.spend(proof("fresh, without a date", None, clock.now())).await.unwrap(), Spent::Once);
}

#[tokio::test]
async fn a_clock_set_back_behind_the_mark_spends_nothing_until_it_has_caught_up() {
    let ((_folder, path), clock) = (file(), clock());
    let start = clock.now();
    let store = open_redb(&path, &clock);
    assert_eq!(store.spend(fresh("spent", &*clock)).await.unwrap(), Spent::Once);
    assert!(store.insert(KEYS, id("ended"), bytes("value"), Some(start)).await.unwrap());
    assert!(store.insert(KEYS, id("there"), bytes("value"), None).await.unwrap());
    store.close().await.unwrap();
    clock.set(start.minus(Duration::from_millis(2_001)));
    let store = open_redb(&path, &clock);
    assert!(is_regressed(&store.spend(fresh("fresh", &*clock)).await));
    assert_eq!(store.get(KEYS, id("there")).await.unwrap(), Some(bytes("value")));
    assert!(is_regressed(&store.get(KEYS, id("ended")).await), "by what the clock has shown alone");
    assert!(store.insert(KEYS, id("a"), bytes("value"), None).await.unwrap());
    assert!(is_regressed(&store.insert(KEYS, id("b"), bytes("value"), Some(start)).await), "gone at once");
    assert_eq!(store.take_if(KEYS, id("a"), None).await.unwrap(), Some(bytes("value")));
    store.ready().await.unwrap();
    clock.set(start.minus(2 * SECOND));
    assert_eq!(store.spend(fresh("fresh", &*clock)).await.unwrap(), Spent::Once);
}

#[tokio::test]
async fn what_was_spent_before_an_idle_stop_stays_spent_when_the_clock_has_gone_back_meanwhile() {
    for ending in ["stopped", "stopped and killed"] {
        let ((_folder, path), clock) = (file(), clock());
        let start = clock.now();
        let store = open_redb(&path, &clock);
        let (spent, bare) = (fresh("spent", &*clock), proof("bare", None, start));
        for spend in [spent, bare] {
            assert_eq!(store.spend(spend).await.unwrap(), Spent::Once);
        }
        // Both have expired, so the stop does not save them.
        clock.set(start.plus(600 * SECOND));
        store.close().await.unwrap();
        if ending == "stopped and killed" {
            drop(open_redb(&path, &clock));
        }
        clock.set(start.plus(10 * SECOND));
        let store = open_redb(&path, &clock);
        let again = |spend: Spend| Spend { received_at: clock.now(), ..spend };
        for spend in [spent, bare] {
            let answer = store.spend(again(spend)).await;
            assert!(is_regressed(&answer), "{ending}: {answer:?}");
        }
        assert!(is_regressed(&store.spend(fresh("new", &*clock)).await), "{ending}");
        let accepted = store.accept_clock().await.unwrap();
        assert_eq!((accepted.shown, accepted.cut_off), (start.plus(600 * SECOND), Some(clock.now())));
        // Believed once, it is believed after a restart as well.
        store.close().await.unwrap();
        let store = open_redb(&path, &clock);
        for spend in [spent, bare] {
            assert_ne!(store.spend(again(spend)).await.unwrap(), Spent::Once, "{ending}");
        }
        clock.advance(SECOND);
        assert_eq!(store.spend(fresh("new", &*clock)).await.unwrap(), Spent::Once, "{ending}");
    }
}

#[tokio::test]
async fn what_had_expired_before_an_end_of_any_kind_does_not_live_again_under_a_clock_that_went_back() {
    for shown_by in ["a clean stop", "a write", "an open", "a read"] {
        let ((_folder, path), clock) = (file(), clock());
        let start = clock.now();
        let store = open_redb(&path, &clock);
        let ends = Some(start.plus(300 * SECOND));
        assert!(store.insert(KEYS, id("ends"), bytes("value"), ends).await.unwrap());
        clock.set(start.plus(600 * SECOND));
        match shown_by {
            "a clean stop" => store.close().await.unwrap(),
            "a write" => assert!(store.insert(KEYS, id("other"), bytes("value"), None).await.unwrap()),
            "an open" => {
                drop(store);
                drop(open_redb(&path, &clock));
                clock.set(start);
                assert!(is_regressed(&open_redb(&path, &clock).get(KEYS, id("ends")).await));
                continue;
            }
            _ => {
                let mark = PathBuf::from(format!("{}.mark", path.display()));
                let before = std::fs::read(&mark).unwrap();
                assert_eq!(store.get(KEYS, id("ends")).await.unwrap(), None);
                let begun = Instant::now();
                while std::fs::read(&mark).unwrap() == before {
                    assert!(begun.elapsed() < 10 * SECOND, "what a reader was shown is never written");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
        drop(store);
        clock.set(start);
        let store = open_redb(&path, &clock);
        let ended = store.get(KEYS, id("ends")).await;
        assert!(is_regressed(&ended), "after {shown_by}: {ended:?}");
        clock.set(start.plus(301 * SECOND));
        assert_eq!(store.get(KEYS, id("ends")).await.unwrap(), None, "whichever moment is right");
        assert_eq!(store.latest(), start.plus(600 * SECOND), "after {shown_by}");
    }
}

#[tokio::test]
async fn a_clock_set_back_while_running_is_noticed_and_a_small_step_makes_nothing_fresh_again() {
    let ((_folder, path), clock) = (file(), clock());
    let store = open_redb(&path, &clock);
    let spent = fresh("spent", &*clock);
    assert_eq!(store.spend(spent).await.unwrap(), Spent::Once);
    // Just expired, and remembered: a step back by the tolerance makes it good again elsewhere.
    clock.set(spent.until.plus(Duration::from_millis(1_900)));
    assert_eq!(store.spend(spent).await.unwrap(), Spent::Replayed);
    clock.set(spent.until.minus(Duration::from_millis(50)));
    assert_eq!(store.spend(spent).await.unwrap(), Spent::Replayed);
    clock.set(spent.until.minus(5 * SECOND));
    assert!(is_regressed(&store.spend(fresh("another", &*clock)).await));
}

#[tokio::test]
async fn an_idle_store_writes_nothing_and_a_spending_one_keeps_its_mark_ahead() {
    let (_folder, path) = file();
    let store = RedbStore::open(&path, Arc::new(SystemClock)).unwrap();
    store.spend(fresh("first", &SystemClock)).await.unwrap();
    let start = Instant::now();
    let mut slowest = Duration::ZERO;
    for number in 0.. {
        let before = Instant::now();
        store.spend(fresh(&format!("n{number}"), &SystemClock)).await.unwrap();
        slowest = slowest.max(before.elapsed());
        if start.elapsed() > 3 * SECOND {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(slowest < Duration::from_millis(500), "a spend waited {slowest:?}");
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let before = std::fs::read(&path).unwrap();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(before == std::fs::read(&path).unwrap(), "an idle store wrote");
}

#[tokio::test]
async fn a_closed_store_answers_nothing_and_gives_its_file_back() {
    let ((_folder, path), clock) = (file(), clock());
    let store = open_redb(&path, &clock);
    assert!(store.insert(KEYS, id("a"), bytes("value"), None).await.unwrap());
    store.close().await.unwrap();
    let next = open_redb(&path, &clock);
    assert!(matches!(store.get(KEYS, id("a")).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.insert(KEYS, id("b"), bytes(""), None).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.spend(fresh("n", &*clock)).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.ready().await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.close().await, Err(StoreError::Unavailable(_))));
    assert_eq!(next.get(KEYS, id("a")).await.unwrap(), Some(bytes("value")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_proof_accepted_while_the_store_closes_is_accepted_by_the_next() {
    for round in 0..20 {
        let (_folder, path) = file();
        let store = Arc::new(RedbStore::open(&path, Arc::new(SystemClock)).unwrap());
        let tasks: Vec<_> = (0..4)
            .map(|task| {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    let mut accepted = Vec::new();
                    for number in 0.. {
                        let spend = fresh(&format!("{round} {task} {number}"), &SystemClock);
                        match store.spend(spend).await {
                            Ok(Spent::Once) => accepted.push(spend),
                            _ => break,
                        }
                        // A light spend waits for nothing, and would starve the timer below.
                        tokio::task::yield_now().await;
                    }
                    accepted
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(20)).await;
        store.close().await.unwrap();
        let next = RedbStore::open(&path, Arc::new(SystemClock)).unwrap();
        for task in tasks {
            for spend in task.await.unwrap() {
                assert_eq!(next.spend(spend).await.unwrap(), Spent::Replayed);
            }
        }
    }
}

#[tokio::test]
async fn a_file_that_is_open_elsewhere_is_told_apart_from_one_that_cannot_be_opened() {
    let ((folder, path), clock) = (file(), clock());
    let _first = open_redb(&path, &clock);
    let second = RedbStore::open(&path, clock.clone());
    assert!(matches!(second.err(), Some(OpenError::AlreadyOpen(at)) if at == path));
    for (name, content) in [("not-redb", "something else".repeat(1_000)), ("short", String::from("redb"))] {
        let damaged = folder.path().join(name);
        std::fs::write(&damaged, content).unwrap();
        let opened = AnyStore::open(&StoreUrl::Redb(damaged), clock.clone()).await;
        assert!(matches!(opened.err(), Some(OpenError::Damaged { .. })), "{name}");
    }
    let nowhere = RedbStore::open(&folder.path().join("no/such/folder"), clock);
    assert!(matches!(nowhere.err(), Some(OpenError::File { .. })));
}

#[tokio::test]
async fn the_file_is_for_its_owner_alone() {
    let ((_folder, path), clock) = (file(), clock());
    let _store = open_redb(&path, &clock);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

/// Names the file that the child process works on.
const CHILD: &str = "COUNTERSIGN_IO_TEST_CHILD";

/// Not a check: what `nothing_acknowledged_before_a_kill_is_lost_or_accepted_again` starts and kills.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_process() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let store = Arc::new(RedbStore::open(Path::new(&path), Arc::new(SystemClock)).unwrap());
    let tasks: Vec<_> =
        (0..4).map(|task| tokio::spawn(work_until_killed(Arc::clone(&store), task))).collect();
    for task in tasks {
        task.await.unwrap();
    }
}

async fn work_until_killed(store: Arc<RedbStore>, task: usize) {
    let pid = std::process::id();
    for number in 0.. {
        let (name, now) = (format!("{pid}-{task}-{number}"), SystemClock.now());
        let (kind, spend) = match number % 40 {
            0 => ("insert", None),
            1 => ("bare", Some(proof(&name, None, now))),
            2 => ("early", Some(proof(&name, Some(now.plus(20 * SECOND)), now))),
            _ => ("light", Some(proof(&name, Some(now), now))),
        };
        let acknowledged = match spend {
            Some(spend) => store.spend(spend).await.is_ok_and(|spent| spent == Spent::Once),
            None => store.insert(KEYS, id(&name), bytes(&name), None).await.is_ok_and(|done| done),
        };
        if acknowledged {
            writeln!(std::io::stdout().lock(), "acknowledged {kind} {name} {}", now.as_millis()).unwrap();
        }
    }
}

/// One line of the child.
#[derive(Clone)]
struct Acknowledged {
    kind: String,
    name: String,
    now: Timestamp,
}

/// Starts the child, lets it work for `time` after its first line, kills it, and reads what it said.
fn run_and_kill(path: &Path, time: Duration) -> Vec<Acknowledged> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_process", "--nocapture"])
        .env(CHILD, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let reader = std::thread::spawn(move || {
        let (mut lines, mut line) = (Vec::new(), String::new());
        while output.read_line(&mut line).is_ok_and(|read| read > 0) && line.ends_with('\n') {
            lines.extend(parse(&line));
            line.clear();
        }
        lines
    });
    std::thread::sleep(time);
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap()
}

fn parse(line: &str) -> Option<Acknowledged> {
    let mut words = line.split_once("acknowledged ")?.1.split_whitespace();
    let (kind, name) = (words.next()?.to_owned(), words.next()?.to_owned());
    Some(Acknowledged { kind, name, now: Timestamp::from_millis(words.next()?.parse().ok()?) })
}

#[tokio::test]
async fn nothing_acknowledged_before_a_kill_is_lost_or_accepted_again() {
    let (_folder, path) = file();
    let mut acknowledged: Vec<Acknowledged> = Vec::new();
    for round in 0..20_u32 {
        let noise = SystemClock.now().as_millis().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56;
        acknowledged.extend(run_and_kill(&path, Duration::from_millis(60 + noise)));
        let store = RedbStore::open(&path, Arc::new(SystemClock)).unwrap();
        for one in &acknowledged {
            let created = match one.kind.as_str() {
                "insert" => {
                    assert_eq!(store.get(KEYS, id(&one.name)).await.unwrap(), Some(bytes(&one.name)));
                    continue;
                }
                "bare" => None,
                "early" => Some(one.now.plus(20 * SECOND)),
                _ => Some(one.now),
            };
            let until = one.now.plus(60 * SECOND);
            for received_at in [SystemClock.now(), one.now, one.now.plus(30 * SECOND)] {
                let spent =
                    store.spend(Spend { id: id(&one.name), created, received_at, until }).await.unwrap();
                assert_ne!(spent, Spent::Once, "{} {} passed again in round {round}", one.kind, one.name);
            }
        }
        // Sometimes a clean run lies between two crashes.
        if round % 3 == 0 {
            store.close().await.unwrap();
        }
    }
    let count = |kind: &str| acknowledged.iter().filter(|one| one.kind == kind).count();
    let (light, bare, early, inserts) = (count("light"), count("bare"), count("early"), count("insert"));
    let total = acknowledged.len();
    eprintln!("20 kills, {total} acknowledged: {light} light, {bare} bare, {early} early, {inserts} inserts");
    assert!(light > 100 && bare > 20 && early > 20 && inserts > 20, "the child did too little to tell");
}
