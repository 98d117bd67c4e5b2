//! The TCP listener for health and metrics; management is there only with a token.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use countersign::crypto::{Secret, equal, sha256};

use crate::management::api::router;
use crate::open::Opened;

/// What opens management over TCP.
#[derive(Clone)]
pub struct AdminToken {
    digest: [u8; 32],
    /// `Host` as it must be: names that lead here by accident or rebinding are not ours.
    hosts: Arc<[String]>,
}

impl AdminToken {
    /// A token of at least 16 bytes, for a listener at `address`.
    ///
    /// # Errors
    /// It is too short to be a secret.
    pub fn new(token: &Secret<Vec<u8>>, address: SocketAddr) -> Result<Self, &'static str> {
        let token = token.expose().trim_ascii();
        if token.len() < 16 {
            return Err("the admin token has fewer than 16 characters");
        }
        let port = address.port();
        let hosts = [format!("{address}"), format!("localhost:{port}")];
        Ok(Self { digest: sha256(token), hosts: hosts.into() })
    }
}

/// Health, metrics, and with `token` management.
pub fn admin(opened: &Opened, token: Option<AdminToken>) -> Router {
    let health = Router::new()
        .route("/livez", get(async || "alive\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(opened.clone());
    match token {
        Some(token) => health.merge(router(opened).layer(from_fn_with_state(token, authorise))),
        None => health,
    }
}

async fn ready(State(opened): State<Opened>) -> Response {
    if opened.shared.life.is_draining() {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining\n").into_response();
    }
    match opened.shared.store.ready().await {
        Ok(()) => "ready\n".into_response(),
        Err(error) => {
            // Whatever watches us asks every second; the store has said once what is wrong.
            tracing::debug!(%error, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "the store does not answer\n").into_response()
        }
    }
}

async fn metrics(State(opened): State<Opened>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, kind)], opened.shared.recorder.metrics.render()).into_response()
}

async fn authorise(State(token): State<AdminToken>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    if !is_ours(&token, headers) {
        return (StatusCode::FORBIDDEN, "not our Host, or a page of another origin\n").into_response();
    }
    let presented = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let presented = presented.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    if !equal(&sha256(presented.trim().as_bytes()), &token.digest) {
        let challenge = [(WWW_AUTHENTICATE, "Bearer realm=\"management\"")];
        return (StatusCode::UNAUTHORIZED, challenge, "the admin token is needed\n").into_response();
    }
    next.run(request).await
}

fn is_ours(token: &AdminToken, headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let origin = headers.get(ORIGIN).map(|origin| origin.to_str().unwrap_or_default());
    let ours = |host: &str| token.hosts.iter().any(|ours| ours.eq_ignore_ascii_case(host));
    ours(host) && origin.is_none_or(|origin| origin.strip_prefix("http://").is_some_and(ours))
}
