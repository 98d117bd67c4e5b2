//! Signing up and in: what is taken, what is refused, and how much work that is.

use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use countersign::crypto::SystemRandom;
use countersign::schemes::session::password::{Password, PasswordRefused};
use countersign::schemes::session::passwords::{PasswordCost, PasswordLimits, Passwords, TooBusy};
use countersign::schemes::session::{AccountError, Accounts, SignIn};
use countersign::testing::{NOW, seal_key};
use countersign::workers::OnThisThread;
use countersign::{Code, Workers};
use tokio::task::JoinSet;

use crate::world::{CHEAP, EMAIL, Halved as _, PASSWORD, World, bare, passwords, typed};

#[tokio::test]
async fn an_unknown_user_a_wrong_password_and_a_disabled_user_are_one_answer_and_one_hash() {
    let world = World::new();
    world.ann().await;
    let gone = world.accounts.add("gone@example.org", "Gone", PASSWORD, NOW).await.unwrap();
    world.accounts.disable(gone.id, NOW).await.unwrap();
    let long = "x".repeat(10_000);
    for (email, password) in [
        (EMAIL, "wrong password"),
        ("nobody@example.org", PASSWORD),
        ("gone@example.org", PASSWORD),
        ("no address", PASSWORD),
        (EMAIL, ""),
        (EMAIL, &long),
        ("nobody@example.org", &long),
    ] {
        let before = world.hashed.0.load(Ordering::SeqCst);
        let refused = world.accounts.sign_in(typed(email, password), NOW).await.unwrap_err();
        assert!(matches!(refused, AccountError::Refused), "{email}: {refused}");
        assert_eq!(world.hashed.0.load(Ordering::SeqCst) - before, 1, "{email}");
    }
}

#[tokio::test]
async fn an_address_is_the_same_in_capitals_and_a_password_is_not() {
    let world = World::new();
    world.ann().await;
    world.accounts.sign_in(typed(" ANN@Example.org", PASSWORD), NOW).await.unwrap();
    assert!(world.accounts.sign_in(typed(EMAIL, "Correct horse battery"), NOW).await.is_err());
}

#[tokio::test]
async fn a_password_typed_on_another_keyboard_is_the_same() {
    let world = World::new();
    world.accounts.add(EMAIL, "Ann", "cafe\u{301} au lait", NOW).await.unwrap();
    world.accounts.sign_in(typed(EMAIL, "café au lait"), NOW).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_an_account_is_refused() {
    let world = World::new();
    let add = async |email, name, password| world.accounts.add(email, name, password, NOW).await.unwrap_err();
    let long = "x y".repeat(50);
    assert!(matches!(add("ann", "Ann", PASSWORD).await, AccountError::Email));
    assert!(matches!(add(EMAIL, " ", PASSWORD).await, AccountError::Name));
    for (password, expected) in [
        ("short", PasswordRefused::TooShort),
        ("password123", PasswordRefused::TooCommon),
        (EMAIL, PasswordRefused::Personal),
        (&long, PasswordRefused::TooLong),
    ] {
        let refused = add(EMAIL, "Ann", password).await;
        assert!(matches!(refused, AccountError::Password(refused) if refused == expected), "{password}");
    }
    let ann = world.ann().await;
    assert!(matches!(add("ANN@example.org", "Eve", PASSWORD).await, AccountError::Taken));
    let refused = world.accounts.set_password(ann.id, "short", NOW).await.unwrap_err();
    assert!(matches!(refused, AccountError::Password(PasswordRefused::TooShort)));
    assert_eq!(world.accounts.users().list().await.unwrap(), [ann], "and nothing is left behind");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_want_one_address_one_has_it() {
    let world = Arc::new(World::new());
    let mut racing = JoinSet::new();
    for number in 0..32 {
        let (world, name) = (world.clone(), format!("Ann {number}"));
        racing.spawn(async move {
            loop {
                match world.accounts.add(EMAIL, &name, PASSWORD, NOW).await {
                    Err(AccountError::TooBusy(_)) => tokio::task::yield_now().await,
                    added => return added.is_ok(),
                }
            }
        });
    }
    assert_eq!(racing.join_all().await.into_iter().filter(|added| *added).count(), 1);
    assert_eq!(world.accounts.users().list().await.unwrap().len(), 1);
}

#[tokio::test]
async fn guessing_is_slowed_before_it_is_hashed_and_the_owner_gets_in_again() {
    let world = World::new();
    world.ann().await;
    let mut wait = Duration::ZERO;
    for _ in 0..8 {
        world.clock.advance(wait);
        let refused = world.accounts.sign_in(typed(EMAIL, "a wrong guess"), world.now()).await.unwrap_err();
        assert!(matches!(refused, AccountError::Refused), "{refused}");
        let before = world.hashed.0.load(Ordering::SeqCst);
        wait = match world.accounts.sign_in(typed(EMAIL, "a wrong guess"), world.now()).await.unwrap_err() {
            AccountError::Throttled(wait) => {
                assert_eq!(world.hashed.0.load(Ordering::SeqCst), before);
                wait
            }
            AccountError::Refused => Duration::ZERO,
            other => panic!("{other}"),
        };
    }
    assert!(wait >= Duration::from_secs(16), "{wait:?}");
    let elsewhere = SignIn { source: "198.51.100.9".parse().ok(), ..typed(EMAIL, PASSWORD) };
    world.accounts.sign_in(elsewhere, world.now()).await.unwrap();
    world.clock.advance(wait);
    world.sign_in().await;
    world.sign_in().await;
}

#[tokio::test]
async fn sign_ups_of_one_source_are_slowed() {
    let world = World::new();
    let source = "192.0.2.7".parse().ok();
    let mut throttled = 0;
    for number in 0..70 {
        let email = format!("user{number}@example.org");
        match world.accounts.sign_up(&email, "Name", PASSWORD, source, NOW).await {
            Ok(_) => assert_eq!(throttled, 0),
            Err(AccountError::Throttled(_)) => throttled += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(throttled, 10);
    world.accounts.add("operator@example.org", "Added", PASSWORD, NOW).await.unwrap();
}

#[tokio::test]
async fn a_hash_is_worth_nothing_without_the_sealing_key() {
    let hasher = |byte| passwords(&seal_key(byte), Arc::new(OnThisThread));
    let password = || Password::typed(PASSWORD).unwrap();
    let hash = hasher(1).hash(password(), &SystemRandom).await.unwrap();
    assert!(hasher(1).verify(password(), Some(&hash)).await.unwrap());
    assert!(!hasher(2).verify(password(), Some(&hash)).await.unwrap());
    assert!(!hasher(1).verify(password(), None).await.unwrap());
    assert_ne!(hash, hasher(1).hash(password(), &SystemRandom).await.unwrap(), "every hash has its salt");
}

/// Does the work when it is told to.
struct Held(tokio::sync::Semaphore);

impl Workers for Held {
    fn run(&self, work: Box<dyn FnOnce() + Send>) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            let _turn = self.0.acquire().await;
            work();
        })
    }
}

#[tokio::test]
async fn beyond_those_who_hash_and_those_who_wait_everybody_is_turned_away() {
    let workers = Arc::new(Held(tokio::sync::Semaphore::new(0)));
    let limits = PasswordLimits { at_once: 2, waiting: 3 };
    let seal = seal_key(1);
    let hasher = Arc::new(Passwords::new(&seal, CHEAP, limits, workers.clone(), &SystemRandom).unwrap());
    let mut flood = JoinSet::new();
    for _ in 0..100 {
        let hasher = hasher.clone();
        flood.spawn(async move { hasher.verify(Password::typed(PASSWORD).unwrap(), None).await });
    }
    let mut turned_away = 0;
    while turned_away < 95 {
        assert_eq!(flood.join_next().await.unwrap().unwrap(), Err(TooBusy));
        turned_away += 1;
    }
    workers.0.add_permits(1);
    assert!(flood.join_all().await.into_iter().all(|judged| judged == Ok(false)));
    assert_eq!(
        hasher.verify(Password::typed(PASSWORD).unwrap(), None).await,
        Ok(false),
        "there is room again"
    );
    hasher.trim();
}

/// Keeps the work for later, whether or not anybody still waits for it.
#[derive(Default)]
struct Kept(Mutex<Vec<Box<dyn FnOnce() + Send>>>);

impl Kept {
    fn finish(&self) {
        let kept = std::mem::take(&mut *self.0.lock().unwrap());
        kept.into_iter().for_each(|work| work());
    }
}

impl Workers for Kept {
    fn run(&self, work: Box<dyn FnOnce() + Send>) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.0.lock().unwrap().push(work);
        Box::pin(std::future::pending())
    }
}

