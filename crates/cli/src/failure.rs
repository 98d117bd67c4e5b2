//! What ends a command before it has done what was asked.

use std::process::ExitCode;

use countersign_gateway::settings::ConfigError;

/// A mistake in use, or something that stands in the way: shown, and exit code 2.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What is wrong with the configuration.
    Config(ConfigError),
    /// Anything else, in a sentence.
    Said(String),
}

/// How a command ends: with its exit code, or not at all.
pub(crate) type Outcome = Result<ExitCode, Failure>;

impl Failure {
    pub(crate) fn said(what: impl Into<String>) -> Self {
        Self::Said(what.into())
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Said(error.to_string())
    }
}
