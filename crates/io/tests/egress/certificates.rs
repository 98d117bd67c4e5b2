//! Whom TLS trusts: the name in the URL, in time, from an authority that we know.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use countersign::{Fetch as _, FetchError, FetchRequest, FetchResponse};
use countersign_io::egress::{EgressPolicy, GuardedClient};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::support::{Names, Script, Server, client_knowing, configured, get, loopback};

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        Self::named("one")
    }

    fn named(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn root(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    fn certify(&self, name: &str) -> TlsAcceptor {
        self.certify_until(name, 2999)
    }

    fn certify_until(&self, name: &str, year: i32) -> TlsAcceptor {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }
}

async fn server(tls: TlsAcceptor) -> Server {
    Server::start((loopback(1), 0).into(), Some(tls), vec![Script::ok("ok")]).await
}

/// Trusts `authority`, and lets the configuration dial loopback on the server's port.
fn allowing_loopback(authority: &Authority, server: &Server) -> EgressPolicy {
    EgressPolicy {
        ports: vec![server.port()],
        extra_roots: vec![authority.root()],
        allow_private: vec!["127.0.0.0/8".parse().unwrap()],
        ..EgressPolicy::default()
    }
}

/// A client that finds every name on loopback.
fn client(authority: &Authority, server: &Server) -> GuardedClient {
    client_knowing(allowing_loopback(authority, server), Names::answering(&[&["127.0.0.1"]]))
}

fn url(host: &str, server: &Server) -> String {
    format!("https://{host}:{}/hook", server.port())
}

fn refused_for(result: Result<FetchResponse, FetchError>, why: &str) {
    match result {
        Err(FetchError::Unreachable(text)) => assert!(text.contains(why), "{text}, instead of: {why}"),
        other => panic!("{other:?}, instead of unreachable: {why}"),
    }
}

#[tokio::test]
async fn the_url_s_host_is_named_in_the_handshake_and_http_1_1_is_spoken() {
    let authority = Authority::new();
    let server = server(authority.certify("alice.test")).await;
    let client = client(&authority, &server);
    let answer = client.fetch(configured(&url("Alice.Test", &server))).await.unwrap();
    assert_eq!(&answer.body[..], b"ok");
    let handshake = (Some("alice.test".to_owned()), Some(b"http/1.1".to_vec()));
    assert_eq!(*server.seen().handshakes.lock().unwrap(), [handshake]);
    let host = format!("host: alice.test:{}\r\n", server.port());
    assert!(server.requests()[0].contains(&host), "{:?}", server.requests());
}

#[tokio::test]
async fn one_handshake_serves_several_requests() {
    let authority = Authority::new();
    let server = server(authority.certify("alice.test")).await;
    let client = client(&authority, &server);
    for _ in 0..3 {
        assert!(client.fetch(configured(&url("alice.test", &server))).await.is_ok());
    }
    assert_eq!((server.accepted(), server.requests().len()), (1, 3));
}

#[tokio::test]
async fn what_is_allowed_for_the_configuration_is_refused_to_a_request() {
    let authority = Authority::new();
    let server = server(authority.certify("alice.test")).await;
    let client = client(&authority, &server);
    let url = url("alice.test", &server);
    assert!(client.fetch(configured(&url)).await.is_ok());
    assert!(matches!(client.fetch(get(&url)).await, Err(FetchError::Forbidden(_))));
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn a_name_that_moves_out_of_what_is_allowed_is_refused_though_a_connection_is_kept() {
    let authority = Authority::new();
    let server = server(authority.certify("alice.test")).await;
    for later in [&["10.0.0.7"][..], &["1.1.1.1", "10.0.0.7"], &["127.0.0.1", "169.254.169.254"]] {
        let names = Names::answering(&[&["127.0.0.1"], later]);
        let client = client_knowing(allowing_loopback(&authority, &server), names.clone());
        let url = url("alice.test", &server);
        assert!(client.fetch(configured(&url)).await.is_ok());
        let refusal = client.fetch(configured(&url)).await;
        assert!(matches!(refusal, Err(FetchError::Forbidden(_))), "{later:?}: {refusal:?}");
        assert_eq!(names.asked(), 2, "once for each request");
    }
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let authority = Authority::new();
    let server = server(authority.certify("bob.test")).await;
    let client = client(&authority, &server);
    refused_for(client.fetch(configured(&url("alice.test", &server))).await, "certificate");
    assert_eq!(server.requests(), [""; 0]);
}

#[tokio::test]
async fn a_certificate_for_the_address_serves_the_address_and_not_a_name() {
    let authority = Authority::new();
    let server = server(authority.certify("127.0.0.1")).await;
    let client = client(&authority, &server);
    assert!(client.fetch(configured(&url("127.0.0.1", &server))).await.is_ok());
    refused_for(client.fetch(configured(&url("alice.test", &server))).await, "certificate");
}

#[tokio::test]
async fn a_certificate_for_a_name_does_not_serve_its_address() {
    let authority = Authority::new();
    let server = server(authority.certify("alice.test")).await;
    let client = client(&authority, &server);
    refused_for(client.fetch(configured(&url("127.0.0.1", &server))).await, "certificate");
}

#[tokio::test]
async fn a_certificate_that_is_over_is_refused() {
    let authority = Authority::new();
    let server = server(authority.certify_until("alice.test", 2001)).await;
    let client = client(&authority, &server);
    refused_for(client.fetch(configured(&url("alice.test", &server))).await, "expired");
}

#[tokio::test]
async fn a_certificate_from_an_authority_that_we_do_not_know_is_refused() {
    for (name, why) in [("another", "UnknownIssuer"), ("one", "BadSignature")] {
        let server = server(Authority::named(name).certify("alice.test")).await;
        let client = client(&Authority::named("one"), &server);
        refused_for(client.fetch(configured(&url("alice.test", &server))).await, why);
        assert_eq!(server.requests(), [""; 0]);
    }
}

#[tokio::test]
async fn a_body_that_the_network_cut_off_is_no_answer() {
    // Without a length, only TLS tells an end from a cut.
    let authority = Authority::new();
    let script = Script::once("HTTP/1.1 200 OK\r\n\r\nhalf").then(crate::support::Then::Cut);
    let tls = Some(authority.certify("alice.test"));
    let server = Server::start((loopback(1), 0).into(), tls, vec![script]).await;
    let client = client(&authority, &server);
    refused_for(client.fetch(configured(&url("alice.test", &server))).await, "close_notify");
}

#[tokio::test]
async fn an_address_that_says_nothing_leaves_time_for_the_next_one() {
    let authority = Authority::new();
    let server = server(authority.certify("alice.test")).await;
    let silent = Server::start((loopback(2), server.port()).into(), None, Vec::new()).await;
    let names = Names::answering(&[&["127.0.0.2", "127.0.0.1"]]);
    let client = client_knowing(allowing_loopback(&authority, &server), names);
    let limit = Duration::from_secs(2);
    let patient = FetchRequest { timeout: limit, ..configured(&url("alice.test", &server)) };
    assert!(client.fetch(patient).await.is_ok());
    assert_eq!(silent.accepted(), 1);
}

#[tokio::test]
async fn a_handshake_that_never_ends_ends_with_the_time_and_closes() {
    let silent = Server::start((loopback(1), 0).into(), None, Vec::new()).await;
    let client = client(&Authority::new(), &silent);
    let limit = Duration::from_millis(200);
    let hasty = FetchRequest { timeout: limit, ..configured(&url("alice.test", &silent)) };
    let refusal = client.fetch(hasty).await;
    assert!(matches!(refusal, Err(FetchError::Timeout(time)) if time == limit), "{refusal:?}");
    crate::support::until(|| silent.seen().ended.load(Ordering::SeqCst) == 1).await;
}
