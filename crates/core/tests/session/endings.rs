//! How sessions end, and how users do.

use std::sync::Arc;
use std::time::Duration;

use countersign::SessionId;
use countersign::crypto::SystemRandom;
use countersign::schemes::session::{
    HandshakePolicy, MOST_SESSIONS, NewSession, NoKeyProof, Origins, SESSIONS, SessionCookie, SessionDemand,
    SessionVerifier, SignIn, Surroundings, USERS,
};
use countersign::store::Inventory as _;
use countersign::testing::Verdict;
use countersign::testing::{NOW, Request};
use countersign::{Code, Denial, Policy, PublicUrl, Rule, Scheme, Store as _};

use crate::world::{EMAIL, Halved as _, LIFETIMES, PASSWORD, World, bare, typed, with_both};

const MISMATCH: Option<Code> = Some(Code::ProofMismatch);

#[tokio::test]
async fn sign_out_ends_a_session_and_no_other() {
    let (world, halves) = World::signed_in().await;
    let (other, _) = world.sign_in().await;
    assert!(world.accounts.sign_out(&halves.cookie, world.now()).await.unwrap());
    assert_eq!(world.code(&with_both("GET", &halves)).await, MISMATCH);
    assert_eq!(world.code(&with_both("GET", &other)).await, None);
    assert!(!world.accounts.sign_out(&halves.cookie, world.now()).await.unwrap());
}

#[tokio::test]
async fn a_handshake_outlives_no_session() {
    let (world, halves) = World::signed_in().await;
    let handshake = world.handshake(&halves).await;
    world.accounts.sign_out(&halves.cookie, world.now()).await.unwrap();
    assert_eq!(world.code(&with_both("POST", &halves).handshake(&handshake)).await, MISMATCH);
}

#[tokio::test]
async fn an_unused_session_ends_and_a_used_one_goes_on_until_its_end() {
    let (world, halves) = World::signed_in().await;
    let request = with_both("GET", &halves);
    let at = |seconds| world.clock.set(NOW.plus(Duration::from_secs(seconds)));
    for step in 1..=10 {
        at(step * 3_599);
        assert_eq!(world.code(&request).await, None, "{step}");
    }
    at(35_999);
    assert_eq!(world.code(&request).await, None);
    at(36_000);
    assert_eq!(world.code(&request).await, MISMATCH, "it ends whatever happens");
    let (idle, _) = world.sign_in().await;
    at(36_000 + 3_599);
    let (later, _) = world.sign_in().await;
    at(36_000 + 3_600);
    assert_eq!(world.code(&with_both("GET", &idle)).await, MISMATCH);
    assert_eq!(world.code(&with_both("GET", &later)).await, None);
}

#[tokio::test]
async fn expiry_is_judged_by_the_request_even_where_the_store_still_has_the_session() {
    let (world, halves) = World::signed_in().await;
    let request = with_both("GET", &halves);
    let view = request.view(NOW.plus(Duration::from_secs(3_600)));
    let verdict = world.gate.decide(&world.rule, &view, &mut bytes::Bytes::new()).await;
    assert_eq!(verdict.decision().denial().map(countersign::Denial::code), MISMATCH);
}

#[tokio::test]
async fn what_has_ended_by_a_clock_that_went_back_alone_is_no_mismatch() {
    let (world, halves) = World::signed_in().await;
    let request = with_both("GET", &halves);
    let ahead = request.view(NOW.plus(Duration::from_secs(7_200)));
    let verdict = world.gate.decide(&world.rule, &ahead, &mut bytes::Bytes::new()).await;
    assert_eq!(verdict.decision().denial().map(countersign::Denial::code), MISMATCH);
    assert_eq!(world.code(&request).await, Some(Code::ClockRegressed));
    let (other, _) = world.sign_in().await;
    let mixed = bare("GET").cookie(&halves.cookie).token(&other.token);
    assert_eq!(world.code(&mixed).await, MISMATCH, "whatever the clock says");
    world.gate.accept_clock(world.now());
    assert_eq!(world.code(&request).await, None);
}

