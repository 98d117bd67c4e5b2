//! `/auth/*` as a tower service, for axum routers and hyper servers.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use countersign::decision::Check;
use countersign::path::Template;
use countersign::rule::RuleError;
use countersign::{
    Arrival, BodySource, Code, Denial, Gate, PublicUrl, Refusal, RequestView, Rule, Store, Witness,
};
use http::{Extensions, Method, Request, Response};
use http_body::Body;
use http_body_util::Full;
use tower_service::Service;

use super::answers::AuthAsked;
use super::paths::AuthPath;
use super::site::SessionSite;
use crate::body::{BodyReader, GateBody};
use crate::doorway::{Doorway, refused};
use crate::layer::GateFuture;

/// Serves `/auth/*` of a [`SessionSite`]: signing up, in and out, handshakes, and the sessions that one has.
///
/// Put it where paths keep their bytes, for proofs of bound keys cover them: axum's `route_service` and
/// `fallback_service`, and not its `nest_service`. How long somebody may take to send a body is the server's to
/// limit.
///
/// ```
/// use std::sync::Arc;
///
/// use axum::{Router, routing::get};
/// use countersign::crypto::{SealKey, Secret, SystemRandom};
/// use countersign::schemes::session::SessionDemand;
/// use countersign::time::ManualClock;
/// use countersign::workers::OnThisThread;
/// use countersign::{Gate, MemoryStore, PublicUrl, Timestamp};
/// use countersign_tower::{AuthService, GateLayer, SessionSettings, SessionSite, SiteParts};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_800_000_000)));
/// let store = Arc::new(MemoryStore::new(clock.clone()));
/// let url = PublicUrl::parse("https://bob.example")?;
/// let parts = SiteParts {
///     store: store.clone(),
///     public_url: &url,
///     allowed_origins: &[],
///     seal_key: &SealKey::new(Secret::new([7; 32])),
///     workers: Arc::new(OnThisThread),
///     random: Arc::new(SystemRandom),
/// };
/// let site = SessionSite::new(parts, SessionSettings::default())?;
/// let gate = Arc::new(Gate::new(store, clock, &SystemRandom));
/// let guard = GateLayer::new(gate.clone(), site.rule("notes", SessionDemand::default()).build()?, url.clone());
/// let app: Router = Router::new()
///     .route("/notes", get(async || "yours").layer(guard))
///     .route_service("/auth/{*path}", AuthService::new(site, gate, url)?);
/// # Ok(())
/// # }
/// ```
pub struct AuthService<S> {
    shared: Arc<Shared<S>>,
}

struct Shared<S> {
    site: SessionSite<S>,
    doorway: Doorway<S>,
    endpoints: Vec<Endpoint>,
}

#[derive(Clone)]
struct Endpoint {
    path: AuthPath,
    template: Arc<Template>,
    rule: Arc<Rule>,
}

impl<S: Store + Clone> AuthService<S> {
    /// Serves `site` at `public_url`, which is what callers address; it is never taken from a request. `gate`
    /// spends in the site's store.
    ///
    /// # Errors
    /// None in practice: each path's rule has the one verifier that it needs.
    pub fn new(site: SessionSite<S>, gate: Arc<Gate<S>>, public_url: PublicUrl) -> Result<Self, RuleError> {
        let mut endpoints = Vec::with_capacity(AuthPath::ALL.len());
        for path in AuthPath::ALL {
            let rule = Arc::new(site.rule_of(path)?);
            // All of them are templates; what were none would not be served.
            if let Ok(template) = Template::parse(path.template()) {
                endpoints.push(Endpoint { path, template: Arc::new(template), rule });
            }
        }
        let doorway = Doorway::new(gate, public_url);
        Ok(Self { shared: Arc::new(Shared { site, doorway, endpoints }) })
    }

    /// The same, learning from a request's extensions who sent it (with axum: `ConnectInfo`), so that guessing is
    /// slowed for each source. Without it all of them count as one.
    #[must_use]
    pub fn source(self, source_of: impl Fn(&Extensions) -> Option<IpAddr> + Send + Sync + 'static) -> Self {
        self.with(|doorway| doorway.source(source_of))
    }

    /// The same, telling `witness` what is decided.
    #[must_use]
    pub fn witness(self, witness: Arc<dyn Witness>) -> Self {
        self.with(|doorway| doorway.witness(witness))
    }

    fn with(self, change: impl FnOnce(&Doorway<S>) -> Doorway<S>) -> Self {
        let Shared { site, doorway, endpoints } = &*self.shared;
        let (site, endpoints, doorway) = (site.clone(), endpoints.clone(), change(doorway));
        Self { shared: Arc::new(Shared { site, doorway, endpoints }) }
    }
}

impl<S> Clone for AuthService<S> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<S, B> Service<Request<B>> for AuthService<S>
where
    S: Store + Clone,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = GateFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let shared = self.shared.clone();
        Box::pin(async move { Ok(shared.answer(request).await.map(Full::new)) })
    }
}

impl<S: Store + Clone> Shared<S> {
    async fn answer<B>(&self, request: Request<B>) -> Response<Bytes>
    where
        B: Body<Data = Bytes> + Send + Unpin,
    {
        let (mut parts, body) = request.into_parts();
        let mut body = GateBody::streaming(body);
        let arrival = self.doorway.arrive(&mut parts, &body);
        self.admitted(&arrival, &mut BodyReader(&mut body)).await.unwrap_or_else(|refusal| refused(&refusal))
    }

    async fn admitted(
        &self,
        arrival: &Arrival<'_, S>,
        body: &mut dyn BodySource,
    ) -> Result<Response<Bytes>, Refusal> {
        let view = arrival.view();
        let (endpoint, named) = match self.find(&view) {
            Ok(found) => found,
            Err(denial) => return Err(arrival.refuse(Check::Route, denial).await),
        };
        let permit = arrival.admit_at_once(&endpoint.rule, body).await?;
        let asked = AuthAsked { request: &view, principal: permit.principal(), named, body };
        match self.site.answer(endpoint.path, asked).await {
            Ok(mut response) => {
                response.headers_mut().extend(permit.tells());
                Ok(response)
            }
            Err(denial) => Err(arrival.fail(Check::Verify, denial).await),
        }
    }

    /// What serves a request, and what stands in the place of `{id}`.
    fn find<'a>(&self, view: &RequestView<'a>) -> Result<(&Endpoint, Option<&'a str>), Denial> {
        let mut others: Vec<Method> = Vec::new();
        for endpoint in &self.endpoints {
            let Some(values) = endpoint.template.values(view.target.path()) else { continue };
            let method = endpoint.path.method();
            if *view.method == method || (*view.method == Method::HEAD && method == Method::GET) {
                return Ok((endpoint, values.first().map(|(_, value)| *value)));
            }
            others.push(method);
        }
        Err(match &others[..] {
            [] => Denial::new(Code::RouteUnknown, "nothing is served here"),
            others => Denial::other_method(others),
        })
    }
}
