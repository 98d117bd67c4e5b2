//! One whole request and its answer, on a connection of its own, as a program elsewhere would send it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use countersign_io::egress::read_roots;
use http::header::HOST;
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::host_of;
use crate::failure::Failure;
use crate::front::{LONGEST, PATIENCE};

/// Whom to send to: an address, whatever the names in its URLs lead to elsewhere.
pub(super) struct Peer {
    address: SocketAddr,
    /// What goes into a request without a `Host`.
    host: HeaderValue,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Peer {
    /// The one who is called `origin`, at `address`. If that is https, `folder` holds the `ca.pem` to trust.
    pub(super) fn new(origin: &str, address: SocketAddr, folder: &Path) -> Result<Self, Failure> {
        let (scheme, authority) = origin.split_once("://").unwrap_or(("http", origin));
        let tls = match scheme {
            "https" => {
                let mut roots = RootCertStore::empty();
                for root in read_roots(&folder.join("ca.pem"))? {
                    roots.add(root)?;
                }
                let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
                let config = ClientConfig::builder_with_provider(provider)
                    .with_safe_default_protocol_versions()?
                    .with_root_certificates(roots)
                    .with_no_client_auth();
                let name = ServerName::try_from(host_of(origin))?;
                Some((TlsConnector::from(Arc::new(config)), name))
            }
            _ => None,
        };
        Ok(Self { address, host: authority.parse()?, tls })
    }

    /// Sends a request, whose target is a path, and reads the whole answer.
    pub(super) async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Failure> {
        timeout(PATIENCE, self.exchange(request)).await?
    }

    async fn exchange(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Failure> {
        let stream = TcpStream::connect(self.address).await?;
        let mut request = request.map(Full::new);
        request.headers_mut().entry(HOST).or_insert_with(|| self.host.clone());
        match &self.tls {
            None => exchange(TokioIo::new(stream), request).await,
            Some((connector, name)) => {
                exchange(TokioIo::new(connector.connect(name.clone(), stream).await?), request).await
            }
        }
    }
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, Failure>
where
    S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(stream).await?;
    let driver = tokio::spawn(connection);
    let (head, body) = sender.send_request(request).await?.into_parts();
    let body = Limited::new(body, LONGEST).collect().await;
    driver.abort();
    let body = body.map_err(|error| Failure::said(error.to_string()))?;
    Ok(Response::from_parts(head, body.to_bytes()))
}
