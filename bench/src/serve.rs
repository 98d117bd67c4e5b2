//! The two ends of the scale: a bare hyper server, and a bare hyper proxy with a pooled client.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http::uri::{Authority, Scheme};
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, Full, combinators::BoxBody};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};

use crate::Failure;

type Pool = Client<HttpConnector, Incoming>;

/// Answers every request with a few bytes.
pub(crate) fn upstream(listen: SocketAddr) -> Result<(), Failure> {
    run(listen, |stream| async move {
        let service = service_fn(|_| async {
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"Hello, world\n"))))
        });
        let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    })
}

/// Passes every request on: the least that a proxy on hyper does, and so the limit of any.
pub(crate) fn proxy(listen: SocketAddr, upstream: SocketAddr) -> Result<(), Failure> {
    let authority: Authority = upstream.to_string().parse()?;
    let host = HeaderValue::from_str(authority.as_str())?;
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let pool: Pool = Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector);
    run(listen, move |stream| {
        let (pool, authority, host) = (pool.clone(), authority.clone(), host.clone());
        async move {
            let service = service_fn(move |request| {
                let (pool, authority, host) = (pool.clone(), authority.clone(), host.clone());
                async move { Ok::<_, Infallible>(forward(&pool, authority, host, request).await) }
            });
            let builder = http1::Builder::new();
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        }
    })
}

async fn forward(
    pool: &Pool,
    authority: Authority,
    host: HeaderValue,
    mut request: Request<Incoming>,
) -> Response<BoxBody<Bytes, hyper::Error>> {
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(authority);
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
    request.headers_mut().insert(http::header::HOST, host);
    pool.request(request).await.map_or_else(
        |_| {
            let mut failed = Response::new(Empty::new().map_err(|never| match never {}).boxed());
            *failed.status_mut() = StatusCode::BAD_GATEWAY;
            failed
        },
        |response| response.map(http_body_util::BodyExt::boxed),
    )
}

fn run<F>(listen: SocketAddr, serve: impl Fn(TcpStream) -> F) -> Result<(), Failure>
where
    F: Future<Output = ()> + Send + 'static,
{
    // The same runtime as the gateway's.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(listen).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(serve(stream));
        }
    })
}
