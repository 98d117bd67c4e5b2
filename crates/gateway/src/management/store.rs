//! What an operator does about the store itself.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Json};
use axum::routing::post;
use countersign_io::AnyStore;
use serde_json::json;

use crate::management::answer::{Answer, Changes, Refusal};
use crate::runtime::Live;

type Managed = (Arc<AnyStore>, Live, Changes);

pub(super) fn router(store: Arc<AnyStore>, live: Live, changes: Changes) -> Router {
    Router::new().route("/v1/store/accept-clock", post(accept_clock)).with_state((store, live, changes))
}

/// Believes a clock that went back: dated proofs are judged again.
async fn accept_clock(State((store, live, changes)): State<Managed>) -> Answer {
    let passing = || {
        let why = "this store keeps no moment beyond the process: a restart is enough";
        Refusal(StatusCode::CONFLICT, why.to_owned())
    };
    let accepted = store.accept_clock().await?.ok_or_else(passing)?;
    let mut details = json!({ "now": accepted.now.to_string(), "shown": accepted.shown.to_string() });
    // The gate may have seen a moment that no request brought to the store, which has judged this one.
    live.load().gate.accept_clock(accepted.now);
    let Some(cut_off) = accepted.cut_off else {
        details["accepted"] = json!(false);
        return Ok(Json(details).into_response());
    };
    details["accepted"] = json!(true);
    details["refused_up_to"] = json!(cut_off.to_string());
    changes.note(accepted.now, "clock-accepted", &details).await?;
    Ok(Json(details).into_response())
}
