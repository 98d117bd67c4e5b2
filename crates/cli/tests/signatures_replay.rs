//! Nothing that has passed once passes again: not after `kill -9`, not at another gateway, not without
//! the store that remembers.

#![allow(clippy::print_stdout, reason = "the figures are for whoever reads the log")]

use std::collections::HashMap;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use countersign::crypto::{SystemRandom, ethereum::EthereumKey};
use countersign::schemes::asymmetric::signer::sign_header;
use countersign_testing::keep_alive::Connection;
use countersign_testing::signed::{Draft, Key, Lab, derived, now, private_key, registered, routes, server};
use countersign_testing::{Echo, Gateway, Redis, Response};

const KILLS: usize = 50;
const CALLERS: usize = 3;
/// A kill of every so many waits until proofs that are made now pass again.
const PATIENT: usize = 10;

/// Signs and sends, and keeps every request whose answer was a permit, or did not come.
struct Load {
    gateway: SocketAddr,
    key: Key,
    /// What was sent, and whether it is known to have passed.
    sent: Mutex<Vec<(Draft, bool)>>,
    ending: AtomicBool,
    number: AtomicUsize,
    /// Requests made at their own time that have passed since the last kill.
    present: AtomicUsize,
}

impl Load {
    fn turn(&self, caller: usize) {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        // Some are made ahead of their time, so that they pass soon after a kill too.
        let ahead = if caller == 0 { 0 } else { 8 };
        let draft = Draft::get(&format!("/signature/{number}")).signed_on(&self.key, |terms| {
            terms.parameters.created = Some(now().plus(Duration::from_secs(ahead)));
        });
        let Some(answer) =
            Connection::to(self.gateway).and_then(|mut gateway| try_send(&mut gateway, &draft))
        else {
            self.sent.lock().unwrap().push((draft, false));
            return;
        };
        match (answer.status, answer.code().as_str()) {
            (200, _) => {
                self.sent.lock().unwrap().push((draft, true));
                if ahead == 0 {
                    self.present.fetch_add(1, Ordering::Relaxed);
                }
            }
            (401, "proof_predates_boot") => {}
            other => panic!("{other:?} {}", answer.text()),
        }
    }

    /// Every request once more, while no other is sent: how many were tried, and how many passed that
    /// had passed before.
    fn replay(&self) -> (usize, usize) {
        let mut sent = self.sent.lock().unwrap();
        let mut twice = 0;
        let mut gateway = Connection::to(self.gateway).expect("a running gateway");
        for (draft, passed) in sent.iter_mut() {
            let answer = try_send(&mut gateway, draft).expect("an answer from a running gateway");
            match (answer.status, answer.code().as_str()) {
                (200, _) => {
                    twice += usize::from(*passed);
                    // Else the kill came before it was judged.
                    *passed = true;
                }
                (401, "signature_replayed" | "proof_predates_boot" | "proof_expired") => {}
                other => panic!("{other:?} {}", answer.text()),
            }
        }
        (sent.len(), twice)
    }
}

fn try_send(gateway: &mut Connection<TcpStream>, draft: &Draft) -> Option<Response> {
    let request = String::from_utf8(draft.bytes()).unwrap();
    gateway.exchange(&request.replace("Connection: close\r\n", ""))
}

/// How often the upstream saw what it saw most often.
fn most_often(echo: &Echo) -> usize {
    let mut seen = HashMap::new();
    for request in echo.seen() {
        *seen.entry(request.request_line().to_owned()).or_insert(0) += 1;
    }
    seen.into_values().max().unwrap_or_default()
}

#[test]
fn no_kill_lets_a_signed_request_pass_twice() {
    let Lab { echo, mut gateway } = Lab::start();
    let load = Arc::new(Load {
        gateway: gateway.address,
        key: registered(&gateway, private_key("ed25519", None), &[]),
        sent: Mutex::default(),
        ending: AtomicBool::new(false),
        number: AtomicUsize::new(0),
        present: AtomicUsize::new(0),
    });
    let start = Instant::now();
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let load = load.clone();
            std::thread::spawn(move || {
                while !load.ending.load(Ordering::Relaxed) {
                    load.turn(caller);
                    std::thread::sleep(Duration::from_millis(40));
                }
            })
        })
        .collect();
    let (mut again, mut twice, mut present) = (0, 0, 0);
    for round in 0..KILLS {
        let moment = Duration::from_millis(100 + u64::from(now().as_millis() as u16 % 300));
        std::thread::sleep(moment);
        if round % PATIENT == 0 {
            countersign_testing::eventually("a proof of its own time", || {
                load.present.load(Ordering::Relaxed) > 3
            });
        }
        gateway.kill();
        present += load.present.swap(0, Ordering::Relaxed);
        gateway.start();
        let (tried, passed) = load.replay();
        again += tried;
        twice += passed;
    }
    load.ending.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.join().unwrap();
    }
    let accepted = load.sent.lock().unwrap().iter().filter(|(_, passed)| *passed).count();
    println!(
        "replay: {KILLS} kills in {:.1?}, {accepted} signed requests accepted ({present} made at their own time), {again} sent again, accepted twice: {twice}",
        start.elapsed()
    );
    assert_eq!(twice, 0);
    assert_eq!(most_often(&echo), 1, "nothing reached the upstream twice");
    assert!(accepted > 3 * KILLS && present > KILLS / PATIENT * 3, "a test of something");
}

