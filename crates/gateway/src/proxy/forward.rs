//! Sends a permitted request to its upstream.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use countersign::assertion::{ASSERTION, Asserter, Statement};
use countersign::{Clock, Code, Denial, Permit, PublicUrl, Standing};
use countersign_io::AnyStore;
use countersign_tower::{set_idempotency_key, strip_credentials};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderName, HeaderValue, Request, Response, Uri, Version, request};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::capture_connection;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::timeout;

use crate::config::{UpstreamLimits, UpstreamUrl};
use crate::proxy::body::{Answer, Progress, RequestBody};
use crate::proxy::broken::{BodyError, reasons};
use crate::proxy::connector::Connector;
use crate::proxy::headers::{Hops, Reading, to_upstream};

/// Where a route's permitted requests go.
#[derive(Clone, Debug)]
pub struct Upstream {
    authority: Authority,
    host: HeaderValue,
    /// What assertions call it; `None` if it gets none.
    audience: Option<Box<str>>,
    /// What it may be told, beside us, of who sent a request.
    passes: Arc<[HeaderName]>,
}

impl Upstream {
    /// An upstream, whether it is told who was proven in a form that it can check, and which headers that say the
    /// same in another proxy's words pass.
    ///
    /// # Errors
    /// Its name cannot be a Host header.
    pub fn new(
        url: &UpstreamUrl,
        assertion: bool,
        passes: &[HeaderName],
    ) -> Result<Self, http::header::InvalidHeaderValue> {
        Ok(Self {
            authority: url.authority.clone(),
            host: HeaderValue::from_str(url.authority.as_str())?,
            audience: assertion.then(|| url.to_string().into()),
            passes: passes.into(),
        })
    }

    /// Whether it gets assertions: without their keys nothing is forwarded to it.
    #[must_use]
    pub const fn needs_assertions(&self) -> bool {
        self.audience.is_some()
    }

    fn uri(&self, requested: &Uri) -> Uri {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(Scheme::HTTP);
        parts.authority = Some(self.authority.clone());
        let slash = || PathAndQuery::from_static("/");
        parts.path_and_query = Some(requested.path_and_query().cloned().unwrap_or_else(slash));
        Uri::from_parts(parts).unwrap_or_default()
    }
}

/// Keeps connections to upstreams and sends permitted requests over them, HTTP/1.1, framed by us.
pub struct Forwarder {
    /// Bodies are boxed, since each connection has room for 32 requests that wait.
    client: Client<Connector, Box<RequestBody>>,
    response_timeout: Duration,
    asserter: Arc<Asserter<Arc<AnyStore>>>,
    clock: Arc<dyn Clock>,
}

impl Forwarder {
    /// A forwarder without connections.
    #[must_use]
    pub fn new(
        limits: &UpstreamLimits,
        asserter: Arc<Asserter<Arc<AnyStore>>>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(limits.idle_timeout)
            .pool_max_idle_per_host(limits.max_idle)
            // Only what was never written is sent again, which is safe for every method; an upstream
            // closes idle connections whenever it likes.
            .retry_canceled_requests(true)
            .build(Connector::new(limits.connect_timeout));
        Self { client, response_timeout: limits.response_timeout, asserter, clock }
    }

