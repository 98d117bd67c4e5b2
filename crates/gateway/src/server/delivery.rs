//! Forwards a request whose use is reserved. It goes on if the caller leaves, and what came of it is durable
//! before the caller learns of it.

use std::net::IpAddr;
use std::sync::Arc;

use countersign::{Code, Delivered, Delivery, Denial, ReservedPermit, Standing};
use countersign_io::AnyStore;
use http::{HeaderValue, Response, request};

use crate::open::Opened;
use crate::proxy::body::{Answer, RequestBody};
use crate::proxy::headers::Hops;
use crate::proxy::{IdempotencyKey, Upstream};
use crate::runtime::Runtime;

/// What is delivered, and where it goes.
pub(super) struct Delivering {
    pub(super) upstream: Upstream,
    pub(super) parts: request::Parts,
    pub(super) body: RequestBody,
    pub(super) peer: IpAddr,
    pub(super) believed: Option<HeaderValue>,
}

/// What came back.
struct Answered {
    forwarded: Result<(Response<Answer>, Standing), Denial>,
    delivery: Delivery,
}

impl Delivered for Answered {
    fn delivery(&self) -> Delivery {
        self.delivery
    }
}

/// Delivers it, in a task of its own.
///
/// # Errors
/// As [`crate::proxy::Forwarder::forward`].
pub(super) async fn deliver(
    opened: &Opened,
    runtime: Arc<Runtime>,
    reserved: ReservedPermit<Arc<AnyStore>>,
    delivering: Delivering,
) -> Result<(Response<Answer>, Standing), Denial> {
    let Delivering { upstream, mut parts, body, peer, believed } = delivering;
    parts.extensions.insert(IdempotencyKey(reserved.idempotency_key().into()));
    let progress = body.progress();
    let forward = move |permit| async move {
        let hops = Hops { peer, believed: believed.as_ref() };
        let public_url = &runtime.config.server.public_url;
        let forwarded = runtime.forwarder.forward(permit, &upstream, parts, body, public_url, &hops).await;
        let delivery = match &forwarded {
            Ok((response, _)) => Delivery::of(response.status()),
            Err(_) if !progress.was_sent() => Delivery::NotSent,
            Err(_) => Delivery::Uncertain,
        };
        Answered { forwarded, delivery }
    };
    let answered =
        reserved.deliver(&opened.shared.life, Arc::new(opened.shared.recorder.clone()), forward).await;
    let cut_off = || Err(Denial::new(Code::UpstreamUnreachable, "the delivery was cut off"));
    answered.map_or_else(cut_off, |answered| answered.forwarded)
}
