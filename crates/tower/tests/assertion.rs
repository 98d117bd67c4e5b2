//! An axum router behind the gateway, in-process: which requests its handler sees, and as whose.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::routing::any;
use axum::{Extension, Router};
use countersign::assertion::{
    ASSERTION, Asserter, Assertion, AssertionKeys, AssertionVerifier, LIFE, Statement,
};
use countersign::crypto::SystemRandom;
use countersign::testing::{self, NOW, Nobody, TestStore, seal_key};
use countersign::time::{ManualClock, SKEW};
use countersign::{Principal, PublicUrl, Scheme, Subject};
use countersign_tower::{AssertionLayer, DECISION};
use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

const US: &str = "http://127.0.0.1:3000";

type Shared = Arc<TestStore>;

/// A gateway's asserter, and an application that believes it.
struct World {
    clock: Arc<ManualClock>,
    asserter: Asserter<Shared>,
    app: Router,
}

fn gateway() -> PublicUrl {
    PublicUrl::parse("https://api.example").unwrap()
}

/// What the handler saw.
async fn saw(
    Extension(principal): Extension<Principal>,
    Extension(assertion): Extension<Assertion>,
    request: Request<Body>,
) -> String {
    let (parts, body) = request.into_parts();
    let mut headers: Vec<_> =
        parts.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    headers.sort();
    let body = body.collect().await.unwrap().to_bytes();
    assert_eq!(assertion.principal.subject, principal.subject);
    json!({
        "subject": principal.subject,
        "headers": headers,
        "body": String::from_utf8_lossy(&body),
    })
    .to_string()
}

impl World {
    async fn new() -> Self {
        let testing::World { clock, store, .. } = testing::World::new();
        let asserter = Asserter::new(store, seal_key(1), Arc::new(SystemRandom));
        let jwks = asserter.keys(NOW).await.unwrap().jwks().to_string();
        let app = app(AssertionKeys::told(jwks.as_bytes()).unwrap(), &clock);
        Self { clock, asserter, app }
    }

    async fn assertion(&self, method: &Method, path: &str, body: Option<&[u8]>) -> HeaderValue {
        let mut alice = Principal::vouch_for(Subject::Named("key:alice".into()));
        alice.schemes.push(Scheme::Signature);
        let statement = Statement {
            gateway: &gateway(),
            audience: US,
            principal: &alice,
            method,
            target: &gateway().target(&path.parse().unwrap()),
            body,
        };
        self.asserter.assert(&statement, NOW).await.unwrap()
    }

    async fn send(&self, request: Request<Body>) -> (StatusCode, Value) {
        let response = self.app.clone().oneshot(request).await.unwrap();
        read(response).await
    }
}

fn app(keys: AssertionKeys, clock: &Arc<ManualClock>) -> Router {
    let verifier = AssertionVerifier::new(&gateway(), US, keys);
    let layer = AssertionLayer::new(gateway(), verifier, clock.clone()).max_body(16);
    Router::new().route("/{*path}", any(saw)).layer(layer)
}

async fn read(response: Response<Body>) -> (StatusCode, Value) {
    let status = response.status();
    if status == StatusCode::UNAUTHORIZED {
        assert_eq!(response.headers()[WWW_AUTHENTICATE], "Countersign-Assertion");
        assert_eq!(response.headers()["content-type"], "application/problem+json");
    }
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&bytes).unwrap())
}

fn request(method: &Method, path: &str, assertion: &HeaderValue, body: &'static str) -> Request<Body> {
    let request = Request::builder().method(method).uri(path).header(ASSERTION, assertion);
    request.body(Body::from(body)).unwrap()
}

#[track_caller]
fn refused(answer: &(StatusCode, Value), status: u16, code: &str) {
    assert_eq!((answer.0.as_u16(), answer.1["code"].as_str()), (status, Some(code)), "{answer:?}");
    assert_eq!(answer.1.get("decision"), None);
}

#[tokio::test]
async fn what_the_gateway_asserts_is_who_the_handler_sees() {
    let world = World::new().await;
    let assertion = world.assertion(&Method::POST, "/orders?page=2", Some(b"one coffee")).await;
    let mut request = request(&Method::POST, "/orders?page=2", &assertion, "one coffee");
    for (name, value) in [
        ("countersign-subject", "key:admin"),
        ("countersign-subject", "key:root"),
        ("countersign_scheme", "session"),
        ("countersign-other", "1"),
        ("accept", "*/*"),
    ] {
        request.headers_mut().append(name, HeaderValue::from_static(value));
    }
    request.headers_mut().insert(DECISION, HeaderValue::from_static("0199"));
    let (status, saw) = world.send(request).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(saw["subject"], "key:alice");
    assert_eq!(saw["body"], "one coffee");
    assert_eq!(
        saw["headers"],
        json!([
            "accept: */*",
            "countersign-decision: 0199",
            "countersign-scheme: signature",
            "countersign-subject: key:alice",
        ])
    );
}

#[tokio::test]
async fn whoever_comes_around_the_gateway_is_nobody() {
    let world = World::new().await;
    let bare = Request::builder().uri("/orders").header("countersign-subject", "key:alice");
    refused(&world.send(bare.body(Body::empty()).unwrap()).await, 401, "credential_missing");
    let stolen = world.assertion(&Method::GET, "/orders", Some(b"")).await;
    let send = |method, path, body| world.send(request(method, path, &stolen, body));
    assert_eq!(send(&Method::GET, "/orders", "").await.0, StatusCode::OK);
    refused(&send(&Method::GET, "/orders?all", "").await, 401, "token_invalid");
    refused(&send(&Method::GET, "/invoices", "").await, 401, "token_invalid");
    refused(&send(&Method::DELETE, "/orders", "").await, 401, "token_invalid");
    refused(&send(&Method::GET, "/orders", "x").await, 401, "content_digest");
    world.clock.set(NOW.plus(LIFE).plus(SKEW));
    refused(&send(&Method::GET, "/orders", "").await, 401, "token_expired");
}

#[tokio::test]
async fn a_body_that_the_assertion_names_is_read_up_to_a_limit_and_another_streams() {
    let world = World::new().await;
    let long = "seventeen letters";
    let named = world.assertion(&Method::PUT, "/a", Some(long.as_bytes())).await;
    refused(&world.send(request(&Method::PUT, "/a", &named, long)).await, 413, "body_too_large");
    let streamed = world.assertion(&Method::PUT, "/a", None).await;
    let (status, saw) = world.send(request(&Method::PUT, "/a", &streamed, long)).await;
    assert_eq!((status, &saw["body"]), (StatusCode::OK, &json!(long)));
}

#[tokio::test]
async fn without_the_gateways_keys_nobody_passes() {
    let world = World::new().await;
    let assertion = world.assertion(&Method::GET, "/a", Some(b"")).await;
    let app = app(AssertionKeys::served_by(&gateway(), Nobody), &world.clock);
    let response = app.clone().oneshot(request(&Method::GET, "/a", &assertion, "")).await.unwrap();
    assert_eq!(response.headers()["retry-after"], "10");
    refused(&read(response).await, 503, "keys_unavailable");
    world.clock.set(NOW.plus(Duration::from_secs(10)));
    let response = app.oneshot(request(&Method::GET, "/a", &assertion, "")).await.unwrap();
    refused(&read(response).await, 503, "keys_unavailable");
}
