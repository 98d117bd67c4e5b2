//! Managing callbacks. Every change is in the audit log before it is acknowledged.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse as _, Json};
use axum::routing::{get, post};
use countersign::schemes::callback_url::{CallbackId, Callbacks};
use countersign_io::AnyStore;
use serde_json::json;

use crate::management::answer::{Answer, Changes, Refusal, bad, parse_json};
use crate::runtime::Live;
use crate::schemes::callback_url::{Refused, Wanted, revealed, shown};

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Terms(why) => bad(why),
            Refused::Now(denial) => Self(denial.code().status(), denial.cause().to_owned()),
        }
    }
}

/// What it takes to manage callbacks.
#[derive(Clone)]
struct Managed {
    live: Live,
    callbacks: Callbacks<Arc<AnyStore>>,
    changes: Changes,
}

pub(super) fn router(store: Arc<AnyStore>, live: Live, changes: Changes) -> Router {
    Router::new()
        .route("/v1/callbacks", get(list).post(create))
        .route("/v1/callbacks/{id}/revoke", post(revoke))
        .with_state(Managed { live, callbacks: Callbacks::new(store), changes })
}

async fn create(State(managed): State<Managed>, body: bytes::Bytes) -> Answer {
    let wanted: Wanted = parse_json(&body)?;
    let minting = managed.live.load().schemes.callback_url.minting().clone();
    let minted = minting.mint(wanted, "management", managed.changes.now()).await?;
    Ok(([(CACHE_CONTROL, "no-store")], Json(revealed(&minted))).into_response())
}

async fn list(State(Managed { callbacks, changes, .. }): State<Managed>) -> Answer {
    let now = changes.now();
    let mut listed = Vec::new();
    for record in callbacks.list().await? {
        let mut one = shown(&record);
        one["state"] = callbacks.state(&record, now).await?.as_str().into();
        listed.push(one);
    }
    Ok(Json(listed).into_response())
}

async fn revoke(State(managed): State<Managed>, Path(id): Path<String>) -> Answer {
    let id = CallbackId::parse(&id).ok_or_else(|| bad("a callback's id is 22 letters and digits"))?;
    let Some(record) = managed.callbacks.revoke(&id).await? else {
        return Err(Refusal(
            StatusCode::NOT_FOUND,
            format!("there is no callback {id}, or it ended long ago"),
        ));
    };
    let mut details = shown(&record);
    details["state"] = json!("revoked");
    managed.changes.note(managed.changes.now(), "callback-revoked", &details).await?;
    Ok(Json(details).into_response())
}
