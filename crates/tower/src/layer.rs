//! The gate as a tower layer.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use countersign::decision::Check;
use countersign::path::check_path;
use countersign::schemes::session::SessionCookie;
use countersign::{
    Carrier, Code, Decision, Delivery, Denial, Gate, PublicUrl, Reservation, Rule, Store, Verdict,
};
use http::{Extensions, HeaderName, HeaderValue, Request, Response};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use crate::body::{BodyReader, GateBody};
use crate::cookies::{join_cookies, keep_their_cookies};
use crate::doorway::{Doorway, refusal};
use crate::problem::problem;
use crate::strip::{
    has_credential_in_url, refer_to_nobody, set_idempotency_key, strip_credentials, strip_identity,
};

/// Guards a service with a gate and one rule.
///
/// Put it outside whatever rewrites a request's path (axum's `nest`): proofs cover the path that the
/// caller addressed.
pub struct GateLayer<S> {
    shared: Arc<Shared<S>>,
}

struct Shared<S> {
    rule: Arc<Rule>,
    doorway: Doorway<S>,
    /// The session cookie that the rule reads, which nobody inside sets.
    cookie: Option<SessionCookie>,
}

impl<S> GateLayer<S> {
    /// Lets pass what `gate` permits under `rule`. `public_url` is what callers address; it is never
    /// taken from a request.
    #[must_use]
    pub fn new(gate: Arc<Gate<S>>, rule: impl Into<Arc<Rule>>, public_url: PublicUrl) -> Self {
        let rule: Arc<Rule> = rule.into();
        let cookie = rule.carriers().iter().find_map(|carrier| match carrier {
            Carrier::Cookie(name) => SessionCookie::named(name),
            _ => None,
        });
        Self { shared: Arc::new(Shared { rule, doorway: Doorway::new(gate, public_url), cookie }) }
    }

    /// The same, learning from a request's extensions who sent it (with axum: `ConnectInfo`), so that
    /// the gate's limit on sources that keep failing can count.
    #[must_use]
    pub fn source(self, source_of: impl Fn(&Extensions) -> Option<IpAddr> + Send + Sync + 'static) -> Self {
        let Shared { rule, doorway, cookie } = &*self.shared;
        let (rule, doorway, cookie) = (rule.clone(), doorway.source(source_of), *cookie);
        Self { shared: Arc::new(Shared { rule, doorway, cookie }) }
    }
}

impl<S> Clone for GateLayer<S> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<S, I> Layer<I> for GateLayer<S> {
    type Service = GateService<S, I>;

    fn layer(&self, inner: I) -> GateService<S, I> {
        GateService { shared: self.shared.clone(), inner }
    }
}

/// A guarded service.
pub struct GateService<S, I> {
    shared: Arc<Shared<S>>,
    inner: I,
}

impl<S, I: Clone> Clone for GateService<S, I> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone(), inner: self.inner.clone() }
    }
}

/// The answer of a guarded service.
pub type GateFuture<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

impl<S, I, B, R> Service<Request<B>> for GateService<S, I>
where
    S: Store,
    I: Service<Request<GateBody<B>>, Response = Response<R>> + Clone + Send + 'static,
    I::Future: Send,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    R: From<Bytes> + Send + 'static,
    I::Error: Send + 'static,
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
            let in_url = has_credential_in_url(request.uri(), Some(&shared.rule));
            let mut answered = match shared.admit(request).await {
                Ok(Admitted { request, tells, reservation }) => {
                    let mut response = match reservation {
                        None => inner.call(request).await?,
                        Some(reservation) => deliver(&shared, inner.call(request), reservation).await?,
                    };
                    if let Some(cookie) = shared.cookie {
                        keep_their_cookies(response.headers_mut(), cookie);
                    }
                    for (name, value) in tells {
                        response.headers_mut().append(name, value);
                    }
                    response
                }
                Err(decision) => refusal(&decision).map(R::from),
            };
            if in_url {
                refer_to_nobody(answered.headers_mut());
            }
            Ok(answered)
        })
    }
}

/// A request that may pass, and what its response will say.
struct Admitted<B> {
    request: Request<GateBody<B>>,
    tells: Vec<(HeaderName, HeaderValue)>,
    reservation: Option<(Reservation, Arc<Decision>)>,
}

/// Waits for an answer while a use is reserved: in a task of its own, so that the work goes on if the caller
/// leaves, and what came of it is durable before the caller learns of it. Where the store cannot be told, the
/// use stays reserved until its time is over, and then opens for the same body alone.
async fn deliver<S, F, R, E>(
    shared: &Shared<S>,
    answering: F,
    (reservation, decision): (Reservation, Arc<Decision>),
) -> Result<Response<R>, E>
where
    S: Store,
    F: Future<Output = Result<Response<R>, E>> + Send + 'static,
    R: From<Bytes> + Send + 'static,
    E: Send + 'static,
{
    let gate = shared.doorway.gate.clone();
    let delivered = tokio::spawn(async move {
        // By itself, so that a panic is an answer too.
        let answered = tokio::spawn(answering).await;
        let delivery = match &answered {
            Ok(Ok(response)) => Delivery::of(response.status()),
            _ => Delivery::Uncertain,
        };
        let _ = gate.settle(reservation, delivery).await;
        answered
    });
    match delivered.await {
        Ok(Ok(answered)) => answered,
        Ok(Err(_)) | Err(_) => {
            let denial = Denial::new(Code::UpstreamUnreachable, "the guarded service gave no answer");
            Ok(problem(&denial, decision.id, decision.at).map(R::from))
        }
    }
}

impl<S: Store> Shared<S> {
    async fn admit<B>(&self, request: Request<B>) -> Result<Admitted<B>, Arc<Decision>>
    where
        B: Body<Data = Bytes> + Send + Unpin,
    {
        let (mut parts, body) = request.into_parts();
        join_cookies(&mut parts.headers);
        let mut body = GateBody::streaming(body);
        let target = self.doorway.public_url.target(&parts.uri);
        let view = self.doorway.view(&parts, &target, &body);
        let gate = &self.doorway.gate;
        if let Err(denial) = check_path(parts.uri.path()) {
            return Err(gate.refuse(&view, Check::Reading, denial));
        }
        let mut permit = match gate.decide(&self.rule, &view, &mut BodyReader(&mut body)).await {
            Verdict::Permit(permit) => permit,
            Verdict::Deny(decision) => return Err(decision),
        };
        strip_identity(&mut parts.headers);
        strip_credentials(&mut parts.headers, &mut parts.uri, &permit);
        if let Some(principal) = permit.principal() {
            parts.extensions.insert(principal.clone());
        }
        parts.extensions.insert(permit.decision().id);
        let tells = permit.tells().collect();
        let reservation =
            permit.take_reservation().map(|reservation| (reservation, permit.decision().clone()));
        if let Some((reservation, _)) = &reservation {
            set_idempotency_key(&mut parts.headers, reservation.idempotency_key());
        }
        Ok(Admitted { request: Request::from_parts(parts, body), tells, reservation })
    }
}
