//! `serve`.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use tracing::Level;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::arguments::ServeFlags;
use super::shared::Shared;
use super::{Outcome, load_configuration, overrides};
use countersign_gateway::run::Bound;

pub(super) fn serve(shared: &Shared, flags: ServeFlags) -> Outcome {
    let overrides = overrides(flags.settings)?;
    let loaded = load_configuration(shared, &overrides)?;
    log_to_standard_error();
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        Bound::new(&shared.config, loaded, overrides, flags.restoring.restored).await?.run().await;
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
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .with_target(false)
        // Whoever read standard error may be gone: that must not end the task that had something to say.
        .log_internal_errors(false);
    // Below INFO the libraries print what callers send, paths with their queries for one.
    let ours = filter_fn(|metadata| {
        *metadata.level() <= Level::INFO || metadata.target().starts_with("countersign")
    });
    // A second call in one process changes nothing.
    let _ = tracing_subscriber::registry().with(filter).with(ours).with(lines).try_init();
}
