//! For an API behind the gateway: believe what the gateway says of a request, and nobody else.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use countersign::assertion::AssertionVerifier;
use countersign::{BodySource as _, Clock, Denial, PublicUrl, RequestView, Timestamp};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use crate::body::{BodyReader, GateBody, announced};
use crate::layer::GateFuture;
use crate::problem::problem;
use crate::strip::{DECISION, SCHEME, SUBJECT, strip_identity};

/// Lets pass what the gateway forwarded: requests with a `Countersign-Assertion` that is about them. The inner
/// service finds a [`Principal`](countersign::Principal) among the extensions, as behind a
/// [`GateLayer`](crate::GateLayer), and the [`Assertion`](countersign::assertion::Assertion) itself. Of the
/// identity headers it finds `Countersign-Subject` and `Countersign-Scheme`, as they were asserted, and
/// `Countersign-Decision`, which is for logs alone: nobody asserts it.
///
/// Anything else is answered with problem details: 401, or 503 where the gateway's keys cannot be had.
///
/// Put it outside whatever rewrites a request's path (axum's `nest`): an assertion is about the path that the
/// gateway forwarded.
///
/// ```
/// use axum::{Extension, Router, routing::get};
/// use countersign::assertion::{AssertionKeys, AssertionVerifier};
/// use countersign::time::ManualClock;
/// use countersign::{Principal, PublicUrl, Timestamp};
/// use countersign_tower::AssertionLayer;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let jwks = br#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
/// let gateway = PublicUrl::parse("https://bob.example")?;
/// let keys = AssertionKeys::told(jwks)?; // or AssertionKeys::served_by(&gateway, client)
/// let verifier = AssertionVerifier::new(&gateway, "http://127.0.0.1:3000", keys);
/// // A server hands in countersign_io::SystemClock.
/// let clock = ManualClock::new(Timestamp::from_secs(1_800_000_000));
/// let app: Router = Router::new()
///     .route("/orders", get(|Extension(who): Extension<Principal>| async move { who.subject.to_string() }))
///     .layer(AssertionLayer::new(gateway, verifier, clock));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct AssertionLayer {
    shared: Arc<Shared>,
}

#[derive(Clone)]
struct Shared {
    gateway: PublicUrl,
    verifier: Arc<AssertionVerifier>,
    clock: Arc<dyn Clock>,
    max_body: usize,
}

impl AssertionLayer {
    /// Believes `verifier` about requests that callers addressed to `gateway`: its `public_url`, which is never
    /// taken from a request.
    #[must_use]
    pub fn new(gateway: PublicUrl, verifier: AssertionVerifier, clock: impl Clock) -> Self {
        let shared =
            Shared { gateway, verifier: Arc::new(verifier), clock: Arc::new(clock), max_body: 1024 * 1024 };
        Self { shared: Arc::new(shared) }
    }

    /// How large a body may be that the assertion names, in bytes, for such a body is read whole: 1 MiB unless
    /// this says otherwise, as the gateway's `limits.max_signed_body` does. Beyond: 413.
    #[must_use]
    pub fn max_body(self, bytes: usize) -> Self {
        Self { shared: Arc::new(Shared { max_body: bytes, ..(*self.shared).clone() }) }
    }
}

impl<I> Layer<I> for AssertionLayer {
    type Service = AssertionService<I>;

    fn layer(&self, inner: I) -> AssertionService<I> {
        AssertionService { shared: self.shared.clone(), inner }
    }
}

/// A service behind the gateway.
#[derive(Clone)]
pub struct AssertionService<I> {
    shared: Arc<Shared>,
    inner: I,
}

impl<I, B, R> Service<Request<B>> for AssertionService<I>
where
    I: Service<Request<GateBody<B>>, Response = Response<R>> + Clone + Send + 'static,
    I::Future: Send,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    R: From<Bytes>,
{
    type Response = Response<R>;
    type Error = I::Error;
    type Future = GateFuture<Response<R>, I::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), I::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The service that was polled to readiness is the one that is called.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let shared = self.shared.clone();
        Box::pin(async move {
            let now = shared.clock.now();
            match shared.admit(request, now).await {
                Ok(request) => inner.call(request).await,
                Err(denial) => Ok(problem(&denial, None, now).map(R::from)),
            }
        })
    }
}

impl Shared {
    async fn admit<B>(&self, request: Request<B>, now: Timestamp) -> Result<Request<GateBody<B>>, Denial>
    where
        B: Body<Data = Bytes> + Send + Unpin,
    {
        let (mut parts, body) = request.into_parts();
        let mut body = GateBody::streaming(body);
        let view = RequestView {
            method: &parts.method,
            target: &self.gateway.target(&parts.uri),
            headers: &parts.headers,
            body: announced(&parts.headers, &body),
            source: None,
            received_at: now,
        };
        let assertion = self.verifier.verify(&view).await?;
        if assertion.names_a_body() {
            let bytes = BodyReader(&mut body).read(self.max_body).await?;
            assertion.is_about(&bytes)?;
        }
        // Written anew from what was asserted: whoever can reach us can write headers.
        let decision = parts.headers.remove(DECISION);
        strip_identity(&mut parts.headers);
        say(
            &mut parts.headers,
            &assertion.principal.subject.to_string(),
            &assertion.principal.scheme_names(),
        );
        parts.headers.extend(decision.map(|id| (DECISION, id)));
        parts.extensions.insert(assertion.principal.clone());
        parts.extensions.insert(assertion);
        Ok(Request::from_parts(parts, body))
    }
}

fn say(headers: &mut HeaderMap, subject: &str, schemes: &str) {
    for (name, text) in [(SUBJECT, subject), (SCHEME, schemes)] {
        // The gateway wrote the same texts into headers.
        if let Ok(value) = HeaderValue::from_str(text) {
            headers.insert(name, value);
        }
    }
}
