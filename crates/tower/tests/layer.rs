//! The layer around an axum router, in-process: what it refuses, with which status, code and headers,
//! and what of a request reaches the handler.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body as AxumBody;
use axum::routing::any;
use axum::{Extension, Router};
use bytes::Bytes;
use countersign::crypto::SystemRandom;
use countersign::schemes::api_key::{ApiKeyVerifier, KeyRegistry, KeyTerms};
use countersign::testing::{self, NOW, TestStore};
use countersign::time::ManualClock;
use countersign::verifier::BodyCheck;
use countersign::{
    BodySource, Carrier, Challenge, Code, DecisionId, Denial, Gate, Policy, Principal, Proven, PublicUrl,
    RequestView, Requirement, Rule, Scheme, Subject, Verifier,
};
use countersign_tower::{GateBody, GateLayer};
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, COOKIE, DATE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, Full};
use serde_json::Value;
use tower::{Layer as _, ServiceExt as _};

const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// `Test-Proof: <body>`: proves whoever sends it, if the body is the one it names. It stands in for
/// `signature`.
struct BodyScheme;

impl Verifier for BodyScheme {
    type Credential = String;

    fn scheme(&self) -> Scheme {
        Scheme::Signature
    }

    fn carriers(&self) -> Vec<Carrier> {
        vec![Carrier::Header(HeaderName::from_static("test-proof"))]
    }

    fn extract(&self, request: &RequestView<'_>) -> Result<Option<String>, Denial> {
        request.single_header(&COOKIE)?;
        Ok(request.single_header(&HeaderName::from_static("test-proof"))?.map(str::to_owned))
    }

    fn challenge(&self) -> Option<Challenge> {
        Some(Challenge::new("Test-Proof"))
    }

    async fn verify(
        &self,
        expected: String,
        _request: &RequestView<'_>,
        _body: &mut dyn BodySource,
    ) -> Result<Proven, Denial> {
        let mut proven = Proven::outright(Principal::vouch_for(Subject::Named("key:test".into())));
        proven.body = Some(BodyCheck {
            limit: 8,
            check: Box::new(move |body| match *body == expected {
                true => Ok(None),
                false => Err(Denial::new(Code::ContentDigest, "another body")),
            }),
        });
        Ok(proven)
    }
}

/// A body that counts how many of its pieces were asked for.
struct Pieces {
    left: VecDeque<Result<&'static str, &'static str>>,
    taken: Arc<AtomicUsize>,
}

impl Pieces {
    fn body(pieces: &[Result<&'static str, &'static str>]) -> (AxumBody, Arc<AtomicUsize>) {
        let taken = Arc::new(AtomicUsize::new(0));
        (AxumBody::new(Self { left: pieces.iter().copied().collect(), taken: taken.clone() }), taken)
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        self.taken.fetch_add(1, Ordering::SeqCst);
        Poll::Ready(self.left.pop_front().map(|piece| piece.map(|text| Frame::data(Bytes::from(text)))))
    }
}

type Keys = Arc<TestStore>;

struct World {
    clock: Arc<ManualClock>,
    store: Keys,
    gate: Arc<Gate<Keys>>,
}

impl World {
    fn new() -> Self {
        let common = testing::World::new().gated(|gate| gate.with_unproven_limit("2/min".parse().unwrap()));
        Self { clock: common.clock, store: common.store, gate: Arc::new(common.gate) }
    }

    async fn key(&self, permissions: &[&str]) -> (String, String) {
        let permissions = permissions.iter().map(ToString::to_string).collect();
        let terms = KeyTerms { label: "test".into(), permissions, ..KeyTerms::default() };
        let (key, _) = KeyRegistry::new(self.store.clone()).create(terms, NOW, &SystemRandom).await.unwrap();
        (key.id.to_string(), key.reveal().expose().clone())
    }

    fn layer(&self, rule: Rule) -> GateLayer<Keys> {
        GateLayer::new(self.gate.clone(), rule, public_url())
    }