    /// Sends a request to `upstream`. It takes the permit: there is no other way to call it, and no
    /// second call.
    ///
    /// ```
    /// # use countersign::{Permit, PublicUrl};
    /// # use countersign_gateway::proxy::{Forwarder, Upstream, body::RequestBody, headers::Hops};
    /// # async fn forward(
    /// #     forwarder: Forwarder, upstream: Upstream, request: http::request::Parts,
    /// #     body: RequestBody, url: PublicUrl, hops: Hops<'_>, permit: Permit,
    /// # ) {
    /// let _ = forwarder.forward(permit, &upstream, request, body, &url, &hops).await;
    /// # }
    /// ```
    ///
    /// ```compile_fail
    /// # use countersign::{Permit, PublicUrl};
    /// # use countersign_gateway::proxy::{Forwarder, Upstream, body::RequestBody, headers::Hops};
    /// # async fn forward(
    /// #     forwarder: Forwarder, upstream: Upstream, request: http::request::Parts,
    /// #     body: RequestBody, url: PublicUrl, hops: Hops<'_>, permit: &Permit,
    /// # ) {
    /// let _ = forwarder.forward(permit, &upstream, request, body, &url, &hops).await;
    /// # }
    /// ```
    ///
    /// # Errors
    /// `upstream_unreachable`, `upstream_timeout`, what was wrong with the caller's body, or
    /// `keys_unavailable` and `store_unavailable` where the upstream is to get an assertion.
    pub async fn forward(
        &self,
        permit: Permit,
        upstream: &Upstream,
        mut request: request::Parts,
        body: RequestBody,
        public_url: &PublicUrl,
        hops: &Hops<'_>,
    ) -> Result<(Response<Answer>, Standing), Denial> {
        strip_credentials(&mut request.headers, &mut request.uri, &permit);
        let upgrade = request.headers.get(http::header::UPGRADE).cloned();
        let reading = Reading { host: &upstream.host, passes: &upstream.passes };
        to_upstream(&mut request.headers, &permit, public_url, &reading, hops)?;
        crate::proxy::framing::write(body.framing(), &mut request.headers);
        if let Some(upgrade) = upgrade.filter(|_| request.extensions.get::<MayUpgrade>().is_some()) {
            request.headers.insert(http::header::UPGRADE, upgrade);
            request.headers.insert(http::header::CONNECTION, HeaderValue::from_static("upgrade"));
        }
        if let (Some(audience), Some(principal)) = (&upstream.audience, permit.principal()) {
            let statement = Statement {
                gateway: public_url,
                audience,
                principal,
                method: &request.method,
                target: &public_url.target(&request.uri),
                body: body.whole(),
            };
            let assertion = self.asserter.assert(&statement, self.clock.now()).await?;
            request.headers.insert(ASSERTION, assertion);
        }
        let uri = upstream.uri(&request.uri);
        let mut outgoing = Request::new(Box::new(body));
        *outgoing.method_mut() = request.method;
        *outgoing.uri_mut() = uri;
        *outgoing.version_mut() = Version::HTTP_11;
        *outgoing.headers_mut() = request.headers;
        if let Some(IdempotencyKey(name)) = request.extensions.get() {
            set_idempotency_key(outgoing.headers_mut(), name);
        }
        let progress = outgoing.body().progress();
        if outgoing.body().whole().is_none() {
            progress.goes_over(capture_connection(&mut outgoing));
        }
        progress.begin();
        let (head, body) = self.response(outgoing, &progress).await?.into_parts();
        let mut response = Response::from_parts(head, begin(body).await?);
        // The version is a hop's own (RFC 9110, 2.5): an upstream's HTTP/1.0 must not end the caller's connection.
        *response.version_mut() = Version::HTTP_11;
        Ok((response, permit.spend()))
    }

    async fn response(
        &self,
        request: Request<Box<RequestBody>>,
        progress: &Progress,
    ) -> Result<Response<Incoming>, Denial> {
        let response = pin!(self.client.request(request));
        let answered = await_response(response, progress, self.response_timeout).await?;
        answered.map_err(|error| {
            if error.is_connect() {
                progress.nothing_was_sent();
            }
            let failed = progress.failure();
            failed.unwrap_or_else(|| Denial::new(Code::UpstreamUnreachable, reasons(&error)))
        })
    }
}

/// Waits for the head of a response. The clock runs from the end of the request, since a long upload
/// takes its time.
///
/// # Errors
/// `upstream_timeout`.
pub(crate) async fn await_response<F: Future>(
    mut response: Pin<&mut F>,
    progress: &Progress,
    patience: Duration,
) -> Result<F::Output, Denial> {
    loop {
        let (pieces, whole) = (progress.pieces(), progress.is_whole());
        match timeout(patience, response.as_mut()).await {
            Ok(response) => return Ok(response),
            Err(_) if !whole && (progress.is_whole() || progress.pieces() > pieces) => {}
            Err(_) => {
                let cause = format!("no head of a response within {patience:?}");
                return Err(Denial::new(Code::UpstreamTimeout, cause));
            }
        }
    }
}

/// Looks whether an answer broke off before its head goes on.
///
/// # Errors
/// `upstream_unreachable`.
pub(crate) async fn begin(body: Incoming) -> Result<Answer, Denial> {
    let broken = |error: BodyError| {
        let cause = format!("behind the head of its answer: {}", reasons(&error));
        Denial::new(Code::UpstreamUnreachable, cause)
    };
    Answer::begin(body).await.map_err(broken)
}

/// In a request's extensions: it may ask the upstream for an upgrade.
#[derive(Clone, Copy)]
pub(crate) struct MayUpgrade;

/// In a request's extensions: what the upstream may know one delivery by, since it may see it twice.
#[derive(Clone)]
pub(crate) struct IdempotencyKey(pub Box<str>);
