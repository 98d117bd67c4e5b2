//! Managing callbacks. Every change is in the audit log before it is acknowledged.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse as _, Json};
use countersign::schemes::callback_url::CallbackId;
use serde_json::json;

use crate::management::answer::{Answer, Refusal};
use crate::management::answer::{bad, parse_json, unaudited};
use crate::runtime::Gateway;
use crate::schemes::callback_url::minting::{Refused, Wanted, mint, revealed, shown};

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Terms(why) => bad(why),
            Refused::Now(denial) => Self(denial.code().status(), denial.cause().to_owned()),
        }
    }
}

pub(super) async fn create(State(gateway): State<Arc<Gateway>>, body: bytes::Bytes) -> Answer {
    let wanted: Wanted = parse_json(&body)?;
    let runtime = gateway.runtime.load_full();
    let minted = mint(&gateway, &runtime, wanted, "management", gateway.clock.now()).await?;
    Ok(([(CACHE_CONTROL, "no-store")], Json(revealed(&minted))).into_response())
}

pub(super) async fn list(State(gateway): State<Arc<Gateway>>) -> Answer {
    let (callbacks, now) = (gateway.callbacks(), gateway.clock.now());
    let mut listed = Vec::new();
    for record in callbacks.list().await? {
        let mut one = shown(&record);
        one["state"] = callbacks.state(&record, now).await?.as_str().into();
        listed.push(one);
    }
    Ok(Json(listed).into_response())
}

pub(super) async fn revoke(State(gateway): State<Arc<Gateway>>, Path(id): Path<String>) -> Answer {
    let id = CallbackId::parse(&id).ok_or_else(|| bad("a callback's id is 22 letters and digits"))?;
    let Some(record) = gateway.callbacks().revoke(&id).await? else {
        return Err(Refusal(
            StatusCode::NOT_FOUND,
            format!("there is no callback {id}, or it ended long ago"),
        ));
    };
    let mut details = shown(&record);
    details["state"] = json!("revoked");
    gateway.audit.change(gateway.clock.now(), "callback-revoked", &details).await.map_err(unaudited)?;
    Ok(Json(details).into_response())
}
