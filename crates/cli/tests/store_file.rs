//! The store's file under a running gateway: on a disk that is full, damaged, put back from a copy, and under a clock
//! that was ahead.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use countersign_testing::callbacks::{self, Callback, Does, Results};
use countersign_testing::keep_alive::Connection;
use countersign_testing::signed::{Draft, Lab, derived, now};
use countersign_testing::{Gateway, Request, eventually};
use serde_json::Value;

/// How large the process's files may become.
fn bound_files(gateway: &Gateway, most: &str) {
    let pid = gateway.pid().to_string();
    let status = Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={most}")]).status().unwrap();
    assert!(status.success());
}

fn store(gateway: &Gateway) -> PathBuf {
    gateway.path("countersign.redb")
}

fn audited(gateway: &Gateway, change: &str) -> Vec<Value> {
    let lines = std::fs::read_to_string(gateway.path("audit.jsonl")).unwrap();
    let lines = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["change"] == change).collect()
}

#[test]
fn a_disk_that_was_full_is_503_at_once_and_over_as_soon_as_there_is_room() {
    let lab = Lab::start();
    let (_, plain) = lab.gateway.key(&[]);
    let (_, whole) = lab.gateway.key(&[]);
    let signer = derived(&whole);
    let used = Draft::get("/signature/used").signed(&signer);
    lab.passes(&used);
    lab.gateway.get("/key/1", Some(&plain)).is(200, "");

    let size = std::fs::metadata(store(&lab.gateway)).unwrap().len();
    bound_files(&lab.gateway, &format!("{size}:unlimited"));
    let mut management = Connection::management(&lab.gateway.path("management.sock")).unwrap();
    let mut made = Vec::new();
    while let Some((_, key)) = management.new_key(&[]) {
        made.push(key);
        assert!(made.len() < 50_000, "the disk has no end");
    }
    for _ in 0..10 {
        let start = Instant::now();
        lab.refuses(&Draft::get("/signature/1").signed(&signer), 503, "store_unavailable");
        let plain = lab.gateway.get("/key/1", Some(&plain));
        plain.is(503, "store_unavailable");
        assert!(plain.header("retry-after").is_some());
        assert!(!lab.gateway.ready(), "/readyz says it");
        assert!(start.elapsed() < Duration::from_millis(1_500), "waited {:?}", start.elapsed());
        std::thread::sleep(Duration::from_millis(150));
    }
    bound_files(&lab.gateway, "unlimited:unlimited");
    eventually("the store's return", || lab.gateway.ready());
    lab.refuses(&used, 401, "signature_replayed");
    lab.passes(&Draft::get("/signature/new").signed(&signer));
    for key in made.iter().rev().take(20).chain([&plain]) {
        lab.gateway.get("/key/1", Some(key)).is(200, "");
    }
    let log = lab.gateway.log();
    assert_eq!(log.matches("the store is not available").count(), 1, "{log}");
    assert_eq!(log.matches("the store is available again").count(), 1, "{log}");
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn a_damaged_store_does_not_start_and_the_error_names_it_and_what_helps() {
    let mut lab = Lab::start();
    let (_, key) = lab.gateway.key(&[]);
    lab.gateway.stop();
    let path = store(&lab.gateway);
    let whole = std::fs::read(&path).unwrap();
    let mut damaged = whole.clone();
    for at in (4096..damaged.len()).step_by(97) {
        damaged[at] ^= 0x55;
    }
    for bytes in [&damaged, &vec![b'x'; 5_000], &whole[..10_000].to_vec()] {
        std::fs::write(&path, bytes).unwrap();
        let (started, listed) = (lab.gateway.refuses_to_start(&[]), lab.gateway.run(&["key", "list"]));
        for output in [started, listed] {
            assert_eq!(output.status.code(), Some(2));
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(said.contains("countersign.redb is damaged") && said.contains("--restored"), "{said}");
            assert!(!said.contains("panicked") && !said.contains("unreachable"), "{said}");
        }
    }
    // A backup in its place.
    std::fs::write(&path, whole).unwrap();
    lab.gateway.start();
    lab.gateway.get("/key/1", Some(&key)).is(200, "");
}

/// Starts with `--restored`, once.
fn start_restored(gateway: &mut Gateway) {
    let mut command = gateway.command(&["serve", "--restored"]);
    gateway.start_with(&mut command);
}

#[test]
fn a_copy_that_was_put_back_does_not_start_by_itself_and_restoring_it_ends_what_was_proven_before() {
    let mut lab = Lab::start();
    let (id, key) = lab.gateway.key(&[]);
    let (_, other) = lab.gateway.key(&[]);
    let signer = derived(&other);
    lab.gateway.stop();
    let (path, copy) = (store(&lab.gateway), lab.gateway.path("copy"));
    std::fs::copy(&path, &copy).unwrap();
    lab.gateway.start();
    let used = Draft::get("/signature/used").signed(&signer);
    lab.passes(&used);
    lab.gateway.json(&["key", "revoke", &id]);
    lab.gateway.get("/key/1", Some(&key)).is(401, "key_invalid");
    lab.gateway.stop();

    std::fs::copy(&copy, &path).unwrap();
    for output in [lab.gateway.refuses_to_start(&[]), lab.gateway.run(&["key", "list"])] {
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("older than what this machine wrote") && said.contains("--restored"), "{said}");
    }
    start_restored(&mut lab.gateway);
    let refused = lab.refuses(&used, 401, "proof_predates_boot");
    assert!(refused.header("retry-after").is_some());
    assert!(lab.gateway.log().contains("put back from a copy"), "{}", lab.gateway.log());
    assert_eq!(audited(&lab.gateway, "store-restored").len(), 1);
    // What nobody can know, and the reference says so.
    lab.gateway.get("/key/1", Some(&key)).is(200, "");
    lab.gateway.stop();
    lab.gateway.start();
    lab.refuses(&used, 401, "proof_predates_boot");
}

