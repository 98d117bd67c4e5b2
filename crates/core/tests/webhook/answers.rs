//! What may stand at a webhook URL, and what a credential may look like: everything that is not exact
//! is refused, and most of it before anybody is dialled.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::crypto::sha256;
use countersign::fetch::FetchError;
use countersign::schemes::webhook::Algorithm;
use countersign::schemes::webhook::wire::CHALLENGE;
use countersign::testing::{NOW, response};
use countersign::{Carrier, Challenge, Workers};

use crate::by_hand::KeyCallByHand;
use crate::world::{ALICE, Call, Calling as _, World, connect};

/// In the form of a hash; nobody has its token.
const HASH: &str = "sha-256.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

#[tokio::test]
async fn whatever_is_no_token_confirms_nothing_even_if_it_hashes_to_the_hash() {
    let world = World::new();
    let bound = format!("{}.{}", "b".repeat(22), "c".repeat(43));
    for body in [
        String::new(),
        "OK".into(),
        "{\"status\":\"up\"}".into(),
        "<!doctype html><title>Welcome</title>".into(),
        HASH.into(),
        format!("{{\"hash\":\"{HASH}\",\"url\":\"https://bob.example/orders\"}}"),
        "a".repeat(73),
        "a".repeat(66),
        "a".repeat(42),
        format!("{}\n", "a".repeat(43)),
        bound,
    ] {
        let hash = format!("sha-256.{}", URL_SAFE_NO_PAD.encode(sha256(body.as_bytes())));
        let call = Call::get("/orders").naming(ALICE, &hash);
        world.internet.put(ALICE, response(200, body.clone()));
        assert_eq!(world.answer(&call).await, "401 webhook_denied", "{body}");
    }
}

#[tokio::test]
async fn the_token_with_another_status_confirms_nothing() {
    let world = World::new();
    let token = "a".repeat(43);
    let hash = format!("sha-256.{}", URL_SAFE_NO_PAD.encode(sha256(token.as_bytes())));
    let call = Call::get("/orders").naming(ALICE, &hash);
    for (status, answer) in [(200, "200"), (201, "401 webhook_denied"), (204, "401 webhook_denied")]
        .into_iter()
        .chain([301, 302, 307, 400, 401, 403, 404, 500, 503].map(|status| (status, "401 webhook_denied")))
    {
        world.internet.put(ALICE, response(status, token.clone()));
        assert_eq!(world.answer(&call).await, answer, "{status}");
    }
}

#[tokio::test]
async fn no_answer_is_no_denial_of_alices() {
    let world = World::new();
    let genuine = world.proven(&world.alice, Call::get("/orders")).await;
    for (error, answer) in [
        (FetchError::Forbidden("10.0.0.1".into()), "403 webhook_address_forbidden"),
        (FetchError::Unreachable("refused".into()), "502 webhook_unreachable"),
        (FetchError::Timeout(Duration::from_secs(2)), "504 webhook_timeout"),
        (FetchError::TooLarge(8192), "401 webhook_denied"),
    ] {
        world.internet.put_error(ALICE, error);
        assert_eq!(world.answer(&genuine).await, answer);
    }
    connect(&world.internet, &world.alice);
    assert_eq!(world.answer(&genuine).await, "200");
}

