//! What a dump of the store opens: nothing.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::schemes::session::handshakes::{HANDSHAKES, HANDSHAKES_GIVEN};
use countersign::schemes::session::{Half, SESSIONS, USER_EMAILS, USER_SESSIONS, USERS};
use countersign::store::Inventory;
use countersign::testing::{NOW, seal_key};

use crate::world::{EMAIL, Halved as _, PASSWORD, World, bare, passwords, with_both};
use countersign::schemes::session::password::Password;

/// Everything in the store: identifiers and values.
async fn dump(world: &World) -> Vec<Vec<u8>> {
    let mut parts = Vec::new();
    for space in [SESSIONS, USER_SESSIONS, USERS, USER_EMAILS, HANDSHAKES, HANDSHAKES_GIVEN] {
        let entries = world.store.list(space, None, 1_000).await.unwrap();
        assert!(!entries.is_empty(), "{} is part of the dump", space.name());
        for (id, value) in entries {
            parts.push(id.as_bytes().to_vec());
            parts.push(value.to_vec());
        }
    }
    parts
}

#[tokio::test]
async fn a_dump_of_the_store_opens_nothing_tried_string_by_string() {
    let (world, halves) = World::signed_in().await;
    let handshake = world.handshake(&halves).await;
    let parts = dump(&world).await;

    let mut secrets = BTreeSet::new();
    for part in &parts {
        secrets.extend(part.windows(32).map(|bytes| URL_SAFE_NO_PAD.encode(bytes)));
        secrets.extend(part.windows(43).filter_map(|text| String::from_utf8(text.to_vec()).ok()));
    }
    let secrets: Vec<Half> = secrets.iter().filter_map(|text| Half::parse(text.as_bytes())).collect();
    assert!(secrets.len() > 100, "{} candidates", secrets.len());
    for tried in &secrets {
        let as_cookie = bare("GET").cookie(tried).token(&halves.token);
        let as_token = bare("GET").cookie(&halves.cookie).token(tried);
        let as_handshake = with_both("POST", &halves).handshake(tried);
        for request in [as_cookie, as_token, as_handshake] {
            assert!(world.code(&request).await.is_some());
        }
    }
    assert_eq!(world.code(&with_both("POST", &halves).handshake(&handshake)).await, None, "the real ones do");
}

#[tokio::test]
async fn no_string_of_a_dump_is_a_password_and_a_right_guess_shows_nothing() {
    let (world, _) = World::signed_in().await;
    let ann = world.accounts.users().list().await.unwrap().remove(0);
    let mut texts = BTreeSet::new();
    let handshake_of = world.sign_in().await.0;
    world.handshake(&handshake_of).await;
    for part in dump(&world).await {
        for printable in part.split(|byte| !(b' '..=b'~').contains(byte)).filter(|text| text.len() >= 4) {
            texts.insert(String::from_utf8(printable.to_vec()).unwrap());
        }
        texts.insert(URL_SAFE_NO_PAD.encode(&part));
        assert!(!part.windows(PASSWORD.len()).any(|window| window == PASSWORD.as_bytes()));
    }
    assert!(texts.iter().any(|text| text.contains(EMAIL)));
    for text in texts {
        if let Some(password) = Password::typed(&text) {
            assert!(!world.accounts.passwords().verify(password, Some(&ann.password)).await.unwrap());
        }
    }
    let without_the_key = passwords(&seal_key(0), world.hashed.clone());
    let right = Password::typed(PASSWORD).unwrap();
    assert!(!without_the_key.verify(right, Some(&ann.password)).await.unwrap());
}

#[tokio::test]
async fn no_decision_and_no_debug_output_holds_a_half() {
    let (world, halves) = World::signed_in().await;
    let handshake = world.handshake(&halves).await;
    let (record, now) = (world.accounts.sessions().find(&halves.cookie, NOW).await.unwrap(), world.now());
    let other = world.sign_in().await.0;
    let mut shown = format!("{halves:?} {handshake:?} {record:?}");
    for request in [
        with_both("POST", &halves).handshake(&handshake),
        with_both("POST", &halves).handshake(&handshake),
        with_both("POST", &halves),
        bare("GET").cookie(&halves.cookie).token(&other.token),
        bare("GET").cookie(&halves.cookie),
        bare("GET").token(&halves.token),
    ] {
        shown += &format!("{:?} {:?}", request.view(now), world.decide(&request).await.decision());
    }
    for secret in [&halves.cookie, &halves.token, &handshake, &other.token] {
        assert!(!shown.contains(secret.reveal().expose()));
    }
}
