//! Whatever management has acknowledged outlives `kill -9` at any moment.

#![allow(clippy::print_stdout, reason = "the figures are for whoever reads the log")]

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use countersign_testing::keep_alive::Connection;
use countersign_testing::{Echo, Gateway};

const KILLS: usize = 50;
const MAKERS: usize = 3;
const CALLERS: usize = 2;

/// What was acknowledged: each key by its id, and whether its revocation was.
#[derive(Default)]
struct Acknowledged {
    keys: BTreeMap<String, String>,
    revoked: HashSet<String>,
    /// Asked for, and perhaps done.
    unsure: HashSet<String>,
}

/// What the threads share.
struct Load {
    gateway: SocketAddr,
    socket: PathBuf,
    acknowledged: Mutex<Acknowledged>,
    ending: AtomicBool,
    /// Permits and refusals that should not have been.
    violations: AtomicUsize,
    passed: AtomicUsize,
}

impl Load {
    fn new(gateway: &Gateway) -> Arc<Self> {
        Arc::new(Self {
            gateway: gateway.address,
            socket: gateway.path("management.sock"),
            acknowledged: Mutex::default(),
            ending: AtomicBool::new(false),
            violations: AtomicUsize::new(0),
            passed: AtomicUsize::new(0),
        })
    }

    fn start(self: &Arc<Self>) -> Vec<std::thread::JoinHandle<()>> {
        let makers = (0..MAKERS).map(|number| {
            let load = self.clone();
            std::thread::spawn(move || load.until_the_end(|load| load.make(number)))
        });
        let callers = (0..CALLERS).map(|_| {
            let load = self.clone();
            std::thread::spawn(move || load.until_the_end(Self::call))
        });
        makers.chain(callers).collect()
    }

