//! Managing keys. Every change is in the audit log before it is acknowledged.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Json};
use countersign::crypto::Algorithm;
use countersign::schemes::api_key::{ApiKey, KeyRecord, KeyTerms, Lapsed, MintRights, RegistryError};
use countersign::store::StoreError;
use countersign::{KeyId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::management::answer::{Answer, Refusal, bad, note, parse_json};
use crate::open::Opened;
use crate::schemes::api_key;
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

/// The keys, whichever configuration is live: a reload keeps what it knows of uses.
pub(super) fn api_key(opened: &Opened) -> api_key::Ready {
    opened.live.load().schemes.api_key.clone()
}

pub(super) async fn create(State(opened): State<Opened>, body: bytes::Bytes) -> Answer {
    let wanted: NewKey = parse_json(&body)?;
    let now = opened.shared.clock.now();
    let expires = wanted.expires.as_deref().map(parse_duration).transpose().map_err(bad)?;
    let terms = KeyTerms {
        label: wanted.label,
        owner: wanted.owner,
        permissions: wanted.permissions,
        expires: expires.map(|after| now.plus(after)),
        signed_only: wanted.signed_only,
        mint: wanted.mint,
    };
    let (key, record) = api_key(&opened).keys().create(terms, now, &opened.shared.random).await?;
    if let Err(unaudited) = note(&opened, now, "key-created", &shown(&record, now, None)).await {
        // Nobody has seen its secret, and nobody will.
        api_key(&opened).keys().revoke(key.id, now).await?;
        return Err(unaudited);
    }
    Ok(revealed(&key, &record, now))
}

pub(super) async fn list(State(opened): State<Opened>) -> Answer {
    let (api_key, now) = (api_key(&opened), opened.shared.clock.now());
    api_key.write_uses().await?;
    let keys = api_key.keys();
    let mut listed = Vec::new();
    for record in keys.list().await? {
        let used = keys.last_used(record.id).await?;
        listed.push(shown(&record, now, used));
    }
    Ok(Json(listed).into_response())
}

pub(super) async fn show(State(opened): State<Opened>, Path(id): Path<String>) -> Answer {
    let (api_key, now) = (api_key(&opened), opened.shared.clock.now());
    api_key.write_uses().await?;
    let keys = api_key.keys();
    let record = keys.get(parse_id(&id)?).await?;
    let used = keys.last_used(record.id).await?;
    Ok(Json(shown(&record, now, used)).into_response())
}

pub(super) async fn rotate(
    State(opened): State<Opened>,
    Path(id): Path<String>,
    body: bytes::Bytes,
) -> Answer {
    let wanted: Rotation = parse_json(&body)?;
    let overlap = parse_duration(&wanted.overlap).map_err(bad)?;
    let (keys, now, id) = (api_key(&opened).keys(), opened.shared.clock.now(), parse_id(&id)?);
    let (key, record) = keys.succeed(id, now, &opened.shared.random).await?;
    let mut details = shown(&record, now, None);
    details["replaces"] = json!(id);
    if let Err(unaudited) = note(&opened, now, "key-rotated", &details).await {
        keys.revoke(key.id, now).await?;
        return Err(unaudited);
    }
    // Last, so that the old key does not begin to end without a successor that somebody has.
    if let Err(error) = keys.retire(id, key.id, overlap, now).await {
        let undone = keys.revoke(key.id, now).await?;
        note(&opened, now, "key-revoked", &shown(&undone, now, None)).await?;
        return Err(error.into());
    }
    Ok(revealed(&key, &record, now))
}

pub(super) async fn revoke(State(opened): State<Opened>, Path(id): Path<String>) -> Answer {
    let now = opened.shared.clock.now();
    let record = api_key(&opened).keys().revoke(parse_id(&id)?, now).await?;
    let details = shown(&record, now, None);
    note(&opened, now, "key-revoked", &details).await?;
    Ok(Json(details).into_response())
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
