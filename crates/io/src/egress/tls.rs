//! TLS towards other hosts: whom we trust, and that we speak nothing but HTTP/1.1.

use std::path::Path;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, IpAddr as CertificateAddress, ServerName};
use tokio_rustls::TlsConnector;

use super::EgressPolicy;
use super::target::Host;

/// Why the file of `[egress] ca_file` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RootsError {
    /// It cannot be read, or it is no PEM (RFC 7468).
    #[error("the certificates cannot be read: {0}")]
    Unreadable(String),
    /// It holds none.
    #[error("the file holds no certificate")]
    Empty,
    /// One of them cannot be an authority's.
    #[error("certificate {0} of the file is not usable: {1}")]
    Unusable(usize, String),
}

/// Reads the certificates of authorities from a PEM file, for [`EgressPolicy::extra_roots`].
///
/// # Errors
///
/// When the file cannot be read, holds no certificate, or one that cannot be used.
pub fn read_roots(file: &Path) -> Result<Vec<CertificateDer<'static>>, RootsError> {
    let unreadable = |error: rustls_pki_types::pem::Error| RootsError::Unreadable(error.to_string());
    let roots: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(file)
        .map_err(unreadable)?
        .collect::<Result<_, _>>()
        .map_err(unreadable)?;
    if roots.is_empty() {
        return Err(RootsError::Empty);
    }
    for (index, root) in roots.iter().enumerate() {
        RootCertStore::empty()
            .add(root.clone())
            .map_err(|error| RootsError::Unusable(index + 1, error.to_string()))?;
    }
    Ok(roots)
}

/// Trusts the system's roots and those of `policy`. What of the system's cannot be read is left out: a
/// machine without roots reaches nobody, and says so then.
pub(super) fn connector(policy: &EgressPolicy) -> TlsConnector {
    let system = rustls_native_certs::load_native_certs();
    for error in &system.errors {
        tracing::warn!(%error, "some of the system's certificates cannot be read");
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(system.certs);
    roots.add_parsable_certificates(policy.extra_roots.iter().cloned());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("aws-lc-rs speaks TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    TlsConnector::from(Arc::new(config))
}

/// The name that the certificate has to carry: the URL's host, never what it resolved to.
pub(super) fn server_name(host: &Host) -> Result<ServerName<'static>, String> {
    match host {
        Host::Address(address) => Ok(ServerName::IpAddress(CertificateAddress::from(*address))),
        Host::Name(name) => {
            ServerName::try_from(name.clone()).map_err(|_| format!("no certificate can name `{name}`"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &str) -> Result<usize, RootsError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("roots.pem");
        std::fs::write(&file, content).unwrap();
        read_roots(&file).map(|roots| roots.len())
    }

    #[test]
    fn a_file_of_certificates_is_read() {
        let one = || rcgen::generate_simple_self_signed(vec!["a.test".into()]).unwrap().cert.pem();
        assert_eq!(read(&(one() + &one())).unwrap(), 2);
    }

    #[test]
    fn a_file_without_usable_certificates_is_refused() {
        assert!(matches!(read(""), Err(RootsError::Empty)));
        let key = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(read(key), Err(RootsError::Unusable(1, _))));
        assert!(matches!(read_roots(Path::new("/nowhere")), Err(RootsError::Unreadable(_))));
    }
}
