//! One request, from its head to its response.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use countersign::decision::Check;
use countersign::request::Body as BodyKind;
use countersign::{BodySource, Code, Decision, Denial, Passage, Refusal};
use countersign_http1::{BodyFraming, Facts, MAX_METHOD_BYTES, METHOD_TOO_LONG, Violation, ViolationKind};
use countersign_io::AnyStore;
use countersign_tower::{
    BodyReader, GateBody, has_credential_in_url, problem, refer_to_nobody, remove_cookie, remove_copies,
    remove_copies_in_query, remove_half,
};
use http::header::{CONNECTION, CONTENT_LENGTH, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version, request};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use tokio::time::timeout;

use crate::endpoint::{Asked, Door, Endpoint};
use crate::guard::{Admitted, Flow, InFlight, UpgradeDecision};
use crate::open::Opened;
use crate::proxy::body::{Busy, Progress, RequestBody, ResponseBody};
use crate::proxy::broken::{self, Tell};
use crate::proxy::framing;
use crate::proxy::headers::{Hops, to_caller};
use crate::proxy::{MayUpgrade, Tunnel};
use crate::runtime::{Route, Runtime, Served};
use crate::server::cors::Cors;
use crate::server::delivery::{Delivering, deliver};
use crate::server::options::{about_the_server, is_about_the_server};
use crate::server::peer::Peer;
use crate::server::rest::throw_away;
use crate::server::source::{self, Read};

