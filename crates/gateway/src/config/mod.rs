//! The configuration: read from flags, environment and file, and parsed into types before a port is bound.

pub mod file;
mod load;
pub mod overrides;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign::limit::Rate;
use countersign::path::Template;
use countersign::schemes::session::HandshakePolicy;
use countersign::schemes::webhook::{Algorithm, UrlRules, WebhookUrl};
use countersign::{Policy, PublicUrl, Requirement};
use countersign_io::egress::Network;
use http::{HeaderName, Method};

use crate::schemes::bearer::config as bearer;
use crate::schemes::callback_url::config as callback_url;
use crate::schemes::issuer::config as issuer;
use crate::schemes::proof::KeyFile;
use crate::schemes::session::config as session;
use crate::schemes::signature::config as signature;
use crate::schemes::webhook::config as webhook;

pub use load::{Loaded, Setting, load, load_text};
pub use overrides::Overrides;

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
    /// The webhook scheme.
    pub webhook: webhook::Config,
    /// The signature scheme.
    pub signature: signature::Config,
    /// The callback-url scheme.
    pub callback: callback_url::Config,
    /// The bearer scheme.
    pub bearer: bearer::Config,
    /// The issuer, while it is enabled.
    pub issuer: Option<issuer::Config>,
    /// The session scheme.
    pub session: session::Config,
    /// The origins of other sites whose pages may call.
    pub cors: Vec<PublicUrl>,
    /// Listeners for applications here.
    pub outbounds: Vec<OutboundConfig>,
    /// What is served.
    pub routes: Vec<RouteConfig>,
}

/// `[server]`, parsed.
#[derive(Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// Where callers connect.
    pub listen: SocketAddr,
    /// What they address.
    pub public_url: PublicUrl,
    /// Where health and metrics are served.
    pub admin_listen: Option<SocketAddr>,
    /// What opens management there.
    pub admin_token_file: Option<PathBuf>,
    /// Where management is served.
    pub management_socket: PathBuf,
    /// Certificate and key files.
    pub tls: Option<TlsFiles>,
    /// Whose X-Forwarded-For is believed.
    pub trusted_proxies: Vec<Network>,
    /// How long requests in progress may go on after SIGTERM.
    pub drain_timeout: Duration,
}

impl ServerConfig {
    /// Whether `address` is a proxy whose X-Forwarded-For names the source.
    #[must_use]
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|network| network.contains(address))
    }
}

/// Certificate and key files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain.
    pub cert_file: PathBuf,
    /// The key.
    pub key_file: PathBuf,
}

/// `[store]`, parsed.
#[derive(Debug)]
pub struct StoreConfig {
    /// Which store.
    pub url: countersign_io::StoreUrl,
    /// The sealing key's file; `None` with a store of which nothing outlives the process.
    pub seal_key_file: Option<PathBuf>,
    /// Whether the sealing key may be made when it is not there.
    pub make_seal_key: bool,
}

/// `[limits]`, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A request's head, in bytes.
    pub max_head: usize,
    /// Header fields in a request.
    pub max_headers: usize,
    /// A body that a proof covers, in bytes.
    pub max_signed_body: usize,
    /// Any body, in bytes.
    pub max_body: Option<usize>,
    /// Open connections.
    pub max_connections: usize,
    /// Requests at once on one HTTP/2 connection.
    pub max_streams: u32,
    /// How much of bodies an HTTP/2 connection may send ahead, in bytes.
    pub http2_window: u32,
    /// How often one source may fail to prove itself.
    pub unproven: Rate,
    /// How many nonces one signer may spend.
    pub nonces: Rate,
    /// From the first byte of a head to its last.
    pub header_timeout: Duration,
    /// Between two pieces of a body.
    pub body_timeout: Duration,
    /// A caller that does not read.
    pub write_timeout: Duration,
    /// A connection without a request.
    pub idle_timeout: Duration,
}

/// `[upstream]`, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamLimits {
    /// To connect.
    pub connect_timeout: Duration,
    /// From the end of the request to the head of the response.
    pub response_timeout: Duration,
    /// Between two pieces of a response's body.
    pub stream_timeout: Duration,
    /// How long an unused connection is kept.
    pub idle_timeout: Duration,
    /// How many unused connections are kept.
    pub max_idle: usize,
}

impl UpstreamLimits {
    /// How long it may take until it is known what became of a request whose body is at hand: to connect, to
    /// send it, to wait for the answer, and to write that down.
    #[must_use]
    pub fn longest_delivery(&self) -> Duration {
        self.connect_timeout + self.response_timeout * 2 + Duration::from_secs(10)
    }
}

