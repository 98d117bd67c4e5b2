//! Managing callbacks. Every change is in the audit log before it is acknowledged.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse as _, Json};
use countersign::schemes::callback_url::{CallbackId, Callbacks};
use countersign_io::AnyStore;
use serde_json::json;

use crate::management::answer::{Answer, Refusal, bad, note, parse_json};
use crate::open::Opened;
use crate::schemes::callback_url::{Refused, Wanted, revealed, shown};

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Terms(why) => bad(why),
            Refused::Now(denial) => Self(denial.code().status(), denial.cause().to_owned()),
        }
    }
}

fn callbacks(opened: &Opened) -> Callbacks<Arc<AnyStore>> {
    Callbacks::new(opened.shared.store.clone())
}

pub(super) async fn create(State(opened): State<Opened>, body: bytes::Bytes) -> Answer {
    let wanted: Wanted = parse_json(&body)?;
    let minting = opened.live.load().schemes.callback_url.minting().clone();
    let minted = minting.mint(wanted, "management", opened.shared.clock.now()).await?;
    Ok(([(CACHE_CONTROL, "no-store")], Json(revealed(&minted))).into_response())
}

pub(super) async fn list(State(opened): State<Opened>) -> Answer {
    let (callbacks, now) = (callbacks(&opened), opened.shared.clock.now());
    let mut listed = Vec::new();
    for record in callbacks.list().await? {
        let mut one = shown(&record);
        one["state"] = callbacks.state(&record, now).await?.as_str().into();
        listed.push(one);
    }
    Ok(Json(listed).into_response())
}

pub(super) async fn revoke(State(opened): State<Opened>, Path(id): Path<String>) -> Answer {
    let id = CallbackId::parse(&id).ok_or_else(|| bad("a callback's id is 22 letters and digits"))?;
    let Some(record) = callbacks(&opened).revoke(&id).await? else {
        return Err(Refusal(
            StatusCode::NOT_FOUND,
            format!("there is no callback {id}, or it ended long ago"),
        ));
    };
    let mut details = shown(&record);
    details["state"] = json!("revoked");
    note(&opened, opened.shared.clock.now(), "callback-revoked", &details).await?;
    Ok(Json(details).into_response())
}