    /// Again and again: each turn ends when the gateway does.
    fn until_the_end(&self, turn: impl Fn(&Self) -> Option<()>) {
        while !self.ending.load(Ordering::Relaxed) {
            let _ = turn(self);
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Makes keys, and revokes every second one.
    fn make(&self, number: usize) -> Option<()> {
        let mut management = Connection::management(&self.socket)?;
        let mut turn = number;
        while !self.ending.load(Ordering::Relaxed) {
            let (id, key) = management.new_key(&[])?;
            self.acknowledged.lock().unwrap().keys.insert(id.clone(), key);
            turn += 1;
            if turn.is_multiple_of(2) {
                self.acknowledged.lock().unwrap().unsure.insert(id.clone());
                if !management.revoke(&id) {
                    return None;
                }
                let mut acknowledged = self.acknowledged.lock().unwrap();
                acknowledged.unsure.remove(&id);
                acknowledged.revoked.insert(id);
            }
        }
        Some(())
    }

    /// Uses keys, and holds what was known before against the answer.
    fn call(&self) -> Option<()> {
        let mut gateway = Connection::to(self.gateway)?;
        let mut turn = 0;
        while !self.ending.load(Ordering::Relaxed) {
            turn += 7;
            let picked = {
                let acknowledged = self.acknowledged.lock().unwrap();
                let number = turn % acknowledged.keys.len().max(1);
                let picked = acknowledged.keys.iter().nth(number);
                picked.map(|(id, key)| (id.clone(), key.clone(), acknowledged.revoked.contains(id)))
            };
            let (id, key, revoked) = picked?;
            let answer = gateway.get("/", Some(&key))?;
            let asked_meanwhile = {
                let acknowledged = self.acknowledged.lock().unwrap();
                acknowledged.unsure.contains(&id) || acknowledged.revoked.contains(&id)
            };
            match answer.status {
                200 if revoked => self.violation(&format!("{id} passed after its revocation")),
                200 => drop(self.passed.fetch_add(1, Ordering::Relaxed)),
                401 if revoked || asked_meanwhile => {}
                other => self.violation(&format!("{id}: {other} {}", answer.text())),
            }
        }
        Some(())
    }

    fn violation(&self, what: &str) {
        self.violations.fetch_add(1, Ordering::Relaxed);
        println!("violation: {what}");
    }

    /// Every key that was ever acknowledged, against what it should get.
    fn check_all(&self) {
        let acknowledged = self.acknowledged.lock().unwrap();
        let mut gateway = Connection::to(self.gateway).expect("a running gateway");
        for (id, key) in &acknowledged.keys {
            if acknowledged.unsure.contains(id) {
                continue;
            }
            let status = gateway.get("/", Some(key)).expect("an answer").status;
            let expected = if acknowledged.revoked.contains(id) { 401 } else { 200 };
            if status != expected {
                self.violation(&format!("{id} got {status} instead of {expected}"));
            }
        }
    }

    /// Every acknowledged change is a whole line of the audit log.
    fn check_audit_log(&self, log: &Path) {
        let mut written = HashSet::new();
        for line in std::fs::read_to_string(log).unwrap().lines() {
            let Ok(line) = serde_json::from_str::<serde_json::Value>(line) else { continue };
            if let (Some(change), Some(id)) = (line["change"].as_str(), line["details"]["id"].as_str()) {
                written.insert((change.to_owned(), id.to_owned()));
            }
        }
        let acknowledged = self.acknowledged.lock().unwrap();
        let created = acknowledged.keys.keys().map(|id| ("key-created".to_owned(), id.clone()));
        let revoked = acknowledged.revoked.iter().map(|id| ("key-revoked".to_owned(), id.clone()));
        for change in created.chain(revoked).filter(|change| !written.contains(change)) {
            self.violation(&format!("{change:?} is not in the audit log"));
        }
    }
}

fn gateway(echo: &Echo) -> Gateway {
    let route = format!("[[route]]\npath = \"/*\"\nupstream = \"{}\"\naccept = [\"api-key\"]\n", echo.url());
    Gateway::started(&route)
}

/// Milliseconds that nobody can foresee.
fn moment(least: u64, most: u64) -> Duration {
    let mut bytes = [0; 8];
    std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom").unwrap(), &mut bytes).unwrap();
    Duration::from_millis(least + u64::from_le_bytes(bytes) % (most - least))
}

#[test]
fn no_kill_loses_an_acknowledged_key_or_undoes_an_acknowledged_revocation() {
    let echo = Echo::start();
    let mut gateway = gateway(&echo);
    let load = Load::new(&gateway);
    let start = Instant::now();
    let threads = load.start();
    for round in 1..=KILLS {
        std::thread::sleep(moment(20, 400));
        gateway.kill();
        gateway.start();
        if round % 10 == 0 {
            load.check_all();
        }
    }
    load.ending.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().unwrap();
    }
    load.check_all();
    load.check_audit_log(&gateway.path("audit.jsonl"));
    let acknowledged = load.acknowledged.lock().unwrap();
    let violations = load.violations.load(Ordering::Relaxed);
    println!(
        "crash: {KILLS} kills in {:.1?}, {} keys acknowledged, {} revocations acknowledged, {} unsure, {} requests passed, {violations} violations",
        start.elapsed(),
        acknowledged.keys.len(),
        acknowledged.revoked.len(),
        acknowledged.unsure.len(),
        load.passed.load(Ordering::Relaxed),
    );
    assert_eq!(violations, 0);
    assert!(acknowledged.keys.len() > KILLS && acknowledged.revoked.len() > KILLS / 2, "a test of something");
}

#[test]
fn a_clean_restart_under_load_loses_nothing_and_refuses_nobody_once_ready() {
    let echo = Echo::start();
    let mut gateway = gateway(&echo);
    let load = Load::new(&gateway);
    let threads = load.start();
    for _ in 0..5 {
        std::thread::sleep(moment(100, 400));
        gateway.stop();
        gateway.start();
        load.check_all();
    }
    load.ending.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().unwrap();
    }
    load.check_all();
    load.check_audit_log(&gateway.path("audit.jsonl"));
    let acknowledged = load.acknowledged.lock().unwrap();
    println!(
        "restart: {} keys and {} revocations acknowledged",
        acknowledged.keys.len(),
        acknowledged.revoked.len()
    );
    assert_eq!(load.violations.load(Ordering::Relaxed), 0);
    assert!(acknowledged.keys.len() > 10);
    assert!(!gateway.log().contains("ERROR"), "{}", gateway.log());
}
