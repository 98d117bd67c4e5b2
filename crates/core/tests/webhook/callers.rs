//! Who may call and do what, how often, and on whose behalf others are asked: judged before anybody is
//! dialled, so that a refusal costs nobody anything.

use std::sync::Arc;
use std::time::Duration;

use countersign::Policy;
use countersign::fetch::ChosenBy;
use countersign::testing::NOW;

use crate::world::{ALICE, CAROL, Call, Calling as _, World, callers};

#[tokio::test]
async fn the_policy_judges_the_claimed_url_before_anybody_is_asked() {
    let world = World::new();
    let call = world.proven(&world.alice, Call::get("/orders")).await;
    let admin = Policy { permissions: ["orders:delete".into()].into(), ..Policy::default() };
    let carols = Policy { subjects: [format!("webhook:{CAROL}")].into(), ..Policy::default() };
    for policy in [admin, carols] {
        let rule = world.rule_with(world.verifier(), |rule| rule.policy(policy));
        assert_eq!(world.answer_under(&rule, &call).await, "403 permission_missing");
    }
    assert_eq!(world.asked(), 0);
    let fitting = Policy {
        permissions: ["orders:read".into()].into(),
        subjects: [format!("webhook:{ALICE}")].into(),
        ..Policy::default()
    };
    let rule = world.rule_with(world.verifier(), |rule| rule.policy(fitting));
    assert_eq!(world.answer_under(&rule, &call).await, "200");
}

#[tokio::test]
async fn a_caller_over_its_limit_is_not_asked() {
    let world = World::new();
    let rule = world.rule_with(world.verifier(), |rule| rule.limit("1/min".parse().unwrap()));
    let first = world.proven(&world.alice, Call::get("/orders")).await;
    let second = world.proven(&world.alice, Call::get("/orders")).await;
    assert_eq!(world.answer_under(&rule, &first).await, "200");
    assert_eq!(world.answer_under(&rule, &second).await, "429 rate_limited");
    assert_eq!(world.asked(), 1);
    assert_eq!(world.answer(&second).await, "200", "its token was not burned");
}

#[tokio::test]
async fn to_explain_asks_nobody_and_burns_nothing() {
    let world = World::new();
    let call = world.proven(&world.alice, Call::get("/orders")).await;
    let explained = call.clone().explained();
    assert_eq!(world.answer(&explained).await, "401 webhook_not_asked");
    assert_eq!(world.asked(), 0);
    assert_eq!(world.answer(&call).await, "200");
}

#[tokio::test]
async fn over_budget_nobody_is_asked_and_the_caller_learns_when_to_come_back() {
    let world = World::new();
    let call = world.proven(&world.alice, Call::get("/orders")).await.from([192, 0, 2, 1]);
    let enter = |hash: &str, last| {
        let source = Some([192, 0, 2, last].into());
        world.budget.enter("https://alice.example", hash, source, NOW).unwrap()
    };
    let places = [enter("another", 2), enter("a third", 3)];
    let verdict = world.decide(&world.rule(), &call).await;
    let denial = verdict.decision().denial().unwrap();
    assert_eq!((denial.code().as_str(), denial.code().status().as_u16()), ("webhook_budget", 429));
    assert_eq!(denial.retry(), Some(Duration::from_secs(1)));
    assert_eq!(world.answer(&call.clone().explained()).await, "401 webhook_not_asked", "it needs no place");
    assert_eq!(world.asked(), 0);
    drop(places);
    assert_eq!(world.answer(&call).await, "200");
    assert_eq!(world.budget.in_flight(), 0, "its place is free again");

    let _places = [enter("another", 2), enter("a third", 3)];
    let again = world.proven(&world.alice, Call::get("/orders")).await.from([192, 0, 2, 1]);
    assert_eq!(world.answer(&again).await, "200", "whoever proved itself lately has a place of its own");
    let stranger = world.proven(&world.alice, Call::get("/orders")).await.from([192, 0, 2, 4]);
    assert_eq!(world.answer(&stranger).await, "429 webhook_budget");
}

#[tokio::test]
async fn a_denied_question_makes_no_friend() {
    let world = World::new();
    let source = [192, 0, 2, 1];
    let forged = Call::get("/orders").naming(ALICE, "sha-256.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    assert_eq!(world.answer(&forged.from(source)).await, "401 webhook_denied");
    let place = |hash: &str| world.budget.enter("https://alice.example", hash, None, NOW).unwrap();
    let _places = [place("another"), place("a third")];
    let call = world.proven(&world.alice, Call::get("/orders")).await.from(source);
    assert_eq!(world.answer(&call).await, "429 webhook_budget");
}

#[tokio::test]
async fn only_a_caller_who_is_listed_by_url_was_chosen_by_the_operator() {
    let world = World::new();
    let carol = world.api(CAROL, |carol| carol);
    for api in [&world.alice, &carol] {
        let call = world.proven(api, Call::get("/orders")).await;
        assert_eq!(world.answer(&call).await, "200");
    }
    let chosen: Vec<_> = world.internet.asked().iter().map(|request| request.chosen_by).collect();
    assert_eq!(chosen, [ChosenBy::Request, ChosenBy::Configuration]);
}

#[tokio::test]
async fn an_api_that_may_only_be_asked_elsewhere_is_not_listed_here() {
    let world = World::new();
    let elsewhere = world.api("https://alice.example/hooks/auth", |alice| alice);
    let call = world.proven(&elsewhere, Call::get("/orders")).await;
    assert_eq!(world.answer(&call).await, "403 webhook_caller", "an origin counts at its well-known path");
    let nobody = World::listing(&[]);
    let call = nobody.proven(&nobody.alice, Call::get("/orders")).await;
    assert_eq!(nobody.answer(&call).await, "403 webhook_caller", "by default nobody may call");
    assert_eq!(world.asked() + nobody.asked(), 0);
}

#[tokio::test]
async fn who_is_not_listed_learns_nothing_of_the_policy() {
    let world = World::new();
    let call = world.proven(&world.eve, Call::get("/orders")).await;
    let policy = Policy { permissions: ["orders:delete".into()].into(), ..Policy::default() };
    let rule = world.rule_with(world.verifier(), |rule| rule.policy(policy));
    assert_eq!(world.answer_under(&rule, &call).await, "403 webhook_caller");
}

#[tokio::test]
async fn whoever_leaves_the_list_leaves_with_the_key_that_was_introduced() {
    let world = World::new();
    for by_key in [false, true] {
        assert_eq!(world.send(&world.alice, Call::get("/orders")).await.by_key, by_key);
    }
    let call = world.proven(&world.alice, Call::get("/orders")).await;
    let mut verifier = world.verifier();
    verifier.callers = Arc::new(callers(&[CAROL]));
    let today = world.rule_with(verifier, |rule| rule);
    assert_eq!(world.answer_under(&today, &call).await, "403 webhook_caller");
    assert_eq!(world.answer(&call).await, "200", "where she is listed it holds");
}
