//! What the operator keeps of subjects, and the issuer's keys. Every change is in the audit log before it is
//! acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json};
use axum::routing::{get, post};
use countersign::issuer::{KeyName, SubjectChange, SubjectError, SubjectRecord, Subjects};
use countersign_io::AnyStore;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::management::answer::{Answer, Changes, Refusal, bad, parse_json};
use crate::runtime::Live;

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

/// What it takes to manage subjects.
#[derive(Clone)]
struct Managed {
    store: Arc<AnyStore>,
    changes: Changes,
}

impl Managed {
    fn subjects(&self) -> Subjects<Arc<AnyStore>> {
        Subjects::new(self.store.clone())
    }
}

pub(super) fn router(store: Arc<AnyStore>, live: Live, changes: Changes) -> Router {
    let rotating = Router::new().route("/v1/issuer/rotate", post(rotate)).with_state((live, changes.clone()));
    Router::new()
        .route("/v1/subjects", get(list))
        .route("/v1/subjects/{name}", get(show).post(change))
        .with_state(Managed { store, changes })
        .merge(rotating)
}

async fn list(State(managed): State<Managed>) -> Answer {
    let all = managed.subjects().list().await?;
    let all: Vec<_> = all.iter().map(|(name, record)| shown(name, record)).collect();
    Ok(Json(all).into_response())
}

async fn show(State(managed): State<Managed>, Path(name): Path<String>) -> Answer {
    let name = KeyName::parse(&name).map_err(bad)?;
    let record = managed.subjects().get(&name).await?;
    Ok(Json(shown(&name, &record)).into_response())
}

async fn change(State(managed): State<Managed>, Path(name): Path<String>, body: bytes::Bytes) -> Answer {
    let name = KeyName::parse(&name).map_err(bad)?;
    let SubjectWish { claims, grant, withdraw } = parse_json(&body)?;
    let change = SubjectChange { claims, grant, withdraw };
    let record = managed.subjects().change(&name, &change).await?;
    let shown = shown(&name, &record);
    managed.changes.note(managed.changes.now(), "subject-changed", &shown).await?;
    Ok(Json(shown).into_response())
}

/// Publishes the issuer's next signing key.
async fn rotate(State((live, changes)): State<(Live, Changes)>) -> Answer {
    let runtime = live.load_full();
    let off = || Refusal(StatusCode::CONFLICT, "issuer.enabled is not true".to_owned());
    let issuer = runtime.schemes.issuer.issuer().ok_or_else(off)?;
    let now = changes.now();
    let keys = issuer
        .rotate(now)
        .await
        .map_err(|denial| Refusal(StatusCode::SERVICE_UNAVAILABLE, denial.cause().to_owned()))?;
    let states = keys.states().iter().map(|(kid, state)| json!({ "kid": kid, "state": state }));
    let shown = json!({ "keys": states.collect::<Vec<_>>() });
    changes.note(now, "issuer-rotated", &shown).await?;
    Ok(Json(shown).into_response())
}

fn shown(name: &KeyName, record: &SubjectRecord) -> Value {
    json!({ "subject": name.to_string(), "claims": record.claims, "permissions": record.permissions })
}