/// Where Debian has it, on either architecture.
fn library() -> Option<PathBuf> {
    let folders = ["x86_64-linux-gnu", "aarch64-linux-gnu"].map(|name| format!("/usr/lib/{name}/faketime"));
    folders.into_iter().map(|folder| Path::new(&folder).join("libfaketimeMT.so.1")).find(|path| path.exists())
}

/// A gateway whose system clock a file sets.
fn start_with_clock(gateway: &mut Gateway) {
    let library = library().expect("libfaketime is installed: ./test does it");
    let mut command = gateway.command(&["serve"]);
    command
        .env("LD_PRELOAD", library)
        .env("FAKETIME_TIMESTAMP_FILE", gateway.path("clock"))
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    gateway.start_with(&mut command);
}

#[test]
fn a_moment_that_the_gate_alone_has_seen_is_taken_back_with_the_others() {
    let mut lab = Lab::with("[assertion]\nenabled = false\n", "");
    let (_, whole) = lab.gateway.key(&[]);
    let signer = derived(&whole);
    lab.gateway.stop();
    set_clock(&lab.gateway, "+0");
    start_with_clock(&mut lab.gateway);
    set_clock(&lab.gateway, "+3600");
    // Nothing is asked of the store for it.
    lab.gateway.get("/key/1", None).is(401, "credential_missing");
    set_clock(&lab.gateway, "+0");
    lab.refuses(&Draft::get("/signature/1").signed(&signer), 503, "clock_regressed");
    let accepted = lab.gateway.json(&["store", "accept-clock"]);
    assert_eq!(accepted["accepted"], false, "the store has seen no later moment");
    lab.passes(&Draft::get("/signature/2").signed(&signer));
}

/// Writes what the gateway's clock shows beside the time of day.
fn set_clock(gateway: &Gateway, offset: &str) {
    std::fs::write(gateway.path("clock.next"), offset).unwrap();
    std::fs::rename(gateway.path("clock.next"), gateway.path("clock")).unwrap();
}

