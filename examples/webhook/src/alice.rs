//! The requester: proves what she sends, and answers when she is asked about it.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::{Router, routing::get};
use countersign::MemoryStore;
use countersign::crypto::SystemRandom;
use countersign::schemes::webhook::signer::Requester;
use countersign::schemes::webhook::{WELL_KNOWN, WebhookUrl};
use countersign_io::SystemClock;
use countersign_io::workers::Pool;
use countersign_tower::{ProveLayer, WebhookEndpoint};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tower::{Layer as _, ServiceExt as _};

/// Fetches orders from Bob for whoever asks her.
pub(crate) fn api(webhook: WebhookUrl, bob: String) -> Router {
    let store = Arc::new(MemoryStore::new(SystemClock));
    let requester = Requester::new(webhook, store, Arc::new(SystemRandom), Arc::new(Pool::default()));
    let endpoint = WebhookEndpoint::new(requester.tokens().clone());
    let client = Client::builder(TokioExecutor::new()).build_http();
    let client = ProveLayer::new(Arc::new(requester), Arc::new(SystemClock)).layer(client);
    let orders = async move || -> Response {
        let request = Request::get(format!("{bob}/orders")).body(Body::empty()).expect("a URL");
        match client.clone().oneshot(request).await {
            Ok(answer) => answer.map(Body::new),
            Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
        }
    };
    Router::new().route("/orders", get(orders)).route_service(WELL_KNOWN, endpoint)
}
