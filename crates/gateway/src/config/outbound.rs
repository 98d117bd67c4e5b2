//! `[[outbound]]`: listeners for applications here, for whom we speak.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use countersign::PublicUrl;
use countersign::schemes::webhook::WebhookUrl;
use schemars::JsonSchema;
use serde::Deserialize;

use super::egress::EgressConfig;
use super::prove::{self, Prove};
use super::server::ServerConfig;
use crate::settings::scheme::WHAT_MAY_BE_DIALLED;
use crate::settings::{Reader, Text, Written};

/// `[[outbound]]`
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Section {
    /// Where an application here connects: `127.0.0.1:9100`, or `unix:/run/countersign/bob.sock`.
    pub listen: Text,
    /// The peer, `https://host[:port]`.
    pub target: Text,
    /// How requests are proven.
    pub prove: Written<prove::Section>,
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

pub(super) fn read(
    written: &[Section],
    reader: &mut Reader<'_>,
    server: Option<&ServerConfig>,
    egress: &EgressConfig,
) -> Vec<OutboundConfig> {
    let mut outbounds: Vec<OutboundConfig> = Vec::new();
    for section in written {
        let Some(outbound) = section.read(reader, server, egress) else { continue };
        if outbounds.iter().any(|other| other.listen == outbound.listen && !other.listen.is_any_port()) {
            reader.wrong("another [[outbound]] listens there", section.listen.span());
        }
        outbounds.push(outbound);
    }
    outbounds
}

impl Section {
    fn read(
        &self,
        reader: &mut Reader<'_>,
        server: Option<&ServerConfig>,
        egress: &EgressConfig,
    ) -> Option<OutboundConfig> {
        let folder = reader.folder().to_path_buf();
        let listen = reader.parsed(&self.listen, |text| OutboundListen::parse(text, &folder));
        let target = reader.parsed(&self.target, PublicUrl::parse);
        if let (Some(OutboundListen::Tcp(listen)), Some(server)) = (&listen, server)
            && listen.port() != 0
            && (*listen == server.listen || Some(*listen) == server.admin_listen)
        {
            reader.wrong("this is one of our other listeners", self.listen.span());
        }
        if let (Some(target), Some(server)) = (&target, server)
            && server.is_at(target.authority(), target.default_port())
        {
            reader.wrong("the target is one of our own listeners", self.target.span());
        }
        if let Some(target) = &target
            && let Err(error) = WebhookUrl::parse(&target.to_string(), &egress.url_rules())
        {
            let message = format!("the target cannot be called: {error}");
            reader.wrong_with(message, self.target.span(), WHAT_MAY_BE_DIALLED);
        }
        let prove = prove::read(&self.prove, reader, egress);
        Some(OutboundConfig { listen: listen?, target: target?, prove: prove? })
    }
}
