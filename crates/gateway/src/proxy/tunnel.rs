//! Upgraded connections: bytes both ways, for as long as what was proven holds.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use countersign::{Clock, Standing};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split};
use tokio::sync::watch;
use tokio::time::{Instant, interval};

use crate::proxy::broken::{Breakage, Tell};

/// How often a tunnel asks whether its principal still holds.
const RECHECK: Duration = Duration::from_secs(1);

/// An upgraded connection that is about to be.
pub(crate) struct Tunnel {
    /// The caller's side.
    pub caller: OnUpgrade,
    /// The upstream's side.
    pub upstream: OnUpgrade,
    /// Under what it was permitted.
    pub standing: Standing,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// How long both sides may be silent.
    pub patience: Duration,
    /// Becomes true when every connection must end.
    pub ending: watch::Receiver<bool>,
    /// Is told if the upstream's side fails.
    pub tell: Tell,
}

impl Tunnel {
    /// Carries bytes until either side ends, both are silent for too long, the principal no longer
    /// holds, or the process ends.
    pub(crate) async fn run(self) {
        let Self { caller, upstream, standing, clock, patience, mut ending, tell } = self;
        let (Ok(caller), Ok(upstream)) = tokio::join!(caller, upstream) else { return };
        let active = AtomicBool::new(true);
        let watched = async {
            let (mut ticks, mut last) = (interval(RECHECK), Instant::now());
            loop {
                ticks.tick().await;
                if active.swap(false, Ordering::Relaxed) {
                    last = Instant::now();
                } else if last.elapsed() > patience {
                    return;
                }
                // A store that does not answer ends nothing that was proven; it permits nothing new.
                if matches!(standing.still_holds(clock.now()).await, Ok(false)) {
                    tracing::info!(decision = %standing.decision().id, "an upgraded connection ended with its principal");
                    return;
                }
            }
        };
        tokio::select! {
            failed = carry(caller, upstream, &active) => {
                if let Some(error) = failed {
                    tell(Breakage::Reset, error.to_string());
                }
            }
            () = watched => {}
            _ = ending.wait_for(|ending| *ending) => {}
        }
    }
}

/// Why the upstream's side failed, if it did.
async fn carry(caller: Upgraded, upstream: Upgraded, active: &AtomicBool) -> Option<io::Error> {
    let (mut caller_reads, mut caller_writes) = split(TokioIo::new(caller));
    let (mut upstream_reads, mut upstream_writes) = split(TokioIo::new(upstream));
    let (to_upstream, to_caller) = tokio::join!(
        pump(&mut caller_reads, &mut upstream_writes, active),
        pump(&mut upstream_reads, &mut caller_writes, active),
    );
    match (to_caller, to_upstream) {
        (Err(Failed::Reading(error)), _) | (_, Err(Failed::Writing(error))) => Some(error),
        _ => None,
    }
}

/// Which side of a direction failed.
enum Failed {
    Reading(io::Error),
    Writing(io::Error),
}

async fn pump(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    active: &AtomicBool,
) -> Result<(), Failed> {
    let mut buffer = vec![0; 8 * 1024];
    let ended = loop {
        match from.read(&mut buffer).await {
            Ok(0) => break Ok(()),
            Err(error) => break Err(Failed::Reading(error)),
            Ok(read) => {
                active.store(true, Ordering::Relaxed);
                if let Err(error) = to.write_all(&buffer[..read]).await {
                    break Err(Failed::Writing(error));
                }
            }
        }
    };
    // The other direction may go on: half-closed connections are how some protocols end.
    let _ = to.shutdown().await;
    ended
}