    /// A router whose every path answers with what its handler saw, if it was reached.
    fn app(&self) -> Router {
        let needs =
            |permission: &str| Policy { permissions: [permission.into()].into(), ..Policy::default() };
        let keys = || ApiKeyVerifier::new(self.store.clone(), Arc::default());
        let requiring = |scheme: &str| {
            Rule::requiring("test", Requirement::parse([scheme]).unwrap())
                .verifier(keys())
                .verifier(BodyScheme)
        };
        Router::new()
            .route("/{*path}", any(saw).layer(self.layer(requiring("api-key").build().unwrap())))
            .route(
                "/read",
                any(saw).layer(self.layer(requiring("api-key").policy(needs("read")).build().unwrap())),
            )
            .route(
                "/limited",
                any(saw)
                    .layer(self.layer(requiring("api-key").limit("1/min".parse().unwrap()).build().unwrap())),
            )
            .route(
                "/query",
                any(saw).layer(
                    self.layer(
                        Rule::requiring("query", Requirement::parse(["api-key"]).unwrap())
                            .verifier(keys().also_in_query(true))
                            .build()
                            .unwrap(),
                    ),
                ),
            )
            .route("/body", any(saw).layer(self.layer(requiring("signature").build().unwrap())))
            .route("/public", any(saw).layer(self.layer(Rule::public("public"))))
    }
}

fn public_url() -> PublicUrl {
    PublicUrl::parse("https://api.example").unwrap()
}

/// What the handler saw: method, target, headers, subject, body in pieces.
async fn saw(
    principal: Option<Extension<Principal>>,
    Extension(decision): Extension<DecisionId>,
    request: Request<AxumBody>,
) -> String {
    let (parts, mut body) = request.into_parts();
    let mut pieces = Vec::new();
    while let Some(frame) = body.frame().await {
        let data = frame.ok().and_then(|frame| frame.into_data().ok());
        pieces.push(data.map_or("broken".to_owned(), |data| String::from_utf8_lossy(&data).into_owned()));
    }
    let headers: Vec<_> =
        parts.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    serde_json::json!({
        "method": parts.method.as_str(),
        "target": parts.uri.to_string(),
        "headers": headers,
        "subject": principal.as_ref().map(|Extension(principal)| &principal.subject),
        "decision": decision.to_string(),
        "body": pieces,
    })
    .to_string()
}

fn get(path: &str) -> http::request::Builder {
    Request::get(path)
}

fn with_key(path: &str, key: &str) -> http::request::Builder {
    get(path).header(AUTHORIZATION, format!("Bearer {key}"))
}

async fn send(app: &Router, request: http::request::Builder) -> Response<Bytes> {
    send_body(app, request, AxumBody::empty()).await
}

async fn send_body(app: &Router, request: http::request::Builder, body: AxumBody) -> Response<Bytes> {
    let answer: Result<_, Infallible> = app.clone().oneshot(request.body(body).unwrap()).await;
    let (parts, body) = answer.unwrap().into_parts();
    Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
}

fn json(response: &Response<Bytes>) -> Value {
    serde_json::from_slice(response.body()).unwrap()
}

/// Asserts the exact status and code, and everything that every denial carries.
#[track_caller]
fn denied(response: &Response<Bytes>, status: u16, code: &str) {
    let problem = json(response);
    assert_eq!((response.status().as_u16(), problem["code"].as_str()), (status, Some(code)));
    assert_eq!(problem["status"], status);
    assert!(problem["title"].is_string() && problem["detail"].is_string() && problem["type"].is_string());
    assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
    assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
    assert_eq!(response.headers()[DATE], "Fri, 15 Jan 2027 08:00:00 GMT");
    assert_eq!(response.headers()["countersign-decision"], problem["decision"].as_str().unwrap());
    assert_eq!(response.headers().contains_key(WWW_AUTHENTICATE), status == 401);
    assert_eq!(response.headers().contains_key(RETRY_AFTER), matches!(status, 429 | 503));
}

#[tokio::test]
async fn a_request_without_a_credential_is_challenged() {
    let app = World::new().app();
    let refused = send(&app, get("/orders")).await;
    denied(&refused, 401, "credential_missing");
    assert_eq!(refused.headers()[WWW_AUTHENTICATE], "Bearer realm=\"api-key\"");
}

