//! `[server]`: what listens, and as whom.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use countersign::PublicUrl;
use countersign_io::StoreUrl;
use countersign_io::egress::Network;
use http::uri::Authority;
use schemars::JsonSchema;
use serde::Deserialize;

use super::store::StoreConfig;
use crate::settings::diagnostics::{Origin, Problem};
use crate::settings::quantities::parse_duration;
use crate::settings::{Reader, Text, Truth, Written};

/// `[server]`
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Section {
    /// Where callers connect, `address:port`.
    #[schemars(extend("default" = "127.0.0.1:8080"))]
    pub listen: Text,
    /// What callers address, `https://host[:port]`: every proof is bound to it.
    #[schemars(extend("x-default" = "`listen`, while that is loopback"))]
    pub public_url: Option<Text>,
    /// Where /livez, /readyz and /metrics are served, `address:port`.
    pub admin_listen: Option<Text>,
    /// A file with a token that opens management on `admin_listen` too; mode 0600.
    pub admin_token_file: Option<Text>,
    /// The Unix socket for management.
    #[schemars(extend("x-default" = "`management.sock` beside the store"))]
    pub management_socket: Option<Text>,
    /// Certificate and key; without them HTTP is plain, which is for loopback.
    pub tls: Option<Tls>,
    /// Serve plain HTTP beyond loopback: for a TLS terminator in front.
    #[schemars(extend("default" = false))]
    pub plain_http: Truth,
    /// Addresses or ranges of proxies whose X-Forwarded-For names the source.
    #[schemars(extend("default" = []))]
    pub trusted_proxies: Written<Vec<Text>>,
    /// How long requests in progress may go on after SIGTERM.
    #[schemars(extend("default" = "30s"))]
    pub drain_timeout: Text,
}

/// `tls = { cert_file, key_file }`
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Tls {
    /// The certificate chain, PEM.
    pub cert_file: Text,
    /// The private key, PEM.
    pub key_file: Text,
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

    /// Whether a host and port are one of our listeners.
    pub(super) fn is_at(&self, authority: &Authority, default_port: u16) -> bool {
        let ours = [Some(self.listen), self.admin_listen];
        ours.into_iter().flatten().any(|ours| leads_to(authority, default_port, ours))
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

impl Section {
    pub(super) fn read(&self, reader: &mut Reader<'_>, store: Option<&StoreConfig>) -> Option<ServerConfig> {
        let listen = reader.parsed(&self.listen, parse_address);
        let admin_listen = reader.maybe(self.admin_listen.as_ref(), parse_address);
        let tls = self.tls.as_ref().map(|tls| TlsFiles {
            cert_file: reader.file(&tls.cert_file),
            key_file: reader.file(&tls.key_file),
        });
        let listen = listen?;
        if tls.is_none() && !*self.plain_http && !listen.ip().is_loopback() {
            reader.wrong_with(
                format!("{listen} is not loopback, and there is no server.tls"),
                self.listen.span(),
                "give a certificate with `tls = { cert_file = \"…\", key_file = \"…\" }`, or say `plain_http = true` behind a TLS terminator",
            );
        }
        let public_url = match &self.public_url {
            Some(text) => reader.parsed(text, PublicUrl::parse),
            None => {
                let own = format!("{}://{listen}", if tls.is_some() { "https" } else { "http" });
                reader.comes_to("server.public_url", &own);
                if !listen.ip().is_loopback() {
                    let message =
                        "server.public_url is needed: what callers address, since every proof is bound to it";
                    reader.wrong(message, self.listen.span());
                }
                PublicUrl::parse(&own).ok()
            }
        };
        if let Some(written) = &self.admin_listen
            && admin_listen == Some(listen)
            && listen.port() != 0
        {
            reader.wrong("admin_listen is the same as listen", written.span());
        }
        let management_socket = self.management_socket(reader, store);
        let trusted = self.trusted_proxies.iter();
        let trusted_proxies = trusted.filter_map(|text| reader.parsed(text, str::parse)).collect();
        let drain_timeout = reader.parsed(&self.drain_timeout, parse_duration);
        Some(ServerConfig {
            listen,
            public_url: public_url?,
            admin_listen,
            admin_token_file: self.admin_token_file.as_ref().map(|file| reader.file(file)),
            management_socket: management_socket?,
            tls,
            trusted_proxies,
            drain_timeout: drain_timeout?,
        })
    }

    fn management_socket(&self, reader: &mut Reader<'_>, store: Option<&StoreConfig>) -> Option<PathBuf> {
        let (path, at) = match &self.management_socket {
            Some(written) => (reader.file(written), Some(written.span())),
            None => {
                let socket = default_socket(match store.map(|store| &store.url) {
                    Some(StoreUrl::Redb(path)) => path.with_file_name("management.sock"),
                    _ => reader.file("management.sock"),
                });
                reader.comes_to("server.management_socket", socket.display());
                (socket, None)
            }
        };
        if path.as_os_str().len() > LONGEST_SOCKET {
            let shown = path.display();
            let message = format!("the path of the management socket is longer than 107 bytes: {shown}");
            match at {
                Some(at) => reader.wrong(message, at),
                None => reader.problems.push(Problem::new(message, Origin::Default)),
            }
            return None;
        }
        Some(path)
    }
}

/// The kernel's `sockaddr_un` holds 108 bytes, one of them NUL.
const LONGEST_SOCKET: usize = 107;

/// Beside the store; where that path is too long for a socket, a short name of it in the folder for
/// temporary files. Whoever connects to either judges by user who answers, and the other way round.
fn default_socket(beside_store: PathBuf) -> PathBuf {
    if beside_store.as_os_str().len() <= LONGEST_SOCKET {
        return beside_store;
    }
    let digest = countersign::crypto::sha256(beside_store.as_os_str().as_encoded_bytes());
    let name: String = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    std::env::temp_dir().join(format!("countersign-{name}.sock"))
}

fn parse_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("`{text}` is no address and port: write 127.0.0.1:8080 or [::1]:8080"))
}

/// Whether a host and port are this listener, as far as names without look-up can tell.
fn leads_to(authority: &Authority, default_port: u16, ours: SocketAddr) -> bool {
    if authority.port_u16().unwrap_or(default_port) != ours.port() || ours.port() == 0 {
        return false;
    }
    let own = ours.ip().to_canonical();
    let host = authority.host().trim_matches(['[', ']']).trim_end_matches('.');
    if host.eq_ignore_ascii_case("localhost") {
        return own.is_loopback() || own.is_unspecified();
    }
    let Ok(address) = host.parse::<IpAddr>() else { return false };
    let address = address.to_canonical();
    // Dialling 0.0.0.0 reaches loopback.
    let dials_loopback = address.is_loopback() || address.is_unspecified();
    address == own
        || (own.is_unspecified() && dials_loopback)
        || (address.is_unspecified() && own.is_loopback())
}
