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

use crate::management::answer::{Answer, Refusal, bad, note, parse_json};
use crate::open::Opened;

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

fn accounts(opened: &Opened) -> Arc<Accounts<Arc<AnyStore>>> {
    opened.live.load().schemes.session.accounts().clone()
}

pub(super) async fn list(State(opened): State<Opened>) -> Answer {
    let users = accounts(&opened).users().list().await?;
    Ok(Json(users.iter().map(shown).collect::<Vec<_>>()).into_response())
}

pub(super) async fn add(State(opened): State<Opened>, body: bytes::Bytes) -> Answer {
    let NewUser { email, name, password } = parse_json(&body).map_err(|_| unreadable())?;
    let (accounts, now) = (accounts(&opened), opened.shared.clock.now());
    let user = accounts.add(&email, &name, &password, now).await?;
    if let Err(unaudited) = note(&opened, now, "user-added", &shown(&user)).await {
        // Nobody has been told of them, and nobody signs in.
        accounts.disable(user.id, now).await?;
        return Err(unaudited);
    }
    Ok(Json(shown(&user)).into_response())
}

pub(super) async fn disable(State(opened): State<Opened>, body: bytes::Bytes) -> Answer {
    let Whom { user } = parse_json(&body)?;
    let (accounts, now) = (accounts(&opened), opened.shared.clock.now());
    let user = accounts.disable(find(&accounts, &user).await?, now).await?;
    note(&opened, now, "user-disabled", &shown(&user)).await?;
    Ok(Json(shown(&user)).into_response())
}

pub(super) async fn set_password(State(opened): State<Opened>, body: bytes::Bytes) -> Answer {
    let NewPassword { user, password } = parse_json(&body).map_err(|_| unreadable())?;
    let (accounts, now) = (accounts(&opened), opened.shared.clock.now());
    let user = accounts.set_password(find(&accounts, &user).await?, &password, now).await?;
    note(&opened, now, "user-password-set", &shown(&user)).await?;
    Ok(Json(shown(&user)).into_response())
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
