//! The guarded outgoing client, set up as the configuration says.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use countersign_io::egress::{Dialer, EgressPolicy, GuardedClient, RootsError, read_roots};

/// A file of authorities that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("egress.ca_file {file}: {why}")]
pub struct EgressError {
    file: String,
    why: RootsError,
}

/// What dials out: for questions and answers, and for streams.
#[derive(Clone)]
pub struct Egress {
    /// Asks, and reads whole answers.
    pub client: Arc<GuardedClient>,
    /// Opens connections.
    pub dialer: Dialer,
}

impl Egress {
    /// Dials what `policy` allows, and trusts the authorities in `ca_file` besides. An unused connection is kept for
    /// `idle`.
    ///
    /// # Errors
    /// [`EgressError`].
    pub fn new(
        mut policy: EgressPolicy,
        ca_file: Option<&Path>,
        idle: Duration,
    ) -> Result<Self, EgressError> {
        if let Some(file) = ca_file {
            let roots = read_roots(file);
            policy.extra_roots =
                roots.map_err(|why| EgressError { file: file.display().to_string(), why })?;
        }
        let dialer = Dialer::new(policy);
        let client = GuardedClient::over(dialer.clone()).keeping(idle);
        Ok(Self { client: Arc::new(client), dialer })
    }
}
