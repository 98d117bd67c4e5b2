//! Managing users. Every change is in the audit log before it is acknowledged.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Json};
use axum::routing::{get, post};
use countersign::UserId;
use countersign::schemes::session::{AccountError, Accounts, Email, UserRecord};
use countersign_io::AnyStore;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::management::answer::{Answer, Changes, Refusal, bad, parse_json};
use crate::runtime::Live;

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

/// What it takes to manage users.
#[derive(Clone)]
struct Managed {
    live: Live,
    changes: Changes,
}

impl Managed {
    fn accounts(&self) -> Arc<Accounts<Arc<AnyStore>>> {
        self.live.load().schemes.session.accounts().clone()
    }
}

pub(super) fn router(live: Live, changes: Changes) -> Router {
    Router::new()
        .route("/v1/users", get(list).post(add))
        .route("/v1/users/disable", post(disable))
        .route("/v1/users/set-password", post(set_password))
        .with_state(Managed { live, changes })
}

async fn list(State(managed): State<Managed>) -> Answer {
    let users = managed.accounts().users().list().await?;
    Ok(Json(users.iter().map(shown).collect::<Vec<_>>()).into_response())
}

async fn add(State(managed): State<Managed>, body: bytes::Bytes) -> Answer {
    let NewUser { email, name, password } = parse_json(&body).map_err(|_| unreadable())?;
    let (accounts, now) = (managed.accounts(), managed.changes.now());
    let user = accounts.add(&email, &name, &password, now).await?;
    if let Err(unaudited) = managed.changes.note(now, "user-added", &shown(&user)).await {
        // Nobody has been told of them, and nobody signs in.
        accounts.disable(user.id, now).await?;
        return Err(unaudited);
    }
    Ok(Json(shown(&user)).into_response())
}

async fn disable(State(managed): State<Managed>, body: bytes::Bytes) -> Answer {
    let Whom { user } = parse_json(&body)?;
    let (accounts, now) = (managed.accounts(), managed.changes.now());
    let user = accounts.disable(find(&accounts, &user).await?, now).await?;
    managed.changes.note(now, "user-disabled", &shown(&user)).await?;
    Ok(Json(shown(&user)).into_response())
}

async fn set_password(State(managed): State<Managed>, body: bytes::Bytes) -> Answer {
    let NewPassword { user, password } = parse_json(&body).map_err(|_| unreadable())?;
    let (accounts, now) = (managed.accounts(), managed.changes.now());
    let user = accounts.set_password(find(&accounts, &user).await?, &password, now).await?;
    managed.changes.note(now, "user-password-set", &shown(&user)).await?;
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
