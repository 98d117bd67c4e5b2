//! Why a demonstration could not be set up.

use std::fmt;
use std::process::ExitCode;

/// What stands in the way, in a sentence for people.
#[derive(Debug)]
pub struct Failure(String);

/// How a demonstration ended: 0 when everything was as it must be, 1 otherwise.
pub type Outcome = Result<ExitCode, Failure>;

impl Failure {
    pub(crate) fn said(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}