#[tokio::test]
async fn use_is_written_down_once_a_minute_and_not_by_whoever_only_wants_to_know() {
    let (world, halves) = World::signed_in().await;
    let request = with_both("GET", &halves);
    let seen =
        async || world.accounts.sessions().find(&halves.cookie, world.now()).await.unwrap().unwrap().seen;
    let at = |millis| NOW.plus(Duration::from_millis(millis));
    for (now, is_explained, expected) in [
        (59_999, false, 0),
        (60_000, true, 0),
        (60_000, false, 60_000),
        (119_999, false, 60_000),
        (125_000, false, 125_000),
    ] {
        world.clock.set(at(now));
        assert_eq!(world.code(&Request { is_explained, ..request.clone() }).await, None);
        assert_eq!(seen().await, at(expected), "{now} {is_explained}");
    }
}

#[tokio::test]
async fn a_refused_request_keeps_no_session_alive() {
    let (world, halves) = World::signed_in().await;
    world.clock.advance(Duration::from_secs(600));
    assert_eq!(world.code(&with_both("POST", &halves)).await, Some(Code::HandshakeMissing));
    let found = world.accounts.sessions().find(&halves.cookie, world.now()).await.unwrap().unwrap();
    assert_eq!(found.seen, NOW);
}

#[tokio::test]
async fn a_request_that_the_policy_refuses_keeps_no_session_alive_and_one_that_passes_does() {
    let (world, halves) = World::signed_in().await;
    world.clock.advance(Duration::from_secs(600));
    let policy = Policy { permissions: ["orders".to_owned()].into(), ..Policy::default() };
    let rule = Rule::requiring("orders", Scheme::Session.into()).policy(policy);
    let own = PublicUrl::parse("https://bob.example").unwrap();
    let surroundings = Surroundings {
        cookie: SessionCookie::Host,
        origins: Origins::new(&own, []),
        key_proof: Arc::new(NoKeyProof),
    };
    let demand = SessionDemand { handshake: HandshakePolicy::UnsafeMethods, key_bound: false };
    let rule = rule.verifier(SessionVerifier::new(world.store.clone(), surroundings, demand));
    let rule = Arc::new(rule.build().unwrap());
    let request = with_both("GET", &halves);
    let verdict = world.gate.decide(&rule, &request.view(world.now()), &mut bytes::Bytes::new()).await;
    assert_eq!(verdict.decision().denial().map(Denial::code), Some(Code::PermissionMissing));
    let seen =
        async || world.accounts.sessions().find(&halves.cookie, world.now()).await.unwrap().unwrap().seen;
    assert_eq!(seen().await, NOW);
    assert_eq!(world.code(&request).await, None);
    assert_eq!(seen().await, world.now());
}

#[tokio::test]
async fn a_session_of_a_user_who_is_not_there_is_none() {
    let (world, halves) = World::signed_in().await;
    let (user, _) = world.store.list(USERS, None, 1).await.unwrap().remove(0);
    world.store.take_if(USERS, user, None).await.unwrap().unwrap();
    assert_eq!(world.code(&with_both("GET", &halves)).await, MISMATCH);
}

#[tokio::test]
async fn what_has_ended_is_not_kept() {
    let (world, _) = World::signed_in().await;
    let kept = async || world.store.list(SESSIONS, None, 100).await.unwrap().len();
    let (user, now) = (world.accounts.users().list().await.unwrap().remove(0).id, world.now());
    world.sign_in().await;
    assert_eq!(kept().await, 2);
    world.accounts.end_sessions(user, now).await.unwrap();
    assert_eq!(kept().await, 0);
    world.sign_in().await;
    assert_eq!(kept().await, 1);
    world.clock.advance(LIFETIMES.idle);
    assert_eq!(kept().await, 0, "nor what has expired");
}

#[tokio::test]
async fn a_sweep_that_did_not_happen_shows_no_session_and_one_that_does_spares_the_new() {
    let (world, over) = World::signed_in().await;
    let (user, now) = (world.accounts.users().list().await.unwrap().remove(0).id, world.now());
    let user = world.accounts.users().end_sessions(user).await.unwrap().unwrap();
    assert!(world.accounts.list_sessions(user.id, now).await.unwrap().is_empty());
    let (new, _) = world.sign_in().await;
    world.accounts.sessions().sweep(user.id, user.generation, now).await.unwrap();
    assert_eq!(world.code(&with_both("GET", &new)).await, None);
    assert_eq!(world.code(&with_both("GET", &over)).await, MISMATCH);
    assert_eq!(world.accounts.list_sessions(user.id, now).await.unwrap().len(), 1);
}

