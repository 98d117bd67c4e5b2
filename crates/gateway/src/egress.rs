//! The guarded outgoing client, set up as the configuration says.

use std::sync::Arc;

use countersign_io::egress::{Dialer, EgressPolicy, GuardedClient, RootsError, read_roots};

use crate::config::{Config, OutboundListen};

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
    /// Dials what `config` allows, and none of its own listeners.
    ///
    /// # Errors
    /// [`EgressError`].
    pub fn new(config: &Config) -> Result<Self, EgressError> {
        let egress = &config.egress;
        let roots = egress.ca_file.as_ref().map(|file| {
            read_roots(file).map_err(|why| EgressError { file: file.display().to_string(), why })
        });
        let outbounds = config.outbounds.iter().filter_map(|outbound| match &outbound.listen {
            OutboundListen::Tcp(address) => Some(*address),
            OutboundListen::Unix(_) => None,
        });
        let server = [Some(config.server.listen), config.server.admin_listen];
        let policy = EgressPolicy {
            ports: egress.ports.clone(),
            extra_roots: roots.transpose()?.unwrap_or_default(),
            allow_private: egress.allow_private.clone(),
            allow_http_loopback: egress.allow_http_loopback,
            own_listeners: server.into_iter().flatten().chain(outbounds).collect(),
        };
        let dialer = Dialer::new(policy);
        let client = GuardedClient::over(dialer.clone()).keeping(egress.idle_timeout);
        Ok(Self { client: Arc::new(client), dialer })
    }
}
