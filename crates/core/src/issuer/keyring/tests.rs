use super::*;
use crate::crypto::jwt::Jwt;
use crate::crypto::{Secret, SystemRandom};
use crate::store::MemoryStore;
use crate::testing::TestStore;
use crate::time::ManualClock;

const DAY: Duration = Duration::from_secs(24 * 3600);
const HOUR: Duration = Duration::from_secs(3600);
const START: Timestamp = Timestamp::from_secs(1_000_000);

type Shared = Arc<MemoryStore<Arc<ManualClock>>>;

fn store() -> Shared {
    Arc::new(MemoryStore::new(Arc::new(ManualClock::new(START))))
}

fn keyring_of(store: &Shared, purpose: &'static str, seal: u8, algorithm: Algorithm) -> Keyring<Shared> {
    let terms =
        KeyringTerms { purpose, algorithm, rotate_every: 30 * DAY, publish_before: HOUR, retain: DAY };
    Keyring::new(store.clone(), SealKey::new(Secret::new([seal; 32])), Arc::new(SystemRandom), terms)
}

fn keyring(store: &Shared) -> Keyring<Shared> {
    keyring_of(store, "test", 1, Algorithm::Ed25519)
}

fn is_good(keys: &Keys, token: &str) -> bool {
    let mut buffer = Vec::new();
    let jwt = Jwt::parse(token, 4096, &mut buffer).unwrap();
    jwt.key_id().and_then(|kid| keys.find(kid)).is_some_and(|key| jwt.verify(key).is_ok())
}

#[tokio::test]
async fn the_first_key_is_made_and_every_process_on_the_store_has_it() {
    for algorithm in [Algorithm::Ed25519, Algorithm::EcdsaP256Sha256] {
        let store = store();
        let here = keyring_of(&store, "test", 1, algorithm).keys(START).await.unwrap();
        let there = keyring_of(&store, "test", 1, algorithm).keys(START).await.unwrap();
        let token = here.sign("JWT", &json!({"a": 1})).unwrap();
        assert!(is_good(&here, &token) && is_good(&there, &token));
        assert_eq!(here.jwks(), there.jwks());
        assert_eq!(here.jwks()["keys"][0]["kid"], here.signing_kid());
    }
}

#[tokio::test]
async fn nothing_that_is_signed_fails_across_a_rotation() {
    let store = store();
    let keyring = keyring(&store);
    let first = keyring.keys(START).await.unwrap().signing_kid().to_owned();
    let mut tokens: Vec<(Timestamp, String)> = Vec::new();
    let mut published = Vec::new();
    for hour in 0..24 * 45 {
        let now = START.plus(hour * HOUR);
        let keys = keyring.keys(now).await.unwrap();
        tokens.retain(|(made, _)| now.since(*made) < DAY);
        for (made, token) in &tokens {
            assert!(is_good(&keys, token), "made at {made}, tried at {now}");
        }
        let token = keys.sign("JWT", &json!({})).unwrap();
        // Whoever copied the public keys an hour ago has this one.
        if hour > 0 {
            assert!(published.contains(&keys.signing_kid().to_owned()), "at {now}");
        }
        published = keys.states().iter().map(|(kid, _)| kid.clone()).collect();
        tokens.push((now, token));
    }
    let last = keyring.keys(START.plus(45 * DAY)).await.unwrap();
    assert_ne!(last.signing_kid(), first);
    assert!(last.find(&first).is_none(), "the first is gone");
    assert_eq!(last.states().len(), 1);
}

#[tokio::test]
async fn a_rotation_that_is_asked_for_publishes_first() {
    let store = store();
    let keyring = keyring(&store);
    let first = keyring.keys(START).await.unwrap().signing_kid().to_owned();
    let now = START.plus(HOUR);
    let keys = keyring.rotate(now).await.unwrap();
    assert_eq!(keys.signing_kid(), first);
    assert_eq!(
        keys.states().iter().map(|(_, state)| *state).collect::<Vec<_>>(),
        [KeyState::Active, KeyState::Published]
    );
    assert_eq!(keyring.rotate(now).await.unwrap().states().len(), 2, "one is published already");
    let keys = keyring.keys(now.plus(HOUR)).await.unwrap();
    assert_eq!(
        keys.states().iter().map(|(_, state)| *state).collect::<Vec<_>>(),
        [KeyState::Retained, KeyState::Active]
    );
    assert_ne!(keys.signing_kid(), first);
    let keys = keyring.keys(now.plus(HOUR).plus(DAY)).await.unwrap();
    assert_eq!(keys.states().len(), 1);
}

