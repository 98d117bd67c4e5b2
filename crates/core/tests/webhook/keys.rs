//! Introduced keys: one question, then signatures that nobody is asked about, as narrow as they were
//! introduced and for no longer.

use std::time::Duration;

use countersign::Policy;
use countersign::schemes::webhook::wire::OFFER;
use countersign::testing::NOW;
use countersign::testing::Verdict;

use crate::by_hand::{INTRODUCTION, IntroductionByHand, KeyCallByHand};
use crate::world::{ALICE, CAROL, Call, Calling as _, Sent, World, post};

const SOON: u64 = NOW.as_secs() + 600;

fn sent(answer: &str, by_key: bool, again: bool) -> Sent {
    Sent { answer: answer.to_owned(), by_key, again }
}

/// A world in which Alice has introduced the key of [`crate::by_hand`].
async fn introduced(introduction: &IntroductionByHand) -> World {
    let world = World::new();
    introduce(&world, introduction).await;
    world
}

async fn introduce(world: &World, introduction: &IntroductionByHand) {
    let now = countersign::Clock::now(&*world.clock);
    let call = introduction.prove(&world.alice, Call::get("/orders"), now).await;
    assert_eq!(world.answer(&call).await, "200");
}

#[tokio::test]
async fn the_first_call_introduces_a_key_and_the_next_ones_are_not_asked_about() {
    for first in [Call::get("/orders?id=1"), post("/orders", "one order")] {
        let world = World::new();
        let introduction = world.proven(&world.alice, first.clone()).await;
        assert!(introduction.hash().starts_with("$2b$04$"), "whom it does not know it sends bcrypt");
        assert_eq!(world.send(&world.alice, first).await, sent("200", false, false));
        for next in [Call::get("/"), Call::get("/orders?id=1"), post("/orders?id=2", "another order")] {
            assert_eq!(world.send(&world.alice, next).await, sent("200", true, false));
        }
        assert_eq!(world.asked(), 1);
    }
}

#[tokio::test]
async fn the_key_proves_who_its_question_would_and_carries_no_credential_to_repeat() {
    let world = World::new();
    world.send(&world.alice, Call::get("/orders")).await;
    let call = world.proven(&world.alice, Call::get("/orders")).await;
    assert!(!call.headers.contains_key("authorization"));
    let Verdict::Permit(permit) = world.decide(&world.rule(), &call).await else { panic!("a permit") };
    assert_eq!(permit.principal().unwrap().subject.to_string(), format!("webhook:{ALICE}"));
    let told: Vec<_> = permit.tells().collect();
    assert_eq!(told, [("authentication-info".parse().unwrap(), OFFER.parse().unwrap())]);
    assert_eq!(world.answer(&call).await, "401 signature_replayed");
}

#[tokio::test]
async fn to_explain_a_signature_spends_it_not() {
    let world = World::new();
    world.send(&world.alice, Call::get("/orders")).await;
    let call = world.proven(&world.alice, Call::get("/orders")).await;
    let explained = call.clone().explained();
    for call in [&explained, &explained, &call] {
        assert_eq!(world.answer(call).await, "200");
    }
}

#[tokio::test]
async fn a_signature_holds_for_one_request_only() {
    let world = World::new();
    world.send(&world.alice, Call::get("/orders")).await;
    let call = world.proven(&world.alice, post("/orders?id=1", "one order")).await;
    let with_uri = |uri: &str| Call { target: uri.parse().unwrap(), ..call.clone() };
    let mut retyped = call.clone();
    retyped.headers.insert("content-type", "text/html".parse().unwrap());
    let mut redigested = call.clone();
    redigested.headers.insert("content-digest", "sha-256=:AAAA:".parse().unwrap());
    for (what, tampered) in [
        ("query", with_uri("https://bob.example/orders?id=2")),
        ("path", with_uri("https://bob.example/admin?id=1")),
        ("host", with_uri("https://carol.example/orders?id=1")),
        ("scheme", with_uri("http://bob.example/orders?id=1")),
        ("method", Call { method: http::Method::PUT, ..call.clone() }),
        ("content-type", retyped),
        ("content-digest", redigested),
    ] {
        assert_eq!(world.answer(&tampered).await, "401 signature_invalid", "{what}");
    }
    for other in ["another order", ""] {
        let swapped = Call { body: other.into(), ..call.clone() };
        assert_eq!(world.answer(&swapped).await, "401 content_digest", "{other:?}");
    }
    assert_eq!(world.answer(&call).await, "200", "nothing was burned");
}

