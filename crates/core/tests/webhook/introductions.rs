//! What may go wrong with an introduction: then no key is kept, and a token that was made for one is
//! never a one-shot.

use countersign::schemes::webhook::signer::Requester;
use countersign::testing::NOW;

use crate::by_hand::{INTRODUCTION, IntroductionByHand, KeyCallByHand};
use crate::world::{ALICE, Call, World, post};

const SOON: u64 = NOW.as_secs() + 600;

/// The key of [`crate::by_hand`] is not kept as Alice's.
async fn assert_no_key_was_kept(world: &World) {
    let call = KeyCallByHand::new(ALICE, NOW).sign(Call::get("/orders"));
    assert_eq!(world.answer(&call).await, "401 webhook_key_unknown");
}

#[tokio::test]
async fn eves_key_in_the_place_of_alices_is_not_what_the_token_is_bound_to() {
    let world = World::new();
    let call = world.proven(&world.alice, Call::get("/orders")).await;
    let expires = call.header("webhook-key").strip_prefix("exp=").unwrap().parse().unwrap();
    let swapped = IntroductionByHand::until(expires).sign(call.without(&INTRODUCTION));
    assert_eq!(world.answer(&swapped).await, "401 webhook_denied");
    assert_eq!(world.asked(), 1);
    assert_no_key_was_kept(&world).await;
}

#[tokio::test]
async fn an_introduction_beside_a_plain_token_is_none() {
    let world = World::new();
    let alice = world.api(ALICE, Requester::without_keys);
    let call = world.proven(&alice, Call::get("/orders")).await;
    let added = IntroductionByHand::until(SOON).sign(call);
    assert_eq!(world.answer(&added).await, "401 webhook_denied");
    assert_no_key_was_kept(&world).await;
}

#[tokio::test]
async fn a_token_that_is_bound_to_a_key_needs_the_key() {
    let world = World::new();
    let call = world.proven(&world.alice, Call::get("/orders")).await.without(&INTRODUCTION);
    assert_eq!(world.answer(&call).await, "401 webhook_denied");
    assert_eq!(world.asked(), 1);
}

#[tokio::test]
async fn an_introduction_signs_the_request_the_credential_and_the_key_or_nobody_is_asked() {
    let world = World::new();
    let good = IntroductionByHand::until(SOON);
    for uncovered in [
        "@method",
        "@scheme",
        "@authority",
        "@path",
        "@query",
        "content-type",
        "content-digest",
        "authorization",
        "signature-key",
        "webhook-key",
    ] {
        let by_hand = IntroductionByHand { uncovered, ..good.clone() };
        let call = by_hand.prove(&world.alice, post("/orders", "one order"), NOW).await;
        assert_eq!(world.answer(&call).await, "401 signature_coverage", "{uncovered}");
    }
    assert_eq!(world.asked(), 0);
    let call = good.prove(&world.alice, post("/orders", "one order"), NOW).await;
    assert_eq!(world.answer(&call).await, "200");
}

#[tokio::test]
async fn an_introduction_that_was_changed_does_not_verify_and_nobody_is_asked() {
    let world = World::new();
    let alice = world.api(ALICE, |alice| alice.limited_to("orders:read"));
    let call = world.proven(&alice, post("/orders?id=1", "one order")).await;
    let other = world.proven(&alice, post("/orders?id=1", "one order")).await;
    let with = |name: &'static str, value: &str| call.clone().without(&[name]).with(name, value);
    let terms = call.header("webhook-key");
    for (what, changed) in [
        ("scope", with("webhook-key", &terms.replace("orders:read", "orders:write"))),
        ("expiry", with("webhook-key", &terms.replace("exp=1", "exp=2"))),
        ("credential", with("authorization", other.header("authorization"))),
        ("key", with("signature-key", &IntroductionByHand::until(SOON).signature_key)),
        ("query", Call { target: "https://bob.example/orders?id=2".parse().unwrap(), ..call.clone() }),
    ] {
        assert_eq!(world.answer(&changed).await, "401 signature_invalid", "{what}");
    }
    assert_eq!(world.asked(), 0);
    assert_eq!(world.answer(&call).await, "200");
}

