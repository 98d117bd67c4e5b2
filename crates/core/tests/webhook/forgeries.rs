//! What Eve tries, with what she can read, forge, relay and repeat. After each attempt Alice's own
//! request still passes: nothing of hers was burned.

use std::sync::Arc;

use countersign::crypto::SystemRandom;
use countersign::schemes::webhook::signer::Requester;
use countersign::schemes::webhook::wire::Question;
use countersign::schemes::webhook::{Algorithm, Token, TokenHash};
use countersign::testing::response;
use tokio::task::JoinSet;

use crate::world::{ALICE, Call, Calling as _, EVE, World, post};

#[tokio::test]
async fn alice_is_believed_after_one_question() {
    let world = World::new();
    let call = world.proven(&world.alice, post("/orders?id=1", "one order")).await;
    let verdict = world.decide(&world.rule(), &call).await;
    let decision = verdict.decision().to_json();
    assert_eq!(decision["outcome"], "permit");
    assert_eq!(decision["subject"], format!("webhook:{ALICE}"));
    assert_eq!(decision["scheme"], "webhook");
    let [question] = &world.internet.asked()[..] else { panic!("one question") };
    let asked = Question { hash: call.hash().to_owned(), url: "https://bob.example/orders".into() };
    assert_eq!(question.body, asked.encode());
    assert_eq!((question.method.as_str(), question.url.to_string()), ("POST", ALICE.to_owned()));
    assert_eq!(question.headers.get("content-type").unwrap(), "application/json");
    assert_eq!((question.timeout.as_secs(), question.max_bytes), (2, 8192));
}

#[tokio::test]
async fn eve_naming_alices_url_is_denied_for_alice_never_gave_out_that_hash() {
    let world = World::listing(&["https://alice.example", EVE]);
    let genuine = world.proven(&world.alice, Call::get("/orders")).await;
    let eves = world.proven(&world.eve, Call::get("/orders")).await;
    let forged = Call::get("/orders").naming(ALICE, eves.hash());
    assert_eq!(world.answer(&forged).await, "401 webhook_denied");
    assert_eq!(world.asked(), 1, "Alice was asked");
    assert_eq!(world.answer(&genuine).await, "200");
}

#[tokio::test]
async fn eve_naming_herself_is_not_listed_and_nobody_is_dialled() {
    let world = World::new();
    let eves = world.proven(&world.eve, Call::get("/orders")).await;
    assert_eq!(world.answer(&eves).await, "403 webhook_caller");
    for url in ["https://alice.example/", "https://alice.example.eve.example/.well-known/webhook-auth"] {
        let call = Call::get("/orders").naming(url, eves.hash());
        assert_eq!(world.answer(&call).await, "403 webhook_caller", "{url}");
    }
    assert_eq!(world.asked(), 0);
}

#[tokio::test]
async fn a_hash_that_alice_gave_to_eve_opens_nothing_at_bob_and_is_still_eves_to_ask_about() {
    let world = World::new();
    let genuine = world.proven(&world.alice, Call::get("/orders")).await;
    let to_eve = world.proven(&world.alice, Call::get("/orders").to_host("eve.example")).await;
    let relayed = Call { target: genuine.target.clone(), ..to_eve.clone() };
    let bare = Call::get("/orders").naming(ALICE, to_eve.hash());
    assert_eq!(world.answer(&bare).await, "401 webhook_denied");
    assert_eq!(world.asked(), 1, "Alice was asked, and refused");
    assert_eq!(world.answer(&relayed).await, "401 signature_invalid", "it was signed for eve.example");
    assert_eq!(world.answer(&genuine).await, "200");
    let question = Question { hash: to_eve.hash().to_owned(), url: "https://eve.example/orders".into() };
    for given in [true, false] {
        let token = world.alice.tokens().redeem(&question).await.unwrap();
        assert_eq!(token.is_some(), given, "once");
    }
}

#[tokio::test]
async fn a_wrong_url_is_given_nothing_and_burns_nothing() {
    let world = World::new();
    let call = world.proven(&world.alice, Call::get("/orders")).await;
    for url in ["https://eve.example/orders", "https://bob.example/", "https://bob.example/orders/1", ""] {
        let question = Question { hash: call.hash().to_owned(), url: url.to_owned() };
        assert!(world.alice.tokens().redeem(&question).await.unwrap().is_none(), "{url}");
    }
    assert_eq!(world.answer(&call).await, "200");
}

#[tokio::test]
async fn one_token_proves_one_request() {
    let world = World::new();
    let call = world.proven(&world.alice, Call::get("/orders")).await;
    assert_eq!(world.answer(&call).await, "200");
    assert_eq!(world.answer(&call).await, "401 webhook_denied");
    assert_eq!(world.asked(), 2);
}

#[tokio::test]
async fn a_token_for_one_path_opens_no_other() {
    let world = World::new();
    let call = world.proven(&world.api(ALICE, Requester::without_keys), Call::get("/orders")).await;
    let moved = Call { target: "https://bob.example/admin".parse().unwrap(), ..call.clone() };
    assert_eq!(world.answer(&moved).await, "401 webhook_denied");
    assert_eq!(world.answer(&call).await, "200");
}

#[tokio::test]
async fn of_64_requests_at_once_with_one_header_one_passes_and_one_asks() {
    let world = Arc::new(World::new());
    world.internet.set_lag(8);
    let call = world.proven(&world.alice, Call::get("/orders")).await;
    let mut tasks = JoinSet::new();
    for _ in 0..64 {
        let (world, call) = (world.clone(), call.clone());
        tasks.spawn(async move { world.answer(&call).await });
    }
    assert_one_passed(tasks.join_all().await);
    assert_eq!(world.asked(), 1);
}

#[test]
fn of_64_processes_at_once_that_all_ask_about_one_header_one_passes() {
    let world = World::new();
    let run = || tokio::runtime::Builder::new_current_thread().build().unwrap();
    let call = run().block_on(world.proven(&world.alice, Call::get("/orders")));
    let ask = || {
        // A budget of its own, as another process has.
        let mut verifier = world.verifier();
        verifier.budget = Arc::default();
        run().block_on(world.answer_under(&world.rule_with(verifier, |rule| rule), &call))
    };
    let answers = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..64).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_one_passed(answers);
    assert_eq!(world.asked(), 64);
}

fn assert_one_passed(mut answers: Vec<String>) {
    answers.sort_unstable();
    assert_eq!(answers[0], "200");
    assert!(answers[1..].iter().all(|answer| answer == "401 webhook_denied"), "{answers:?}");
}

#[tokio::test]
async fn only_the_token_behind_the_hash_confirms() {
    let world = World::new();
    let token = Token::generate(&SystemRandom);
    for algorithm in [Algorithm::Sha256, Algorithm::Bcrypt] {
        let hash = TokenHash::of(&token, algorithm, &SystemRandom);
        let call = Call::get("/orders").naming(ALICE, hash.as_str());
        let others = Token::generate(&SystemRandom).reveal().to_owned();
        world.internet.put(ALICE, response(200, others));
        assert_eq!(world.answer(&call).await, "401 webhook_denied");
        world.internet.put(ALICE, response(200, token.reveal().to_owned()));
        assert_eq!(world.answer(&call).await, "200");
    }
}
