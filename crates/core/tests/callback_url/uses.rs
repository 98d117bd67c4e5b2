//! One use in two phases, and what is said of it meanwhile.

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::Duration;

use bytes::Bytes;
use countersign::request::Body;
use countersign::schemes::callback_url::{CallbackState, CallbackTerms, TokenForm};
use countersign::store::StoreError;
use countersign::testing::{self, AtOnce, NOW};
use countersign::witness::Work;
use countersign::{Arrival, Carrier, Code, Decision, Delivery, Denial, Spawn, Witness};

use crate::world::{Call, LEASE, ROUTE, World, public_url, terms};

#[tokio::test]
async fn what_was_delivered_is_consumed_and_what_was_declined_is_open() {
    let world = World::new();
    let call = Call::post(&world.mint("42").await);
    world.deliver(&call, Delivery::Declined).await;
    world.deliver(&call.clone().body("another"), Delivery::Taken).await;
    assert_eq!(world.refused(&call).await, Code::CallbackConsumed);
    assert_eq!(world.refused(&call.explain()).await, Code::CallbackConsumed);
}

#[tokio::test]
async fn a_callback_of_which_nothing_was_sent_is_as_before() {
    let world = World::new();
    let call = Call::post(&world.mint("42").await);
    world.deliver(&call, Delivery::NotSent).await;
    world.deliver(&call.clone().body("another"), Delivery::Taken).await;
    assert_eq!(world.refused(&call).await, Code::CallbackConsumed);
}

#[tokio::test]
async fn an_uncertain_delivery_is_open_for_the_same_body_five_times() {
    let world = World::new();
    let call = Call::post(&world.mint("42").await);
    for _ in 0..5 {
        world.deliver(&call, Delivery::NotSent).await;
        world.deliver(&call, Delivery::Uncertain).await;
        assert_eq!(world.refused(&call.clone().body("another")).await, Code::CallbackConsumed);
    }
    assert_eq!(world.refused(&call).await, Code::CallbackConsumed);
}

#[tokio::test]
async fn what_nobody_settled_is_in_use_for_its_lease_and_then_open_for_the_same_body() {
    let world = World::new();
    let call = Call::post(&world.mint("42").await);
    let reservation = world.reserve(&call).await;
    assert_eq!(world.refused(&call).await, Code::CallbackInUse);
    assert_eq!(world.refused(&call.clone().explain()).await, Code::CallbackInUse);
    world.clock.advance(LEASE - Duration::from_millis(1));
    assert_eq!(world.refused(&call).await, Code::CallbackInUse);
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(world.refused(&call.clone().body("another")).await, Code::CallbackConsumed);
    assert!(!reservation.idempotency_key().is_empty());
    world.deliver(&call, Delivery::Taken).await;
    assert_eq!(world.refused(&call).await, Code::CallbackConsumed);
}

#[tokio::test]
async fn the_upstream_gets_the_callbacks_name() {
    let world = World::new();
    let minted = world.mint_with(TokenForm::Signed, terms("42")).await;
    let reservation = world.reserve(&Call::post(minted.url.expose())).await;
    assert_eq!(reservation.idempotency_key(), minted.record.id.as_str());
    // What carries the token is taken out and hidden.
    assert_eq!(world.rule(ROUTE).carriers(), [Carrier::Segment(3)]);
    let refused = world.ask(&Call::post(minted.url.expose())).await;
    assert_eq!(refused.decision().path, "/v1/results/42/…");
}

#[tokio::test]
async fn a_strict_receiver_consumes_first() {
    let mut world = World::new();
    world.limits.strict = true;
    let call = Call::post(&world.mint("42").await);
    world.deliver(&call, Delivery::Uncertain).await;
    assert_eq!(world.refused(&call).await, Code::CallbackConsumed);
}

#[tokio::test]
async fn a_callback_may_have_several_uses() {
    let world = World::new();
    let twice = CallbackTerms { uses: Some(2), ..terms("42") };
    let call = Call::post(world.mint_with(TokenForm::Signed, twice).await.url.expose());
    for _ in 0..2 {
        world.deliver(&call, Delivery::Taken).await;
    }
    assert_eq!(world.refused(&call).await, Code::CallbackConsumed);
}