/// `[audit]`, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditConfig {
    /// Where lines go; `None` for standard output.
    pub file: Option<PathBuf>,
    /// Also decisions.
    pub decisions: bool,
}

/// `[egress]`, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EgressConfig {
    /// The ports that https may use.
    pub ports: Vec<u16>,
    /// Certificates of authorities that are trusted besides the system's.
    pub ca_file: Option<PathBuf>,
    /// Private ranges that may be dialled for hosts that the configuration names.
    pub allow_private: Vec<Network>,
    /// Plain HTTP on loopback, any port.
    pub allow_http_loopback: bool,
    /// How long an unused connection is kept.
    pub idle_timeout: Duration,
}

impl EgressConfig {
    /// What a URL that is to be dialled may look like.
    #[must_use]
    pub fn url_rules(&self) -> UrlRules {
        UrlRules { ports: self.ports.clone(), http_on_loopback: self.allow_http_loopback }
    }
}

/// `[[outbound]]`, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboundConfig {
    /// Where an application connects.
    pub listen: OutboundListen,
    /// The peer.
    pub target: PublicUrl,
    /// How requests are proven.
    pub prove: Prove,
}

/// Where an application connects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutboundListen {
    /// An address and port.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

impl OutboundListen {
    /// Reads `127.0.0.1:9100` or `unix:<path>`, whose path is beside the file.
    fn parse(text: &str, folder: &Path) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = folder.join(path);
            return match path.as_os_str().len() {
                0..=107 => Ok(Self::Unix(path)),
                _ => Err(format!("the path of a socket has at most 107 bytes: {}", path.display())),
            };
        }
        let address: SocketAddr =
            text.parse().map_err(|_| format!("`{text}` is neither an address and port nor unix:<path>"))?;
        // Whoever can connect speaks in our name.
        match address.ip().is_loopback() {
            true => Ok(Self::Tcp(address)),
            false => {
                Err(format!("{address} is not loopback: whoever connects there would speak in our name"))
            }
        }
    }

    /// As it is written.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Self::Tcp(address) => address.to_string(),
            Self::Unix(path) => format!("unix:{}", path.display()),
        }
    }

    /// Whether the system chooses a port.
    const fn is_any_port(&self) -> bool {
        matches!(self, Self::Tcp(address) if address.port() == 0)
    }
}

/// How an outbound's requests are proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prove {
    /// By being asked.
    Webhook {
        /// Where.
        url: WebhookUrl,
        /// The hash for peers that are not known yet.
        hash: Algorithm,
        /// What introduced keys may do.
        scope: Option<String>,
    },
    /// By a key of ours.
    Key(KeyFile),
}

/// `[[route]]`, parsed.
#[derive(Debug)]
pub struct RouteConfig {
    /// Its path.
    pub template: Template,
    /// Its methods; `None` for all.
    pub methods: Option<Vec<Method>>,
    /// Where permitted requests go.
    pub upstream: UpstreamUrl,
    /// Whether the upstream gets assertions of who was proven.
    pub assertion: bool,
    /// The headers that say who sent a request, in another proxy's words, and pass all the same.
    pub passes: Vec<HeaderName>,
    /// Who may pass.
    pub access: Access,
    /// How often one subject may pass.
    pub limit: Option<Rate>,
}

/// Who may pass.
#[derive(Debug)]
pub enum Access {
    /// Everybody.
    Public,
    /// Whoever proves to be somebody who may.
    Guarded {
        /// By which schemes.
        requirement: Requirement,
        /// What they must be allowed.
        policy: Policy,
        /// What else the route says of its schemes.
        options: SchemeOptions,
    },
}

/// What a route says of single schemes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SchemeOptions {
    /// Also read an API key from the query.
    pub key_in_query: bool,
    /// Also take signatures without a tag.
    pub untagged: bool,
    /// A nonce of `asymmetric` must be higher than the last one of its wallet.
    pub rising: bool,
    /// A callback's use is consumed before it is forwarded; `None`: as `[callback]` says.
    pub strict: Option<bool>,
    /// Which requests of a session need a handshake; `None`: as `[session]` says.
    pub handshake: Option<HandshakePolicy>,
    /// Only sessions that are bound to a key pass.
    pub key_bound: bool,
}

/// `http://host[:port]`, where permitted requests go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamUrl {
    /// Host and port.
    pub authority: http::uri::Authority,
}

impl std::fmt::Display for UpstreamUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "http://{}", self.authority)
    }
}
