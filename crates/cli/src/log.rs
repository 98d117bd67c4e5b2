//! Where the operational log goes.

use std::io::IsTerminal as _;

use tracing::Level;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// To standard error: `COUNTERSIGN_LOG` sets its level, as in `debug`.
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
