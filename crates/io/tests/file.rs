//! The store's file when it is damaged, put back from a copy, gone, or on a disk that is full.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use countersign::store::{Inventory as _, Space, Spend, Spent, Store as _, StoreError};
use countersign::testing::clock;
use countersign::time::{Clock, ManualClock};
use countersign_io::{AnyStore, OpenError, RedbStore, StoreUrl, SystemClock};
use countersign_testing::store::{bytes, fresh, id, open_redb, proof};
use tempfile::TempDir;

const KEYS: Space = Space::durable("keys");
const SESSIONS: Space = Space::durable("sessions");
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

fn file() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    (folder, path)
}

fn mark_of(path: &Path) -> PathBuf {
    PathBuf::from(format!("{}.mark", path.display()))
}

fn open(path: &Path, clock: &Arc<ManualClock>) -> Result<RedbStore, OpenError> {
    RedbStore::open(path, Arc::clone(clock) as Arc<dyn Clock>)
}

fn open_restored(path: &Path, clock: &Arc<ManualClock>) -> RedbStore {
    RedbStore::open_restored(path, Arc::clone(clock) as Arc<dyn Clock>).unwrap()
}

fn is_older(opened: Result<RedbStore, OpenError>) -> String {
    match opened.map(drop) {
        Err(error @ OpenError::Older { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

/// A store with something in it, stopped.
async fn stopped_store(path: &Path, clock: &Arc<ManualClock>) {
    let store = open_redb(path, clock);
    for number in 0..200_u32 {
        let value = bytes(&"value ".repeat(number as usize));
        assert!(store.insert(KEYS, id(&number.to_string()), value.clone(), None).await.unwrap());
        assert!(
            store
                .insert(SESSIONS, id(&number.to_string()), value, Some(clock.now().plus(HOUR)))
                .await
                .unwrap()
        );
        store.spend(fresh(&number.to_string(), &**clock)).await.unwrap();
        store.spend(proof(&format!("bare {number}"), None, clock.now())).await.unwrap();
    }
    store.close().await.unwrap();
}

/// Numbers that are the same each time.
struct Noise(u64);

impl Noise {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % most as u64) as usize
    }
}

/// Reads and writes whatever can be. What is read is what was written, or an error.
async fn use_all(store: &RedbStore, clock: &Arc<ManualClock>) {
    for number in 0..200_u32 {
        if let Ok(found) = store.get(KEYS, id(&number.to_string())).await {
            assert_eq!(found, Some(bytes(&"value ".repeat(number as usize))), "{number}");
        }
    }
    for space in [KEYS, SESSIONS] {
        if let Ok(listed) = store.list(space, None, 1_000).await {
            assert_eq!(listed.len(), 200);
        }
    }
    let _ = store.insert(KEYS, id("new"), bytes("new"), None).await;
    let spent = store.spend(proof("bare 7", None, clock.now())).await;
    assert!(!matches!(spent, Ok(Spent::Once)), "{spent:?}");
    let _ = store.close().await;
}

#[tokio::test]
async fn a_file_with_bytes_changed_is_an_error_that_says_what_to_do_or_reads_as_it_was_written() {
    let ((_folder, path), clock) = (file(), clock());
    stopped_store(&path, &clock).await;
    let (whole, mark) = (std::fs::read(&path).unwrap(), std::fs::read(mark_of(&path)).unwrap());
    let (mut noise, mut refused) = (Noise(0x5eed), 0);
    let pages: Vec<usize> = (0..whole.len() / 4096)
        .filter(|page| whole[page * 4096..][..4096].iter().any(|byte| *byte != 0))
        .collect();
    for round in 0..150 {
        let mut damaged = whole.clone();
        match round % 5 {
            // The header: magic number, page size, the two commit slots.
            0 => damaged[noise.below(320)] ^= 1 << noise.below(8),
            1 => damaged.truncate(noise.below(whole.len())),
            2 => {
                let page = pages[noise.below(pages.len())];
                damaged[page * 4096..][..4096].fill(noise.below(256) as u8);
            }
            _ => {
                let at = pages[noise.below(pages.len())] * 4096 + noise.below(4096);
                damaged[at] ^= 1 << noise.below(8);
            }
        }
        std::fs::write(&path, damaged).unwrap();
        std::fs::write(mark_of(&path), &mark).unwrap();
        match open(&path, &clock) {
            Ok(store) => use_all(&store, &clock).await,
            Err(error) => {
                refused += 1;
                let said = error.to_string();
                assert!(said.contains("store.redb"), "{said}");
                assert!(said.contains("--restored") && said.contains("docs/reference/store.md"), "{said}");
            }
        }
    }
    assert!(refused > 50, "only {refused} were noticed");
}

/// A disk under redb that ends with the operation of that number: what it writes then is half written.
#[derive(Debug)]
struct Dying {
    file: std::fs::File,
    left: std::sync::atomic::AtomicUsize,
}

impl Dying {
    fn create(path: &Path, after: usize) -> bool {
        let options = std::fs::OpenOptions::new().read(true).write(true).create_new(true).open(path);
        let backend = Self { file: options.unwrap(), left: after.into() };
        redb::Builder::new().create_with_backend(backend).is_ok()
    }

    fn count(&self) -> io::Result<usize> {
        let left = self.left.load(Ordering::SeqCst);
        self.left.store(left.saturating_sub(1), Ordering::SeqCst);
        if left == 0 { Err(io::Error::other("it is gone")) } else { Ok(left) }
    }
}

impl redb::StorageBackend for Dying {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(out, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.count()?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.count().map(drop)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let written = if self.count()? == 1 { data.len() / 2 } else { data.len() };
        self.file.write_all_at(&data[..written], offset)
    }
}

#[tokio::test]
async fn a_kill_at_any_moment_of_the_first_start_leaves_a_store_that_starts() {
    let clock = clock();
    for after in 0.. {
        let (_folder, path) = file();
        let is_whole = Dying::create(&path, after);
        let store = open(&path, &clock).unwrap_or_else(|error| panic!("killed after {after}: {error}"));
        assert_eq!(store.spend(fresh("first", &*clock)).await.unwrap(), Spent::Once, "nothing was in it");
        assert!(store.insert(KEYS, id("a"), bytes("value"), None).await.unwrap());
        store.close().await.unwrap();
        drop(store);
        assert_eq!(open_redb(&path, &clock).get(KEYS, id("a")).await.unwrap(), Some(bytes("value")));
        if is_whole {
            assert!(after > 4, "it took {after} operations");
            break;
        }
    }
    // Its length was not all of it yet, or is that of another version.
    for length in [1, 9, 100, 320, 4_096, 5_000, 1 << 20, 3 << 20] {
        let (_folder, path) = file();
        std::fs::write(&path, vec![0; length]).unwrap();
        open_redb(&path, &clock).close().await.unwrap();
    }
}

#[tokio::test]
async fn a_file_that_had_something_in_it_is_never_made_anew_whatever_became_of_its_head() {
    let ((_folder, path), clock) = (file(), clock());
    stopped_store(&path, &clock).await;
    let (whole, mark) = (std::fs::read(&path).unwrap(), std::fs::read(mark_of(&path)).unwrap());
    let zeros = |length: usize| [&vec![0; length], &whole[length..]].concat();
    for (damaged, has_mark) in [
        (zeros(9), true),
        (zeros(9), false),
        (zeros(512), true),
        (zeros(512), false),
        (zeros(4_096), true),
        (zeros(4_096), false),
        // A first start is over where there is a mark.
        (zeros(whole.len()), true),
        // Nothing but the head of one, and of something else.
        (whole[..320].to_vec(), false),
        (b"\0\0\0\0\0\0\0\0s".to_vec(), false),
    ] {
        std::fs::write(&path, &damaged).unwrap();
        match has_mark {
            true => std::fs::write(mark_of(&path), &mark).unwrap(),
            false => drop(std::fs::remove_file(mark_of(&path))),
        }
        let opened = open(&path, &clock).map(drop);
        assert!(matches!(opened, Err(OpenError::Damaged { .. })), "{opened:?}");
        assert!(std::fs::read(&path).unwrap() == damaged, "it was written to");
    }
}

#[tokio::test]
async fn a_file_that_is_damaged_while_it_is_open_gives_errors_and_never_a_panic() {
    let ((_folder, path), clock) = (file(), clock());
    stopped_store(&path, &clock).await;
    let whole = std::fs::read(&path).unwrap();
    let mut noise = Noise(0xfeed);
    for round in 0..20 {
        for ending in ["", ".mark"] {
            let _ = std::fs::remove_file(format!("{}{ending}", path.display()));
        }
        std::fs::write(&path, &whole).unwrap();
        let store = open_restored(&path, &clock);
        let handle = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        for page in 1..whole.len() / 4096 {
            let content: Vec<u8> = (0..4096).map(|_| noise.below(256) as u8).collect();
            handle.write_all_at(&content, page as u64 * 4096).unwrap();
        }
        let mut failed = false;
        for number in 0..300_u32 {
            let read = store.get(KEYS, id(&number.to_string())).await;
            let written = store.insert(KEYS, id(&format!("{round} {number}")), bytes("x"), None).await;
            let listed = store.list(SESSIONS, None, 10).await;
            for error in [read.err(), written.err(), listed.err()].into_iter().flatten() {
                assert!(matches!(error, StoreError::Unavailable(_) | StoreError::Corrupt(_)), "{error}");
                failed = true;
            }
        }
        assert!(failed, "round {round} noticed nothing");
        assert!(store.ready().await.is_err());
        assert!(store.spend(fresh("fresh", &*clock)).await.is_err());
        assert!(store.close().await.is_err());
    }
}

#[tokio::test]
async fn a_copy_that_is_put_back_is_refused_until_it_is_said_to_be_restored() {
    let ((folder, path), clock) = (file(), clock());
    stopped_store(&path, &clock).await;
    let copy = folder.path().join("copy");
    std::fs::copy(&path, &copy).unwrap();
    let store = open_redb(&path, &clock);
    assert!(store.take_if(KEYS, id("7"), None).await.unwrap().is_some());
    let (dated, bare) = (fresh("used since", &*clock), proof("bare since", None, clock.now()));
    let ahead = proof("ahead since", Some(clock.now().plus(20 * SECOND)), clock.now());
    for used in [dated, bare, ahead] {
        assert_eq!(store.spend(used).await.unwrap(), Spent::Once);
    }
    store.close().await.unwrap();
    std::fs::copy(&copy, &path).unwrap();
    for _ in 0..2 {
        let said = is_older(open(&path, &clock));
        assert!(said.contains("store.redb") && said.contains("--restored"), "{said}");
    }
    let store = open_restored(&path, &clock);
    assert!(store.get(KEYS, id("7")).await.unwrap().is_some(), "nobody can know that it was taken");
    for used in [dated, bare, ahead] {
        assert!(matches!(store.look(used).await.unwrap(), Spent::PredatesBoot(_)), "{used:?}");
        assert!(matches!(store.spend(used).await.unwrap(), Spent::PredatesBoot(_)), "{used:?}");
    }
    clock.advance(31 * SECOND);
    assert_eq!(store.spend(fresh("fresh", &*clock)).await.unwrap(), Spent::Once);
    store.close().await.unwrap();
    // From here on it is the store of this machine, and the copy is as old as before.
    open_redb(&path, &clock).close().await.unwrap();
    std::fs::copy(&copy, &path).unwrap();
    is_older(open(&path, &clock));
}

#[tokio::test]
async fn a_copy_of_a_running_store_is_older_as_soon_as_one_more_thing_was_written() {
    let ((folder, path), clock) = (file(), clock());
    stopped_store(&path, &clock).await;
    let copy = folder.path().join("copy");
    let store = open_redb(&path, &clock);
    std::fs::copy(&path, &copy).unwrap();
    assert!(store.take_if(KEYS, id("7"), None).await.unwrap().is_some());
    // A kill: nobody closed it.
    drop(store);
    std::fs::copy(&copy, &path).unwrap();
    is_older(open(&path, &clock));
}

#[tokio::test]
async fn the_same_file_starts_again_after_any_end_and_an_idle_copy_of_it_is_the_same() {
    let ((folder, path), clock) = (file(), clock());
    let copy = folder.path().join("copy");
    for round in 0..6 {
        let store = open_redb(&path, &clock);
        store.insert(KEYS, id(&round.to_string()), bytes("x"), None).await.unwrap();
        if round % 2 == 0 {
            store.close().await.unwrap();
        }
        drop(store);
        std::fs::copy(&path, &copy).unwrap();
        std::fs::copy(&copy, &path).unwrap();
    }
}

#[tokio::test]
async fn a_mark_that_is_missing_foreign_or_no_mark_refuses_the_file_and_restoring_makes_it_anew() {
    let ((folder, path), clock) = (file(), clock());
    stopped_store(&path, &clock).await;
    let mark = std::fs::read(mark_of(&path)).unwrap();
    clock.advance(SECOND);
    let other = folder.path().join("other.redb");
    stopped_store(&other, &clock).await;
    let foreign = std::fs::read(mark_of(&other)).unwrap();
    std::fs::remove_file(mark_of(&path)).unwrap();
    assert!(is_older(open(&path, &clock)).contains("is missing"));
    std::fs::write(mark_of(&path), foreign).unwrap();
    assert!(is_older(open(&path, &clock)).contains("another store"));
    std::fs::write(mark_of(&path), "").unwrap();
    assert!(is_older(open(&path, &clock)).contains("cannot be read"));
    std::fs::write(mark_of(&path), mark).unwrap();
    open_redb(&path, &clock).close().await.unwrap();
    std::fs::write(mark_of(&path), "").unwrap();
    open_restored(&path, &clock).close().await.unwrap();
    open_redb(&path, &clock).close().await.unwrap();
}

#[tokio::test]
async fn a_store_whose_file_was_deleted_or_emptied_begins_anew_and_accepts_nothing_twice() {
    for emptied in [false, true] {
        let ((_folder, path), clock) = (file(), clock());
        stopped_store(&path, &clock).await;
        match emptied {
            true => std::fs::write(&path, "").unwrap(),
            false => std::fs::remove_file(&path).unwrap(),
        }
        let store = open_redb(&path, &clock);
        assert_eq!(store.get(KEYS, id("7")).await.unwrap(), None);
        let again = store.spend(fresh("7", &*clock)).await.unwrap();
        assert!(matches!(again, Spent::PredatesBoot(_)), "{again:?}");
        store.close().await.unwrap();
        open_redb(&path, &clock).close().await.unwrap();
    }
}

#[tokio::test]
async fn a_new_file_refuses_nothing_and_one_from_before_there_were_marks_is_taken_as_it_is() {
    let ((_folder, path), clock) = (file(), clock());
    let store = open_redb(&path, &clock);
    assert_eq!(store.spend(fresh("first", &*clock)).await.unwrap(), Spent::Once);
    store.close().await.unwrap();
    let database = redb::Database::create(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let moments: redb::TableDefinition<'_, &str, u64> = redb::TableDefinition::new("_moments");
        let mut moments = transaction.open_table(moments).unwrap();
        for name in ["born", "generation"] {
            moments.remove(name).unwrap();
        }
    }
    transaction.commit().unwrap();
    drop(database);
    // Put in the place of one that had a mark it is older than that.
    is_older(open(&path, &clock));
    std::fs::remove_file(mark_of(&path)).unwrap();
    let store = open_redb(&path, &clock);
    assert_eq!(store.spend(fresh("first", &*clock)).await.unwrap(), Spent::Replayed);
    assert_eq!(store.spend(fresh("second", &*clock)).await.unwrap(), Spent::Once);
}

#[tokio::test]
async fn a_clock_that_was_ahead_and_is_accepted_judges_new_proofs_and_lets_no_old_one_pass() {
    for ending in ["running", "restarted", "stopped", "killed"] {
        let ((_folder, path), clock) = (file(), clock());
        let start = clock.now();
        let store = open_redb(&path, &clock);
        let before = fresh("before", &*clock);
        let early = proof("early", Some(start.plus(20 * SECOND)), start);
        let bare = proof("bare", None, start);
        for spend in [before, early, bare] {
            assert_eq!(store.spend(spend).await.unwrap(), Spent::Once);
        }
        clock.set(start.plus(HOUR));
        let wrong = fresh("while it was ahead", &*clock);
        assert_eq!(store.spend(wrong).await.unwrap(), Spent::Once);
        if ending == "stopped" || ending == "restarted" {
            store.close().await.unwrap();
        }
        let store = match ending {
            "running" => Some(store),
            _ => {
                drop(store);
                // While the clock was ahead, what was spent before had expired.
                (ending == "restarted").then(|| open_redb(&path, &clock))
            }
        };
        clock.set(start.plus(5 * SECOND));
        let store = store.unwrap_or_else(|| open_redb(&path, &clock));
        assert!(matches!(store.spend(fresh("new", &*clock)).await, Err(StoreError::ClockRegressed)));
        let accepted = store.accept_clock().await.unwrap();
        assert_eq!((accepted.now, accepted.cut_off), (clock.now(), Some(clock.now())), "{ending}");
        assert!(accepted.shown >= start.plus(HOUR));
        let again = |spend: Spend| Spend { received_at: clock.now(), ..spend };
        for (spend, name) in [(before, "before"), (bare, "bare")] {
            assert_ne!(store.spend(again(spend)).await.unwrap(), Spent::Once, "{ending} {name}");
        }
        clock.set(start.plus(21 * SECOND));
        let in_its_time = Spend { received_at: clock.now(), ..early };
        assert_ne!(store.spend(in_its_time).await.unwrap(), Spent::Once, "{ending} early, in its time");
        assert_eq!(store.spend(fresh("new", &*clock)).await.unwrap(), Spent::Once, "{ending}");
        // The proof of the wrong hour has its time at last, whatever became of the process meanwhile.
        drop(store);
        clock.set(start.plus(HOUR).plus(SECOND));
        let store = open_redb(&path, &clock);
        assert_ne!(store.spend(again(wrong)).await.unwrap(), Spent::Once, "{ending}");
        clock.advance(5 * SECOND);
        assert_eq!(store.spend(fresh("much later", &*clock)).await.unwrap(), Spent::Once, "{ending}");
    }
}

#[tokio::test]
async fn a_clock_that_did_not_go_back_is_accepted_and_nothing_changes() {
    let ((_folder, path), clock) = (file(), clock());
    let store = open_redb(&path, &clock);
    let spent = fresh("spent", &*clock);
    assert_eq!(store.spend(spent).await.unwrap(), Spent::Once);
    let accepted = store.accept_clock().await.unwrap();
    assert_eq!((accepted.now, accepted.cut_off), (clock.now(), None));
    assert_eq!(store.spend(spent).await.unwrap(), Spent::Replayed);
    assert_eq!(store.spend(fresh("another", &*clock)).await.unwrap(), Spent::Once);
}

#[tokio::test]
async fn only_a_file_can_be_restored() {
    let opened = AnyStore::open_restored(&StoreUrl::Memory, clock()).await;
    assert!(matches!(opened.err(), Some(OpenError::NotRestored(_))));
}

/// Names the file that the child process works on.
const CHILD: &str = "COUNTERSIGN_IO_TEST_FULL_DISK";

/// Not a check: what `a_disk_that_was_full_…` starts, with a bound on how large its files may become.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_process() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let store = RedbStore::open(Path::new(&path), Arc::new(SystemClock)).unwrap();
    let say = |what: &str| writeln!(std::io::stdout().lock(), "said {what}").unwrap();
    let fill = |number: u32| store.insert(KEYS, id(&format!("fill {number}")), vec![7; 65_536].into(), None);
    say("open");
    let used = fresh("used", &SystemClock);
    assert_eq!(store.spend(used).await.unwrap(), Spent::Once);
    let mut kept = 0;
    while fill(kept).await.is_ok() {
        kept += 1;
        assert!(kept < 10_000, "the disk has no end");
    }
    for _ in 0..20 {
        let start = Instant::now();
        let spent = store.spend(fresh("while it is full", &SystemClock)).await;
        assert!(matches!(spent, Err(StoreError::Unavailable(_))), "{spent:?}");
        assert!(matches!(store.get(KEYS, id("fill 0")).await, Err(StoreError::Unavailable(_))));
        assert!(store.ready().await.is_err());
        assert!(start.elapsed() < SECOND, "waited {:?}", start.elapsed());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    say("full");
    let start = Instant::now();
    while store.ready().await.is_err() {
        assert!(start.elapsed() < Duration::from_secs(20), "it does not come back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(store.spend(used).await.unwrap(), Spent::Replayed, "the ledger is still there");
    assert_eq!(store.spend(fresh("new", &SystemClock)).await.unwrap(), Spent::Once);
    for number in 0..kept {
        assert!(
            store.get(KEYS, id(&format!("fill {number}"))).await.unwrap().is_some(),
            "{number} was acknowledged"
        );
    }
    for number in kept + 1..kept + 20 {
        assert!(fill(number).await.unwrap());
    }
    store.close().await.unwrap();
    RedbStore::open(Path::new(&path), Arc::new(SystemClock)).unwrap().close().await.unwrap();
    say("good");
}

#[test]
fn a_disk_that_was_full_gives_errors_at_once_and_the_store_comes_back_by_itself() {
    let (_folder, path) = file();
    // Beyond it every write fails with EFBIG. The shell sees to it that its signal kills nobody.
    let script =
        "trap '' XFSZ; exec prlimit --fsize=4194304:unlimited \"$0\" --exact child_process --nocapture";
    let mut child = Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .env(CHILD, &path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut hears = |what: &str| lines.any(|line| line.unwrap().ends_with(&format!("said {what}")));
    assert!(hears("open") && hears("full"));
    // Whatever it tries, the file stays its own: what another process accepted meanwhile would pass there again.
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(2_500) {
        let opened = RedbStore::open(&path, Arc::new(SystemClock)).map(drop);
        assert!(matches!(&opened, Err(OpenError::AlreadyOpen(at)) if *at == path), "{opened:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
    let pid = child.id().to_string();
    let emptied = Command::new("prlimit").args(["--pid", &pid, "--fsize=unlimited"]).status().unwrap();
    assert!(emptied.success());
    assert!(hears("good"));
    assert!(child.wait().unwrap().success());
}
