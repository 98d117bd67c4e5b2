//! Takes a new configuration while requests go on: all of it, or none.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::signal::unix::Signal;
use tokio::time::{MissedTickBehavior, interval};

use crate::config::{self, Config, Overrides};
use crate::open::Opened;
use crate::runtime::Runtime;
use crate::server::tls;

/// How often it is looked whether the file was replaced.
const LOOK: Duration = Duration::from_secs(1);

/// Watches a configuration file.
pub(crate) struct Reloader {
    path: PathBuf,
    overrides: Overrides,
    opened: Opened,
    tls: Arc<ArcSwapOption<rustls::ServerConfig>>,
    hang_up: Signal,
}

impl Reloader {
    /// Watches `path` for what was opened with it, and for `hang_up`.
    #[must_use]
    pub(crate) const fn new(
        path: PathBuf,
        overrides: Overrides,
        opened: Opened,
        tls: Arc<ArcSwapOption<rustls::ServerConfig>>,
        hang_up: Signal,
    ) -> Self {
        Self { path, overrides, opened, tls, hang_up }
    }

    /// Reloads on SIGHUP, and when the file is replaced by a rename: another file then stands in its
    /// place. One that is being written in place is never taken half.
    pub(crate) async fn watch(mut self) {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut seen = self.look();
        loop {
            tokio::select! {
                _ = self.hang_up.recv() => {
                    if let Err(why) = self.opened.shared.recorder.audit.reopen().await {
                        tracing::error!(why, "the audit log was not opened anew");
                    }
                }
                _ = ticks.tick() => {
                    let now = self.identity();
                    if now.is_none() || now == seen.0 {
                        continue;
                    }
                }
            }
            seen = self.look();
            match self.reload() {
                Ok(routes) => tracing::info!(routes, "the configuration was reloaded"),
                Err(why) => tracing::error!("the configuration was not reloaded, the old one stays:\n{why}"),
            }
        }
    }

    /// Which file it is; held open, so that no other is given its number while it is compared with, however many
    /// renames there are between two looks.
    fn look(&self) -> (Option<Identity>, Option<File>) {
        let held = self.is_file().then(|| File::open(&self.path).ok()).flatten();
        let metadata = held.as_ref().and_then(|file| file.metadata().ok());
        (metadata.as_ref().map(identity).or_else(|| self.identity()), held)
    }

    /// A pipe would be waited for until somebody writes to it.
    fn is_file(&self) -> bool {
        std::fs::metadata(&self.path).is_ok_and(|metadata| metadata.is_file())
    }

    fn identity(&self) -> Option<Identity> {
        std::fs::metadata(&self.path).ok().as_ref().map(identity)
    }

    fn reload(&self) -> Result<usize, String> {
        if !self.is_file() {
            return Err(format!("{} is no file, or cannot be seen", self.path.display()));
        }
        let loaded = config::load(&self.path, &self.overrides).map_err(|error| error.to_string())?;
        let before = self.opened.live.load_full();
        if let Some(what) = needs_restart(&before.config, &loaded.config) {
            return Err(format!("{what} cannot change while the gateway runs: restart it"));
        }
        let tls = loaded.config.server.tls.as_ref().map(tls::server_config).transpose();
        let tls = tls.map_err(|error| error.to_string())?;
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        let runtime = Runtime::build(loaded.config, &self.opened.shared, Some(&before));
        let runtime = runtime.map_err(|error| error.to_string())?;
        let routes = runtime.config.routes.len();
        // Nothing below this line can fail.
        self.tls.store(tls);
        self.opened.live.store(Arc::new(runtime));
        Ok(routes)
    }
}

/// A device, and a number there.
type Identity = (u64, u64);

fn identity(metadata: &Metadata) -> Identity {
    (metadata.dev(), metadata.ino())
}

/// What is bound or opened once.
fn needs_restart(before: &Config, after: &Config) -> Option<&'static str> {
    let (old, new) = (&before.server, &after.server);
    [
        (old.listen != new.listen, "server.listen"),
        (old.admin_listen != new.admin_listen, "server.admin_listen"),
        (old.admin_token_file != new.admin_token_file, "server.admin_token_file"),
        (old.management_socket != new.management_socket, "server.management_socket"),
        (old.tls.is_some() != new.tls.is_some(), "whether there is server.tls"),
        (before.store.url.to_string() != after.store.url.to_string(), "store.url"),
        (before.store.seal_key_file != after.store.seal_key_file, "store.seal_key_file"),
        (before.audit != after.audit, "[audit]"),
        (before.outbounds != after.outbounds, "[[outbound]]"),
        (before.limits.max_connections != after.limits.max_connections, "limits.max_connections"),
    ]
    .into_iter()
    .find_map(|(changed, what)| changed.then_some(what))
}
