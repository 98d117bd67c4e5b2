//! A gateway's life: open, bind, serve, reload, drain, close.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use axum::serve::ListenerExt as _;
use countersign_io::secret_file::{SecretFileError, read_secret};
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::config::{Loaded, Overrides};
use crate::life::Life;
use crate::management::{self, AdminToken, SocketError};
use crate::open::{Doing, Opened, SetUpError, open, open_restored};
use crate::outbound::{BindError, Outbounds};
use crate::reload::Reloader;
use crate::runtime::Live;
use crate::server::tls::{self, TlsError};
use crate::server::{self, Listener};

/// How often it is written down when keys were used.
const USES: Duration = Duration::from_secs(30);
/// How often memory is given back that nobody needs any more.
const TRIM: Duration = Duration::from_secs(60);

/// The admin listener, and what opens management there.
type Admin = (TcpListener, Option<AdminToken>);

/// Why a gateway did not come up.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Something was not opened.
    #[error(transparent)]
    Open(#[from] SetUpError),
    /// A listener.
    #[error("{what} cannot listen on {address}: {error}")]
    Listen {
        /// Which.
        what: &'static str,
        /// Where.
        address: SocketAddr,
        /// Why.
        error: std::io::Error,
    },
    /// A listener for an application.
    #[error(transparent)]
    Outbound(#[from] BindError),
    /// The management socket.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The file with the admin token.
    #[error(transparent)]
    Secret(#[from] SecretFileError),
    /// The admin token.
    #[error("admin_token_file: {0}")]
    AdminToken(&'static str),
    /// Signals.
    #[error("signals cannot be received: {0}")]
    Signals(std::io::Error),
}

/// What was bound, before anything is served.
pub struct Bound {
    opened: Opened,
    listener: Listener,
    admin: Option<Admin>,
    outbounds: Outbounds,
    management: tokio::net::UnixListener,
    socket: PathBuf,
    reloader: Reloader,
    stop: StopSignals,
}

impl Bound {
    /// Opens what `loaded` names and binds its ports; `restored`: its store was put back from a copy.
    ///
    /// # Errors
    /// [`StartError`]; whatever was opened is closed again.
    pub fn new(
        path: &Path,
        loaded: Loaded,
        overrides: Overrides,
        restored: bool,
    ) -> Doing<'_, Result<Self, StartError>> {
        Box::pin(Self::bind(path, loaded, overrides, restored))
    }

    async fn bind(
        path: &Path,
        loaded: Loaded,
        overrides: Overrides,
        restored: bool,
    ) -> Result<Self, StartError> {
        // First of all: whoever sees a port open may send a signal, and the store is to be closed then.
        let stop = StopSignals::new().map_err(StartError::Signals)?;
        let hang_up = signal(SignalKind::hangup()).map_err(StartError::Signals)?;
        let server = &loaded.config.server;
        let (listen, admin_listen) = (server.listen, server.admin_listen);
        let socket = server.management_socket.clone();
        let token_file = server.admin_token_file.clone();
        let tls = server.tls.as_ref().map(tls::server_config).transpose()?;
        let tls = Arc::new(ArcSwapOption::from(tls));
        let opened = match restored {
            true => open_restored(loaded.config).await?,
            false => open(loaded.config).await?,
        };
        // The socket first: whoever finds another gateway there must not take its place on a port.
        let management = match management::bind(&socket).await {
            Ok(management) => management,
            Err(error) => {
                let _ = opened.shared.store.close().await;
                return Err(error.into());
            }
        };
        let ports = async {
            let (listener, admin) = Self::bind_ports(listen, admin_listen, token_file, tls.clone()).await?;
            let outbounds = Outbounds::bind(&opened).await?;
            Ok((listener, admin, outbounds))
        };
        match ports.await {
            Ok((listener, admin, outbounds)) => {
                let reloader = Reloader::new(path.to_owned(), overrides, opened.clone(), tls, hang_up);
                Ok(Self { opened, listener, admin, outbounds, management, socket, reloader, stop })
            }
            Err(error) => {
                // Nobody crashed: the next start shall find a store that was closed.
                let _ = std::fs::remove_file(&socket);
                let _ = opened.shared.store.close().await;
                Err(error)
            }
        }
    }

    async fn bind_ports(
        listen: SocketAddr,
        admin_listen: Option<SocketAddr>,
        token_file: Option<PathBuf>,
        tls: Arc<ArcSwapOption<rustls::ServerConfig>>,
    ) -> Result<(Listener, Option<Admin>), StartError> {
        let bind = |what, address: SocketAddr| {
            let failed = |error| StartError::Listen { what, address, error };
            listen_on(address).map_err(failed)
        };
        let listener = Listener { socket: bind("server.listen", listen)?, tls };
        let admin = match admin_listen {
            None => None,
            Some(address) => {
                let listener = bind("server.admin_listen", address)?;
                let token = match token_file {
                    None => None,
                    Some(file) => {
                        let address = listener.local_addr().unwrap_or(address);
                        Some(AdminToken::new(&read_secret(&file)?, address).map_err(StartError::AdminToken)?)
                    }
                };
                Some((listener, token))
            }
        };
        Ok((listener, admin))
    }

    /// What was opened.
    #[must_use]
    pub const fn opened(&self) -> &Opened {
        &self.opened
    }

    /// Where callers connect.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.listener.socket.local_addr().ok()
    }

    /// Serves until SIGTERM or SIGINT, then drains and closes.
    pub fn run(self) -> Doing<'static, ()> {
        Box::pin(self.serve())
    }

    async fn serve(self) {
        let Self { opened, listener, admin, outbounds, management, socket, reloader, stop } = self;
        let Opened { shared, live } = &opened;
        let life = &shared.life;
        if let Ok(address) = listener.socket.local_addr() {
            let public_url = live.load().config.server.public_url.to_string();
            tracing::info!(%address, tls = listener.tls.load().is_some(), public_url, "listening");
        }
        for warning in shared.store.warnings() {
            tracing::warn!("{warning}");
        }
        if let Some((listener, token)) = admin {
            if let Ok(address) = listener.local_addr() {
                tracing::info!(%address, management = token.is_some(), "admin");
            }
            let router = management::admin(&opened, token);
            let listener = listener.tap_io(|stream| {
                let _ = stream.set_nodelay(true);
            });
            tokio::spawn(async move { axum::serve(listener, router).await });
        }
        tokio::spawn(management::serve(life.clone(), management, management::router(&opened)));
        tokio::spawn(note_uses(live.clone()));
        tokio::spawn(trim(live.clone()));
        tokio::spawn(reloader.watch());

        let outbounds = outbounds.serve(&opened);
        let serving = server::serve(Arc::new(opened.clone()), listener);
        let serving = tokio::spawn(async move {
            serving.await;
            let _ = outbounds.await;
        });
        stop.wait().await;
        drain(live, life, serving).await;
        // Before the store is free: the next gateway's socket must not be the one that is removed.
        let _ = std::fs::remove_file(socket);
        close(&opened).await;
    }
}

