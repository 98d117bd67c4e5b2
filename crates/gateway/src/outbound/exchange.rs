//! One request of an application: looked at, proven, sent to the target, and answered.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use countersign::decision::Check;
use countersign::path::check_path;
use countersign::request::Body as BodyKind;
use countersign::{Code, Decision, Denial, FetchError, PublicUrl, RequestView};
use countersign_tower::{GateBody, ProveError, ProveLayer, ProvenBody, problem};
use http::header::{EXPECT, HOST, ORIGIN};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, Version, request};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::capture_connection;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tower_service::Service;

use crate::config::OutboundConfig;
use crate::guard::Flow;
use crate::open::Opened;
use crate::outbound::connector::Connector;
use crate::outbound::proof::OutboundProof;
use crate::proxy;
use crate::proxy::body::{Answer, Busy, Progress, RequestBody, ResponseBody};
use crate::proxy::broken::{Tell, reasons};
use crate::proxy::headers::strip_hop_by_hop;
use crate::proxy::{await_response, begin};
use crate::recorder::Recorder;
use crate::router::METHODS;
use crate::runtime::Live;
use crate::server::options::is_about_the_server;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Sends an application's requests to one target, each with a proof.
pub(super) struct Exchange {
    live: Live,
    recorder: Recorder,
    target: PublicUrl,
    name: Arc<str>,
    /// What an application may write as the host; `None`: anything, for no page reaches a Unix socket.
    hosts: Option<Vec<String>>,
    proofs: ProveLayer<OutboundProof>,
    client: Client<Connector, ProvenBody<RequestBody>>,
    response_timeout: Duration,
    stream_timeout: Duration,
    body_timeout: Duration,
    /// How large a body is read before it is sent.
    signed_limit: usize,
}

impl Exchange {
    pub(super) fn new(
        opened: &Opened,
        config: &OutboundConfig,
        listens_on: Option<String>,
        claimant: OutboundProof,
    ) -> Self {
        let runtime = opened.live.load_full();
        let (limits, upstream) = (&runtime.config.limits, &runtime.config.upstream);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(runtime.config.egress.idle_timeout)
            .pool_max_idle_per_host(upstream.max_idle)
            .retry_canceled_requests(true)
            .build(Connector::new(runtime.egress.dialer.clone(), upstream.connect_timeout));
        let target = config.target.clone();
        let hosts = listens_on.map(|address| {
            let port = address.rsplit_once(':').map_or("", |(_, port)| port);
            vec![format!("localhost:{port}"), target.authority().to_string(), address]
        });
        Self {
            name: target.to_string().into(),
            target,
            hosts,
            proofs: ProveLayer::new(Arc::new(claimant), opened.shared.clock.clone())
                .body_limit(limits.max_signed_body),
            client,
            response_timeout: upstream.response_timeout,
            stream_timeout: upstream.stream_timeout,
            body_timeout: limits.body_timeout,
            signed_limit: limits.max_signed_body,
            live: opened.live.clone(),
            recorder: opened.shared.recorder.clone(),
        }
    }

    pub(super) async fn run(
        self: &Arc<Self>,
        request: Request<Incoming>,
        flow: Flow,
    ) -> Response<ResponseBody> {
        let (parts, body) = request.into_parts();
        let target = self.target.target(&parts.uri);
        let has_body = !body.is_end_stream();
        match self.send(&parts, &target, body).await {
            Ok(response) => {
                self.recorder.metrics.outbound(&self.name, Ok(response.status()));
                let (mut head, body) = response.into_parts();
                if let Some(target) = head.extensions.remove::<Flow>() {
                    target.read_for(&flow);
                }
                strip_hop_by_hop(&mut head.headers);
                // A hop's own, as for what the gateway forwards.
                head.version = Version::HTTP_11;
                let tell = self.tell(&parts, target, has_body);
                let body =
                    ResponseBody::upstream(body, self.stream_timeout, Some(flow), tell, Busy::default());
                Response::from_parts(head, body)
            }
            Err(denial) => {
                self.recorder.metrics.outbound(&self.name, Err(denial.code().as_str()));
                self.refusal(&parts, &target, has_body, denial)
            }
        }
    }

    async fn send(
        &self,
        parts: &request::Parts,
        target: &Uri,
        body: Incoming,
    ) -> Result<Response<Answer>, Denial> {
        self.stays(parts)?;
        let framing = proxy::framing::of_headers(&parts.headers, &body)?;
        let body = RequestBody::new(GateBody::streaming(body), framing, self.body_timeout, None);
        let progress = body.progress();
        let mut request = Request::new(body);
        *request.method_mut() = parts.method.clone();
        *request.uri_mut() = target.clone();
        *request.version_mut() = Version::HTTP_11;
        let headers = request.headers_mut();
        headers.clone_from(&parts.headers);
        strip_hop_by_hop(headers);
        headers.remove(EXPECT);
        proxy::framing::write(framing, headers);
        headers.insert(HOST, self.target.host_header().clone());
        let mut sender =
            Sender { client: &self.client, progress: &progress, patience: self.response_timeout };
        self.proofs.send(&mut sender, request).await.map_err(|error| match error {
            ProveError::Prove(unproven) => unproven.denial(self.signed_limit),
            ProveError::Client(denial) => denial,
            error => {
                let failure = progress.failure();
                failure.unwrap_or_else(|| Denial::new(Code::UpstreamUnreachable, error.to_string()))
            }
        })
    }

