//! Managing users. Every change is in the audit log before it is acknowledged.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Json};
use countersign::UserId;
use countersign::schemes::session::{AccountError, Accounts, Email, UserRecord};
use countersign_io::AnyStore;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::management::answer::{Answer, Refusal};
use crate::management::answer::{bad, parse_json, unaudited};
use crate::runtime::Gateway;

/// What `user add` asks for.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// What they type to sign in.
    pub email: String,
    /// What they are called.
    pub name: String,
    /// Their password.
    pub password: String,
}

/// Whom a change is about.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Whom {
    /// `usr_…`, or an e-mail address.
    pub user: String,
}

/// What `user set-password` asks for.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NewPassword {
    /// `usr_…`, or an e-mail address.
    pub user: String,
    /// The password.
    pub password: String,
}

impl From<AccountError> for Refusal {
    fn from(error: AccountError) -> Self {
        let status = match error {
            AccountError::Unknown => StatusCode::NOT_FOUND,
            AccountError::Taken => StatusCode::CONFLICT,
            AccountError::Email | AccountError::Name | AccountError::Password(_) => StatusCode::BAD_REQUEST,
            AccountError::Refused
            | AccountError::Throttled(_)
            | AccountError::TooBusy(_)
            | AccountError::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self(status, error.to_string())
    }
}

pub(super) async fn list(State(gateway): State<Arc<Gateway>>) -> Answer {
    let users = accounts(&gateway).users().list().await?;
    Ok(Json(users.iter().map(shown).collect::<Vec<_>>()).into_response())
}

pub(super) async fn add(State(gateway): State<Arc<Gateway>>, body: bytes::Bytes) -> Answer {
    let NewUser { email, name, password } = parse_json(&body).map_err(|_| unreadable())?;
    let (accounts, now) = (accounts(&gateway), gateway.clock.now());
    let user = accounts.add(&email, &name, &password, now).await?;
    if let Err(why) = gateway.audit.change(now, "user-added", &shown(&user)).await {
        // Nobody has been told of them, and nobody signs in.
        accounts.disable(user.id, now).await?;
        return Err(unaudited(why));
    }
    Ok(Json(shown(&user)).into_response())
}

pub(super) async fn disable(State(gateway): State<Arc<Gateway>>, body: bytes::Bytes) -> Answer {
    let Whom { user } = parse_json(&body)?;
    let (accounts, now) = (accounts(&gateway), gateway.clock.now());
    let user = accounts.disable(find(&accounts, &user).await?, now).await?;
    gateway.audit.change(now, "user-disabled", &shown(&user)).await.map_err(unaudited)?;
    Ok(Json(shown(&user)).into_response())
}

pub(super) async fn set_password(State(gateway): State<Arc<Gateway>>, body: bytes::Bytes) -> Answer {
    let NewPassword { user, password } = parse_json(&body).map_err(|_| unreadable())?;
    let (accounts, now) = (accounts(&gateway), gateway.clock.now());
    let user = accounts.set_password(find(&accounts, &user).await?, &password, now).await?;
    gateway.audit.change(now, "user-password-set", &shown(&user)).await.map_err(unaudited)?;
    Ok(Json(shown(&user)).into_response())
}

fn accounts(gateway: &Gateway) -> Arc<Accounts<Arc<AnyStore>>> {
    gateway.runtime.load().session.site.accounts().clone()
}

/// What is wrong is not quoted: it may be a password.
fn unreadable() -> Refusal {
    bad("the body is not the JSON that is asked for")
}

/// The user of this name or e-mail address.
async fn find(accounts: &Accounts<Arc<AnyStore>>, user: &str) -> Result<UserId, AccountError> {
    if let Some(id) = UserId::parse(user) {
        return Ok(id);
    }
    let email = Email::parse(user).ok_or(AccountError::Unknown)?;
    let found = accounts.users().get_by_email(&email).await?;
    found.map(|user| user.id).ok_or(AccountError::Unknown)
}

fn shown(user: &UserRecord) -> Value {
    json!({
        "id": user.id.to_string(),
        "subject": user.subject(),
        "email": user.email.as_str(),
        "name": user.name,
        "created": user.created.to_string(),
        "disabled": user.disabled.map(|at| at.to_string()),
    })
}