#[tokio::test]
async fn lists_show_what_each_can_still_do_and_no_token() {
    let world = World::new();
    let callbacks = &world.minter.callbacks;
    let mut minted = Vec::new();
    for resource in ["1", "2", "3", "4"] {
        minted.push(world.mint_with(TokenForm::Signed, terms(resource)).await);
        world.clock.advance(Duration::from_millis(1));
    }
    let _held = world.reserve(&Call::post(minted[1].url.expose())).await;
    world.deliver(&Call::post(minted[2].url.expose()), Delivery::Taken).await;
    callbacks.revoke(&minted[3].record.id).await.unwrap();
    let states = async |expected: [CallbackState; 4]| {
        let listed = callbacks.list().await.unwrap();
        assert_eq!(
            listed.iter().map(|record| &record.id).collect::<Vec<_>>(),
            minted.iter().map(|one| &one.record.id).collect::<Vec<_>>()
        );
        for (record, state) in listed.iter().zip(expected) {
            assert_eq!(callbacks.state(record, world.gate.now()).await.unwrap(), state);
        }
        for one in &minted {
            let token = one.url.expose().rsplit('/').next().unwrap();
            assert!(!format!("{listed:?}").contains(token) && !format!("{one:?}").contains(token));
        }
    };
    use CallbackState::{Active, Expired, InUse, Revoked, Used};
    states([Active, InUse, Used, Revoked]).await;
    world.clock.advance(Duration::from_secs(1000));
    states([Expired, Expired, Used, Revoked]).await;
    world.clock.advance(Duration::from_secs(3600));
    assert_eq!(callbacks.list().await.unwrap(), []);
}

#[tokio::test]
async fn what_was_minted_before_a_store_was_put_back_from_a_copy_opens_nothing() {
    let restored = NOW.plus(Duration::from_secs(10));
    let world = World::in_a(testing::World::remembering(|memory| memory.refusing_proofs_before(restored)));
    let before = Call::post(&world.mint("42").await);
    world.clock.set(restored);
    assert_eq!(world.refused(&before).await, Code::CallbackConsumed);
    assert_eq!(world.refused(&before.explain()).await, Code::CallbackConsumed);
    world.deliver(&Call::post(&world.mint("42").await), Delivery::Taken).await;
}

/// What a delivery's witness was told.
#[derive(Default)]
struct Told(Mutex<Vec<(Delivery, bool)>>, Mutex<Vec<Option<Code>>>);

impl Witness for Told {
    fn decided<'a>(&'a self, decision: &'a Arc<Decision>) -> Option<Work<'a>> {
        self.1.lock().unwrap().push(decision.denial().map(Denial::code));
        None
    }

    fn settled(&self, decision: &Arc<Decision>, delivery: Delivery, settled: Result<(), StoreError>) {
        assert!(decision.is_proven());
        self.0.lock().unwrap().push((delivery, settled.is_ok()));
    }
}

#[tokio::test]
async fn what_became_of_a_delivery_is_told_and_that_it_could_not_be_settled_too() {
    let world = World::new();
    let told = Arc::new(Told::default());
    for (down, delivery) in [(false, Delivery::Declined), (false, Delivery::NotSent), (true, Delivery::Taken)]
    {
        let call = Call::post(&world.mint("42").await);
        let (reserved, store) = (world.reserve(&call).await, world.store.clone());
        let forward = async move |_permit| {
            store.set_down(down);
            delivery
        };
        assert_eq!(reserved.deliver(&AtOnce, told.clone(), forward).await, Some(delivery));
        world.store.set_down(false);
        assert_eq!(told.0.lock().unwrap().pop(), Some((delivery, !down)));
        let again = down.then_some(Code::CallbackInUse);
        assert_eq!(world.refusal(&call).await, again, "{delivery:?}");
    }
}

#[tokio::test]
async fn a_delivery_that_panics_is_settled_as_one_of_which_nobody_knows() {
    let world = World::new();
    let (told, call) = (Arc::new(Told::default()), Call::post(&world.mint("42").await));
    let forward = async |_permit| -> Delivery { panic!("on purpose") };
    assert_eq!(world.reserve(&call).await.deliver(&AtOnce, told.clone(), forward).await, None);
    assert_eq!(*told.0.lock().unwrap(), [(Delivery::Uncertain, true)]);
    assert_eq!(world.refused(&call.clone().body("another")).await, Code::CallbackConsumed);
    world.deliver(&call, Delivery::Taken).await;
}

