//! Alice, Bob, and the wire between them.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use axum::body::Body as AxumBody;
use axum::{Extension, Router};
use bytes::Bytes;
use countersign::crypto::SystemRandom;
use countersign::schemes::webhook::signer::Requester;
use countersign::schemes::webhook::{Callers, Tokens, UrlRules, WebhookUrl, WebhookVerifier};
use countersign::testing::{self, TestStore};
use countersign::time::ManualClock;
use countersign::workers::OnThisThread;
use countersign::{
    Fetch, FetchError, FetchRequest, FetchResponse, Gate, Principal, PublicUrl, Requirement, Rule,
};
use countersign_tower::{Claimant, GateLayer, Prove, ProveLayer, ProvenBody, WebhookEndpoint};
use http::header::ACCEPT;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::{Layer as _, Service, ServiceExt as _};

pub(crate) const ALICE: &str = "https://alice.example/.well-known/webhook-auth";
pub(crate) const BOB: &str = "https://bob.example/orders?a=1";

pub(crate) type Memory = Arc<TestStore>;
pub(crate) type Alice = Requester<Memory>;

/// Asks Alice's endpoint, and counts.
#[derive(Clone)]
pub(crate) struct AskAlice {
    pub(crate) tokens: Memory,
    pub(crate) questions: Arc<AtomicUsize>,
}

impl Fetch for AskAlice {
    async fn fetch(&self, request: FetchRequest) -> Result<FetchResponse, FetchError> {
        assert_eq!((&request.method, request.url.to_string()), (&Method::POST, ALICE.to_owned()));
        self.questions.fetch_add(1, Ordering::SeqCst);
        let endpoint = WebhookEndpoint::new(Tokens::new(self.tokens.clone()));
        let question = Request::post(request.url).body(AxumBody::from(request.body)).unwrap();
        let (parts, body) = endpoint.oneshot(question).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Ok(FetchResponse { status: parts.status, headers: parts.headers, body })
    }
}

/// From Alice to whatever `router` is: keeps the headers of what was sent, and insists on being asked
/// whether it is ready.
pub(crate) struct Wire {
    pub(crate) router: Arc<Mutex<Router>>,
    pub(crate) sent: Arc<Mutex<Vec<HeaderMap>>>,
    ready: bool,
}

impl Clone for Wire {
    fn clone(&self) -> Self {
        Self { router: self.router.clone(), sent: self.sent.clone(), ready: false }
    }
}

impl Service<Request<ProvenBody<AxumBody>>> for Wire {
    type Response = Response<AxumBody>;
    type Error = &'static str;
    type Future = Pin<Box<dyn Future<Output = Result<Response<AxumBody>, &'static str>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ProvenBody<AxumBody>>) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "called before it was ready");
        self.sent.lock().unwrap().push(request.headers().clone());
        let router = self.router.lock().unwrap().clone();
        Box::pin(async move {
            if request.uri().path() == "/nowhere" {
                return Err("unreachable");
            }
            Ok(router.oneshot(request.map(AxumBody::new)).await.unwrap())
        })
    }
}

pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) tokens: Memory,
    pub(crate) questions: Arc<AtomicUsize>,
    pub(crate) wire: Wire,
}

impl World {
    pub(crate) fn new() -> Self {
        let testing::World { clock, store: tokens, .. } = testing::World::new();
        let wire = Wire { router: Arc::default(), sent: Arc::default(), ready: false };
        let world = Self { clock, tokens, questions: Arc::default(), wire };
        world.start_bob();
        world
    }

    /// A Bob who remembers nothing.
    pub(crate) fn start_bob(&self) {
        let store = Arc::new(TestStore::new(self.clock.clone()));
        let mut callers = Callers::default();
        callers.add(ALICE, None, &UrlRules::default()).unwrap();
        let verifier = WebhookVerifier {
            store: store.clone(),
            fetch: AskAlice { tokens: self.tokens.clone(), questions: self.questions.clone() },
            workers: Arc::new(OnThisThread),
            budget: Arc::default(),
            callers: Arc::new(callers),
            rules: UrlRules::default(),
            max_signed_body: 1024,
        };
        let requirement = Requirement::parse(["webhook"]).unwrap();
        let rule = Rule::requiring("orders", requirement).verifier(verifier).build().unwrap();
        let gate = Arc::new(Gate::new(store, self.clock.clone(), &SystemRandom));
        let layer = GateLayer::new(gate, rule, PublicUrl::parse("https://bob.example").unwrap());
        self.answer_by(Router::new().fallback(saw).layer(layer));
    }

