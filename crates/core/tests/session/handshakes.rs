//! Handshakes: asked for, single, short, and of one session.

use std::sync::Arc;
use std::time::Duration;

use countersign::Code;
use countersign::crypto::SystemRandom;
use countersign::schemes::session::handshakes::OUTSTANDING;
use countersign::schemes::session::{Half, HandshakePolicy};
use countersign::testing::NOW;
use tokio::task::JoinSet;

use crate::world::{Halved as _, World, with_both};

#[tokio::test]
async fn the_policy_decides_what_needs_a_handshake() {
    use HandshakePolicy::{Always, Never, UnsafeMethods};
    for (policy, method, upgrade, needed) in [
        (Never, "POST", false, false),
        (Never, "GET", true, false),
        (UnsafeMethods, "GET", false, false),
        (UnsafeMethods, "HEAD", false, false),
        (UnsafeMethods, "OPTIONS", false, false),
        (UnsafeMethods, "POST", false, true),
        (UnsafeMethods, "DELETE", false, true),
        (UnsafeMethods, "BREW", false, true),
        (UnsafeMethods, "GET", true, true),
        (Always, "GET", false, true),
        (Always, "POST", false, true),
    ] {
        let (world, halves) = World::demanding(policy).with_ann().await;
        let mut request = with_both(method, &halves);
        if upgrade {
            request = request.with("upgrade", "websocket").with("connection", "upgrade");
        }
        let missing = needed.then_some(Code::HandshakeMissing);
        assert_eq!(world.code(&request).await, missing, "{policy} {method} {upgrade}");
        let handshake = world.handshake(&halves).await;
        assert_eq!(world.code(&request.handshake(&handshake)).await, None, "{policy} {method} {upgrade}");
    }
}

#[tokio::test]
async fn a_handshake_is_for_one_request_even_where_none_was_needed() {
    for method in ["POST", "GET"] {
        let (world, halves) = World::signed_in().await;
        let handshake = world.handshake(&halves).await;
        let request = with_both(method, &halves).handshake(&handshake);
        assert_eq!(world.code(&request).await, None);
        assert_eq!(world.code(&request).await, Some(Code::HandshakeUsed));
    }
}

#[tokio::test]
async fn a_handshake_that_was_never_given_or_belongs_to_another_session_is_not_there() {
    let (world, halves) = World::signed_in().await;
    let (other, _) = world.sign_in().await;
    let foreign = world.handshake(&other).await;
    for handshake in [&foreign, &Half::generate(&SystemRandom), &halves.cookie, &halves.token] {
        let request = with_both("POST", &halves).handshake(handshake);
        assert_eq!(world.code(&request).await, Some(Code::HandshakeUsed));
    }
    let own = with_both("POST", &other).handshake(&foreign);
    assert_eq!(world.code(&own).await, None, "and trying it elsewhere has not burnt it");
}

#[tokio::test]
async fn a_handshake_lives_for_a_minute() {
    let (world, halves) = World::signed_in().await;
    let (first, second) = (world.handshake(&halves).await, world.handshake(&halves).await);
    world.clock.set(NOW.plus(Duration::from_millis(59_999)));
    assert_eq!(world.code(&with_both("POST", &halves).handshake(&first)).await, None);
    world.clock.set(NOW.plus(Duration::from_secs(60)));
    let late = with_both("POST", &halves).handshake(&second);
    assert_eq!(world.code(&late).await, Some(Code::HandshakeUsed));
}

#[tokio::test]
async fn a_ninth_handshake_ends_the_oldest_and_spent_ones_do_not_count() {
    let (world, halves) = World::signed_in().await;
    let mut given = Vec::new();
    for _ in 0..OUTSTANDING {
        given.push(world.handshake(&halves).await);
    }
    let use_it = async |handshake: &Half| world.code(&with_both("POST", &halves).handshake(handshake)).await;
    assert_eq!(use_it(&given[3]).await, None);
    given.push(world.handshake(&halves).await);
    assert_eq!(use_it(&given[0]).await, None, "eight were outstanding with it");
    given.push(world.handshake(&halves).await);
    given.push(world.handshake(&halves).await);
    assert_eq!(use_it(&given[1]).await, Some(Code::HandshakeUsed), "the oldest has made room");
    for handshake in [2, 4, 5, 6, 7, 8, 9, 10] {
        assert_eq!(use_it(&given[handshake]).await, None, "{handshake}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_sixty_four_racing_uses_one_wins() {
    let (world, halves) = World::signed_in().await;
    let handshake = world.handshake(&halves).await;
    let (world, request) = (Arc::new(world), with_both("POST", &halves).handshake(&handshake));
    let mut racing = JoinSet::new();
    for _ in 0..64 {
        let (world, request) = (world.clone(), request.clone());
        racing.spawn(async move { world.code(&request).await });
    }
    let codes = racing.join_all().await;
    assert_eq!(codes.iter().filter(|code| code.is_none()).count(), 1);
    assert_eq!(codes.iter().filter(|code| **code == Some(Code::HandshakeUsed)).count(), 63);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_many_tabs_ask_at_once_eight_are_outstanding() {
    let (world, halves) = World::signed_in().await;
    let (world, halves) = (Arc::new(world), Arc::new(halves));
    let mut asking = JoinSet::new();
    for _ in 0..64 {
        let (world, halves) = (world.clone(), halves.clone());
        asking.spawn(async move { world.handshake(&halves).await });
    }
    let mut passed = 0;
    for handshake in asking.join_all().await {
        let request = with_both("POST", &halves).handshake(&handshake);
        passed += usize::from(world.code(&request).await.is_none());
    }
    assert_eq!(passed, OUTSTANDING);
}

#[tokio::test]
async fn whoever_only_wants_to_know_spends_no_handshake() {
    let (world, halves) = World::signed_in().await;
    let handshake = world.handshake(&halves).await;
    let request = with_both("POST", &halves).handshake(&handshake);
    let asked = request.clone().explained();
    assert_eq!(world.code(&asked).await, None);
    assert_eq!(world.code(&request).await, None);
    assert_eq!(world.code(&asked).await, Some(Code::HandshakeUsed));
}

#[tokio::test]
async fn a_refused_request_burns_no_handshake() {
    let (world, halves) = World::signed_in().await;
    let handshake = world.handshake(&halves).await;
    let request = with_both("POST", &halves).handshake(&handshake);
    let refused = request.clone().with("origin", "https://evil.example");
    assert_eq!(world.code(&refused).await, Some(Code::CrossSite));
    assert_eq!(world.code(&request).await, None);
}
