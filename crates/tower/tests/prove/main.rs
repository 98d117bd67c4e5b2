//! The client layer: Alice's client proves each request to Bob, whose API is guarded by the gate and
//! asks Alice's endpoint. All of it in-process; the wire between them keeps what was sent.

mod world;

use countersign::testing::NOW;
use std::sync::Mutex;

use axum::Router;
use axum::body::Body as AxumBody;
use countersign::Timestamp;
use countersign::schemes::webhook::Algorithm;
use countersign::schemes::webhook::signer::{self, OutgoingBody};
use countersign::schemes::webhook::wire::{CHALLENGE, OFFER};
use countersign_tower::{Claimant, ProveError};
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use http_body::Frame;
use http_body_util::BodyExt as _;
use serde_json::json;
use tower::{Layer as _, Service as _, ServiceExt as _};

use world::{BOB, Pieces, World, call, seen_by_bob, send};

const INTRODUCED: [&str; 7] = [
    "accept",
    "authorization",
    "content-digest",
    "signature",
    "signature-input",
    "signature-key",
    "webhook-key",
];
const SIGNED: [&str; 5] = ["accept", "content-digest", "signature", "signature-agent", "signature-input"];

#[tokio::test]
async fn the_first_call_is_asked_about_and_the_next_are_signed() {
    let world = World::new();
    let mut client = world.client();
    for _ in 0..3 {
        assert_eq!(seen_by_bob(&mut client, call("one")).await["body"], json!(["one"]));
    }
    assert_eq!(world.questions(), 1);
    assert_eq!(world.sent(), [&INTRODUCED[..], &SIGNED, &SIGNED]);
}

#[tokio::test]
async fn clones_of_a_client_share_what_was_learnt() {
    let world = World::new();
    let client = world.client();
    for _ in 0..2 {
        seen_by_bob(&mut client.clone(), call("one")).await;
    }
    assert_eq!(world.questions(), 1);
}

#[tokio::test]
async fn the_handler_sees_none_of_the_proof() {
    let world = World::new();
    let mut client = world.client();
    for _ in 0..2 {
        let saw = seen_by_bob(&mut client, call("one")).await;
        assert_eq!(saw["headers"], json!(["accept", "content-digest"]));
    }
    let saw = seen_by_bob(&mut client, call(Pieces::of_unknown_length(&["one"]))).await;
    assert_eq!(saw["headers"], json!(["accept"]));
}

#[tokio::test]
async fn a_permitted_response_says_what_is_taken_and_a_refusal_asks_for_it() {
    let world = World::new();
    let mut client = world.client();
    for _ in 0..2 {
        let (status, headers, _) = send(&mut client, call("one")).await;
        assert_eq!(status, StatusCode::OK);
        let said: Vec<_> = headers.get_all("authentication-info").iter().collect();
        assert_eq!(said, ["nextnonce=\"the application's own\"", OFFER]);
        assert!(!headers.contains_key(WWW_AUTHENTICATE));
    }
    let router = world.wire.router.lock().unwrap().clone();
    let (parts, _) = router.oneshot(call("one")).await.unwrap().into_parts();
    assert_eq!(parts.status, StatusCode::UNAUTHORIZED);
    assert_eq!(parts.headers[WWW_AUTHENTICATE], CHALLENGE);
    assert!(!parts.headers.contains_key("authentication-info"));
}

#[tokio::test]
async fn a_key_that_was_forgotten_is_introduced_again_within_the_same_call() {
    let world = World::new();
    let mut client = world.client();
    seen_by_bob(&mut client, call("one")).await;
    world.start_bob();
    let saw = seen_by_bob(&mut client, call("two")).await;
    assert_eq!((&saw["body"], world.questions()), (&json!(["two"]), 2));
    // The second attempt begins with the caller's own headers: nothing of the first one is left.
    assert_eq!(world.sent(), [&INTRODUCED[..], &SIGNED, &INTRODUCED]);
}