#[test]
fn after_a_clean_restart_what_passed_is_remembered_and_what_is_new_passes_at_once() {
    let mut lab = Lab::start();
    let (_, whole) = lab.gateway.key(&[]);
    let key = derived(&whole);
    let drafts: Vec<_> = (0..20).map(|_| Draft::get("/signature/1").signed(&key)).collect();
    for draft in &drafts {
        lab.passes(draft);
    }
    let waiting = Draft::get("/signature/1").signed(&key);
    lab.gateway.stop();
    lab.gateway.start();
    for draft in &drafts {
        lab.refuses(draft, 401, "signature_replayed");
    }
    lab.passes(&waiting);
}

/// So many gateways that share one Redis.
fn on_redis(redis: &Redis, echo: &Echo, count: usize) -> Vec<Lab> {
    let text = format!(
        "[store]\nurl = \"{}\"\ntimeout = \"2s\"\nseal_key_file = \"{{folder}}/seal.key\"\n{}",
        redis.url(),
        routes(echo)
    );
    let start = |_| {
        let mut gateway = Gateway::with_server(&server(), &text);
        let seal = gateway.path("seal.key");
        std::fs::write(&seal, [7; 32]).unwrap();
        std::fs::set_permissions(&seal, std::fs::Permissions::from_mode(0o600)).unwrap();
        gateway.start();
        Lab { echo: echo.clone(), gateway }
    };
    (0..count).map(start).collect()
}

#[test]
fn two_gateways_on_one_redis_let_a_signed_request_pass_once_between_them() {
    let (redis, echo) = (Redis::durable(), Echo::start());
    let labs = on_redis(&redis, &echo, 2);
    let key = registered(&labs[0].gateway, private_key("p256", None), &[]);
    let wallet = EthereumKey::generate(&SystemRandom);
    for turn in 0..10 {
        let (one, other) = (&labs[turn % 2], &labs[(turn + 1) % 2]);
        let draft = Draft::post("/signature/1", b"{}").signed(&key);
        one.passes(&draft);
        other.refuses(&draft, 401, "signature_replayed");
        one.refuses(&draft, 401, "signature_replayed");
        let target = "/asymmetric/1".parse().unwrap();
        let value = sign_header(&wallet, &http::Method::GET, &target, b"", now()).unwrap();
        let draft = Draft::get("/asymmetric/1").with("asymmetricauthentication", value.to_str().unwrap());
        other.passes(&draft);
        one.refuses(&draft, 401, "signature_replayed");
    }
    let draft = Draft::get("/signature/race").signed(&key);
    let answers: Vec<_> = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..16)
            .map(|turn| {
                let (lab, draft) = (&labs[turn % 2], &draft);
                scope.spawn(move || lab.send(draft).status)
            })
            .collect();
        tries.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(answers.iter().filter(|status| **status == 200).count(), 1, "{answers:?}");
    assert!(answers.iter().all(|status| matches!(status, 200 | 401)), "{answers:?}");
}

#[test]
fn without_redis_no_signed_request_passes_and_none_is_called_wrong() {
    let (mut redis, echo) = (Redis::durable(), Echo::start());
    let labs = on_redis(&redis, &echo, 1);
    let key = registered(&labs[0].gateway, private_key("ed25519", None), &[]);
    let draft = Draft::post("/signature/1", b"{}").signed(&key);
    let wallet = EthereumKey::generate(&SystemRandom);
    let target = "/asymmetric/1".parse().unwrap();
    let value = sign_header(&wallet, &http::Method::GET, &target, b"", now()).unwrap();
    let by_wallet = Draft::get("/asymmetric/1").with("asymmetricauthentication", value.to_str().unwrap());
    redis.kill();
    for refused in [&draft, &by_wallet] {
        let answer = labs[0].refuses(refused, 503, "store_unavailable");
        assert!(answer.header("retry-after").is_some());
    }
    redis.start_again();
    countersign_testing::eventually("the store's return", || labs[0].gateway.ready());
    // Another start of Redis may have forgotten something: what was made before it counts no more.
    let answer = labs[0].refuses(&draft, 401, "proof_predates_boot");
    assert!(answer.header("retry-after").is_some() && answer.header("date").is_some());
}

#[test]
fn after_a_restart_of_a_redis_that_writes_first_new_signatures_pass_soon_and_no_used_one_ever() {
    let (mut redis, echo) = (Redis::durable(), Echo::start());
    let labs = on_redis(&redis, &echo, 2);
    let key = registered(&labs[0].gateway, private_key("ed25519", None), &[]);
    let mut used = Vec::new();
    for is_clean in [true, false] {
        for turn in 0..6 {
            let draft = Draft::post("/signature/1", b"{}").signed(&key);
            labs[turn % 2].passes(&draft);
            used.push(draft);
        }
        match is_clean {
            true => redis.shut_down(),
            false => redis.kill(),
        }
        redis.start_again();
        countersign_testing::eventually("the store's return", || labs.iter().all(|lab| lab.gateway.ready()));
        let start = std::time::Instant::now();
        let refused = |lab: &Lab, draft: &Draft| lab.send(draft).status == 401;
        assert!(used.iter().all(|draft| labs.iter().all(|lab| refused(lab, draft))));
        let fresh = || Draft::post("/signature/1", b"{}").signed(&key);
        for lab in &labs {
            countersign_testing::eventually("a new signature passes", || lab.send(&fresh()).status == 200);
        }
        // Two seconds, and what is left of one; it was half a minute.
        assert!(start.elapsed() < Duration::from_secs(12), "{:?}", start.elapsed());
        assert!(used.iter().all(|draft| labs.iter().all(|lab| refused(lab, draft))));
    }
}
