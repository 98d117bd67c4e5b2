//! Management as HTTP: over the Unix socket, over TCP with a token, or inside the command line when
//! no gateway runs.

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use countersign::{Decision, DecisionId, Timestamp};
use serde::Deserialize;
use serde_json::json;

use crate::management::answer::{Answer, Refusal};
use crate::management::{callbacks, keys, raw_request, registered, store, subjects, users};
use crate::open::Opened;
use crate::terminal;

/// Everything that management can do.
pub fn router(opened: &Opened) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/keys", get(keys::list).post(keys::create))
        .route("/v1/keys/{id}", get(keys::show))
        .route("/v1/keys/{id}/rotate", post(keys::rotate))
        .route("/v1/keys/{id}/revoke", post(keys::revoke))
        .route("/v1/registered-keys", post(registered::register))
        .route("/v1/callbacks", get(callbacks::list).post(callbacks::create))
        .route("/v1/callbacks/{id}/revoke", post(callbacks::revoke))
        .route("/v1/subjects", get(subjects::list))
        .route("/v1/subjects/{name}", get(subjects::show).post(subjects::change))
        .route("/v1/issuer/rotate", post(subjects::rotate))
        .route("/v1/users", get(users::list).post(users::add))
        .route("/v1/users/disable", post(users::disable))
        .route("/v1/users/set-password", post(users::set_password))
        .route("/v1/store/accept-clock", post(store::accept_clock))
        .route("/v1/decisions", get(decisions))
        .route("/v1/decisions/{id}", get(decision))
        .route("/v1/explain", post(explain))
        .with_state(opened.clone())
}

async fn status(State(opened): State<Opened>) -> Answer {
    let store = &opened.shared.store;
    let ready = store.ready().await.map_err(|error| error.to_string());
    let runtime = opened.live.load();
    Ok(Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "public_url": runtime.config.server.public_url.to_string(),
        "routes": runtime.config.routes.len(),
        "draining": opened.shared.life.is_draining(),
        "store": match ready { Ok(()) => "ready".to_owned(), Err(why) => why },
        "store_warnings": store.warnings(),
    }))
    .into_response())
}

#[derive(Deserialize)]
struct Last {
    #[serde(default = "twenty")]
    last: usize,
}

const fn twenty() -> usize {
    20
}

async fn decisions(State(opened): State<Opened>, Query(query): Query<Last>) -> Answer {
    let last = opened.shared.recorder.decisions.last(query.last.min(10_000));
    Ok(Json(last.iter().map(|decision| decision.to_json()).collect::<Vec<_>>()).into_response())
}

async fn decision(State(opened): State<Opened>, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    let decisions = &opened.shared.recorder.decisions;
    let found = match id.as_str() {
        "latest" => decisions.latest(),
        id => match DecisionId::parse(id) {
            Some(id) => decisions.get(id),
            None => {
                let message = "a decision is named by the UUID in Countersign-Decision, or `latest`";
                return Err(Refusal(StatusCode::BAD_REQUEST, message.to_owned()));
            }
        },
    };
    match found {
        Some(decision) => Ok(render(&decision, &headers)),
        None => {
            let message = "no such decision among the last 10,000; older ones are in the audit log";
            Err(Refusal(StatusCode::NOT_FOUND, message.to_owned()))
        }
    }
}

#[derive(Deserialize)]
struct At {
    at: Option<String>,
}

async fn explain(
    State(opened): State<Opened>,
    Query(query): Query<At>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let bad = |message: String| Refusal(StatusCode::BAD_REQUEST, message);
    let at = match query.at.as_deref() {
        None => opened.shared.clock.now(),
        Some(text) => Timestamp::parse_rfc3339(text)
            .ok_or_else(|| bad(format!("`{text}` is no time: write RFC 3339, as in 2026-01-31T12:00:00Z")))?,
    };
    let request = raw_request::parse(&body).map_err(bad)?;
    let runtime = opened.live.load_full();
    let target = runtime.config.server.public_url.target(&request.target);
    let mut body = request.body.clone();
    let decision = runtime.explain(&request.view(&target, at), &mut body).await;
    Ok(render(&decision, &headers))
}

/// JSON for programs; `Accept: text/plain` for people.
fn render(decision: &Decision, headers: &HeaderMap) -> Response {
    let plain = headers.get(ACCEPT).is_some_and(|accept| accept.as_bytes().starts_with(b"text/plain"));
    if plain {
        return ([(CONTENT_TYPE, "text/plain; charset=utf-8")], crate::story::story(&decision.to_json()))
            .into_response();
    }
    let text = terminal::json(&decision.to_json()) + "\n";
    ([(CONTENT_TYPE, "application/json")], text).into_response()
}