/// Who may wait to be accepted. The default, 128, makes callers that come all at once wait for a second and more, until
/// they knock again.
const BACKLOG: u32 = 4096;

fn listen_on(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A restart must not wait for the last connections of the gateway before it.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Refuses new connections, lets requests in progress end, and cuts off what takes too long.
async fn drain(live: &Live, life: &Life, serving: tokio::task::JoinHandle<()>) {
    let patience = live.load().config.server.drain_timeout;
    tracing::info!(?patience, "draining");
    life.drain();
    let mut serving = serving;
    let served = async {
        let _ = (&mut serving).await;
        // Callers may have left before what they brought was delivered.
        life.delivered().await;
    };
    let drained = timeout(patience, served).await.is_ok();
    life.end();
    // A task that has ended must not be waited for again.
    if !drained {
        tracing::warn!("requests in progress were cut off");
        let _ = timeout(Duration::from_secs(1), serving).await;
    }
}

/// Saves what must outlive the process.
async fn close(opened: &Opened) {
    if let Err(error) = opened.live.load_full().schemes.api_key.write_uses().await {
        tracing::warn!(%error, "when keys were last used was not written down");
    }
    if let Err(error) = opened.shared.recorder.audit.flush().await {
        tracing::error!(error, "the audit log was not flushed");
    }
    match opened.shared.store.close().await {
        Ok(()) => tracing::info!("stopped"),
        Err(error) => tracing::error!(%error, "the store was not closed cleanly"),
    }
}

/// What an operator, a service manager or Ctrl-C sends.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
    /// A file that may not grow any further (`ulimit -f`) is a write that fails, like a full disk, and not our end.
    _file_too_large: Signal,
}

impl StopSignals {
    fn new() -> std::io::Result<Self> {
        let (terminate, interrupt) = (SignalKind::terminate(), SignalKind::interrupt());
        let file_too_large = SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw());
        Ok(Self {
            terminate: signal(terminate)?,
            interrupt: signal(interrupt)?,
            _file_too_large: signal(file_too_large)?,
        })
    }

    async fn wait(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

async fn note_uses(live: Live) {
    let mut ticks = interval(USES);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = false;
    loop {
        ticks.tick().await;
        match live.load_full().schemes.api_key.write_uses().await {
            Ok(()) => told = false,
            Err(error) => {
                // Once, however long it lasts.
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!(%error, "when keys were last used was not written down");
                }
                sleep(USES).await;
            }
        }
    }
}

/// Gives back, now and then, the memory in which passwords were hashed.
async fn trim(live: Live) {
    let mut ticks = interval(TRIM);
    loop {
        ticks.tick().await;
        live.load().schemes.session.accounts().passwords().trim();
    }
}
