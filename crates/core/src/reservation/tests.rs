use super::*;
use crate::store::MemoryStore;
use crate::time::{Clock, ManualClock};
use std::sync::Arc;

const USES: Space = Space::durable("uses");
const LEASE: Duration = Duration::from_secs(60);
const FIRST: Digest = [1; 32];
const OTHER: Digest = [2; 32];

struct World {
    clock: Arc<ManualClock>,
    store: MemoryStore<Arc<ManualClock>>,
    one: Use,
}

fn world() -> World {
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_000)));
    let one = Use {
        space: USES,
        id: Id::of(&[b"x"]),
        name: "x".to_owned(),
        uses: 1,
        until: Timestamp::from_secs(10_000),
        lease: LEASE,
        strict: false,
    };
    World { store: MemoryStore::new(clock.clone()), clock, one }
}

impl World {
    async fn reserve(&self, digest: Digest) -> Result<Reservation, Code> {
        let reserved = self.one.clone().reserve(&self.store, digest, self.clock.now()).await;
        reserved.map_err(|denial| denial.code())
    }

    async fn deliver(&self, digest: Digest, delivery: Delivery) -> Result<(), Code> {
        let reserved = self.reserve(digest).await?;
        reserved.settle(&self.store, delivery).await.unwrap();
        Ok(())
    }

    async fn look(&self) -> Result<(), Code> {
        self.one.look(&self.store, self.clock.now()).await.map_err(|denial| denial.code())
    }
}

#[tokio::test]
async fn what_was_taken_is_consumed_for_every_body() {
    let world = world();
    assert_eq!(world.look().await, Ok(()));
    assert_eq!(world.deliver(FIRST, Delivery::Taken).await, Ok(()));
    assert_eq!(world.look().await, Err(Code::CallbackConsumed));
    for digest in [FIRST, OTHER] {
        assert_eq!(world.reserve(digest).await.unwrap_err(), Code::CallbackConsumed);
    }
}

#[tokio::test]
async fn what_was_declined_is_open_for_any_body() {
    let world = world();
    assert_eq!(world.deliver(FIRST, Delivery::Declined).await, Ok(()));
    assert_eq!(world.deliver(OTHER, Delivery::Taken).await, Ok(()));
}

#[tokio::test]
async fn what_may_have_arrived_is_open_for_the_same_body_five_times() {
    let world = world();
    for _ in 0..ATTEMPTS {
        assert_eq!(world.deliver(FIRST, Delivery::Uncertain).await, Ok(()));
        assert_eq!(world.reserve(OTHER).await.unwrap_err(), Code::CallbackConsumed);
    }
    assert_eq!(world.reserve(FIRST).await.unwrap_err(), Code::CallbackConsumed);
}

#[tokio::test]
async fn an_attempt_of_which_nothing_was_sent_leaves_the_use_as_it_was() {
    let world = world();
    for digest in [FIRST, OTHER].repeat(3 * usize::from(ATTEMPTS)) {
        assert_eq!(world.deliver(digest, Delivery::NotSent).await, Ok(()));
    }
    assert_eq!(world.deliver(OTHER, Delivery::Taken).await, Ok(()));
}

#[tokio::test]
async fn an_attempt_of_which_nothing_was_sent_frees_no_body_that_may_have_arrived_before() {
    let world = world();
    assert_eq!(world.deliver(FIRST, Delivery::Uncertain).await, Ok(()));
    for _ in 0..3 * ATTEMPTS {
        assert_eq!(world.deliver(FIRST, Delivery::NotSent).await, Ok(()));
        assert_eq!(world.reserve(OTHER).await.unwrap_err(), Code::CallbackConsumed);
    }
    for _ in 1..ATTEMPTS {
        assert_eq!(world.deliver(FIRST, Delivery::Uncertain).await, Ok(()));
    }
    assert_eq!(world.reserve(FIRST).await.unwrap_err(), Code::CallbackConsumed);
}

#[tokio::test]
async fn a_delivery_whose_time_was_over_may_have_arrived_whatever_the_next_one_met() {
    let world = world();
    let _lost = world.reserve(FIRST).await.unwrap();
    world.clock.advance(LEASE);
    assert_eq!(world.deliver(FIRST, Delivery::NotSent).await, Ok(()));
    assert_eq!(world.reserve(OTHER).await.unwrap_err(), Code::CallbackConsumed);
}

#[tokio::test]
async fn while_one_delivers_another_waits_and_after_a_crash_the_same_body_goes_on() {
    let world = world();
    let lost = world.reserve(FIRST).await.unwrap();
    let denial = world.one.clone().reserve(&world.store, FIRST, world.clock.now()).await.unwrap_err();
    assert_eq!((denial.code(), denial.retry()), (Code::CallbackInUse, Some(LONGEST_WAIT)));
    world.clock.advance(LEASE - Duration::from_secs(1));
    let denial = world.one.look(&world.store, world.clock.now()).await.unwrap_err();
    assert_eq!((denial.code(), denial.retry()), (Code::CallbackInUse, Some(Duration::from_secs(1))));
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.reserve(OTHER).await.unwrap_err(), Code::CallbackConsumed);
    assert_eq!(world.deliver(FIRST, Delivery::Taken).await, Ok(()));
    // The one that was lost comes back: what stands is the other's.
    lost.settle(&world.store, Delivery::Declined).await.unwrap();
    assert_eq!(world.look().await, Err(Code::CallbackConsumed));
}

#[tokio::test]
async fn of_many_at_once_one_wins() {
    let world = Arc::new(world());
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..64_u8 {
        let world = world.clone();
        tasks.spawn(async move { world.reserve([number; 32]).await.is_ok() });
    }
    let won = tasks.join_all().await.into_iter().filter(|won| *won).count();
    assert_eq!(won, 1);
}

#[tokio::test]
async fn several_uses_are_counted() {
    let mut world = world();
    world.one.uses = 2;
    assert_eq!(world.deliver(FIRST, Delivery::Taken).await, Ok(()));
    assert_eq!(world.deliver(OTHER, Delivery::Taken).await, Ok(()));
    assert_eq!(world.deliver(OTHER, Delivery::Taken).await, Err(Code::CallbackConsumed));
}

#[tokio::test]
async fn a_strict_use_is_consumed_whatever_becomes_of_it() {
    let mut world = world();
    world.one.strict = true;
    assert_eq!(world.deliver(FIRST, Delivery::NotSent).await, Ok(()));
    assert_eq!(world.look().await, Err(Code::CallbackConsumed));
}

#[tokio::test]
async fn what_was_revoked_stays_so_whatever_is_in_progress() {
    let world = world();
    let reserved = world.reserve(FIRST).await.unwrap();
    let revoke = || Use::revoke(&world.store, USES, world.one.id, world.one.until);
    assert!(revoke().await.unwrap());
    assert!(!revoke().await.unwrap());
    reserved.settle(&world.store, Delivery::Declined).await.unwrap();
    assert_eq!(world.look().await, Err(Code::CallbackRevoked));
    assert_eq!(world.reserve(FIRST).await.unwrap_err(), Code::CallbackRevoked);
}

#[test]
fn a_state_is_read_back_and_another_version_is_refused() {
    let tried = State::Tried { used: 1, digest: FIRST, attempts: 2, leased_until: Timestamp::from_secs(3) };
    for state in [State::Revoked, State::Idle { used: 7 }, tried] {
        assert_eq!(State::decode(&state.encode()).unwrap(), state);
    }
    assert!(
        State::decode(&[2, 0]).is_err() && State::decode(&[]).is_err() && State::decode(&[1, 9]).is_err()
    );
}
