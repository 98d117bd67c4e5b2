//! `[[outbound]]`: the claimant's half for an application in any language. It calls a listener here as if
//! that were the peer; the request goes to the peer with a proof, and nowhere else.

mod connector;
mod exchange;
mod listener;
mod proof;

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use countersign_io::key_file::KeyFileError;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::sleep;

use crate::guard::{Metered, until_reset};
use crate::life::Life;
use crate::open::Opened;
use crate::outbound::exchange::Exchange;
use crate::outbound::listener::Listener;
use crate::outbound::proof::OutboundProof;
use crate::runtime::Live;

/// Why an `[[outbound]]` cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Its listener.
    #[error("outbound.listen cannot listen on {address}: {error}")]
    Listen {
        /// Where.
        address: String,
        /// Why.
        error: io::Error,
    },
    /// A key of ours, with which it proves requests.
    #[error("outbound.prove: {0}")]
    Key(#[from] KeyFileError),
}

/// Listeners for applications, bound and not yet served.
#[derive(Default)]
pub(crate) struct Outbounds(Vec<Outbound>);

struct Outbound {
    listener: Listener,
    exchange: Arc<Exchange>,
}

impl Outbounds {
    /// Binds every listener, and reads the keys.
    ///
    /// # Errors
    /// The first that cannot be bound, or whose key cannot be had.
    pub(crate) async fn bind(opened: &Opened) -> Result<Self, BindError> {
        let runtime = opened.live.load_full();
        let mut bound = Vec::new();
        for config in &runtime.config.outbounds {
            let failed = |error| BindError::Listen { address: config.listen.shown(), error };
            let claimant = OutboundProof::new(&opened.shared, &config.prove)?;
            let listener = Listener::bind(&config.listen).await.map_err(failed)?;
            let exchange = Exchange::new(opened, config, listener.name(), claimant);
            bound.push(Outbound { listener, exchange: Arc::new(exchange) });
        }
        Ok(Self(bound))
    }

    /// Serves until the gateway drains; requests in progress may end.
    pub(crate) fn serve(self, opened: &Opened) -> tokio::task::JoinHandle<()> {
        let serve = |outbound| serve(opened.live.clone(), opened.shared.life.clone(), outbound);
        let tasks: Vec<_> = self.0.into_iter().map(|outbound| tokio::spawn(serve(outbound))).collect();
        tokio::spawn(async move {
            for task in tasks {
                let _ = task.await;
            }
        })
    }
}

async fn serve(live: Live, life: Life, outbound: Outbound) {
    let Outbound { listener, exchange } = outbound;
    let mut draining = life.draining();
    let (alive, mut all_gone) = tokio::sync::mpsc::channel::<()>(1);
    loop {
        let (live, life) = (live.clone(), life.clone());
        let (exchange, alive) = (exchange.clone(), alive.clone());
        let accepted = async {
            match &listener {
                Listener::Tcp(listener) => {
                    let (stream, _) = listener.accept().await?;
                    stream.set_nodelay(true)?;
                    let gone = until_reset(&stream);
                    tokio::spawn(async move { speak(live, life, exchange, stream, gone, alive).await });
                }
                Listener::Unix(listener, _) => {
                    let (stream, _) = listener.accept().await?;
                    // Whether its application is gone is learned when it is answered.
                    let gone = std::future::pending();
                    tokio::spawn(async move { speak(live, life, exchange, stream, gone, alive).await });
                }
            }
            Ok::<_, io::Error>(())
        };
        let accepted = tokio::select! {
            accepted = accepted => accepted,
            _ = draining.wait_for(|draining| *draining) => break,
        };
        if let Err(error) = accepted {
            tracing::warn!(%error, "a connection to an outbound listener could not be accepted");
            sleep(Duration::from_millis(50)).await;
        }
    }
    drop(listener);
    drop(alive);
    let _ = all_gone.recv().await;
}

async fn speak<T>(
    live: Live,
    life: Life,
    exchange: Arc<Exchange>,
    stream: T,
    gone: impl Future<Output = ()>,
    alive: tokio::sync::mpsc::Sender<()>,
) where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let limits = live.load().config.limits.clone();
    let (mut draining, mut ending) = (life.draining(), life.ending());
    let stream = Metered::new(stream);
    let flow = stream.flow();
    let service = service_fn(move |request| {
        let (exchange, flow) = (exchange.clone(), flow.clone());
        async move { Ok::<_, Infallible>(exchange.run(request, flow).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // Who has closed its side behind a whole request waits for the answer (RFC 9112, 9.6).
        .half_close(true)
        // Also how long a connection may be idle.
        .header_read_timeout(limits.idle_timeout)
        .max_buf_size(limits.max_head.max(8192) + 8192)
        .serve_connection(TokioIo::new(stream), service);
    let (mut connection, mut gone) = (std::pin::pin!(connection), std::pin::pin!(gone));
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = gone.as_mut() => Some(Ok(())),
        _ = draining.wait_for(|draining| *draining) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection => ended,
                () = gone => Ok(()),
                _ = ending.wait_for(|ending| *ending) => Ok(()),
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection to an outbound listener failed");
    }
    drop(alive);
}