/// Answers a request.
pub(super) async fn handle(peer: &Peer, request: Request<Incoming>) -> Response<ResponseBody> {
    let admitted = peer.framing.as_ref().map(|framing| framing.admit(&request));
    let (read, in_flight, upgrade) = match admitted {
        Some(Admitted { head, in_flight, upgrade }) => (head.map(Some), Some(in_flight), upgrade),
        None => (Ok(None), None, None),
    };
    let is_http1 = request.version() < Version::HTTP_2;
    let busy = Busy { http1: in_flight, http2: (!is_http1).then(|| peer.streams.open()) };
    let runtime = peer.opened.live.load_full();
    let cors = Cors::of(&runtime.config.cors, request.headers());
    let urls = runtime.schemes.callback_url.urls();
    let in_url = has_credential_in_url(request.uri(), None)
        || urls.are(request.uri().path())
        || request.uri().query().is_some_and(|query| urls.stand_in(query.as_bytes()));
    let exchange = Exchange { peer, runtime, busy, upgrade };
    let (mut response, drop_connection) = exchange.run(request, read, &cors).await;
    cors.mark(response.headers_mut());
    if in_url {
        refer_to_nobody(response.headers_mut());
    }
    if drop_connection && is_http1 {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

struct Exchange<'a> {
    peer: &'a Peer,
    runtime: Arc<Runtime>,
    busy: Busy,
    upgrade: Option<UpgradeDecision>,
}

impl Exchange<'_> {
    fn opened(&self) -> &Arc<Opened> {
        &self.peer.opened
    }

    /// The response, and whether the connection must end with it. `read` is what the guard found; nothing on HTTP/2.
    async fn run(
        self,
        request: Request<Incoming>,
        read: Result<Option<Facts>, Violation>,
        cors: &Cors,
    ) -> (Response<ResponseBody>, bool) {
        let started = Instant::now();
        let (mut parts, body) = request.into_parts();
        let framing = match &read {
            Ok(Some(facts)) => facts.body,
            Ok(None) => framing::of_stream(&parts.headers, &body),
            Err(_) => BodyFraming::None,
        };
        let mut body = GateBody::streaming(body);
        let source = self.source(&parts.headers).source;
        let runtime = self.runtime.clone();
        let config = &runtime.config;
        let kind = if framing.announces_body() { BodyKind::Announced } else { BodyKind::Absent };
        let asks_the_server = is_about_the_server(&parts.method, &parts.uri);
        let recorder = &self.peer.opened.shared.recorder;
        let (told, public_url) = (recorder.told(None, started), &config.server.public_url);
        let door = Door::new(&runtime.gate, &mut parts, public_url, kind, Some(source), &told);
        let view = door.view();
        let violation = match &read {
            Err(violation) => Some(*violation),
            // The guard has looked at both for HTTP/1, where cookies are one again by now.
            Ok(_) if view.headers.len() > config.limits.max_headers => Some(Violation {
                kind: ViolationKind::HeadersTooLarge,
                reason: "more fields than limits.max_headers",
            }),
            Ok(_) if view.method.as_str().len() > MAX_METHOD_BYTES => Some(METHOD_TOO_LONG),
            Ok(_) => None,
        };
        // Whoever waits for 100 (Continue) has not sent the body, and may never.
        let waits = matches!(&read, Ok(Some(facts)) if facts.expects_continue);
        if let Some(violation) = violation {
            let code = match violation.kind {
                ViolationKind::HeadersTooLarge => Code::HeadersTooLarge,
                _ => Code::Framing,
            };
            let refusal = door.refuse(Check::Reading, Denial::new(code, violation.reason)).await;
            return (self.ours(refused(&refusal)), true);
        }
        let ours = match asks_the_server {
            true => Some(about_the_server()),
            false => cors.preflight(view.method, view.headers),
        };
        if let Some(response) = ours {
            let close = self.must_close(&mut body, waits).await;
            return (self.ours(response), close);
        }
        let response = match runtime.serves(&view) {
            Err(unserved) => refused(&door.refuse(unserved.0, unserved.1).await),
            Ok(Served::Endpoint(endpoint)) => {
                let answered = self.answer(endpoint, &door, &mut body).await;
                answered.unwrap_or_else(|refusal| refused(&refusal))
            }
            Ok(Served::Route(route)) => match self.look_at_upstream(route, &door, &body).await {
                Err(refusal) => refused(&refusal),
                Ok(()) => {
                    let mut reader = self.reader(&mut body);
                    let told = recorder.told(Some(&route.metrics), started);
                    let admitted = door.told_to(&told).admit(&route.rule, &mut reader).await;
                    match admitted {
                        Ok(passage) => return self.pass(route, passage, parts, body, (framing, waits)).await,
                        Err(refusal) => refused(&refusal),
                    }
                }
            },
        };
        let close = self.must_close(&mut body, waits).await;
        (self.ours(response), close)
    }

    /// Before anything is spent: what could not be forwarded is refused.
    async fn look_at_upstream(
        &self,
        route: &Route,
        door: &Door<'_>,
        body: &GateBody<Incoming>,
    ) -> Result<(), Refusal> {
        let runtime = &self.runtime;
        let limit = runtime.config.limits.max_body;
        if let Some(limit) = limit.filter(|limit| body.size_hint().lower() > *limit as u64) {
            let cause = format!("more than limits.max_body, {limit} bytes");
            return Err(door.refuse(Check::Reading, Denial::new(Code::BodyTooLarge, cause)).await);
        }
        if route.upstream.needs_assertions()
            && let Err(denial) = runtime.schemes.assertion.asserter().keys(door.view().received_at).await
        {
            return Err(door.refuse(Check::Assertion, denial).await);
        }
        Ok(())
    }

    fn reader<'b>(&self, body: &'b mut GateBody<Incoming>) -> PatientReader<'b> {
        PatientReader { reader: BodyReader(body), patience: self.runtime.config.limits.body_timeout }
    }

    /// Whether the caller's connection must end because more of the body may come, which nobody will read: the guard
    /// drains a little of it then, and lingers.
    async fn must_close(&self, body: &mut GateBody<Incoming>, waits: bool) -> bool {
        match self.busy.http1.is_none() || waits {
            true => !body.is_received(),
            false => !throw_away(body).await,
        }
    }

    /// Answers a request to a path of ours.
    async fn answer(
        &self,
        endpoint: &Endpoint,
        door: &Door<'_>,
        body: &mut GateBody<Incoming>,
    ) -> Result<Response<bytes::Bytes>, Refusal> {
        let mut body = self.reader(body);
        let permit = door.admit_at_once(&endpoint.rule, &mut body).await?;
        let view = door.view();
        let asked = Asked {
            door,
            request: &view,
            principal: permit.principal(),
            values: endpoint.template.values(view.target.path()).unwrap_or_default(),
            body: &mut body,
        };
        match endpoint.answer.answer(asked).await {
            Ok(mut response) => {
                for (name, value) in permit.tells() {
                    response.headers_mut().append(name, value);
                }
                Ok(response)
            }
            Err(denial) => Err(door.fail(Check::Verify, denial).await),
        }
    }

    async fn pass(
        mut self,
        route: &Route,
        passage: Passage<Arc<AnyStore>>,
        mut parts: request::Parts,
        body: GateBody<Incoming>,
        (framing, waits): (BodyFraming, bool),
    ) -> (Response<ResponseBody>, bool) {
        let session_cookie = self.runtime.schemes.session.cookie();
        if let Some(cookie) = session_cookie {
            // Browsers send it along wherever they go: to upstreams whose routes take no sessions, too.
            remove_cookie(&mut parts.headers, cookie.name());
            remove_half(&mut parts.headers);
        }
        let limits = &self.runtime.config.limits;
        let mut body = RequestBody::new(body, framing, limits.body_timeout, limits.max_body);
        let urls = self.runtime.schemes.callback_url.urls();
        if !urls.is_empty() {
            remove_copies(&mut parts.headers, |value| urls.stand_in(value));
            remove_copies_in_query(&mut parts.uri, |value| urls.stand_in(value));
            let runtime = self.runtime.clone();
            body = body.without(move |value| runtime.schemes.callback_url.urls().stand_in(value));
        }
        let progress = body.progress();
        progress.keep_rest();
        let head = parts.method == Method::HEAD;
        let decision = passage.decision().clone();
        let tell = self.tell(&decision, &progress, parts.version);
        let tells: Vec<(HeaderName, HeaderValue)> = passage.tells().collect();
        let upgrade = self.upgrade.take().filter(|_| is_websocket(&parts.method, &parts.headers));
        let caller = upgrade.as_ref().and_then(|_| {
            parts.extensions.insert(MayUpgrade);
            parts.extensions.remove::<OnUpgrade>()
        });
        let believed = self.source(&parts.headers).chain;
        let hops = Hops { peer: self.peer.address, believed: believed.as_ref() };
        let started = Instant::now();
        let forwarded = match passage {
            Passage::Free(permit) => {
                let public_url = &self.runtime.config.server.public_url;
                self.runtime.forwarder.forward(permit, &route.upstream, parts, body, public_url, &hops).await
            }
            Passage::Once(reserved) => {
                let delivering = Delivering {
                    upstream: route.upstream.clone(),
                    parts,
                    body,
                    peer: hops.peer,
                    believed: hops.believed.cloned(),
                };
                deliver(self.opened(), self.runtime.clone(), reserved, delivering).await
            }
        };
        let (mut response, standing) = match forwarded {
            Ok(forwarded) => forwarded,
            Err(denial) => return self.failed(route, &decision, &denial, &progress, waits).await,
        };
        route.metrics.answered(response.status(), started.elapsed());
        drop(progress.take_rest());
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let (Some(upgrade), Some(caller)) = (upgrade, caller) else {
                let cause = "the upstream switched protocols without being asked";
                let denial = Denial::new(Code::UpstreamUnreachable, cause);
                return self.failed(route, &decision, &denial, &progress, waits).await;
            };
            let protocol = response.headers().get(UPGRADE).cloned();
            let tunnel = Tunnel {
                caller,
                upstream: hyper::upgrade::on(&mut response),
                standing,
                clock: self.opened().shared.clock.clone(),
                patience: self.runtime.config.upstream.stream_timeout,
                ending: self.opened().shared.life.ending(),
                tell,
            };
            self.carry(tunnel);
            upgrade.accept();
            to_caller(response.headers_mut(), session_cookie, decision.id.encode(&mut [0; 36]));
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
            if let Some(protocol) = protocol {
                response.headers_mut().insert(UPGRADE, protocol);
            }
            let busy = std::mem::take(&mut self.busy);
            return (response.map(|_| ResponseBody::ours(bytes::Bytes::new(), busy)), false);
        }
        for (name, value) in tells {
            response.headers_mut().append(name, value);
        }
        // How long the body would be, where there is none: nobody but the upstream knows.
        let length = response.headers_mut().remove(CONTENT_LENGTH).filter(|_| head);
        to_caller(response.headers_mut(), session_cookie, decision.id.encode(&mut [0; 36]));
        if let Some(length) = length {
            response.headers_mut().insert(CONTENT_LENGTH, length);
        }
        let patience = self.runtime.config.upstream.stream_timeout;
        let busy = std::mem::take(&mut self.busy);
        let flow = self.peer.flow.clone();
        if let (Some(upstream), Some(caller)) = (response.extensions_mut().remove::<Flow>(), &flow) {
            upstream.read_for(caller);
        }
        (response.map(|body| ResponseBody::upstream(body, patience, flow, tell, busy)), false)
    }

    /// Who is told when the answer breaks off.
    fn tell(&self, decision: &Arc<Decision>, progress: &Arc<Progress>, version: Version) -> Tell {
        let tell = broken::tell(self.opened().shared.recorder.metrics.clone(), decision.clone());
        let (progress, flow) = (progress.clone(), self.peer.flow.clone());
        Box::new(move |breakage, cause| {
            if let (Version::HTTP_10, Some(flow)) = (version, flow) {
                // What has no length and no chunks is whole when the connection ends in peace (RFC 9112, 8).
                flow.cut();
            }
            // A request that broke off takes its answer with it: that is no failure of the upstream's.
            if progress.failure().is_none() {
                tell(breakage, cause);
            }
        })
    }

    fn carry(&self, tunnel: Tunnel) {
        let metrics = self.opened().shared.recorder.metrics.clone();
        // A tunnel is a connection still, and takes up its place.
        let place = self.peer.place.clone();
        tokio::spawn(async move {
            metrics.tunnels.inc();
            tunnel.run().await;
            metrics.tunnels.dec();
            drop(place);
        });
    }

    /// It was permitted, and did not arrive.
    async fn failed(
        self,
        route: &Route,
        decision: &Decision,
        denial: &Denial,
        progress: &Progress,
        waits: bool,
    ) -> (Response<ResponseBody>, bool) {
        let broken_by_guard = self.busy.http1.as_ref().and_then(InFlight::body_violation);
        let guarded = broken_by_guard.map(|violation| Denial::new(Code::Framing, violation.reason));
        let denial = guarded.as_ref().unwrap_or(denial);
        tracing::warn!(decision = %decision.id, code = %denial.code(), cause = denial.cause(), "not forwarded");
        self.opened().shared.recorder.metrics.upstream_failure(&route.metrics, denial.code().as_str());
        let code = denial.code();
        let note = format!("{} {code}: {}", code.status().as_u16(), denial.cause());
        decision.note_afterwards(broken::failed(note));
        let response = problem(denial, decision.id, decision.at);
        // What is left of the caller's body has no reader.
        let close = match progress.take_rest() {
            Some(mut rest) => self.must_close(&mut rest, waits).await,
            None => !progress.is_whole(),
        };
        (self.ours(response), close)
    }

    fn ours(self, response: Response<bytes::Bytes>) -> Response<ResponseBody> {
        response.map(|bytes| ResponseBody::ours(bytes, self.busy))
    }

    /// Who sent the request.
    fn source(&self, headers: &HeaderMap) -> Read {
        let server = &self.runtime.config.server;
        source::read(headers, self.peer.address, |address| server.trusts(address))
    }
}

fn refused(refusal: &Refusal) -> Response<bytes::Bytes> {
    problem(refusal.denial(), refusal.decision().id, refusal.decision().at)
}

/// Reads a body that a proof covers, as long as that does not take too long.
struct PatientReader<'a> {
    reader: BodyReader<'a, Incoming>,
    patience: Duration,
}

impl BodySource for PatientReader<'_> {
    fn read(
        &mut self,
        limit: usize,
    ) -> Pin<Box<dyn Future<Output = Result<bytes::Bytes, Denial>> + Send + '_>> {
        let patience = self.patience;
        Box::pin(async move {
            let read = timeout(patience, self.reader.read(limit)).await;
            read.unwrap_or_else(|_| Err(Denial::new(Code::Framing, "the body came too slowly")))
        })
    }
}

fn is_websocket(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::GET
        && headers.get(UPGRADE).is_some_and(|upgrade| upgrade.as_bytes().eq_ignore_ascii_case(b"websocket"))
}