/// Begins what never ends, and leaves.
fn begin_and_leave<T>(future: impl Future<Output = T>) {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(std::pin::pin!(future).poll(&mut context).is_pending());
}

fn one_at_a_time() -> (Arc<Kept>, Passwords) {
    let limits = PasswordLimits { at_once: 1, waiting: 0 };
    let seal = seal_key(1);
    let workers = Arc::new(Kept::default());
    let hasher = Passwords::new(&seal, CHEAP, limits, workers.clone(), &SystemRandom).unwrap();
    (workers, hasher)
}

#[tokio::test]
async fn whoever_leaves_early_frees_no_memory_that_is_in_use() {
    let (workers, hasher) = one_at_a_time();
    let typed = || Password::typed(PASSWORD).unwrap();
    begin_and_leave(hasher.verify(typed(), None));
    assert_eq!(hasher.verify(typed(), None).await, Err(TooBusy));
    workers.finish();
    begin_and_leave(hasher.verify(typed(), None));
}

#[tokio::test]
async fn a_sign_in_that_nobody_judged_is_not_held_against_anybody() {
    let (workers, hasher) = one_at_a_time();
    let world = World::new();
    let (users, sessions) = (world.accounts.users().clone(), world.accounts.sessions().clone());
    let accounts = Accounts::new(users, sessions, hasher, Arc::new(SystemRandom));
    begin_and_leave(accounts.passwords().verify(Password::typed(PASSWORD).unwrap(), None));
    for _ in 0..100 {
        let refused = accounts.sign_in(typed(EMAIL, PASSWORD), NOW).await.unwrap_err();
        assert!(matches!(refused, AccountError::TooBusy(_)), "{refused}");
    }
    workers.finish();
    begin_and_leave(accounts.sign_in(typed(EMAIL, PASSWORD), NOW));
}

#[test]
fn a_cost_that_argon2_does_not_have_is_refused() {
    for (memory_kib, passes) in [(7, 1), (8, 0), (2 * 1024 * 1024, 1), (8, 65)] {
        let cost = PasswordCost { memory_kib, passes };
        let limits = PasswordLimits { at_once: 1, waiting: 1 };
        let seal = seal_key(1);
        assert!(
            Passwords::new(&seal, cost, limits, Arc::new(OnThisThread), &SystemRandom).is_err(),
            "{cost:?}"
        );
    }
    assert_eq!(PasswordCost::default(), PasswordCost { memory_kib: 19_456, passes: 2 });
}

#[tokio::test]
async fn a_session_cookie_alone_signs_nobody_in() {
    let (world, halves) = World::signed_in().await;
    let whole = world.code(&bare("POST").cookie(&halves.cookie)).await;
    assert_eq!(whole, Some(Code::ProofHalf));
}