#[tokio::test]
async fn sessions_that_were_ended_take_no_room() {
    let (world, keeper) = World::signed_in().await;
    for _ in 0..MOST_SESSIONS {
        let (halves, _) = world.sign_in().await;
        world.accounts.sign_out(&halves.cookie, world.now()).await.unwrap();
    }
    assert_eq!(world.code(&with_both("GET", &keeper)).await, None);
}

#[tokio::test]
async fn a_disabled_user_is_out_at_once_and_stays_out() {
    let (world, halves) = World::signed_in().await;
    let ann = world.accounts.users().list().await.unwrap().remove(0);
    // Only the user is written to: this is what ends the sessions, not that they are swept.
    world.accounts.users().disable(ann.id, world.now()).await.unwrap().unwrap();
    assert_eq!(world.code(&with_both("GET", &halves)).await, MISMATCH);
    assert!(world.accounts.sign_in(typed(EMAIL, PASSWORD), world.now()).await.is_err());
    world.accounts.users().enable(ann.id).await.unwrap();
    assert_eq!(world.code(&with_both("GET", &halves)).await, MISMATCH, "what has ended has ended");
    assert_eq!(world.code(&with_both("GET", &world.sign_in().await.0)).await, None);
}

#[tokio::test]
async fn a_disabled_user_has_no_session_whenever_it_began() {
    let (world, _) = World::signed_in().await;
    let ann = world.accounts.users().list().await.unwrap().remove(0);
    let disabled = world.accounts.disable(ann.id, NOW).await.unwrap();
    let new = NewSession { user: ann.id, generation: disabled.generation, bound: None, agent: None };
    let (halves, _) = world.accounts.sessions().begin(new, NOW, &SystemRandom).await.unwrap();
    assert_eq!(world.code(&with_both("GET", &halves)).await, MISMATCH);
}

#[tokio::test]
async fn ending_all_sessions_and_a_new_password_end_those_from_before() {
    let (world, halves) = World::signed_in().await;
    let ann = world.accounts.users().list().await.unwrap().remove(0);
    world.accounts.users().end_sessions(ann.id).await.unwrap().unwrap();
    assert_eq!(world.code(&with_both("GET", &halves)).await, MISMATCH);
    let (halves, _) = world.sign_in().await;
    assert_eq!(world.code(&with_both("GET", &halves)).await, None);
    world.accounts.set_password(ann.id, "another good one", world.now()).await.unwrap();
    assert_eq!(world.code(&with_both("GET", &halves)).await, MISMATCH);
    assert!(world.accounts.list_sessions(ann.id, world.now()).await.unwrap().is_empty());
    assert!(world.accounts.sign_in(typed(EMAIL, PASSWORD), world.now()).await.is_err());
    world.accounts.sign_in(typed(EMAIL, "another good one"), world.now()).await.unwrap();
}

#[tokio::test]
async fn a_user_lists_and_ends_their_own_sessions_and_nobody_elses() {
    let (world, first) = World::signed_in().await;
    let (second, record) = world.sign_in().await;
    let bob = world.accounts.add("bob@example.org", "Bob", "a password of his", NOW).await.unwrap();
    let listed = world.accounts.list_sessions(record.user, NOW).await.unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!((listed[1].id, listed[1].label.as_deref()), (record.id, Some("Browser/1")));
    assert!(world.accounts.list_sessions(bob.id, NOW).await.unwrap().is_empty());
    assert!(!world.accounts.end_session(bob.id, record.id, NOW).await.unwrap());
    let unknown = SessionId::generate(&SystemRandom);
    assert!(!world.accounts.end_session(record.user, unknown, NOW).await.unwrap());
    assert_eq!(world.code(&with_both("GET", &second)).await, None);
    assert!(world.accounts.end_session(record.user, record.id, NOW).await.unwrap());
    assert_eq!(world.code(&with_both("GET", &second)).await, MISMATCH);
    assert_eq!(world.code(&with_both("GET", &first)).await, None);
    assert_eq!(world.accounts.list_sessions(record.user, NOW).await.unwrap().len(), 1);
    world.accounts.end_sessions(record.user, NOW).await.unwrap();
    assert_eq!(world.code(&with_both("GET", &first)).await, MISMATCH);
}

