//! A gateway that speaks TLS, and callers that trust it.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::Gateway;

/// Callers of one gateway.
pub struct Callers {
    config: Arc<ClientConfig>,
}

/// A gateway with a certificate of its own, started.
pub fn with_tls(configuration: &str) -> (Gateway, Callers) {
    let server =
        "public_url = \"https://localhost\"\ntls = { cert_file = \"tls.pem\", key_file = \"tls.key\" }";
    let mut gateway = Gateway::with_server(server, configuration);
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(gateway.path("tls.pem"), made.cert.pem()).unwrap();
    std::fs::write(gateway.path("tls.key"), made.signing_key.serialize_pem()).unwrap();
    std::fs::set_permissions(gateway.path("tls.key"), std::fs::Permissions::from_mode(0o600)).unwrap();
    gateway.start();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    (gateway, Callers { config: Arc::new(config) })
}

impl Callers {
    /// Connects, over a socket that was made before.
    pub async fn connect(&self, stream: TcpStream) -> TlsStream<TcpStream> {
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(self.config.clone()).connect(name, stream).await.unwrap()
    }
}