    /// Refuses what would leave the target, or comes from a page: whoever speaks here speaks in our name.
    fn stays(&self, parts: &request::Parts) -> Result<(), Denial> {
        if matches!(parts.method, Method::CONNECT | Method::TRACE) {
            let cause = format!("{} does not go through an outbound listener", parts.method);
            return Err(Denial::new(Code::MethodNotAllowed, cause).allowing(METHODS.to_owned()));
        }
        if is_about_the_server(&parts.method, &parts.uri) {
            let cause = "OPTIONS * is about this server, which says nothing of the target's";
            return Err(Denial::new(Code::MethodNotAllowed, cause).allowing(METHODS.to_owned()));
        }
        check_path(parts.uri.path())?;
        if parts.headers.contains_key(ORIGIN) || parts.headers.contains_key(SEC_FETCH_SITE) {
            return Err(Denial::new(Code::CrossSite, "a page's request to an outbound listener"));
        }
        if let Some(scheme) = parts.uri.scheme_str()
            && scheme != "http"
            && scheme != self.target.scheme().as_str()
        {
            return Err(Denial::new(Code::PathAmbiguous, "the request target has another scheme"));
        }
        let mut named = parts.headers.get_all(HOST).iter().map(HeaderValue::as_bytes);
        let host = named.next().unwrap_or_default();
        let authority = parts.uri.authority().map(|authority| authority.as_str().as_bytes());
        let elsewhere = named.next().is_some()
            || !self.is_ours(host)
            || authority.is_some_and(|authority| !self.is_ours(authority));
        match elsewhere {
            // A name that leads here by a trick of DNS is not ours either.
            true => Err(Denial::new(
                Code::CrossSite,
                "the request names another host than this listener or its target",
            )),
            false => Ok(()),
        }
    }

    fn is_ours(&self, host: &[u8]) -> bool {
        let is = |known: &String| known.as_bytes().eq_ignore_ascii_case(host);
        self.hosts.as_ref().is_none_or(|hosts| hosts.iter().any(is))
    }

    fn refusal(
        &self,
        parts: &request::Parts,
        target: &Uri,
        has_body: bool,
        denial: Denial,
    ) -> Response<ResponseBody> {
        tracing::warn!(target = %self.name, code = %denial.code(), cause = denial.cause(), "not sent");
        let body = if has_body { BodyKind::Announced } else { BodyKind::Absent };
        let decision = self.record(&parts.method, target, &parts.headers, body, Check::Outbound, denial);
        let response = decision.denial().map(|denial| problem(denial, decision.id, decision.at));
        response.unwrap_or_default().map(|bytes| ResponseBody::ours(bytes, Busy::default()))
    }

    /// Who is told when an answer breaks off. Of a request that was sent there is no decision before that.
    fn tell(self: &Arc<Self>, parts: &request::Parts, target: Uri, has_body: bool) -> Tell {
        let (exchange, method) = (self.clone(), parts.method.clone());
        let body = if has_body { BodyKind::Announced } else { BodyKind::Absent };
        Box::new(move |breakage, cause| {
            let how = breakage.as_str();
            exchange.recorder.metrics.broken_outbound(&exchange.name, how);
            let said = format!("the answer broke off behind its head ({how}): {cause}");
            let denial = Denial::new(Code::UpstreamUnreachable, said);
            let headers = HeaderMap::new();
            let decision = exchange.record(&method, &target, &headers, body, Check::Answer, denial);
            tracing::warn!(
                decision = %decision.id, target = %exchange.name, kind = how, cause,
                "the target's answer broke off"
            );
        })
    }

    fn record(
        &self,
        method: &Method,
        target: &Uri,
        headers: &HeaderMap,
        body: BodyKind,
        check: Check,
        denial: Denial,
    ) -> Arc<Decision> {
        let runtime = self.live.load();
        let view =
            RequestView { method, target, headers, body, source: None, received_at: runtime.gate.now() };
        let decision = runtime.gate.refuse(&view, check, denial).decision().clone();
        self.recorder.decisions.push(decision.clone());
        decision
    }
}

/// Sends what has been proven, and waits for the head of the answer.
struct Sender<'a> {
    client: &'a Client<Connector, ProvenBody<RequestBody>>,
    progress: &'a Progress,
    patience: Duration,
}

impl<'a> Service<Request<ProvenBody<RequestBody>>> for Sender<'a> {
    type Response = Response<Answer>;
    type Error = Denial;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Answer>, Denial>> + Send + 'a>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Denial>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<ProvenBody<RequestBody>>) -> Self::Future {
        let Sender { client, progress, patience } = *self;
        progress.goes_over(capture_connection(&mut request));
        let response = client.request(request);
        Box::pin(async move {
            let answered = await_response(pin!(response), progress, patience).await?;
            let answered = answered.map_err(|error| {
                progress.failure().unwrap_or_else(|| {
                    let code = match fetch_error(&error) {
                        Some(FetchError::Timeout(_)) => Code::UpstreamTimeout,
                        _ => Code::UpstreamUnreachable,
                    };
                    Denial::new(code, reasons(&error))
                })
            });
            let (head, body) = answered?.into_parts();
            Ok(Response::from_parts(head, begin(body).await?))
        })
    }
}

/// What our own connector said, among what the client wrapped it in.
fn fetch_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a FetchError> {
    let mut source = Some(error);
    while let Some(error) = source {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        source = error.source();
    }
    None
}
