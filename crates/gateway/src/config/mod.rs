//! The configuration: read from flags, environment and file, and parsed into types before a port is bound.

mod audit;
mod claims;
mod egress;
pub mod file;
mod limits;
mod load;
mod outbound;
pub mod overrides;
mod pass_headers;
mod prove;
mod route;
mod server;
mod store;

use countersign::PublicUrl;
use countersign_io::egress::EgressPolicy;

use crate::schemes::configs::Configs;

pub use audit::AuditConfig;
pub use egress::EgressConfig;
pub use limits::{Limits, UpstreamLimits};
pub use load::{Loaded, load, load_text};
pub use outbound::{OutboundConfig, OutboundListen};
pub use overrides::Overrides;
pub use prove::Prove;
pub use route::{Access, RouteConfig, UpstreamUrl};
pub use server::{ServerConfig, TlsFiles};
pub use store::StoreConfig;

/// Everything that the gateway is told, parsed.
#[derive(Debug)]
pub struct Config {
    /// What listens, and as whom.
    pub server: ServerConfig,
    /// Where things are remembered.
    pub store: StoreConfig,
    /// Bounds on callers.
    pub limits: Limits,
    /// Time-outs towards upstreams.
    pub upstream: UpstreamLimits,
    /// The audit log.
    pub audit: AuditConfig,
    /// Whom outgoing calls may reach.
    pub egress: EgressConfig,
    /// What is said of each scheme.
    pub schemes: Configs,
    /// The origins of other sites whose pages may call.
    pub cors: Vec<PublicUrl>,
    /// Listeners for applications here.
    pub outbounds: Vec<OutboundConfig>,
    /// What is served.
    pub routes: Vec<RouteConfig>,
}

impl Config {
    /// Whom outgoing calls may reach: none of our own listeners.
    #[must_use]
    pub fn egress_policy(&self) -> EgressPolicy {
        let outbounds = self.outbounds.iter().filter_map(|outbound| match &outbound.listen {
            OutboundListen::Tcp(address) => Some(*address),
            OutboundListen::Unix(_) => None,
        });
        let server = [Some(self.server.listen), self.server.admin_listen];
        EgressPolicy {
            ports: self.egress.ports.clone(),
            allow_private: self.egress.allow_private.clone(),
            allow_http_loopback: self.egress.allow_http_loopback,
            own_listeners: server.into_iter().flatten().chain(outbounds).collect(),
            ..EgressPolicy::default()
        }
    }
}