#[tokio::test]
async fn a_new_sign_in_ends_the_session_that_the_browser_had_and_takes_none_that_it_was_given() {
    let (world, had) = World::signed_in().await;
    let again = SignIn { presented: Some(&had.cookie), ..typed(EMAIL, PASSWORD) };
    let (halves, _) = world.accounts.sign_in(again, world.now()).await.unwrap();
    assert_ne!(halves.cookie.expose(), had.cookie.expose());
    assert_eq!(world.code(&with_both("GET", &had)).await, MISMATCH);
    assert_eq!(world.code(&with_both("GET", &halves)).await, None);
}

#[tokio::test]
async fn one_user_has_so_many_sessions_and_the_oldest_makes_room() {
    let (world, first) = World::signed_in().await;
    let (second, record) = world.sign_in().await;
    for _ in 0..MOST_SESSIONS - 1 {
        world.sign_in().await;
    }
    assert_eq!(world.code(&with_both("GET", &first)).await, MISMATCH);
    assert_eq!(world.code(&with_both("GET", &second)).await, None);
    assert_eq!(world.accounts.list_sessions(record.user, NOW).await.unwrap().len(), MOST_SESSIONS);
}

#[tokio::test]
async fn what_was_proven_stops_holding_with_its_session_and_its_user() {
    let (world, halves) = World::signed_in().await;
    let standing = async |halves| match world.decide(&with_both("GET", halves)).await {
        Verdict::Permit(passage) => passage.consumed().await.unwrap().spend(),
        Verdict::Deny(refusal) => panic!("{refusal:?}"),
    };
    let first = standing(&halves).await;
    assert!(first.still_holds(NOW).await.unwrap());
    assert!(!first.still_holds(NOW.plus(Duration::from_secs(3_600))).await.unwrap(), "unused for too long");
    let (other, record) = world.sign_in().await;
    let second = standing(&other).await;
    world.accounts.sign_out(&halves.cookie, NOW).await.unwrap();
    assert!(!first.still_holds(NOW).await.unwrap());
    assert!(second.still_holds(NOW).await.unwrap());
    world.accounts.users().disable(record.user, NOW).await.unwrap();
    assert!(!second.still_holds(NOW).await.unwrap());
}

#[tokio::test]
async fn a_session_from_before_a_store_was_put_back_from_a_copy_has_ended() {
    let restored = NOW.plus(Duration::from_secs(10));
    let (world, halves) = World::restored_at(restored).with_ann().await;
    world.clock.set(restored);
    assert_eq!(world.code(&with_both("GET", &halves)).await, MISMATCH);
    let (anew, _) = world.sign_in().await;
    assert_eq!(world.code(&with_both("GET", &anew)).await, None);
}

#[tokio::test]
async fn a_session_passes_while_the_clock_is_behind_what_it_has_shown_and_a_dated_proof_does_not() {
    let (world, halves) = World::signed_in().await;
    let at = |seconds| world.clock.set(NOW.plus(Duration::from_secs(seconds)));
    at(1_800);
    assert_eq!(world.code(&with_both("GET", &halves)).await, None);
    at(0);
    assert_eq!(world.code(&with_both("GET", &halves)).await, None);
    let handshake = world.handshake(&halves).await;
    assert_eq!(world.code(&with_both("POST", &halves).handshake(&handshake)).await, None);
    let dated = with_both("GET", &halves).with("dpop", "a.b.c");
    assert_eq!(world.code(&dated).await, Some(Code::ClockRegressed));
    at(5_400);
    assert_eq!(world.code(&with_both("GET", &halves)).await, MISMATCH, "unused for an hour by then");
    at(0);
    assert_eq!(world.code(&with_both("GET", &halves)).await, MISMATCH, "by the later of the two");
}

#[tokio::test]
async fn a_request_that_spent_its_handshake_passes_although_its_use_cannot_be_written_down() {
    let (world, halves) = World::signed_in().await;
    world.clock.advance(Duration::from_secs(120));
    let handshake = world.handshake(&halves).await;
    let request = with_both("POST", &halves).handshake(&handshake);
    world.store.set_replacing(false);
    let verdict = world.decide(&request).await;
    assert_eq!(verdict.decision().denial().map(Denial::code), None);
    let told = verdict.decision().to_json().to_string();
    assert!(told.contains("not written down"), "{told}");
    world.store.set_replacing(true);
    let found = world.accounts.sessions().find(&halves.cookie, world.now()).await.unwrap().unwrap();
    assert_eq!(found.seen, NOW, "it ends the sooner");
    assert_eq!(world.code(&request).await, Some(Code::HandshakeUsed));
}
