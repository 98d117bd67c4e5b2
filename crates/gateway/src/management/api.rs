//! Management as HTTP: over the Unix socket, over TCP with a token, or inside the command line when
//! no gateway runs.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use countersign::{Clock, Decision, DecisionId, Timestamp};
use countersign_io::AnyStore;
use serde::Deserialize;
use serde_json::json;

use crate::decisions::Decisions;
use crate::life::Life;
use crate::management::answer::{Answer, Changes, Refusal};
use crate::management::{callbacks, keys, raw_request, registered, store, subjects, users};
use crate::open::Opened;
use crate::runtime::Live;
use crate::terminal;

/// Everything that management can do.
pub fn router(opened: &Opened) -> Router {
    let Opened { shared, live } = opened.clone();
    let (store, changes) = (&shared.store, Changes::new(&shared));
    let keys = keys::Managed {
        api_key: live.load().schemes.api_key.clone(),
        random: shared.random,
        seal_key: shared.seal_key,
        changes: changes.clone(),
    };
    let status_of = StatusOf { store: store.clone(), live: live.clone(), life: shared.life };
    let decided = Router::new()
        .route("/v1/decisions", get(decisions))
        .route("/v1/decisions/{id}", get(decision))
        .with_state(shared.recorder.decisions.clone());
    Router::new()
        .route("/v1/status", get(status))
        .with_state(status_of)
        .merge(keys::router(keys.clone()))
        .merge(registered::router(keys))
        .merge(callbacks::router(store.clone(), live.clone(), changes.clone()))
        .merge(subjects::router(store.clone(), live.clone(), changes.clone()))
        .merge(users::router(live.clone(), changes.clone()))
        .merge(store::router(store.clone(), live.clone(), changes))
        .merge(decided)
        .merge(Router::new().route("/v1/explain", post(explain)).with_state((live, shared.clock)))
}

#[derive(Clone)]
struct StatusOf {
    store: Arc<AnyStore>,
    live: Live,
    life: Life,
}

async fn status(State(of): State<StatusOf>) -> Answer {
    let store = of.store.ready().await.map_err(|error| error.to_string());
    let runtime = of.live.load();
    Ok(Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "public_url": runtime.config.server.public_url.to_string(),
        "routes": runtime.config.routes.len(),
        "draining": of.life.is_draining(),
        "store": match store { Ok(()) => "ready".to_owned(), Err(why) => why },
        "store_warnings": of.store.warnings(),
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

async fn decisions(State(decisions): State<Arc<Decisions>>, Query(query): Query<Last>) -> Answer {
    let last = decisions.last(query.last.min(10_000));
    Ok(Json(last.iter().map(|decision| decision.to_json()).collect::<Vec<_>>()).into_response())
}

async fn decision(
    State(decisions): State<Arc<Decisions>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Answer {
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
    State((live, clock)): State<(Live, Arc<dyn Clock>)>,
    Query(query): Query<At>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let bad = |message: String| Refusal(StatusCode::BAD_REQUEST, message);
    let at = match query.at.as_deref() {
        None => clock.now(),
        Some(text) => Timestamp::parse_rfc3339(text)
            .ok_or_else(|| bad(format!("`{text}` is no time: write RFC 3339, as in 2026-01-31T12:00:00Z")))?,
    };
    let request = raw_request::parse(&body).map_err(bad)?;
    let runtime = live.load_full();
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