#[tokio::test]
async fn both_forms_of_the_header_are_read() {
    let world = World::new();
    for form in [
        "Webhook {url} {hash}",
        "webhook hash=\"{hash}\", url=\"{url}\"",
        "Webhook url=\"{url}\",hash={hash}",
    ] {
        let api = world.api(ALICE, |alice| alice.without_keys().hashing_first_by(Algorithm::Sha256));
        let proven = world.proven(&api, Call::get("/orders")).await;
        let value = form.replace("{url}", ALICE).replace("{hash}", proven.hash());
        let call = Call::get("/orders").with("authorization", &value);
        assert_eq!(world.answer(&call).await, "200", "{form}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_before_anybody_is_dialled() {
    let world = World::new();
    let bcrypt = "Y8FP2QNi3xUqr3cIc1e/S.43dPA1/8ng2kg4cYJ.WioUZozIoW3cy";
    for (value, answer) in [
        (format!("Webhook {ALICE}"), "400 credential_malformed"),
        (format!("Webhook {ALICE} {HASH} more"), "400 credential_malformed"),
        (format!("Webhook url=\"{ALICE}\""), "400 credential_malformed"),
        ("Webhook".into(), "400 credential_malformed"),
        (format!("Webhook {ALICE} $2b$31${bcrypt}"), "400 hash_cost"),
        (format!("Webhook {ALICE} $2b$13${bcrypt}"), "400 hash_cost"),
        (format!("Webhook {ALICE} $2b$03${bcrypt}"), "400 hash_cost"),
        (format!("Webhook {ALICE} $2x$04${bcrypt}"), "400 hash_format"),
        (format!("Webhook {ALICE} md5.d41d8cd98f00b204e9800998ecf8427e"), "400 hash_format"),
        (format!("Webhook {ALICE} {HASH}A"), "400 hash_format"),
        (format!("Webhook http://alice.example/.well-known/webhook-auth {HASH}"), "400 webhook_url"),
        (format!("Webhook http://127.0.0.1/a {HASH}"), "400 webhook_url"),
        (format!("Webhook https://{}example/a {HASH}", "a.".repeat(124)), "400 webhook_url"),
        (format!("Webhook https://{}.example/a {HASH}", "a".repeat(64)), "400 webhook_url"),
        (format!("Webhook https://u:p@alice.example/.well-known/webhook-auth {HASH}"), "400 webhook_url"),
        (format!("Webhook {ALICE}?a=b {HASH}"), "400 webhook_url"),
        (format!("Webhook {ALICE}#a {HASH}"), "400 webhook_url"),
        (format!("Webhook https://alice.example:8443/.well-known/webhook-auth {HASH}"), "400 webhook_url"),
        (format!("Webhook https://alice.example:22/.well-known/webhook-auth {HASH}"), "400 webhook_url"),
        (format!("Webhook https://alice.example/../.well-known/webhook-auth {HASH}"), "400 webhook_url"),
    ] {
        let call = Call::get("/orders").with("authorization", &value);
        assert_eq!(world.answer(&call).await, answer, "{value}");
    }
    assert_eq!(world.answer(&Call::get("/orders")).await, "401 credential_missing");
    assert_eq!(world.asked(), 0);
}

/// Workers of a process that ends.
struct Ending;

impl Workers for Ending {
    fn run(&self, work: Box<dyn FnOnce() + Send>) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        drop(work);
        Box::pin(std::future::ready(()))
    }
}

#[tokio::test]
async fn bcrypt_is_computed_by_the_workers_and_sha_256_at_once() {
    let world = World::new();
    let mut verifier = world.verifier();
    verifier.workers = Arc::new(Ending);
    let rule = world.rule_with(verifier, |rule| rule);
    let by_bcrypt = world.proven(&world.alice, Call::get("/orders")).await;
    assert_eq!(world.answer_under(&rule, &by_bcrypt).await, "502 webhook_unreachable");
    let api = world.api(ALICE, |alice| alice.hashing_first_by(Algorithm::Sha256));
    let by_sha_256 = world.proven(&api, Call::get("/orders")).await;
    assert_eq!(world.answer_under(&rule, &by_sha_256).await, "200");
}

#[tokio::test]
async fn everything_that_proves_is_taken_out_before_a_request_goes_on() {
    let world = World::new();
    let carriers = world.rule().carriers().to_vec();
    let introducing = world.proven(&world.alice, Call::get("/orders")).await;
    let by_key = KeyCallByHand::new(ALICE, NOW).sign(Call::get("/orders"));
    for name in introducing.headers.keys().chain(by_key.headers.keys()) {
        assert!(carriers.contains(&Carrier::Header(name.clone())), "{name}");
    }
}

#[tokio::test]
async fn a_denial_says_how_to_ask() {
    let world = World::new();
    let verdict = world.decide(&world.rule(), &Call::get("/orders")).await;
    assert_eq!(verdict.decision().denial().unwrap().challenges(), [Challenge::new(CHALLENGE)]);
}

#[tokio::test]
async fn a_long_query_is_no_obstacle() {
    let world = World::new();
    let target = format!("/orders?{}", "a".repeat(4096));
    for by_key in [false, true] {
        let sent = world.send(&world.alice, Call::get(&target)).await;
        assert_eq!((sent.answer.as_str(), sent.by_key), ("200", by_key));
    }
}

#[tokio::test]
async fn a_hash_that_is_not_taken_is_answered_with_what_is() {
    let world = World::new();
    for hash in ["$argon2id$x", "$2b$31$Y8FP2QNi3xUqr3cIc1e/S.43dPA1/8ng2kg4cYJ.WioUZozIoW3cy"] {
        let verdict = world.decide(&world.rule(), &Call::get("/orders").naming(ALICE, hash)).await;
        let challenges = verdict.decision().denial().unwrap().challenges();
        assert_eq!(challenges, [Challenge::new(CHALLENGE)], "{hash}");
    }
}

#[tokio::test]
async fn two_credentials_are_one_too_many() {
    let world = World::new();
    let call = world.proven(&world.alice, Call::get("/orders")).await;
    let twice = call.clone().with("authorization", call.header("authorization"));
    assert_eq!(world.answer(&twice).await, "400 credential_ambiguous");
    let one_shot = Call::get("/orders").naming(ALICE, call.hash());
    let both = KeyCallByHand::new(ALICE, NOW).sign(one_shot);
    assert_eq!(world.answer(&both).await, "400 credential_ambiguous");
    assert_eq!(world.asked(), 0);
    assert_eq!(world.answer(&call).await, "200");
}
