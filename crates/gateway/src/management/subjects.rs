//! What the operator keeps of subjects, and the issuer's keys. Every change is in the audit log before it is
//! acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json};
use countersign::issuer::{KeyName, SubjectChange, SubjectError, SubjectRecord, Subjects};
use countersign_io::AnyStore;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::management::answer::{Answer, Refusal, bad, note, parse_json};
use crate::open::Opened;

/// What `subject set` asks for.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct SubjectWish {
    /// Claims to set; null removes one.
    pub claims: BTreeMap<String, Option<Value>>,
    /// Permissions to grant.
    pub grant: BTreeSet<String>,
    /// Permissions to withdraw.
    pub withdraw: BTreeSet<String>,
}

impl From<SubjectError> for Refusal {
    fn from(error: SubjectError) -> Self {
        match error {
            SubjectError::Store(error) => error.into(),
            error => bad(error),
        }
    }
}

fn subjects(opened: &Opened) -> Subjects<Arc<AnyStore>> {
    Subjects::new(opened.shared.store.clone())
}

pub(super) async fn list(State(opened): State<Opened>) -> Answer {
    let all = subjects(&opened).list().await?;
    let all: Vec<_> = all.iter().map(|(name, record)| shown(name, record)).collect();
    Ok(Json(all).into_response())
}

pub(super) async fn show(State(opened): State<Opened>, Path(name): Path<String>) -> Answer {
    let name = KeyName::parse(&name).map_err(bad)?;
    let record = subjects(&opened).get(&name).await?;
    Ok(Json(shown(&name, &record)).into_response())
}

pub(super) async fn change(
    State(opened): State<Opened>,
    Path(name): Path<String>,
    body: bytes::Bytes,
) -> Answer {
    let name = KeyName::parse(&name).map_err(bad)?;
    let SubjectWish { claims, grant, withdraw } = parse_json(&body)?;
    let change = SubjectChange { claims, grant, withdraw };
    let record = subjects(&opened).change(&name, &change).await?;
    let shown = shown(&name, &record);
    note(&opened, opened.shared.clock.now(), "subject-changed", &shown).await?;
    Ok(Json(shown).into_response())
}

/// Publishes the issuer's next signing key.
pub(super) async fn rotate(State(opened): State<Opened>) -> Answer {
    let runtime = opened.live.load_full();
    let off = || Refusal(StatusCode::CONFLICT, "issuer.enabled is not true".to_owned());
    let issuer = runtime.schemes.issuer.issuer().ok_or_else(off)?;
    let now = opened.shared.clock.now();
    let keys = issuer
        .rotate(now)
        .await
        .map_err(|denial| Refusal(StatusCode::SERVICE_UNAVAILABLE, denial.cause().to_owned()))?;
    let states = keys.states().iter().map(|(kid, state)| json!({ "kid": kid, "state": state }));
    let shown = json!({ "keys": states.collect::<Vec<_>>() });
    note(&opened, now, "issuer-rotated", &shown).await?;
    Ok(Json(shown).into_response())
}

fn shown(name: &KeyName, record: &SubjectRecord) -> Value {
    json!({ "subject": name.to_string(), "claims": record.claims, "permissions": record.permissions })
}
