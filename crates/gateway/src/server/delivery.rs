//! Forwards a request whose use is reserved. It goes on if the caller leaves, and what came of it is durable
//! before the caller learns of it.

use std::net::IpAddr;
use std::sync::Arc;

use countersign::{Code, Delivery, Denial, Permit, Reservation, Standing};
use http::{HeaderValue, Response, request};

use crate::proxy::body::{Answer, RequestBody};
use crate::proxy::headers::Hops;
use crate::proxy::{IdempotencyKey, Upstream};
use crate::runtime::Runtime;
use crate::server::peer::Doors;

/// A permitted request, its use, and where it goes.
pub(super) struct Delivering {
    pub(super) permit: Permit,
    pub(super) reservation: Reservation,
    pub(super) upstream: Upstream,
    pub(super) parts: request::Parts,
    pub(super) body: RequestBody,
    pub(super) peer: IpAddr,
    pub(super) believed: Option<HeaderValue>,
}

/// Delivers it, in a task of its own.
///
/// # Errors
/// As [`crate::proxy::Forwarder::forward`].
pub(super) async fn deliver(
    doors: Arc<Doors>,
    runtime: Arc<Runtime>,
    delivering: Delivering,
) -> Result<(Response<Answer>, Standing), Denial> {
    let under_way = doors.life.delivery();
    let task = tokio::spawn(async move {
        let delivered = forward_and_settle(&doors, &runtime, delivering).await;
        drop(under_way);
        delivered
    });
    let failed = |_| Err(Denial::new(Code::UpstreamUnreachable, "the delivery was cut off"));
    task.await.unwrap_or_else(failed)
}

async fn forward_and_settle(
    doors: &Doors,
    runtime: &Runtime,
    delivering: Delivering,
) -> Result<(Response<Answer>, Standing), Denial> {
    let Delivering { permit, reservation, upstream, mut parts, body, peer, believed } = delivering;
    let progress = body.progress();
    let decision = permit.decision().clone();
    parts.extensions.insert(IdempotencyKey(reservation.idempotency_key().into()));
    let hops = Hops { peer, believed: believed.as_ref() };
    let public_url = &runtime.config.server.public_url;
    let forwarded = runtime.forwarder.forward(permit, &upstream, parts, body, public_url, &hops).await;
    let delivery = match &forwarded {
        Ok((response, _)) => Delivery::of(response.status()),
        Err(_) if !progress.was_sent() => Delivery::NotSent,
        Err(_) => Delivery::Uncertain,
    };
    let settled = runtime.gate.settle(reservation, delivery).await;
    if let Err(error) = &settled {
        // It stays reserved until its time is over, and then opens for the same body alone.
        tracing::error!(decision = %decision.id, ?delivery, %error, "a delivery was not settled");
    }
    doors.recorder.metrics.delivery(delivery, settled.is_ok());
    forwarded
}
