//! The gate as a tower layer.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use countersign::schemes::session::SessionCookie;
use countersign::{
    Carrier, Code, Delivered, Delivery, Denial, Gate, Passage, PublicUrl, Refusal, ReservedPermit, Rule,
    Store, Witness,
};
use http::{Extensions, Request, Response};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use crate::body::{BodyReader, GateBody};
use crate::cookies::keep_their_cookies;
use crate::doorway::{Doorway, InTasks, refused};
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
        self.with(|doorway| doorway.source(source_of))
    }

    /// The same, telling `witness` what is decided, and whether the delivery of a use could be settled.
    #[must_use]
    pub fn witness(self, witness: Arc<dyn Witness>) -> Self {
        self.with(|doorway| doorway.witness(witness))
    }

    fn with(self, change: impl FnOnce(&Doorway<S>) -> Doorway<S>) -> Self {
        let Shared { rule, doorway, cookie } = &*self.shared;
        let (rule, doorway, cookie) = (rule.clone(), change(doorway), *cookie);
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
                Ok((request, passage)) => {
                    let tells: Vec<_> = passage.tells().collect();
                    let mut response = match passage {
                        Passage::Free(_) => inner.call(request).await?,
                        Passage::Once(reserved) => shared.deliver(reserved, request, inner).await?,
                    };
                    if let Some(cookie) = shared.cookie {
                        keep_their_cookies(response.headers_mut(), cookie);
                    }
                    for (name, value) in tells {
                        response.headers_mut().append(name, value);
                    }
                    response
                }
                Err(refusal) => refused(&refusal).map(R::from),
            };
            if in_url {
                refer_to_nobody(answered.headers_mut());
            }
            Ok(answered)
        })
    }
}

/// What the guarded service answered.
struct Answered<R, E>(Result<Response<R>, E>);

impl<R, E> Delivered for Answered<R, E> {
    fn delivery(&self) -> Delivery {
        self.0.as_ref().map_or(Delivery::Uncertain, |response| Delivery::of(response.status()))
    }
}

impl<S: Store> Shared<S> {
    /// A request that may pass, as the guarded service gets it.
    async fn admit<B>(&self, request: Request<B>) -> Result<(Request<GateBody<B>>, Passage<S>), Refusal>
    where
        B: Body<Data = Bytes> + Send + Unpin,
    {
        let (mut parts, body) = request.into_parts();
        let mut body = GateBody::streaming(body);
        let arrival = self.doorway.arrive(&mut parts, &body);
        let passage = arrival.admit(&self.rule, &mut BodyReader(&mut body)).await?;
        strip_identity(&mut parts.headers);
        strip_credentials(&mut parts.headers, &mut parts.uri, &passage);
        if let Some(principal) = passage.principal() {
            parts.extensions.insert(principal.clone());
        }
        parts.extensions.insert(passage.decision().id);
        Ok((Request::from_parts(parts, body), passage))
    }

    /// Calls the guarded service while a use is reserved.
    async fn deliver<I, B, R>(
        &self,
        reserved: ReservedPermit<S>,
        mut request: Request<B>,
        mut inner: I,
    ) -> Result<Response<R>, I::Error>
    where
        I: Service<Request<B>, Response = Response<R>> + Send + 'static,
        I::Future: Send,
        I::Error: Send + 'static,
        B: Send + 'static,
        R: From<Bytes> + Send + 'static,
    {
        set_idempotency_key(request.headers_mut(), reserved.idempotency_key());
        let decision = reserved.decision().clone();
        let answering = move |_permit| async move { Answered(inner.call(request).await) };
        let answered = reserved.deliver(&InTasks, self.doorway.told(), answering).await;
        answered.map_or_else(
            || {
                let denial = Denial::new(Code::UpstreamUnreachable, "the guarded service gave no answer");
                Ok(problem(&denial, decision.id, decision.at).map(R::from))
            },
            |Answered(answered)| answered,
        )
    }
}