#[tokio::test]
async fn all_of_a_request_must_be_signed() {
    let world = introduced(&IntroductionByHand::until(SOON)).await;
    let good = KeyCallByHand::new(ALICE, NOW);
    for uncovered in [
        "@method",
        "@scheme",
        "@authority",
        "@path",
        "@query",
        "content-type",
        "content-digest",
        "signature-agent",
    ] {
        let call = KeyCallByHand { uncovered, ..good.clone() }.sign(post("/orders", "one order"));
        assert_eq!(world.answer(&call).await, "401 signature_coverage", "{uncovered}");
    }
    let call = good.sign(post("/orders", "one order"));
    assert_eq!(world.answer(&call).await, "200");
}

#[tokio::test]
async fn a_signature_says_when_it_was_made_until_when_and_with_which_nonce_and_key() {
    let world = introduced(&IntroductionByHand::until(SOON)).await;
    for missing in ["created", "expires", "nonce", "keyid"] {
        let mut by_hand = KeyCallByHand::new(ALICE, NOW);
        match missing {
            "created" => by_hand.parameters.created = None,
            "expires" => by_hand.parameters.expires = None,
            "nonce" => by_hand.parameters.nonce = None,
            _ => by_hand.parameters.keyid = None,
        }
        let call = by_hand.sign(Call::get("/orders"));
        assert_eq!(world.answer(&call).await, "401 signature_coverage", "{missing}");
    }
}

#[tokio::test]
async fn a_signature_lives_for_a_minute_and_half_a_minute_of_skew() {
    let world = introduced(&IntroductionByHand::until(SOON)).await;
    let call = KeyCallByHand::new(ALICE, NOW).sign(Call::get("/orders"));
    let early = KeyCallByHand::new(ALICE, NOW.plus(Duration::from_secs(31))).sign(Call::get("/orders"));
    assert_eq!(world.answer(&early).await, "401 proof_future");
    world.clock.advance(Duration::from_secs(90));
    assert_eq!(world.answer(&call).await, "401 proof_expired");
    assert_eq!(world.answer(&early).await, "200", "in its own time it passes");
}

#[tokio::test]
async fn a_body_that_ends_after_its_signature_is_too_late() {
    let world = introduced(&IntroductionByHand::until(SOON)).await;
    let call = KeyCallByHand::new(ALICE, NOW).sign(Call::get("/orders"));
    let received_at = call.view(NOW);
    world.clock.advance(Duration::from_secs(90));
    let verdict = world.gate.decide(&world.rule(), &received_at, &mut call.body.clone()).await;
    assert_eq!(verdict.decision().denial().unwrap().code().as_str(), "proof_expired");
}

#[tokio::test]
async fn two_processes_of_one_api_have_a_key_each() {
    let world = World::new();
    world.send(&world.alice, Call::get("/orders")).await;
    let other = world.api(ALICE, |alice| alice);
    world.send(&other, Call::get("/orders")).await;
    for api in [&world.alice, &other] {
        assert_eq!(world.send(api, Call::get("/orders")).await, sent("200", true, false));
    }
}

#[tokio::test]
async fn a_key_is_its_requesters_alone() {
    let world = introduced(&IntroductionByHand::until(SOON)).await;
    let carols = KeyCallByHand::new(CAROL, NOW).sign(Call::get("/orders"));
    assert_eq!(world.answer(&carols).await, "401 webhook_key_unknown");
    let unlisted = KeyCallByHand::new("https://eve.example/w", NOW).sign(Call::get("/orders"));
    assert_eq!(world.answer(&unlisted).await, "403 webhook_caller");
    let alices = KeyCallByHand::new(ALICE, NOW).sign(Call::get("/orders"));
    assert_eq!(world.answer(&alices).await, "200");
}

#[tokio::test]
async fn a_signature_by_another_key_under_the_introduced_ones_name_is_invalid() {
    let world = World::new();
    world.send(&world.alice, Call::get("/orders")).await;
    let genuine = world.proven(&world.alice, Call::get("/orders")).await;
    let (_, keyid) = genuine.header("signature-input").split_once("keyid=\"").unwrap();
    let mut forged = KeyCallByHand::new(ALICE, NOW);
    forged.parameters.keyid = keyid.split_once('"').map(|(keyid, _)| keyid.to_owned());
    assert_eq!(world.answer(&forged.sign(Call::get("/orders"))).await, "401 signature_invalid");
    assert_eq!(world.answer(&genuine).await, "200");
}

