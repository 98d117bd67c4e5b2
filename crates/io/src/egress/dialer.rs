//! Dials what was judged: looks a name up once, judges every answer, connects to one of those.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use countersign::{ChosenBy, FetchError};
use http::Uri;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use super::target::{Host, Scheme, Target};
use super::{Connection, EgressPolicy, Resolve, SystemResolver, tls};

/// Opens connections by the rules of an [`EgressPolicy`], for whoever speaks to another host by itself.
/// Cheap to clone.
#[derive(Clone)]
pub struct Dialer {
    shared: Arc<Shared>,
}

struct Shared {
    policy: EgressPolicy,
    resolver: Box<dyn Resolve>,
    /// Made when it is first needed: the system has many certificates, and most processes dial nobody.
    tls: OnceLock<TlsConnector>,
}

/// Where a fetch may go: what its URL says, and the addresses behind it, every one of them judged.
pub(super) struct Judged {
    pub(super) target: Target,
    pub(super) addresses: Vec<IpAddr>,
}

/// Until when, and what to tell whoever waited in vain.
#[derive(Clone, Copy)]
pub(super) struct Deadline {
    at: Instant,
    timeout: Duration,
}

impl Deadline {
    pub(super) fn after(timeout: Duration) -> Self {
        let now = Instant::now();
        // A century stands for a time that no clock holds.
        let at = now.checked_add(timeout).unwrap_or_else(|| now + Duration::from_secs(3_000_000_000));
        Self { at, timeout }
    }

    /// What `work` comes to, or `Timeout`.
    pub(super) async fn bound<T>(
        self,
        work: impl Future<Output = Result<T, FetchError>>,
    ) -> Result<T, FetchError> {
        timeout_at(self.at, work).await.unwrap_or(Err(FetchError::Timeout(self.timeout)))
    }
}

impl Dialer {
    /// How many of a name's addresses are tried. All of them are judged.
    const TRIED: usize = 8;

    /// Dials by `policy`, with the system's resolver. The system's certificates are read at the first https.
    #[must_use]
    pub fn new(policy: EgressPolicy) -> Self {
        Self::with_resolver(policy, SystemResolver::default())
    }

    /// As [`new`](Self::new), with another resolver.
    #[must_use]
    pub fn with_resolver(policy: EgressPolicy, resolver: impl Resolve) -> Self {
        let shared = Shared { policy, resolver: Box::new(resolver), tls: OnceLock::new() };
        Self { shared: Arc::new(shared) }
    }

    /// Connects to the host of `url` (and with https finishes the handshake, ALPN `http/1.1`) within
    /// `timeout`, the look-up included.
    ///
    /// # Errors
    ///
    /// `Forbidden` when the URL or any address of its host is not dialled by the policy, `Unreachable` when
    /// no address could be connected to or TLS failed, `Timeout` when the time was over first.
    pub async fn connect(
        &self,
        url: &Uri,
        chosen_by: ChosenBy,
        timeout: Duration,
    ) -> Result<Connection, FetchError> {
        let deadline = Deadline::after(timeout);
        let connect = async {
            let judged = self.judge(url, chosen_by).await?;
            self.dial(&judged, deadline).await
        };
        deadline.bound(connect).await
    }

    /// Reads `url`, looks its host up once, and judges every answer.
    pub(super) async fn judge(&self, url: &Uri, chosen_by: ChosenBy) -> Result<Judged, FetchError> {
        let Shared { policy, resolver, .. } = &*self.shared;
        let target = Target::of(url).map_err(FetchError::Forbidden)?;
        policy.judge_target(&target).map_err(FetchError::Forbidden)?;
        let addresses = match &target.host {
            Host::Address(address) => vec![*address],
            Host::Name(name) => resolver
                .resolve(name, target.port)
                .await
                .map_err(|error| unreachable(&target, format_args!("the look-up failed: {error}")))?,
        };
        if addresses.is_empty() {
            return Err(unreachable(&target, "the name has no address"));
        }
        policy.judge(&target, &addresses, chosen_by).map_err(FetchError::Forbidden)?;
        Ok(Judged { target, addresses })
    }

    /// Connects to one of the judged addresses, and looks nothing up.
    pub(super) async fn dial(&self, judged: &Judged, deadline: Deadline) -> Result<Connection, FetchError> {
        let Judged { target, addresses } = judged;
        let last = addresses.len().min(Self::TRIED) - 1;
        let mut failures = Vec::new();
        for (index, address) in addresses[..=last].iter().enumerate() {
            let peer = SocketAddr::new(*address, target.port);
            let now = Instant::now();
            let remaining = deadline.at.saturating_duration_since(now);
            // An address that swallows packets must leave time for the next one.
            let until = if index == last { deadline.at } else { now + remaining / 2 };
            match timeout_at(until, self.attempt(target, peer)).await {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(error)) => failures.push(format!("{address}: {}", brief(&error))),
                Err(_) if index == last => return Err(FetchError::Timeout(deadline.timeout)),
                Err(_) => failures.push(format!("{address}: no answer in time")),
            }
        }
        Err(unreachable(target, failures.join("; ")))
    }

    async fn attempt(&self, target: &Target, peer: SocketAddr) -> io::Result<Connection> {
        let stream = TcpStream::connect(peer).await?;
        stream.set_nodelay(true)?;
        match target.scheme {
            Scheme::Http => Ok(Connection::plain(stream, peer)),
            Scheme::Https => {
                let name = tls::server_name(&target.host).map_err(io::Error::other)?;
                let tls = self.shared.tls.get_or_init(|| tls::connector(&self.shared.policy));
                let stream = tls.connect(name, stream).await?;
                Ok(Connection::tls(stream, peer))
            }
        }
    }
}

/// No answer from `target`, and why.
pub(super) fn unreachable(target: &Target, why: impl std::fmt::Display) -> FetchError {
    FetchError::Unreachable(format!("{target}: {why}"))
}

/// An error's text, cut where a peer could make it long: a certificate may hold many names.
fn brief(error: &io::Error) -> String {
    error.to_string().chars().take(300).collect()
}
