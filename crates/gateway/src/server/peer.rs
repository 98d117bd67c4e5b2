//! A connection, as its requests see it.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

use crate::guard::{ConnectionState, Flow};
use crate::open::Opened;
use crate::proxy::body::Streams;

/// What a request needs to know of its connection.
pub(super) struct Peer {
    pub(super) opened: Arc<Opened>,
    pub(super) address: IpAddr,
    /// What the guard found; `None` on HTTP/2, whose framing has one reading.
    pub(super) framing: Option<ConnectionState>,
    /// What the caller takes; `None` on HTTP/2, which has windows for it.
    pub(super) flow: Option<Flow>,
    /// What is being answered on HTTP/2.
    pub(super) streams: Arc<Streams>,
    /// One of `limits.max_connections`.
    pub(super) place: Arc<OwnedSemaphorePermit>,
}
