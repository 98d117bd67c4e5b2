//! What management answers, what it refuses, and what it writes down.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use countersign::{Clock, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::audit::Audit;
use crate::shared::Shared;

/// An answer that is not what was asked for: a status and a sentence.
pub(super) struct Refusal(pub(super) StatusCode, pub(super) String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

pub(super) type Answer = Result<Response, Refusal>;

/// Where changes are written down before they are acknowledged, and when they were made.
#[derive(Clone)]
pub(super) struct Changes {
    audit: Arc<Audit>,
    clock: Arc<dyn Clock>,
}

impl Changes {
    pub(super) fn new(shared: &Shared) -> Self {
        Self { audit: shared.recorder.audit.clone(), clock: shared.clock.clone() }
    }

    /// The time.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Writes one down. Where that fails it was done and cannot be shown to be: whoever asked must not take it for
    /// done.
    pub(super) async fn note(&self, at: Timestamp, what: &str, details: &Value) -> Result<(), Refusal> {
        let noted = self.audit.change(at, what, details).await;
        noted.map_err(|why| Refusal(StatusCode::SERVICE_UNAVAILABLE, why))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err hands over")]
pub(super) fn bad(why: impl ToString) -> Refusal {
    Refusal(StatusCode::BAD_REQUEST, why.to_string())
}

pub(super) fn parse_json<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(bad)
}