#[tokio::test]
async fn a_rotation_elsewhere_is_known_within_seconds() {
    let store = store();
    let (here, there) = (keyring(&store), keyring(&store));
    there.keys(START).await.unwrap();
    here.rotate(START.plus(HOUR)).await.unwrap();
    let later = there.keys(START.plus(HOUR).plus(FRESH)).await.unwrap();
    assert_eq!(later.states().len(), 2);
}

#[tokio::test]
async fn a_first_key_that_a_later_request_made_serves_an_earlier_one_too() {
    let store = store();
    let later = keyring(&store).keys(START.plus(Duration::from_millis(5))).await.unwrap();
    let earlier = keyring(&store).keys(START).await.unwrap();
    assert_eq!(earlier.signing_kid(), later.signing_kid());
    assert_eq!(earlier.states()[0].1, KeyState::Active);
}

#[tokio::test]
async fn two_purposes_share_no_key_and_another_seal_key_opens_none() {
    let store = store();
    let keys = keyring(&store).keys(START).await.unwrap();
    let others = keyring_of(&store, "other", 1, Algorithm::Ed25519).keys(START).await.unwrap();
    assert!(!is_good(&others, &keys.sign("JWT", &json!({})).unwrap()));
    let stranger = keyring_of(&store, "test", 2, Algorithm::Ed25519).keys(START).await.unwrap_err();
    assert_eq!(stranger.code(), Code::KeysUnavailable);
}

#[tokio::test]
async fn the_store_and_debug_hold_no_private_key() {
    use crate::store::Inventory as _;
    let store = store();
    let keyring = keyring(&store);
    let keys = keyring.keys(START).await.unwrap();
    let (_, stored) = store.list(KEYRINGS, None, 10).await.unwrap().remove(0);
    let entry = Record::decode(&stored).unwrap().entries.remove(0);
    let private = keyring.seal.open(&super::sealed_for("test"), entry.kid.as_bytes(), &entry.sealed).unwrap();
    assert!(!stored.windows(32).any(|window| window == &private.expose()[..32]));
    assert!(!format!("{keys:?}").contains("seed"));
    assert!(Record::decode(&[2]).is_err() && Record::decode(&[]).is_err());
}

#[tokio::test]
async fn whoever_verifies_makes_no_key_and_takes_none_away() {
    let clock = Arc::new(ManualClock::new(START));
    let store = Arc::new(TestStore::new(clock));
    let terms = KeyringTerms {
        purpose: "test",
        algorithm: Algorithm::Ed25519,
        rotate_every: 30 * DAY,
        publish_before: HOUR,
        retain: DAY,
    };
    let seal = || SealKey::new(Secret::new([1; 32]));
    let keyring = || Keyring::new(store.clone(), seal(), Arc::new(SystemRandom), terms);
    let (here, there) = (keyring(), keyring());
    assert!(here.look(START).await.unwrap().is_none());
    assert_eq!(store.writes(), 0);
    let first = here.keys(START).await.unwrap();
    let token = first.sign("JWT", &json!({})).unwrap();
    let turn = START.plus(HOUR);
    here.rotate(START).await.unwrap();
    store.writes();
    for (now, holds) in [(START, true), (turn, true), (turn.plus(DAY), false), (turn.plus(365 * DAY), false)]
    {
        let keys = there.look(now).await.unwrap().unwrap();
        assert_eq!(is_good(&keys, &token), holds, "at {now}");
    }
    assert_eq!(store.writes(), 0);
    let keys = there.look(turn).await.unwrap().unwrap();
    assert!(is_good(&keys, &token), "whatever was asked about another time");
    // A copy that was read to verify keeps nobody who signs from making the next key.
    let due = turn.plus(30 * DAY);
    assert_eq!(there.look(due).await.unwrap().unwrap().states().len(), 1);
    assert_eq!(there.keys(due).await.unwrap().states().len(), 2);
    assert_eq!(store.writes(), 1);
}
