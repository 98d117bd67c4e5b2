//! Dials upstreams, and reads what they answer as strictly as what callers ask.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use crate::guard::{Metered, UpstreamIo, refuses_trailer};
use countersign_http1::Limits;

/// Heads of responses may be larger than those of requests: an upstream is chosen by the operator, and
/// what is refused here is an answer lost.
pub(crate) const OF_RESPONSES: Limits =
    Limits { max_head_bytes: 128 * 1024, max_fields: 100, max_trailer_bytes: 8 * 1024, refuses_trailer };

/// Opens connections to upstreams, each behind the guard.
#[derive(Clone)]
pub(super) struct Connector {
    tcp: HttpConnector,
}

impl Connector {
    pub(super) fn new(connect_timeout: Duration) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(connect_timeout));
        Self { tcp }
    }
}

impl Service<Uri> for Connector {
    type Response = UpstreamIo<Metered<TcpStream>>;
    type Error = <HttpConnector as Service<Uri>>::Error;
    type Future = Connecting;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.tcp.poll_ready(context)
    }

    fn call(&mut self, upstream: Uri) -> Connecting {
        Connecting { tcp: self.tcp.call(upstream) }
    }
}

/// A connection to an upstream that is being opened.
pub(super) struct Connecting {
    tcp: <HttpConnector as Service<Uri>>::Future,
}

impl Future for Connecting {
    type Output = Result<UpstreamIo<Metered<TcpStream>>, <HttpConnector as Service<Uri>>::Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let connected: Result<TokioIo<TcpStream>, _> = ready!(Pin::new(&mut self.tcp).poll(context));
        Poll::Ready(
            connected.map(|stream| UpstreamIo::new(Metered::to_upstream(stream.into_inner()), OF_RESPONSES)),
        )
    }
}
