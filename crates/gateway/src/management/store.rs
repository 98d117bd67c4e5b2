//! What an operator does about the store itself.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Json};
use serde_json::json;

use crate::management::answer::{Answer, Refusal, note};
use crate::open::Opened;

/// Believes a clock that went back: dated proofs are judged again.
pub(super) async fn accept_clock(State(opened): State<Opened>) -> Answer {
    let passing = || {
        let why = "this store keeps no moment beyond the process: a restart is enough";
        Refusal(StatusCode::CONFLICT, why.to_owned())
    };
    let accepted = opened.shared.store.accept_clock().await?.ok_or_else(passing)?;
    let mut details = json!({ "now": accepted.now.to_string(), "shown": accepted.shown.to_string() });
    // The gate may have seen a moment that no request brought to the store, which has judged this one.
    opened.live.load().gate.accept_clock(accepted.now);
    let Some(cut_off) = accepted.cut_off else {
        details["accepted"] = json!(false);
        return Ok(Json(details).into_response());
    };
    details["accepted"] = json!(true);
    details["refused_up_to"] = json!(cut_off.to_string());
    note(&opened, accepted.now, "clock-accepted", &details).await?;
    Ok(Json(details).into_response())
}