#[tokio::test]
async fn what_the_caller_sent_itself_survives_a_second_attempt() {
    let world = World::new();
    let mut client = world.client();
    seen_by_bob(&mut client, call("one")).await;
    world.start_bob();
    let mut request = call(AxumBody::new(Pieces::known(&["on", "e"])));
    request.headers_mut().append("x-own", HeaderValue::from_static("1"));
    request.headers_mut().append("x-own", HeaderValue::from_static("2"));
    let saw = seen_by_bob(&mut client, request).await;
    assert_eq!(saw["body"], json!(["one"]));
    let sent = world.wire.sent.lock().unwrap();
    for attempt in &sent[1..] {
        assert_eq!(attempt.get_all("x-own").iter().collect::<Vec<_>>(), ["1", "2"]);
    }
    assert_eq!(sent.len(), 3);
}

#[tokio::test]
async fn what_the_application_refuses_after_the_permit_is_not_sent_again() {
    let world = World::new();
    let mut client = world.client();
    for sent in 1..4 {
        let request = Request::post("https://bob.example/unwell").body(AxumBody::from("one")).unwrap();
        assert_eq!(send(&mut client, request).await.0, StatusCode::BAD_REQUEST);
        assert_eq!((world.sent().len(), world.questions()), (sent, 1));
    }
}

