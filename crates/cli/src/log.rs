//! Where the operational log goes.

use tracing::Level;
use tracing_subscriber::filter::{ParseError, Targets, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::say::complains_in_colour;

/// To standard error: `COUNTERSIGN_LOG` sets its level, as in `debug`, or levels of modules, as in
/// `warn,countersign_gateway=debug`.
pub(super) fn log_to_standard_error() {
    let said = std::env::var("COUNTERSIGN_LOG").unwrap_or_default();
    let (levels, unread) = match levels(&said) {
        Ok(levels) => (levels, None),
        Err(error) => (standard_levels(), Some(error)),
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(complains_in_colour())
        .with_target(false)
        // Whoever read standard error may be gone: that must not end the task that had something to say.
        .log_internal_errors(false);
    // Below INFO the libraries print what callers send, paths with their queries for one.
    let ours = filter_fn(|metadata| {
        *metadata.level() <= Level::INFO || metadata.target().starts_with("countersign")
    });
    // A second call in one process changes nothing.
    let _ = tracing_subscriber::registry().with(levels).with(ours).with(lines).try_init();
    if let Some(error) = unread {
        tracing::warn!("COUNTERSIGN_LOG is neither a level nor levels of modules, so it is info: {error}");
    }
}

fn standard_levels() -> Targets {
    Targets::new().with_default(Level::INFO)
}

/// What `COUNTERSIGN_LOG` says.
fn levels(said: &str) -> Result<Targets, ParseError> {
    if said.trim().is_empty() { Ok(standard_levels()) } else { said.parse() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_has_a_level_and_modules_may_have_others() {
        let shows =
            |said: &str, module: &str, level: Level| levels(said).unwrap().would_enable(module, &level);
        for said in ["", " ", "info", "INFO"] {
            assert!(shows(said, "countersign_gateway::run", Level::INFO), "{said:?}");
            assert!(!shows(said, "countersign_gateway::run", Level::DEBUG), "{said:?}");
        }
        assert!(!shows("error", "countersign_gateway::run", Level::WARN));
        let some = "warn,countersign_gateway=debug";
        assert!(shows(some, "countersign_gateway::run", Level::DEBUG));
        assert!(!shows(some, "countersign_io::clock", Level::INFO));
        assert!(levels("countersign_gateway=loud").is_err());
    }
}