    pub(crate) fn answer_by(&self, router: Router) {
        *self.wire.router.lock().unwrap() = router;
    }

    pub(crate) fn alice(&self) -> Alice {
        let url = WebhookUrl::parse(ALICE, &UrlRules::default()).unwrap();
        Requester::new(url, self.tokens.clone(), Arc::new(SystemRandom), Arc::new(OnThisThread))
    }

    pub(crate) fn layer<P: Claimant>(&self, claimant: P) -> ProveLayer<P> {
        ProveLayer::new(Arc::new(claimant), self.clock.clone())
    }

    pub(crate) fn client(&self) -> Prove<Alice, Wire> {
        self.layer(self.alice()).layer(self.wire.clone())
    }

    pub(crate) fn questions(&self) -> usize {
        self.questions.load(Ordering::SeqCst)
    }

    /// The names of the headers of each request that was sent, in order.
    pub(crate) fn sent(&self) -> Vec<Vec<String>> {
        let sent = self.wire.sent.lock().unwrap();
        let names = sent.iter().map(|headers| {
            let mut names: Vec<_> = headers.keys().map(ToString::to_string).collect();
            names.sort_unstable();
            names
        });
        names.collect()
    }
}

/// What Bob's handler saw: headers, subject, body in pieces.
pub(crate) async fn saw(
    principal: Extension<Principal>,
    request: Request<AxumBody>,
) -> impl axum::response::IntoResponse {
    let (parts, mut body) = request.into_parts();
    let mut pieces = Vec::new();
    while let Some(frame) = body.frame().await {
        pieces.push(String::from_utf8_lossy(&frame.unwrap().into_data().unwrap()).into_owned());
    }
    let headers: Vec<_> = parts.headers.keys().map(ToString::to_string).collect();
    let story = json!({ "headers": headers, "subject": principal.subject, "body": pieces });
    // The application's own business, which has nothing to do with proofs.
    let status = if parts.uri.path() == "/unwell" { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    (status, [("authentication-info", "nextnonce=\"the application's own\"")], story.to_string())
}

/// Pieces of a known or unknown length.
pub(crate) struct Pieces {
    pub(crate) left: VecDeque<Result<Frame<Bytes>, &'static str>>,
    pub(crate) length: Option<u64>,
}

impl Pieces {
    pub(crate) fn known(pieces: &[&'static str]) -> Self {
        let left = pieces.iter().map(|piece| Ok(Frame::data(Bytes::from(*piece)))).collect();
        Self { left, length: Some(pieces.iter().map(|piece| piece.len() as u64).sum()) }
    }

    pub(crate) fn of_unknown_length(pieces: &[&'static str]) -> AxumBody {
        AxumBody::new(Self { length: None, ..Self::known(pieces) })
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        Poll::Ready(self.left.pop_front())
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

pub(crate) fn call(body: impl Into<AxumBody>) -> Request<AxumBody> {
    Request::post(BOB).header(ACCEPT, "*/*").body(body.into()).unwrap()
}

pub(crate) async fn send<P>(
    client: &mut Prove<P, Wire>,
    request: Request<AxumBody>,
) -> (StatusCode, HeaderMap, Value)
where
    P: Claimant<Error: Send + std::fmt::Debug>,
{
    let (parts, body) = client.ready().await.unwrap().call(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts.status, parts.headers, serde_json::from_slice(&body).unwrap_or_default())
}

/// Sends, and says what Bob's handler saw.
pub(crate) async fn seen_by_bob<P>(client: &mut Prove<P, Wire>, request: Request<AxumBody>) -> Value
where
    P: Claimant<Error: Send + std::fmt::Debug>,
{
    let (status, _, saw) = send(client, request).await;
    assert_eq!((status, &saw["subject"]), (StatusCode::OK, &json!(format!("webhook:{ALICE}"))), "{saw}");
    saw
}
