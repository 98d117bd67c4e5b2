//! The caller's half as a tower layer: proves each request before a client sends it.

use std::error::Error;
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use countersign::schemes::webhook::signer::{self, Attempt, OutgoingBody, Requester};
use countersign::{Clock, Store, Timestamp};
use http::header::TRANSFER_ENCODING;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use crate::layer::GateFuture;
use crate::proven_body::ProvenBody;

/// How large a body is read before it is sent, unless said otherwise.
const BODY_LIMIT: usize = 1024 * 1024;

/// Methods whose bodies are seldom enough for a client to forget them.
const DROPPED_FROM: [Method; 2] = [Method::GET, Method::HEAD];

/// Whoever proves requests: the claimant's half of a scheme.
pub trait Claimant: Send + Sync + 'static {
    /// What is remembered of a request until its answer comes.
    type Attempt: Send;
    /// Why a request could not be given a proof; then it is not sent.
    type Error;

    /// Adds a proof to a request's headers. `target` is what is called, absolute.
    fn prove(
        &self,
        method: &Method,
        target: &Uri,
        headers: &mut HeaderMap,
        body: OutgoingBody<'_>,
        now: Timestamp,
    ) -> impl Future<Output = Result<Self::Attempt, Self::Error>> + Send;

    /// Learns from the answer to a proven request. True if the same request, proven anew, may now pass.
    fn learn(&self, attempt: &Self::Attempt, status: StatusCode, headers: &HeaderMap, now: Timestamp)
    -> bool;
}

impl<S: Store> Claimant for Requester<S> {
    type Attempt = Attempt;
    type Error = signer::ProveError;

    fn prove(
        &self,
        method: &Method,
        target: &Uri,
        headers: &mut HeaderMap,
        body: OutgoingBody<'_>,
        now: Timestamp,
    ) -> impl Future<Output = Result<Attempt, signer::ProveError>> + Send {
        Requester::prove(self, method, target, headers, body, now)
    }

    fn learn(&self, attempt: &Attempt, status: StatusCode, headers: &HeaderMap, now: Timestamp) -> bool {
        Requester::learn(self, attempt, status, headers, now)
    }
}

