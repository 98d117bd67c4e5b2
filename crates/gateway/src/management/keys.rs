//! Managing keys. Every change is in the audit log before it is acknowledged.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Json};
use countersign::KeyId;
use countersign::Timestamp;
use countersign::crypto::Algorithm;
use countersign::schemes::api_key::{ApiKey, KeyRecord, KeyTerms, Lapsed, MintRights, RegistryError};
use countersign::store::StoreError;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::management::answer::{Answer, Refusal, bad, parse_json, unaudited};
use crate::runtime::Gateway;
use crate::settings::quantities::parse_duration;

/// What `key new` asks for.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// What people call it.
    pub label: String,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// What it may do.
    #[serde(default)]
    pub permissions: Vec<String>,
    /// For how long it is valid, `30d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// It may only sign.
    #[serde(default)]
    pub signed_only: bool,
    /// Which callback URLs it may mint.
    #[serde(default)]
    pub mint: MintRights,
}

/// What `key rotate` asks for.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// For how long the old key stays valid, `24h`.
    pub overlap: String,
}

impl From<RegistryError> for Refusal {
    fn from(error: RegistryError) -> Self {
        let status = match error {
            RegistryError::Unknown(_) => StatusCode::NOT_FOUND,
            RegistryError::NotRotatable(..)
            | RegistryError::OnlyItsHolder(..)
            | RegistryError::AlreadyRegistered(_) => StatusCode::CONFLICT,
            RegistryError::Terms(_) | RegistryError::Key(_) => StatusCode::BAD_REQUEST,
            RegistryError::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self(status, error.to_string())
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        RegistryError::Store(error).into()
    }
}

fn parse_id(id: &str) -> Result<KeyId, Refusal> {
    KeyId::parse(id)
        .ok_or_else(|| bad("a key's id is 12 letters and digits: the part between `cs_` and the second `_`"))
}

pub(super) async fn create(State(gateway): State<Arc<Gateway>>, body: bytes::Bytes) -> Answer {
    let wanted: NewKey = parse_json(&body)?;
    let now = gateway.clock.now();
    let expires = wanted.expires.as_deref().map(parse_duration).transpose().map_err(bad)?;
    let terms = KeyTerms {
        label: wanted.label,
        owner: wanted.owner,
        permissions: wanted.permissions,
        expires: expires.map(|after| now.plus(after)),
        signed_only: wanted.signed_only,
        mint: wanted.mint,
    };
    let (key, record) = gateway.keys().create(terms, now, &gateway.random).await?;
    if let Err(why) = gateway.audit.change(now, "key-created", &shown(&record, now, None)).await {
        // Nobody has seen its secret, and nobody will.
        gateway.keys().revoke(key.id, now).await?;
        return Err(unaudited(why));
    }
    Ok(revealed(&key, &record, now))
}

pub(super) async fn list(State(gateway): State<Arc<Gateway>>) -> Answer {
    let (keys, now) = (gateway.keys(), gateway.clock.now());
    write_uses(&gateway).await?;
    let mut listed = Vec::new();
    for record in keys.list().await? {
        let used = keys.last_used(record.id).await?;
        listed.push(shown(&record, now, used));
    }
    Ok(Json(listed).into_response())
}

pub(super) async fn show(State(gateway): State<Arc<Gateway>>, Path(id): Path<String>) -> Answer {
    let (keys, now) = (gateway.keys(), gateway.clock.now());
    write_uses(&gateway).await?;
    let record = keys.get(parse_id(&id)?).await?;
    let used = keys.last_used(record.id).await?;
    Ok(Json(shown(&record, now, used)).into_response())
}

pub(super) async fn rotate(
    State(gateway): State<Arc<Gateway>>,
    Path(id): Path<String>,
    body: bytes::Bytes,
) -> Answer {
    let wanted: Rotation = parse_json(&body)?;
    let overlap = parse_duration(&wanted.overlap).map_err(bad)?;
    let (keys, now, id) = (gateway.keys(), gateway.clock.now(), parse_id(&id)?);
    let (key, record) = keys.succeed(id, now, &gateway.random).await?;
    let mut details = shown(&record, now, None);
    details["replaces"] = json!(id);
    if let Err(why) = gateway.audit.change(now, "key-rotated", &details).await {
        keys.revoke(key.id, now).await?;
        return Err(unaudited(why));
    }
    // Last, so that the old key does not begin to end without a successor that somebody has.
    if let Err(error) = keys.retire(id, key.id, overlap, now).await {
        let undone = keys.revoke(key.id, now).await?;
        gateway.audit.change(now, "key-revoked", &shown(&undone, now, None)).await.map_err(unaudited)?;
        return Err(error.into());
    }
    Ok(revealed(&key, &record, now))
}

pub(super) async fn revoke(State(gateway): State<Arc<Gateway>>, Path(id): Path<String>) -> Answer {
    let now = gateway.clock.now();
    let record = gateway.keys().revoke(parse_id(&id)?, now).await?;
    let details = shown(&record, now, None);
    gateway.audit.change(now, "key-revoked", &details).await.map_err(unaudited)?;
    Ok(Json(details).into_response())
}

/// How many uses are written at once, so that they share commits.
const USES_AT_ONCE: usize = 64;

/// Writes down when keys were used, so that what is listed is not a minute old.
pub(crate) async fn write_uses(gateway: &Gateway) -> Result<(), StoreError> {
    let mut parts: [HashMap<KeyId, Timestamp>; USES_AT_ONCE] = std::array::from_fn(|_| HashMap::new());
    for (number, (id, used)) in gateway.uses.take().into_iter().enumerate() {
        parts[number % USES_AT_ONCE].insert(id, used);
    }
    let mut writing = tokio::task::JoinSet::new();
    for part in parts.into_iter().filter(|part| !part.is_empty()) {
        let keys = gateway.keys();
        writing.spawn(async move { keys.note_uses(part).await });
    }
    while let Some(written) = writing.join_next().await {
        // A task that panicked has lost its part, and nothing else.
        written.unwrap_or(Ok(()))?;
    }
    Ok(())
}

/// The one answer that holds a whole key.
fn revealed(key: &ApiKey, record: &KeyRecord, now: Timestamp) -> axum::response::Response {
    let mut body = shown(record, now, None);
    body["key"] = json!(key.reveal().expose());
    ([(CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

pub(super) fn shown(record: &KeyRecord, now: Timestamp, used: Option<Timestamp>) -> Value {
    let time = |moment: Option<Timestamp>| moment.map(|moment| moment.to_string());
    let (algorithm, thumbprint) = record.kind.described().unzip();
    json!({
        "id": record.id,
        "kind": record.kind.as_str(),
        "algorithm": algorithm.map(Algorithm::as_str),
        "thumbprint": thumbprint.flatten(),
        "label": record.terms.label,
        "owner": record.terms.owner,
        "permissions": record.terms.permissions,
        "created": record.created.to_string(),
        "expires": time(record.terms.expires),
        "revoked": time(record.revoked),
        "successor": record.successor,
        "signed_only": record.terms.signed_only,
        "mint": record.terms.mint,
        "last_used": time(used),
        "state": record.lapsed(now).map_or("active", Lapsed::as_str),
        // Sent as itself, a key opens what it opens to whoever saw the request.
        "bearer_class": record.is_bearer_class(),
    })
}
