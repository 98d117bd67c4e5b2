//! `serve`.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use tracing_subscriber::EnvFilter;

use super::arguments::{ServeFlags, Shared};
use super::{Outcome, configuration, environment};
use crate::run::Bound;

pub(super) fn serve(shared: &Shared, flags: ServeFlags) -> Outcome {
    let mut overrides = environment()?;
    overrides.flag("server.listen", "--listen", flags.listen);
    overrides.flag("server.admin_listen", "--admin-listen", flags.admin_listen);
    overrides.flag("server.public_url", "--public-url", flags.public_url);
    overrides.flag("store.url", "--store", flags.store);
    let loaded = configuration(shared, &overrides)?;
    log_to_standard_error();
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        Bound::new(&shared.config, loaded, overrides).await?.run().await;
        Ok(ExitCode::SUCCESS)
    })
}

/// The operational log: `COUNTERSIGN_LOG` sets its level, as in `debug`.
pub(super) fn log_to_standard_error() {
    let filter = EnvFilter::builder()
        .with_env_var("COUNTERSIGN_LOG")
        .with_default_directive(tracing::level_filters::LevelFilter::INFO.into())
        .from_env_lossy();
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .with_target(false);
    // A second call in one process changes nothing.
    let _ = log.try_init();
}