#[tokio::test]
async fn a_receiver_that_wants_another_hash_gets_it_at_the_second_attempt() {
    let world = World::new();
    let challenge = [(WWW_AUTHENTICATE, "Webhook alg=\"bcrypt\"")];
    world.answer_by(Router::new().fallback(async move || (StatusCode::BAD_REQUEST, challenge)));
    let alice = world.alice().hashing_first_by(Algorithm::Sha256);
    let (status, ..) = send(&mut world.layer(alice).layer(world.wire.clone()), call("one")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let sent = world.wire.sent.lock().unwrap();
    let hashes: Vec<_> = sent.iter().map(|headers| headers[AUTHORIZATION].to_str().unwrap()).collect();
    assert_eq!(hashes.len(), 2);
    assert!(hashes[0].contains(" sha-256.") && hashes[1].contains(" $2b$"), "{hashes:?}");
}

#[tokio::test]
async fn a_streaming_body_comes_through_in_pieces_and_is_proven_by_a_question() {
    let world = World::new();
    let mut client = world.client();
    seen_by_bob(&mut client, call("introduces a key")).await;
    for asked in 2..4 {
        let saw = seen_by_bob(&mut client, call(Pieces::of_unknown_length(&["one", "two"]))).await;
        assert_eq!((&saw["body"], world.questions()), (&json!(["one", "two"]), asked));
    }
    assert_eq!(world.sent()[1..], [["accept", "authorization"]; 2]);
}

#[tokio::test]
async fn a_body_is_read_up_to_the_limit_and_streams_beyond() {
    let world = World::new();
    let mut client = world.layer(world.alice()).body_limit(6).layer(world.wire.clone());
    let pieces = |pieces: &[&'static str]| call(AxumBody::new(Pieces::known(pieces)));
    assert_eq!(seen_by_bob(&mut client, pieces(&["123", "456"])).await["body"], json!(["123456"]));
    assert_eq!(seen_by_bob(&mut client, pieces(&["123", "4567"])).await["body"], json!(["123", "4567"]));
    assert_eq!(world.sent()[1], ["accept", "authorization"]);
}

#[tokio::test]
async fn a_request_without_a_body_is_signed_without_a_digest() {
    let world = World::new();
    let mut client = world.client();
    let get = || Request::get(BOB).body(AxumBody::empty()).unwrap();
    for _ in 0..2 {
        assert_eq!(seen_by_bob(&mut client, get()).await["body"], json!([]));
    }
    assert_eq!(world.sent()[1], ["signature", "signature-agent", "signature-input"]);
    // A length of nothing is nothing too, whatever says it.
    let nothing = call(AxumBody::new(Pieces::known(&[])));
    assert_eq!(seen_by_bob(&mut client, nothing).await["body"], json!([]));
}

/// A claimant that always believes that another attempt will do.
struct Stubborn {
    bodies: Mutex<Vec<String>>,
}

impl Claimant for Stubborn {
    type Attempt = usize;
    type Error = &'static str;

    async fn prove(
        &self,
        _: &Method,
        _: &Uri,
        headers: &mut HeaderMap,
        body: OutgoingBody<'_>,
        _: Timestamp,
    ) -> Result<usize, &'static str> {
        assert!(!headers.contains_key("proof"), "the headers are those of the caller");
        let mut bodies = self.bodies.lock().unwrap();
        headers.insert("proof", HeaderValue::from(bodies.len()));
        bodies.push(format!("{body:?}"));
        Ok(bodies.len())
    }

    fn learn(&self, attempt: &usize, status: StatusCode, headers: &HeaderMap, now: Timestamp) -> bool {
        assert_eq!(*attempt, self.bodies.lock().unwrap().len());
        assert_eq!(
            (status, &headers["x-answer"], now),
            (StatusCode::IM_A_TEAPOT, &HeaderValue::from(1), NOW)
        );
        true
    }
}

#[tokio::test]
async fn nothing_is_sent_a_third_time_and_what_streams_not_a_second_time() {
    let world = World::new();
    world.answer_by(Router::new().fallback(async || (StatusCode::IM_A_TEAPOT, [("x-answer", "1")])));
    let layer = world.layer(Stubborn { bodies: Mutex::default() });
    let mut client = layer.layer(world.wire.clone());
    for (body, sent) in [
        (AxumBody::from("one"), 2),
        (AxumBody::empty(), 4),
        (Pieces::of_unknown_length(&["one"]), 5),
        (AxumBody::from("x".repeat(1024 * 1024)), 7),
        (AxumBody::from("x".repeat(1024 * 1024 + 1)), 8),
    ] {
        assert_eq!(send(&mut client, call(body)).await.0, StatusCode::IM_A_TEAPOT);
        assert_eq!(world.sent().len(), sent);
    }
}

#[tokio::test]
async fn trailers_are_sent_after_a_body_that_was_read() {
    let world = World::new();
    let trailers_of = async |body: AxumBody| {
        let trailers = body.collect().await.unwrap().trailers().cloned().unwrap_or_default();
        (StatusCode::IM_A_TEAPOT, [("x-answer", "1")], trailers.contains_key("checksum").to_string())
    };
    world.answer_by(Router::new().fallback(trailers_of));
    let mut client = world.layer(Stubborn { bodies: Mutex::default() }).layer(world.wire.clone());
    for pieces in [&["on", "e"][..], &[]] {
        let mut body = Pieces::known(pieces);
        let trailers = [(http::HeaderName::from_static("checksum"), HeaderValue::from_static("1"))];
        body.left.push_back(Ok(Frame::trailers(trailers.into_iter().collect())));
        assert_eq!(send(&mut client, call(AxumBody::new(body))).await.2, json!(true));
    }
    assert_eq!(world.sent().len(), 4);
}

#[tokio::test]
async fn whoever_has_no_layers_sends_with_the_same_step() {
    let world = World::new();
    let layer = world.layer(world.alice());
    let mut wire = world.wire.clone();
    for _ in 0..2 {
        let response = layer.send(&mut wire, call("one")).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    }
    assert_eq!(world.questions(), 1);
}

#[tokio::test]
async fn what_cannot_be_proven_or_read_is_not_sent_and_a_client_that_fails_says_so() {
    let world = World::new();
    let mut client = world.client();
    let relative = Request::get("/orders").body(AxumBody::empty()).unwrap();
    let error = client.ready().await.unwrap().call(relative).await.unwrap_err();
    assert!(matches!(&error, ProveError::Prove(signer::ProveError::Target(path)) if path == "/orders"));
    let mut broken = Pieces::known(&["one"]);
    broken.left.push_back(Err("gone"));
    let error = client.ready().await.unwrap().call(call(AxumBody::new(broken))).await.unwrap_err();
    assert!(matches!(&error, ProveError::Body(error) if error.to_string() == "gone"), "{error:?}");
    assert_eq!(world.sent().len(), 0);
    let nowhere = Request::get("https://bob.example/nowhere").body(AxumBody::empty()).unwrap();
    let error = client.ready().await.unwrap().call(nowhere).await.unwrap_err();
    assert!(matches!(error, ProveError::Client("unreachable")));
    assert_eq!(world.sent().len(), 1);
}
