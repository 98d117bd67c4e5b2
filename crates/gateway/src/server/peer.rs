//! A connection, as its requests see it, and what all connections share.

use std::net::IpAddr;
use std::sync::Arc;

use countersign::Clock;
use tokio::sync::OwnedSemaphorePermit;

use crate::guard::{ConnectionState, Flow};
use crate::life::Life;
use crate::open::Opened;
use crate::proxy::body::Streams;
use crate::recorder::Recorder;
use crate::runtime::Live;

/// What whoever serves callers shares.
pub(crate) struct Doors {
    pub(super) live: Live,
    pub(super) life: Life,
    pub(super) recorder: Recorder,
    pub(super) clock: Arc<dyn Clock>,
}

impl Doors {
    /// The doors to what was opened.
    pub(crate) fn new(opened: &Opened) -> Arc<Self> {
        let Opened { shared, live } = opened.clone();
        Arc::new(Self { live, life: shared.life, recorder: shared.recorder, clock: shared.clock })
    }
}

/// What a request needs to know of its connection.
pub(super) struct Peer {
    pub(super) doors: Arc<Doors>,
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