#[test]
fn a_clock_that_was_an_hour_ahead_for_a_while_stops_dated_proofs_alone_until_somebody_accepts_it() {
    let mut lab = Lab::start();
    lab.gateway.stop();
    set_clock(&lab.gateway, "+0");
    start_with_clock(&mut lab.gateway);
    let (_, plain) = lab.gateway.key(&[]);
    let short = lab.gateway.json(&["key", "new", "--label", "short", "--expires", "10m"]);
    let short = short["key"].as_str().unwrap().to_owned();
    let (_, whole) = lab.gateway.key(&[]);
    let signer = derived(&whole);
    let used = Draft::get("/signature/used").signed(&signer);
    lab.passes(&used);
    lab.gateway.get("/key/1", Some(&short)).is(200, "");

    set_clock(&lab.gateway, "+3600");
    let ahead = Draft::get("/signature/ahead").signed_on(&signer, |terms| {
        let made = now().plus(Duration::from_secs(3600));
        terms.parameters.created = Some(made);
        terms.parameters.expires = Some(made.plus(Duration::from_secs(59)));
    });
    lab.passes(&ahead);
    lab.gateway.get("/key/1", Some(&plain)).is(200, "");
    lab.gateway.get("/key/1", Some(&short)).is(401, "key_invalid");

    set_clock(&lab.gateway, "+0");
    for restarted in [false, true] {
        if restarted {
            lab.gateway.stop();
            start_with_clock(&mut lab.gateway);
        }
        lab.gateway.get("/key/1", Some(&plain)).is(200, "");
        let ended = lab.gateway.get("/key/1", Some(&short));
        ended.is(503, "clock_regressed");
        assert!(ended.header("retry-after").is_some() && ended.header("www-authenticate").is_none());
        let refused = lab.refuses(&Draft::get("/signature/1").signed(&signer), 503, "clock_regressed");
        assert!(refused.header("retry-after").is_some());
        assert!(lab.gateway.ready());
    }
    let accepted = lab.gateway.json(&["store", "accept-clock"]);
    assert_eq!(accepted["accepted"], true);
    assert_eq!(audited(&lab.gateway, "clock-accepted").len(), 1);
    lab.refuses(&used, 401, "proof_predates_boot");
    eventually("a proof that was made since", || {
        lab.send(&Draft::get("/signature/2").signed(&signer)).status == 200
    });
    lab.gateway.get("/key/1", Some(&short)).is(200, "");
    assert_eq!(lab.gateway.json(&["store", "accept-clock"])["accepted"], false);
    // The hour comes, and with it the time of what was proven under the wrong clock.
    set_clock(&lab.gateway, "+3600");
    lab.refuses(&ahead, 401, "proof_predates_boot");
}

#[test]
fn a_callback_from_before_a_copy_was_put_back_is_consumed_used_or_not() {
    let upstream = Results::start();
    let mut gateway = callbacks::lab(upstream.address);
    gateway.start();
    let (used, unused) = (Callback::mint(&gateway, &[]), Callback::mint(&gateway, &[]));
    gateway.stop();
    std::fs::copy(store(&gateway), gateway.path("copy")).unwrap();
    gateway.start();
    assert_eq!(used.post(&gateway, "once").status, 200);
    gateway.stop();
    std::fs::copy(gateway.path("copy"), store(&gateway)).unwrap();
    start_restored(&mut gateway);
    for before in [&used, &unused] {
        before.post(&gateway, "again").is(409, "callback_consumed");
    }
    assert_eq!(upstream.bodies(), ["once"]);
    assert_eq!(Callback::mint(&gateway, &[]).post(&gateway, "new").status, 200);
}

#[test]
fn a_delivery_that_could_not_be_settled_is_told_and_stays_in_use() {
    let upstream = Results::start();
    let mut gateway = callbacks::lab(upstream.address);
    gateway.start();
    let callback = Callback::mint(&gateway, &[]);
    upstream.then(&[Does::After(Duration::from_millis(400), 200)]);
    std::thread::scope(|scope| {
        let delivered = scope.spawn(|| callback.post(&gateway, "body"));
        eventually("the delivery", || upstream.seen().len() == 1);
        bound_files(&gateway, "4096:unlimited");
        assert_eq!(delivered.join().unwrap().status, 200, "it was delivered, whatever becomes of its use");
    });
    bound_files(&gateway, "unlimited:unlimited");
    eventually("the store's return", || gateway.ready());
    let metrics = Request::get("/metrics").send(gateway.admin).text();
    assert!(metrics.contains("countersign_callback_deliveries_total{result=\"unsettled\"} 1"), "{metrics}");
    callback.post(&gateway, "body").is(409, "callback_in_use");
}
