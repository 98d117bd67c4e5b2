//! What would become of a request: as it would be decided, and without any effect.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use countersign::crypto::sha256;
use countersign::decision::Check;
use countersign::reservation::Use;
use countersign::spending::{Note, Spending};
use countersign::store::{Id, Space, Spend, Store as _};
use countersign::testing::{AtOnce, HeaderScheme, NOW, Request, TEST_PROOF, World, rule};
use countersign::verifier::Proven;
use countersign::{Code, Delivery, Passage, Principal, RequestView, Rule, Subject};

const ENTRIES: Space = Space::durable("entries");
const NOTES: Space = Space::volatile("notes");

fn id(name: &str) -> Id {
    Id::of(&[name.as_bytes()])
}

fn a_proof(name: &str) -> Spending {
    let spend = Spend {
        id: id(name),
        created: Some(NOW),
        received_at: NOW,
        until: NOW.plus(Duration::from_secs(60)),
    };
    Spending::Proof { spend, replayed: Code::SignatureReplayed }
}

fn an_entry(value: &str) -> Spending {
    let expected = Bytes::copy_from_slice(value.as_bytes());
    Spending::Entry { space: ENTRIES, id: id("entry"), expected, absent: Code::HandshakeUsed }
}

fn a_number(value: &str) -> Spending {
    let (value, until) = (value.parse().unwrap(), NOW.plus(Duration::from_secs(60)));
    Spending::Rising { space: ENTRIES, id: id("number"), value, until, not_higher: Code::SignatureReplayed }
}

fn a_use(body: &str) -> Spending {
    let one = Use {
        space: ENTRIES,
        id: id("use"),
        name: "cb_1".to_owned(),
        uses: 1,
        until: NOW.plus(Duration::from_secs(60)),
        lease: Duration::from_secs(10),
        strict: false,
    };
    Spending::Use { one, digest: sha256(body.as_bytes()) }
}

/// Whoever sends a proof is somebody, which costs what `costs` says of its value, and is noted.
fn costing(costs: fn(&str) -> Spending) -> Arc<Rule> {
    let proves = move |value: &str, _: &RequestView<'_>| {
        let mut proven = Proven::outright(Principal::vouch_for(Subject::Named("somebody".into())));
        proven.spends.push(costs(value));
        let entry = Some((Bytes::from_static(b"seen"), NOW.plus(Duration::from_secs(60))));
        proven.notes.push(Note::Kept { space: NOTES, id: id("note"), entry });
        proven
    };
    rule("signature", |rule| rule.verifier(HeaderScheme(proves)))
}

fn with(value: &str) -> Request {
    Request::get("/").with(TEST_PROOF, value)
}

/// What would become of a request with this value, which is told twice, and nothing is written.
async fn foreseen(world: &World, rule: &Arc<Rule>, value: &str) -> Option<Code> {
    world.store.writes();
    let explained = with(value).explained();
    let code = world.code(rule, &explained).await;
    assert_eq!(world.code(rule, &explained).await, code, "to look changes nothing");
    assert_eq!(world.store.writes(), 0, "and writes nothing");
    code
}

#[tokio::test]
async fn what_a_permit_costs_is_looked_at_before_and_after_it_was_spent() {
    let world = World::new();
    let value = Bytes::from_static(b"7");
    world.store.insert(ENTRIES, id("entry"), value, None).await.unwrap();
    for (costs, again) in [
        (a_proof as fn(&str) -> Spending, Code::SignatureReplayed),
        (an_entry, Code::HandshakeUsed),
        (a_number, Code::SignatureReplayed),
        (a_use, Code::CallbackInUse),
    ] {
        let rule = costing(costs);
        assert_eq!(foreseen(&world, &rule, "7").await, None, "{again}");
        assert_eq!(world.code(&rule, &with("7")).await, None, "{again} is not said before it is so");
        assert_eq!(foreseen(&world, &rule, "7").await, Some(again));
        assert_eq!(world.code(&rule, &with("7")).await, Some(again), "as it is decided");
    }
    assert_eq!(foreseen(&world, &costing(a_number), "8").await, None);
    assert_eq!(foreseen(&world, &costing(a_number), "6").await, Some(Code::SignatureReplayed));
}

#[tokio::test]
async fn an_entry_of_another_value_is_not_the_one_that_is_spent() {
    let world = World::new();
    world.store.insert(ENTRIES, id("entry"), Bytes::from_static(b"7"), None).await.unwrap();
    assert_eq!(foreseen(&world, &costing(an_entry), "8").await, Some(Code::HandshakeUsed));
    assert_eq!(world.code(&costing(an_entry), &with("7")).await, None);
}

#[tokio::test]
async fn a_use_that_was_tried_is_foreseen_for_its_body_alone() {
    let world = World::new();
    let rule = costing(a_use);
    let deliver = async |delivery| {
        let Passage::Once(reserved) = world.permit(&rule, &with("one")).await else { panic!("not reserved") };
        reserved.deliver(&AtOnce, Arc::new(()), async move |_| delivery).await;
    };
    deliver(Delivery::Uncertain).await;
    assert_eq!(foreseen(&world, &rule, "one").await, None);
    assert_eq!(foreseen(&world, &rule, "another").await, Some(Code::CallbackConsumed));
    deliver(Delivery::Taken).await;
    assert_eq!(foreseen(&world, &rule, "one").await, Some(Code::CallbackConsumed));
}

#[tokio::test]
async fn what_nobody_can_know_is_said_and_the_look_stands_among_the_steps() {
    let world = World::new();
    let rule = costing(a_proof);
    let decision = world.decision(&rule, &with("7").explained()).await;
    assert_eq!(decision.steps.last().map(|step| (step.check, step.passed)), Some((Check::Spend, true)));
    world.store.set_down(true);
    assert_eq!(foreseen(&world, &rule, "7").await, Some(Code::StoreUnavailable));
    let forgetful =
        World::remembering(|memory| memory.refusing_proofs_before(NOW.plus(Duration::from_secs(1))));
    assert_eq!(foreseen(&forgetful, &rule, "7").await, Some(Code::ProofPredatesBoot));
}

#[tokio::test]
async fn who_explains_takes_no_place_of_a_source_and_moves_no_clock() {
    let world = World::new().gated(|gate| gate.with_unproven_limit("1/min".parse().unwrap()));
    let rule = costing(a_proof);
    let nothing = Request::get("/").from([192, 0, 2, 1]);
    for _ in 0..3 {
        assert_eq!(world.code(&rule, &nothing.clone().explained()).await, Some(Code::CredentialMissing));
    }
    let later = NOW.plus(Duration::from_secs(3600));
    let explained = world.gate.explain(&rule, &with("7").view(later), &mut Bytes::new()).await;
    assert!(explained.denial().is_none());
    let from_there = |value| with(value).from([192, 0, 2, 1]);
    assert_eq!(world.code(&rule, &from_there("7")).await, None, "the clock did not go back");
    assert_eq!(world.code(&rule, &nothing).await, Some(Code::CredentialMissing));
    assert_eq!(world.code(&rule, &from_there("8")).await, Some(Code::RateLimited), "it counts who waits");
    assert_eq!(world.code(&rule, &from_there("8").explained()).await, Some(Code::RateLimited));
}
