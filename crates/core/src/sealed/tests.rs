use std::sync::Arc;

use super::*;
use crate::crypto::{Algorithm, Secret, SystemRandom};
use crate::denial::Code;
use crate::issuer::keyring::{Keyring, KeyringTerms};
use crate::schemes::api_key::KeyTerms;
use crate::testing::{NOW, TestStore, World};
use std::time::Duration;

type Shared = Arc<TestStore>;

const HOUR: Duration = Duration::from_secs(3600);

fn empty() -> Shared {
    World::new().store
}

fn seal(byte: u8) -> SealKey {
    SealKey::new(Secret::new([byte; 32]))
}

async fn checked(store: &Shared, byte: u8) -> Result<Found, SealMismatch> {
    check(store, &seal(byte), &SystemRandom).await
}

/// Makes the signing key of `purpose`, as the first request would that needs one.
async fn sign(store: &Shared, purpose: &'static str, byte: u8) -> Result<(), Code> {
    let terms = KeyringTerms {
        purpose,
        algorithm: Algorithm::Ed25519,
        rotate_every: 30 * 24 * HOUR,
        publish_before: HOUR,
        retain: HOUR,
    };
    let keyring = Keyring::new(store.clone(), seal(byte), Arc::new(SystemRandom), terms);
    keyring.keys(NOW).await.map(drop).map_err(|denial| denial.code())
}

async fn secret(store: &Shared, byte: u8) -> KeyId {
    let secret = Secret::new(vec![9; 32]);
    let terms = KeyTerms { label: "partner".into(), ..KeyTerms::default() };
    let registry = KeyRegistry::new(store.clone());
    registry.add_hmac(&secret, &seal(byte), terms, NOW, &SystemRandom).await.unwrap().id
}

#[tokio::test]
async fn a_new_store_takes_the_first_key_and_no_other() {
    let store = empty();
    assert_eq!(checked(&store, 1).await.unwrap(), Found::Empty);
    assert_eq!(checked(&store, 1).await.unwrap(), Found::Known);
    assert!(matches!(checked(&store, 2).await, Err(SealMismatch::Other)));
    assert_eq!(checked(&store, 1).await.unwrap(), Found::Known, "the right one still helps");
}

#[tokio::test]
async fn a_store_from_before_is_judged_by_whatever_is_sealed_in_it() {
    for purpose in PURPOSES {
        let store = empty();
        sign(&store, purpose, 1).await.unwrap();
        assert!(matches!(checked(&store, 2).await, Err(SealMismatch::Other)), "{purpose}");
        assert_eq!(checked(&store, 1).await.unwrap(), Found::Known, "{purpose}");
    }
    let store = empty();
    secret(&store, 1).await;
    assert!(matches!(checked(&store, 2).await, Err(SealMismatch::Other)));
    assert_eq!(checked(&store, 1).await.unwrap(), Found::Known);
    assert!(matches!(checked(&store, 2).await, Err(SealMismatch::Other)));
}

#[tokio::test]
async fn keys_that_nothing_seals_make_a_store_known_and_choose_no_key() {
    let store = empty();
    let terms = KeyTerms { label: "first".into(), ..KeyTerms::default() };
    KeyRegistry::new(store.clone()).create(terms, NOW, &SystemRandom).await.unwrap();
    assert_eq!(checked(&store, 1).await.unwrap(), Found::Known);
}

#[tokio::test]
async fn a_store_that_two_keys_sealed_says_what_each_does_not_open_and_gives_it_up() {
    let store = empty();
    let partner = secret(&store, 1).await;
    // The wrong key was there for a while, and an assertion was signed.
    sign(&store, "assertion", 2).await.unwrap();
    assert_eq!(sign(&store, "assertion", 1).await, Err(Code::KeysUnavailable), "the right key does not help");
    let Err(SealMismatch::Some(found)) = checked(&store, 1).await else { panic!("it must be refused") };
    assert!(matches!(found.signing[..], [("assertion", _)]) && found.secrets.is_empty(), "{found}");
    let Err(SealMismatch::Some(other)) = checked(&store, 2).await else { panic!("it must be refused") };
    assert!(other.signing.is_empty() && other.secrets == [partner], "{other}");
    assert_eq!(closed(&store, &seal(1)).await.unwrap(), found);

    assert_eq!(give_up_closed(&store, &seal(1), &SystemRandom, NOW).await.unwrap(), found);
    assert_eq!(checked(&store, 1).await.unwrap(), Found::Known);
    sign(&store, "assertion", 1).await.unwrap();
    let record = KeyRegistry::new(store.clone()).list().await.unwrap().remove(0);
    assert!(record.verifying_key(Some(&seal(1))).is_ok() && record.revoked.is_none());
}

#[tokio::test]
async fn who_lost_the_key_for_good_begins_with_another_and_loses_what_was_sealed() {
    let store = empty();
    checked(&store, 1).await.unwrap();
    let partner = secret(&store, 1).await;
    for purpose in PURPOSES {
        sign(&store, purpose, 1).await.unwrap();
    }
    let lost = give_up_closed(&store, &seal(2), &SystemRandom, NOW).await.unwrap();
    assert_eq!((lost.signing.len(), &lost.secrets[..]), (3, &[partner][..]));
    assert_eq!(checked(&store, 2).await.unwrap(), Found::Known);
    assert!(matches!(checked(&store, 1).await, Err(SealMismatch::Other)));
    for purpose in PURPOSES {
        sign(&store, purpose, 2).await.unwrap();
    }
    let record = KeyRegistry::new(store.clone()).list().await.unwrap().remove(0);
    assert_eq!(record.revoked, Some(NOW), "a secret that verifies nothing is not listed as one that does");
    assert!(give_up_closed(&store, &seal(2), &SystemRandom, NOW).await.unwrap().is_empty());
}
