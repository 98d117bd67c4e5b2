//! What management answers, what it refuses, and what it writes down.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use countersign::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::open::Opened;

/// An answer that is not what was asked for: a status and a sentence.
pub(super) struct Refusal(pub(super) StatusCode, pub(super) String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

pub(super) type Answer = Result<Response, Refusal>;

/// Writes a change down before it is acknowledged. Where that fails it was done and cannot be shown to be: whoever asked
/// must not take it for done.
pub(super) async fn note(opened: &Opened, at: Timestamp, what: &str, details: &Value) -> Result<(), Refusal> {
    let noted = opened.shared.recorder.audit.change(at, what, details).await;
    noted.map_err(|why| Refusal(StatusCode::SERVICE_UNAVAILABLE, why))
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err hands over")]
pub(super) fn bad(why: impl ToString) -> Refusal {
    Refusal(StatusCode::BAD_REQUEST, why.to_string())
}

pub(super) fn parse_json<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(bad)
}
