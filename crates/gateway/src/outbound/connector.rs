//! Dials a peer by the rules of `[egress]`, and reads what it answers as strictly as an upstream's answers.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use countersign::{ChosenBy, FetchError};
use countersign_io::egress::{Connection, Dialer};
use http::Uri;
use tower_service::Service;

use crate::guard::{Metered, UpstreamIo};
use crate::proxy::OF_RESPONSES;

/// Opens connections to peers, each behind the guard.
#[derive(Clone)]
pub(super) struct Connector {
    dialer: Dialer,
    timeout: Duration,
}

impl Connector {
    pub(super) const fn new(dialer: Dialer, timeout: Duration) -> Self {
        Self { dialer, timeout }
    }
}

impl Service<Uri> for Connector {
    type Response = UpstreamIo<Metered<Connection>>;
    type Error = FetchError;
    type Future = Pin<Box<dyn Future<Output = Result<UpstreamIo<Metered<Connection>>, FetchError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), FetchError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, peer: Uri) -> Self::Future {
        let Self { dialer, timeout } = self.clone();
        Box::pin(async move {
            // The configuration names the peer.
            let connection = dialer.connect(&peer, ChosenBy::Configuration, timeout).await?;
            Ok(UpstreamIo::new(Metered::to_upstream(connection), OF_RESPONSES))
        })
    }
}