#[tokio::test]
async fn a_key_that_is_mistyped_or_unknown_is_invalid() {
    let world = World::new();
    let (_, foreign) = World::new().key(&[]).await;
    for key in ["cs_", "cs_mistyped", &foreign] {
        denied(&send(&world.app(), with_key("/orders", key)).await, 401, "key_invalid");
    }
}

#[tokio::test]
async fn two_credentials_have_no_one_reading() {
    let world = World::new();
    let (_, key) = world.key(&[]).await;
    let two_places = with_key("/orders", &key).header("x-api-key", &key);
    denied(&send(&world.app(), two_places).await, 400, "credential_ambiguous");
    let twice = with_key("/orders", &key).header(AUTHORIZATION, "Bearer other");
    denied(&send(&world.app(), twice).await, 400, "credential_ambiguous");
}

#[tokio::test]
async fn a_known_caller_without_the_permission_is_forbidden() {
    let world = World::new();
    let ((_, writer), (_, reader)) = (world.key(&["write"]).await, world.key(&["read"]).await);
    denied(&send(&world.app(), with_key("/read", &writer)).await, 403, "permission_missing");
    assert_eq!(send(&world.app(), with_key("/read", &reader)).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_subject_over_its_limit_is_told_when_to_come_back() {
    let world = World::new();
    let (_, key) = world.key(&[]).await;
    let app = world.app();
    assert_eq!(send(&app, with_key("/limited", &key)).await.status(), StatusCode::OK);
    let refused = send(&app, with_key("/limited", &key)).await;
    denied(&refused, 429, "rate_limited");
    assert_eq!(refused.headers()[RETRY_AFTER], "60");
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(send(&app, with_key("/limited", &key)).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_source_that_keeps_failing_is_refused_when_the_layer_knows_it() {
    let world = World::new();
    let rule = || {
        let keys = ApiKeyVerifier::new(world.store.clone(), Arc::default());
        Rule::requiring("test", Requirement::parse(["api-key"]).unwrap()).verifier(keys).build().unwrap()
    };
    let knows = world.layer(rule()).source(|extensions| extensions.get().copied());
    let app = Router::new().route("/orders", any(saw).layer(knows));
    let from_source = || get("/orders").extension(SOURCE);
    for _ in 0..2 {
        denied(&send(&app, from_source()).await, 401, "credential_missing");
    }
    denied(&send(&app, from_source()).await, 429, "rate_limited");
    denied(&send(&app, get("/orders")).await, 401, "credential_missing");
}

#[tokio::test]
async fn a_store_that_is_down_closes_the_gate() {
    let world = World::new();
    let (_, key) = world.key(&[]).await;
    let app = world.app();
    world.store.set_down(true);
    denied(&send(&app, with_key("/orders", &key)).await, 503, "store_unavailable");
}

#[tokio::test]
async fn a_path_with_two_readings_is_refused_even_with_a_good_key() {
    let world = World::new();
    let (_, key) = world.key(&[]).await;
    for path in ["/a/../b", "/a//b", "/a%2fb", "/a/%2e%2e/b", "/a%5cb", "/a%00"] {
        denied(&send(&world.app(), with_key(path, &key)).await, 400, "path_ambiguous");
    }
}

#[tokio::test]
async fn the_handler_sees_who_was_proven_and_no_credential() {
    let world = World::new();
    let (id, key) = world.key(&[]).await;
    let response = send(&world.app(), with_key("/orders?a=%20&b", &key).header(COOKIE, "a=1")).await;
    assert_eq!(response.status(), StatusCode::OK);
    let saw = json(&response);
    assert_eq!(saw["subject"], format!("key:{id}"));
    assert_eq!(saw["target"], "/orders?a=%20&b");
    assert_eq!(saw["headers"], serde_json::json!(["cookie: a=1"]));
    assert!(saw["decision"].is_string());

    let foreign = get("/orders").header("x-api-key", &key).header(AUTHORIZATION, "Basic YTpi");
    let saw = json(&send(&world.app(), foreign).await);
    assert_eq!(saw["headers"], serde_json::json!(["authorization: Basic YTpi"]), "the application's own");

    let in_query = get(&format!("/query?a=1&_key={key}&b=2")).header("x_api_key", &key);
    let response = send(&world.app(), in_query).await;
    assert_eq!(json(&response)["target"], "/query?a=1&b=2");
    assert!(!String::from_utf8_lossy(response.body()).contains(&key[16..]));
}

#[tokio::test]
async fn cookie_lines_are_one_to_the_gate_and_to_the_handler() {
    let world = World::new();
    let (_, key) = world.key(&[]).await;
    let request = with_key("/orders", &key).header(COOKIE, "a=1").header(COOKIE, "b=2").header(COOKIE, "c=3");
    assert_eq!(
        json(&send(&world.app(), request).await)["headers"],
        serde_json::json!(["cookie: a=1; b=2; c=3"])
    );
    // This route's verifier insists on one Cookie line.
    let request = Request::post("/body").header("test-proof", "").header(COOKIE, "a=1").header(COOKIE, "b=2");
    assert_eq!(json(&send(&world.app(), request).await)["headers"], serde_json::json!(["cookie: a=1; b=2"]));
}

#[tokio::test]
async fn a_scheme_that_offers_nothing_adds_no_authentication_info() {
    let world = World::new();
    let (_, key) = world.key(&[]).await;
    let response = send(&world.app(), with_key("/orders", &key)).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(!response.headers().contains_key("authentication-info"));
}

#[tokio::test]
async fn identity_headers_from_outside_never_reach_the_handler() {
    let world = World::new();
    let (id, key) = world.key(&[]).await;
    for path in ["/orders", "/public"] {
        let request = with_key(path, &key)
            .header("Countersign-Subject", "key:admin")
            .header("countersign_scheme", "bearer")
            .header("countersign-anything", "1");
        let saw = json(&send(&world.app(), request).await);
        assert_eq!(saw["headers"], serde_json::json!([]), "{path}");
        assert_eq!(saw["subject"], if path == "/public" { Value::Null } else { format!("key:{id}").into() });
    }
}

#[tokio::test]
async fn trailers_say_nothing_to_the_handler_that_a_head_could_not() {
    let world = World::new();
    let (_, key) = world.key(&[]).await;
    let handler = async |request: Request<AxumBody>| {
        let trailers = request.into_body().collect().await.unwrap().trailers().cloned().unwrap_or_default();
        let mut names: Vec<_> = trailers.keys().map(|name| name.as_str().to_owned()).collect();
        names.sort_unstable();
        names.join(" ")
    };
    let keys = Rule::requiring("trailers", Requirement::parse(["api-key"]).unwrap())
        .verifier(ApiKeyVerifier::new(world.store.clone(), Arc::default()));
    for rule in [keys.build().unwrap(), Rule::public("public")] {
        let copy = format!("/p?_key={key}");
        let trailers = [
            ("countersign-subject", "key:admin"),
            ("countersign.subject", "key:admin"),
            ("countersign_scheme", "api-key"),
            ("x-http-method-override", "DELETE"),
            ("x~original~url", "/admin"),
            ("authorization", "Bearer another"),
            ("x_api_key", "another"),
            ("cookie", "__Host-session=x"),
            ("handshake", "x"),
            ("asymmetricauthentication", "x"),
            ("x-last", &*copy),
            ("checksum", "1"),
            ("remote-user", "their own affair"),
        ];
        let trailers = trailers.map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        let trailers = trailers.into_iter().collect();
        let body = Full::new(Bytes::from("hi")).with_trailers(std::future::ready(Some(Ok(trailers))));
        let app = Router::new().fallback(handler).layer(world.layer(rule));
        let answered = send_body(&app, with_key("/trailers", &key), AxumBody::new(body)).await;
        assert_eq!(answered.body(), "checksum remote-user");
    }
}

#[tokio::test]
async fn a_refused_body_is_not_read() {
    let world = World::new();
    let (body, taken) = Pieces::body(&[Ok("one"), Ok("two")]);
    denied(&send_body(&world.app(), get("/orders"), body).await, 401, "credential_missing");
    assert_eq!(taken.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_body_that_no_proof_covers_streams_through_piece_by_piece() {
    let world = World::new();
    let (_, key) = world.key(&[]).await;
    let (body, _) = Pieces::body(&[Ok("one"), Ok("two"), Err("gone")]);
    let saw = json(&send_body(&world.app(), with_key("/orders", &key), body).await);
    assert_eq!(saw["body"], serde_json::json!(["one", "two", "broken"]));

    // A handler that answers early leaves the rest where it is.
    let (body, taken) = Pieces::body(&[Ok("one"), Ok("two")]);
    let rule = Rule::requiring("early", Requirement::parse(["api-key"]).unwrap())
        .verifier(ApiKeyVerifier::new(world.store.clone(), Arc::default()));
    let app = Router::new().fallback(async |mut request: Request<AxumBody>| {
        let frame = request.body_mut().frame().await.unwrap().unwrap();
        String::from_utf8_lossy(&frame.into_data().unwrap()).into_owned()
    });
    let app = app.layer(world.layer(rule.build().unwrap()));
    assert_eq!(send_body(&app, with_key("/early", &key), body).await.body(), "one");
    assert_eq!(taken.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_body_that_a_proof_covers_is_read_once_and_still_there_for_the_handler() {
    let app = World::new().app();
    let proof = |body: &str| Request::post("/body").header("test-proof", body);
    let (body, _) = Pieces::body(&[Ok("on"), Ok("e")]);
    let saw = json(&send_body(&app, proof("one"), body).await);
    assert_eq!(saw["subject"], "key:test");
    assert_eq!(saw["body"], serde_json::json!(["one"]));
    assert_eq!(saw["headers"], serde_json::json!([]));

    let (body, _) = Pieces::body(&[Ok("on"), Ok("e")]);
    denied(&send_body(&app, proof("two"), body).await, 401, "content_digest");
    let (body, taken) = Pieces::body(&[Ok("12345"), Ok("67890"), Ok("never read")]);
    denied(&send_body(&app, proof("two"), body).await, 413, "body_too_large");
    assert_eq!(taken.load(Ordering::SeqCst), 2);
    denied(&send_body(&app, proof("two"), AxumBody::from("more than 8")).await, 413, "body_too_large");
    let (body, _) = Pieces::body(&[Ok("on"), Err("gone")]);
    denied(&send_body(&app, proof("one"), body).await, 400, "framing");
}

#[tokio::test]
async fn an_authority_alone_is_no_path_that_a_rule_is_for() {
    let world = World::new();
    let (_, key) = world.key(&[]).await;
    let requirement = Requirement::parse(["api-key"]).unwrap();
    let keys = ApiKeyVerifier::new(world.store.clone(), Arc::default());
    let keyed = Rule::requiring("test", requirement).verifier(keys).build().unwrap();
    for rule in [Rule::public("public"), keyed] {
        let reached = Arc::new(AtomicUsize::new(0));
        let counted = reached.clone();
        let inner = tower::service_fn(move |_: Request<GateBody<Full<Bytes>>>| {
            counted.fetch_add(1, Ordering::SeqCst);
            std::future::ready(Ok::<_, Infallible>(Response::new(Bytes::new())))
        });
        let service = world.layer(rule).layer(inner);
        for (method, target) in [("CONNECT", "eve.example:443"), ("GET", "eve.example"), ("OPTIONS", "*")] {
            let request = Request::builder().method(method).uri(target);
            let request =
                request.header(AUTHORIZATION, format!("Bearer {key}")).body(Full::default()).unwrap();
            let refused = service.clone().oneshot(request).await.unwrap();
            denied(&refused, 400, "path_ambiguous");
        }
        assert_eq!(reached.load(Ordering::SeqCst), 0);
        let request = Request::get("/").header(AUTHORIZATION, format!("Bearer {key}"));
        assert!(service.oneshot(request.body(Full::default()).unwrap()).await.unwrap().status().is_success());
    }
}