#[tokio::test]
async fn a_key_ends_when_it_was_said_to_and_after_an_hour_whatever_was_said() {
    for (expires, lives) in [(SOON, 600), (NOW.as_secs() + 86_400, 3600)] {
        let world = introduced(&IntroductionByHand::until(expires)).await;
        for (after, answer) in [(lives - 1, "200"), (1, "401 webhook_key_unknown")] {
            world.clock.advance(Duration::from_secs(after));
            let now = countersign::Clock::now(&*world.clock);
            let call = KeyCallByHand::new(ALICE, now).sign(Call::get("/orders"));
            assert_eq!(world.answer(&call).await, answer, "{expires} after {after} s");
        }
    }
}

#[tokio::test]
async fn an_expiry_of_zero_withdraws_a_key() {
    let world = introduced(&IntroductionByHand::until(SOON)).await;
    let call = KeyCallByHand::new(ALICE, NOW).sign(Call::get("/orders"));
    assert_eq!(world.answer(&call).await, "200");
    introduce(&world, &IntroductionByHand::until(0)).await;
    assert_eq!(world.answer(&call).await, "401 webhook_key_unknown");
}

#[tokio::test]
async fn a_scope_limits_what_a_key_may_do_until_it_is_introduced_with_another() {
    let writing = Policy { permissions: ["orders:write".into()].into(), ..Policy::default() };
    let world = introduced(&IntroductionByHand::until(SOON).limited_to("orders:read orders:delete")).await;
    let rule = world.rule_with(world.verifier(), |rule| rule.policy(writing));
    let call = KeyCallByHand::new(ALICE, NOW).sign(Call::get("/orders"));
    assert_eq!(world.answer_under(&rule, &call).await, "403 permission_missing");
    introduce(&world, &IntroductionByHand::until(SOON).limited_to("orders:write")).await;
    assert_eq!(world.answer_under(&rule, &call).await, "200");
}

#[tokio::test]
async fn a_requester_limits_its_own_keys() {
    let world = World::new();
    let alice = world.api(ALICE, |alice| alice.limited_to("orders:read"));
    assert_eq!(world.send(&alice, Call::get("/orders")).await, sent("200", false, false));
    let call = world.proven(&alice, Call::get("/orders")).await;
    for (permission, answer) in [("orders:write", "403 permission_missing"), ("orders:read", "200")] {
        let policy = Policy { permissions: [permission.into()].into(), ..Policy::default() };
        let rule = world.rule_with(world.verifier(), |rule| rule.policy(policy));
        assert_eq!(world.answer_under(&rule, &call).await, answer);
    }
}

#[tokio::test]
async fn a_signed_body_is_read_up_to_its_limit() {
    let world = introduced(&IntroductionByHand::until(SOON)).await;
    let long = Call { body: vec![b'a'; 65].into(), ..post("/orders", "") };
    let by_key = KeyCallByHand::new(ALICE, NOW).sign(long.clone());
    assert_eq!(world.answer(&by_key).await, "413 body_too_large");
    let introducing = world.proven(&world.alice, long).await;
    assert_eq!(world.answer(&introducing).await, "413 body_too_large");
}

#[tokio::test]
async fn a_signature_that_does_not_say_whose_it_is_cannot_be_read() {
    let world = introduced(&IntroductionByHand::until(SOON)).await;
    for (agent, answer) in [
        (format!("cb=\"{ALICE}\""), "400 credential_malformed"),
        (format!("cb=\"{ALICE}\";type=directory"), "400 credential_malformed"),
        (format!("other=\"{ALICE}\";type=webhook"), "400 credential_malformed"),
        (format!("\"{ALICE}\""), "400 credential_malformed"),
        (format!("cb=\"{ALICE}?a\";type=webhook"), "400 webhook_url"),
        ("cb=\"http://alice.example/\";type=webhook".into(), "400 webhook_url"),
    ] {
        let by_hand = KeyCallByHand { agent: agent.clone(), ..KeyCallByHand::new(ALICE, NOW) };
        assert_eq!(world.answer(&by_hand.sign(Call::get("/orders"))).await, answer, "{agent}");
    }
    let call = KeyCallByHand::new(ALICE, NOW).sign(Call::get("/orders"));
    let nobodys = call.clone().without(&["signature-agent"]);
    assert_eq!(world.answer(&nobodys).await, "400 credential_malformed");
    let tagless = call.without(&["signature", "signature-input"]);
    assert_eq!(world.answer(&tagless).await, "401 credential_missing");
    let introduced = world.proven(&world.alice, Call::get("/orders")).await;
    let bare = introduced.clone().without(&["authorization"]);
    assert_eq!(world.answer(&bare).await, "401 credential_missing", "an introduction alone proves nothing");
    assert!(INTRODUCTION.iter().all(|name| introduced.headers.contains_key(*name)));
}