#[tokio::test]
async fn terms_that_are_signed_anew_are_not_what_the_token_is_bound_to() {
    let world = World::new();
    let narrow = IntroductionByHand::until(SOON).limited_to("orders:read");
    for wider in
        [IntroductionByHand::until(SOON), IntroductionByHand::until(SOON + 1).limited_to("orders:read")]
    {
        let call = narrow.prove(&world.alice, Call::get("/orders"), NOW).await;
        let resigned = wider.sign(call.without(&INTRODUCTION));
        assert_eq!(world.answer(&resigned).await, "401 webhook_denied", "{}", wider.webhook_key);
        assert_no_key_was_kept(&world).await;
    }
}

#[tokio::test]
async fn a_request_that_is_signed_anew_is_not_what_the_token_is_bound_to() {
    let world = World::new();
    let by_hand = IntroductionByHand::until(SOON);
    let change: [fn(Call) -> Call; 3] = [
        |call| Call { target: "https://bob.example/orders?id=2".parse().unwrap(), ..call },
        |call| Call { method: http::Method::DELETE, ..call },
        |call| {
            let other = "sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:";
            call.without(&["content-digest"]).with("content-digest", other)
        },
    ];
    for change in change {
        let call = by_hand.prove(&world.alice, post("/orders?id=1", "one order"), NOW).await;
        let resigned = by_hand.sign(change(call.without(&INTRODUCTION)));
        assert_eq!(world.answer(&resigned).await, "401 webhook_denied");
        assert_no_key_was_kept(&world).await;
    }
}

#[tokio::test]
async fn an_introduction_with_another_body_is_refused_and_its_key_not_kept() {
    let world = World::new();
    let call = IntroductionByHand::until(SOON);
    let call = call.prove(&world.alice, post("/orders", "one order"), NOW).await;
    for other in ["another order", ""] {
        let swapped = Call { body: other.into(), ..call.clone() };
        assert_ne!(world.answer(&swapped).await, "200", "{other:?}");
        assert_no_key_was_kept(&world).await;
    }
}

#[tokio::test]
async fn an_introduction_that_has_ended_passes_once_and_leaves_no_key() {
    let world = World::new();
    let call = IntroductionByHand::until(NOW.as_secs());
    let call = call.prove(&world.alice, Call::get("/orders"), NOW).await;
    assert_eq!(world.answer(&call).await, "200");
    assert_no_key_was_kept(&world).await;
}

#[tokio::test]
async fn a_key_or_terms_that_cannot_be_read_are_refused_and_nobody_is_asked() {
    let world = World::new();
    let good = IntroductionByHand::until(SOON);
    let keyed = |signature_key: String| IntroductionByHand { signature_key, ..good.clone() };
    let termed = |terms: &str| IntroductionByHand { webhook_key: terms.to_owned(), ..good.clone() };
    let key = &good.signature_key;
    for by_hand in [
        keyed(key.replace("cb=", "other=")),
        keyed(key.replace("hwk", "jwk")),
        keyed(key.replace("OKP", "EC")),
        keyed(key.replace("Ed25519", "X25519")),
        keyed(key.replace("x=\"", "x=\"AA")),
        keyed(key.replace("x=\"", "y=\"")),
        keyed("\"".to_owned()),
        termed("exp=-1"),
        termed("exp=\"1\""),
        termed("scope=\"a\""),
        termed(&format!("exp={SOON}, scope=a")),
        termed(&format!("exp={SOON}, scope")),
    ] {
        let call = by_hand.prove(&world.alice, Call::get("/orders"), NOW).await;
        let (key, terms) = (&by_hand.signature_key, &by_hand.webhook_key);
        assert_eq!(world.answer(&call).await, "400 credential_malformed", "{key} {terms}");
    }
    let call = good.prove(&world.alice, Call::get("/orders"), NOW).await;
    for name in ["signature-key", "webhook-key"] {
        let without = call.clone().without(&[name]);
        assert_eq!(world.answer(&without).await, "400 credential_malformed", "{name}");
    }
    let input = call.header("signature-input").replace("cb=", "cc=");
    let signature = call.header("signature").replace("cb=", "cc=");
    let twice = call.clone().with("signature-input", &input).with("signature", &signature);
    assert_eq!(world.answer(&twice).await, "400 credential_ambiguous");
    assert_eq!(world.asked(), 0);
    assert_eq!(world.answer(&call).await, "200");
}