#[tokio::test]
async fn what_never_learns_of_its_delivery_is_consumed_at_once() {
    let world = World::new();
    let call = Call::post(&world.mint("42").await);
    assert!(world.passes(&call).await.consumed().await.is_ok());
    assert_eq!(world.refused(&call).await, Code::CallbackConsumed);
    let call = Call::post(&world.mint("42").await);
    let passage = world.passes(&call).await;
    world.store.set_down(true);
    assert!(passage.consumed().await.is_err(), "and where nobody knows, nothing passes");
    world.store.set_down(false);
    assert_eq!(world.refused(&call).await, Code::CallbackInUse);
}

#[tokio::test]
async fn of_a_use_that_is_consumed_at_once_one_thing_is_told() {
    let world = World::new();
    let rule = world.rule(ROUTE);
    for replaces in [true, false] {
        let call = Call::post(&world.mint("42").await);
        let mut parts = call.head();
        world.store.set_replacing(replaces);
        let told = Told::default();
        let arrival = Arrival::new(&world.gate, &mut parts, &public_url(), Body::Announced, None, &told);
        let admitted = arrival.admit_at_once(&rule, &mut Bytes::from_static(b"{}")).await;
        let code = admitted.err().map(|refusal| refusal.denial().code());
        assert_eq!(code, (!replaces).then_some(Code::StoreUnavailable));
        assert_eq!(*told.1.lock().unwrap(), [code]);
        world.store.set_replacing(true);
    }
}

/// Work goes on in tasks.
struct InTasks;

impl Spawn for InTasks {
    fn spawn(&self, work: Work<'static>) {
        tokio::spawn(work);
    }
}

/// Never comes to an end, once it has been told.
struct Busy;

impl Witness for Busy {
    fn decided<'a>(&'a self, _: &'a Arc<Decision>) -> Option<Work<'a>> {
        Some(Box::pin(std::future::pending()))
    }
}

/// Everything that has been begun goes on as far as it can.
async fn let_all_go_on() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_caller_who_leaves_before_anything_is_sent_leaves_nothing_reserved() {
    let world = World::new();
    world.gate.work_in(Arc::new(InTasks));
    let rule = world.rule(ROUTE);
    // While the use is reserved, and while the decision is written down, too.
    for polls in 1..20 {
        let call = Call::post(&world.mint("42").await);
        let mut parts = call.head();
        let arrival = Arrival::new(&world.gate, &mut parts, &public_url(), Body::Announced, None, &Busy);
        let mut body = Bytes::from_static(b"first");
        world.store.set_lagging(true);
        {
            let mut admitted = pin!(arrival.admit(&rule, &mut body));
            for _ in 0..polls {
                assert!(admitted.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
                tokio::task::yield_now().await;
            }
        }
        world.store.set_lagging(false);
        let_all_go_on().await;
        assert_eq!(world.refusal(&call.body("another")).await, None, "left after {polls} steps");
        let_all_go_on().await;
    }
}

#[tokio::test]
async fn a_permit_that_nobody_delivers_is_given_back_and_one_that_nobody_waits_for_is_delivered() {
    let world = World::new();
    world.gate.work_in(Arc::new(AtOnce));
    let call = Call::post(&world.mint("42").await);
    drop(world.reserve(&call).await);
    let reserved = world.reserve(&call.clone().body("another")).await;
    drop(reserved.deliver(&AtOnce, Arc::new(()), async |_| Delivery::Taken));
    assert_eq!(world.refused(&call).await, Code::CallbackConsumed);

    let call = Call::post(&world.mint("42").await);
    drop(world.reserve(&call).await.deliver(&Never, Arc::new(()), async |_| Delivery::Taken));
    assert_eq!(world.refusal(&call.body("another")).await, None, "its work was never begun");
}

#[tokio::test]
async fn a_delivery_that_is_cut_off_may_have_been_sent() {
    let world = World::new();
    world.gate.work_in(Arc::new(InTasks));
    let call = Call::post(&world.mint("42").await);
    let reserved = world.reserve(&call).await;
    drop(reserved.deliver(&CutOff, Arc::new(()), async |_| std::future::pending::<Delivery>().await));
    let_all_go_on().await;
    assert_eq!(world.refused(&call).await, Code::CallbackInUse);
    world.clock.advance(LEASE);
    assert_eq!(world.refused(&call.clone().body("another")).await, Code::CallbackConsumed);
}

/// The process ends before anything is begun.
struct Never;

impl Spawn for Never {
    fn spawn(&self, work: Work<'static>) {
        drop(work);
    }
}

/// The process ends when everything has been begun.
struct CutOff;

impl Spawn for CutOff {
    fn spawn(&self, mut work: Work<'static>) {
        assert!(work.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
}