/// Why a proven request has no answer: `P` is the claimant's error, `C` the client's.
#[derive(Debug, thiserror::Error)]
pub enum ProveError<P, C> {
    /// It could not be proven, so it was not sent.
    #[error("the request was not sent: {0}")]
    Prove(#[source] P),
    /// Its body broke off while it was read, so it was not sent.
    #[error("the request was not sent, for its body broke off: {0}")]
    Body(#[source] Box<dyn Error + Send + Sync>),
    /// The client failed.
    #[error("no answer: {0}")]
    Client(#[source] C),
}

/// Proves what a client sends. Bodies up to a limit whose length is known are read first: then a
/// signature can cover them, and a request that is refused for a reason that the claimant can mend is
/// proven anew, from the headers that it had before, and sent once more. Larger bodies, and those of
/// unknown length, stream.
///
/// Put it inside whatever follows redirects or tries again: each request has a proof of its own.
///
/// ```
/// use std::convert::Infallible;
/// use std::sync::Arc;
///
/// use countersign::crypto::SystemRandom;
/// use countersign::schemes::webhook::signer::Requester;
/// use countersign::schemes::webhook::{UrlRules, WebhookUrl};
/// use countersign::time::ManualClock;
/// use countersign::workers::OnThisThread;
/// use countersign::{MemoryStore, Timestamp};
/// use countersign_tower::{ProveLayer, ProvenBody};
/// use http::{Request, Response};
/// use http_body_util::Empty;
/// use tower::{Layer as _, ServiceExt as _, service_fn};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_800_000_000)));
/// let url = WebhookUrl::parse("https://alice.example/webhook", &UrlRules::default()).unwrap();
/// let store = MemoryStore::new(clock.clone());
/// let alice = Requester::new(url, store, Arc::new(SystemRandom), Arc::new(OnThisThread));
///
/// // In place of an HTTP client: answers with the credential that it was given.
/// let client = service_fn(async |request: Request<ProvenBody<Empty<bytes::Bytes>>>| {
///     Ok::<_, Infallible>(Response::new(request.headers()["authorization"].clone()))
/// });
/// let client = ProveLayer::new(Arc::new(alice), clock).layer(client);
/// let call = Request::get("https://bob.example/orders").body(Empty::new()).unwrap();
/// let sent = client.oneshot(call).await.unwrap().into_body();
/// assert!(sent.to_str().unwrap().starts_with("Webhook https://alice.example/webhook $2b$"));
/// # });
/// ```
pub struct ProveLayer<P> {
    claimant: Arc<P>,
    clock: Arc<dyn Clock>,
    body_limit: usize,
}

impl<P: Claimant> ProveLayer<P> {
    /// Proves by `claimant`, at the time of `clock`.
    #[must_use]
    pub fn new(claimant: Arc<P>, clock: Arc<dyn Clock>) -> Self {
        Self { claimant, clock, body_limit: BODY_LIMIT }
    }

    /// The same, reading bodies of up to `bytes` before they are sent. By default that is 1 MiB.
    #[must_use]
    pub const fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// Proves one request and sends it with `client`, once more at the most. This is all that the layer
    /// does, for whoever has no layers.
    ///
    /// # Errors
    /// [`ProveError`]. The answer is no error, whatever it is.
    pub async fn send<C, B, R>(
        &self,
        client: &mut C,
        request: Request<B>,
    ) -> Result<Response<R>, ProveError<P::Error, C::Error>>
    where
        C: Service<Request<ProvenBody<B>>, Response = Response<R>>,
        B: Body<Data = Bytes> + Unpin,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let (mut parts, body) = request.into_parts();
        let body =
            ProvenBody::read(body, self.body_limit).await.map_err(|error| ProveError::Body(error.into()))?;
        // hyper's client drops such a body from a GET or HEAD unless it is told to send it.
        if body.needs_chunks() && parts.version <= Version::HTTP_11 && DROPPED_FROM.contains(&parts.method) {
            let chunked = HeaderValue::from_static("chunked");
            parts.headers.entry(TRANSFER_ENCODING).or_insert(chunked);
        }
        let again = body.again();
        let (response, worth_it) = self.attempt(client, parts.clone(), body).await?;
        let Some(body) = again.filter(|_| worth_it) else { return Ok(response) };
        // Nobody reads the first answer; its connection is free before the second request needs one.
        drop(response);
        self.attempt(client, parts, body).await.map(|(response, _)| response)
    }

    /// One proof, one sending; whether another of both is worth it.
    async fn attempt<C, B, R>(
        &self,
        client: &mut C,
        mut parts: Parts,
        body: ProvenBody<B>,
    ) -> Result<(Response<R>, bool), ProveError<P::Error, C::Error>>
    where
        C: Service<Request<ProvenBody<B>>, Response = Response<R>>,
        B: Body<Data = Bytes> + Unpin,
    {
        // A client that makes us wait does so before the proof's own time begins.
        poll_fn(|context| client.poll_ready(context)).await.map_err(ProveError::Client)?;
        let proven = self.claimant.prove(
            &parts.method,
            &parts.uri,
            &mut parts.headers,
            body.known(),
            self.clock.now(),
        );
        let attempt = proven.await.map_err(ProveError::Prove)?;
        let response = client.call(Request::from_parts(parts, body)).await.map_err(ProveError::Client)?;
        let now = self.clock.now();
        let again = self.claimant.learn(&attempt, response.status(), response.headers(), now);
        Ok((response, again))
    }
}

impl<P> Clone for ProveLayer<P> {
    fn clone(&self) -> Self {
        let Self { claimant, clock, body_limit } = self;
        Self { claimant: claimant.clone(), clock: clock.clone(), body_limit: *body_limit }
    }
}

impl<P, C> Layer<C> for ProveLayer<P> {
    type Service = Prove<P, C>;

    fn layer(&self, client: C) -> Prove<P, C> {
        Prove { layer: self.clone(), client }
    }
}

/// A client whose requests are proven.
pub struct Prove<P, C> {
    layer: ProveLayer<P>,
    client: C,
}

impl<P, C: Clone> Clone for Prove<P, C> {
    fn clone(&self) -> Self {
        Self { layer: self.layer.clone(), client: self.client.clone() }
    }
}

impl<P, C, B, R> Service<Request<B>> for Prove<P, C>
where
    P: Claimant,
    P::Error: Send,
    C: Service<Request<ProvenBody<B>>, Response = Response<R>> + Clone + Send + 'static,
    C::Error: Send,
    C::Future: Send,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>> + Send,
    R: Send + 'static,
{
    type Response = Response<R>;
    type Error = ProveError<P::Error, C::Error>;
    type Future = GateFuture<Response<R>, Self::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.client.poll_ready(context).map_err(ProveError::Client)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The client that was polled to readiness is the one that is called.
        let clone = self.client.clone();
        let mut client = std::mem::replace(&mut self.client, clone);
        let layer = self.layer.clone();
        Box::pin(async move { layer.send(&mut client, request).await })
    }
}
