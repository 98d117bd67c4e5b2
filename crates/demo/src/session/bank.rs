//! Bob's bank: its pages, an API that takes whatever reaches it, and the gateway that guards both.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{Json, Query, State};
use axum::http::HeaderMap;
use axum::routing::{any, get, post};
use bytes::Bytes;
use countersign_gateway::management::{Management, NewPassword, NewUser};
use http::{Method, Uri};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::peer::Peer;
use super::tap::Tap;
use super::{ALICE, Places, pages};
use crate::actor::follow_orders;
use crate::cast::Casting;
use crate::failure::{Failure, Outcome};
use crate::front::{Tls, listen};
use crate::gateway::{configuration_of, gateway};
use crate::orders::Report;

/// What everybody has to begin with.
const BALANCE: u64 = 5000;

/// Plays Bob until he is told to end.
pub(super) async fn play(casting: &Casting, places: Places) -> Outcome {
    let folder = &casting.folder;
    let application = listen(places.application).await?;
    tokio::spawn(async move { drop(axum::serve(application, application_of_bank()).await) });
    let bound = gateway(casting, &configuration(&places)).await?;
    let own = bound.opened().clone();
    sign_up(&Management::here(own.clone()), &places.password).await?;
    let behind = Peer::new(&format!("http://{}", places.gateway), places.gateway, folder)?;
    let eve = Peer::new(&places.neighbour, places.eve_listen, folder)?;
    let listener = listen(places.listen).await?;
    let tap = Tap::new(places.clone(), own.shared.recorder.decisions, behind, eve).service();
    if places.tls {
        let tls = Tls::over(listener, folder)?;
        tokio::spawn(async move { drop(axum::serve(tls, tap).await) });
    } else {
        tokio::spawn(async move { drop(axum::serve(listener, tap).await) });
    }
    follow_orders(casting, async |order| Report::Failed(format!("{order:?} is not for me")));
    bound.run().await;
    Ok(ExitCode::SUCCESS)
}

/// Alice has an account already. In a folder that was used before she gets a new password.
async fn sign_up(management: &Management, password: &str) -> Result<(), Failure> {
    let password = password.to_owned();
    let user = NewUser { email: ALICE.to_owned(), name: "Alice".to_owned(), password: password.clone() };
    let body = Bytes::from(serde_json::to_vec(&user)?);
    if management.call(Method::POST, "/v1/users", body).await.is_err() {
        let body = serde_json::to_vec(&NewPassword { user: ALICE.to_owned(), password })?;
        management.call(Method::POST, "/v1/users/set-password", body.into()).await?;
    }
    Ok(())
}

/// What an operator would write.
fn configuration(places: &Places) -> String {
    let upstream = format!("upstream = \"http://{}\"", places.application);
    let begins = configuration_of("session", places.gateway, &places.bank);
    format!(
        "{begins}\
         \n# /auth/*: sign-up, sign-in, handshakes, sign-out.\n\
         [session]\n\
         enabled = true\n\
         signup = true\n\
         \n# Requests that a wallet signs (ERC-8128).\n\
         [signature]\n\
         wallets = true\n\
         \n# The account: a session, and a handshake for what changes something.\n\
         [[route]]\n\
         path = \"/api/*\"\n\
         {upstream}\n\
         accept = [\"session\"]\n\
         anyone = true\n\
         \n# No session: each request is signed by a wallet.\n\
         [[route]]\n\
         path = \"/wallet/*\"\n\
         {upstream}\n\
         accept = [\"signature\", \"asymmetric\"]\n\
         anyone = true\n\
         \n# The pages are for everybody.\n\
         [[route]]\n\
         path = \"/*\"\n\
         methods = [\"GET\"]\n\
         {upstream}\n\
         public = true\n",
    )
}

/// Who has what. The application knows nothing of proofs: whoever its gateway names, is who it is.
type Accounts = Arc<Mutex<BTreeMap<String, Account>>>;

#[derive(Clone, Serialize)]
struct Account {
    balance: u64,
    transfers: Vec<Transfer>,
}

#[derive(Clone, Deserialize, Serialize)]
struct Transfer {
    to: String,
    amount: u64,
}

impl Default for Account {
    fn default() -> Self {
        Self { balance: BALANCE, transfers: Vec::new() }
    }
}

fn application_of_bank() -> Router {
    Router::new()
        .route("/api/account", get(account))
        .route("/api/transfers", any(transfer))
        .route("/api/undo", post(undo))
        .route("/wallet/hello", any(hello))
        .with_state(Accounts::default())
        .merge(pages::of_bank())
}

async fn account(State(accounts): State<Accounts>, headers: HeaderMap) -> Json<Account> {
    let mut accounts = accounts.lock().unwrap_or_else(PoisonError::into_inner);
    Json(accounts.entry(subject(&headers)).or_default().clone())
}

/// Takes any method, any type of body, and the query: nothing here but the gateway keeps Eve's requests out.
async fn transfer(
    State(accounts): State<Accounts>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Json<Value> {
    let wanted = serde_json::from_slice(&body).ok().or_else(|| form(&body)).or_else(|| query(&uri));
    let mut accounts = accounts.lock().unwrap_or_else(PoisonError::into_inner);
    let account = accounts.entry(subject(&headers)).or_default();
    let done = wanted.filter(|Transfer { amount, .. }| *amount <= account.balance);
    if let Some(done) = &done {
        account.balance -= done.amount;
        account.transfers.push(done.clone());
    }
    Json(json!({ "done": done, "balance": account.balance }))
}

#[derive(Deserialize)]
struct Undo {
    to: Option<String>,
}

/// Gives back what went to somebody, or everything: what is tried next begins with a clean account.
async fn undo(
    State(accounts): State<Accounts>,
    Query(Undo { to }): Query<Undo>,
    headers: HeaderMap,
) -> Json<Account> {
    let mut accounts = accounts.lock().unwrap_or_else(PoisonError::into_inner);
    let account = accounts.entry(subject(&headers)).or_default();
    let is_undone = |done: &mut Transfer| to.as_ref().is_none_or(|to| done.to == *to);
    account.balance += account.transfers.extract_if(.., is_undone).map(|done| done.amount).sum::<u64>();
    Json(account.clone())
}

fn form(body: &[u8]) -> Option<Transfer> {
    query(&format!("/?{}", std::str::from_utf8(body).ok()?).parse().ok()?)
}

fn query(uri: &Uri) -> Option<Transfer> {
    Query::try_from_uri(uri).ok().map(|query| query.0)
}

async fn hello(headers: HeaderMap) -> Json<Value> {
    let scheme = headers.get("countersign-scheme").and_then(|value| value.to_str().ok());
    Json(json!({ "subject": subject(&headers), "scheme": scheme }))
}

/// Whom the gateway has proven.
fn subject(headers: &HeaderMap) -> String {
    let subject = headers.get("countersign-subject").and_then(|value| value.to_str().ok());
    subject.unwrap_or("nobody").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cast::Sites;
    use countersign_gateway::config::{Overrides, load_text};

    #[test]
    fn what_is_written_is_a_sound_configuration_with_tls_and_without() {
        for tls in [false, true] {
            let sites = Sites { port: Some(0), eve_port: Some(0), tls, ..Sites::default() };
            let Ok(places) = Places::here(&sites) else { panic!("no places") };
            let text = configuration(&places);
            let loaded = load_text("countersign.toml".as_ref(), &text, &Overrides::default());
            assert!(loaded.is_ok(), "{text}");
        }
    }

    #[test]
    fn the_api_takes_whatever_form_a_transfer_has() {
        for body in ["{\"to\":\"eve\",\"amount\":5}", "to=eve&amount=5"] {
            let read: Option<Transfer> =
                serde_json::from_slice(body.as_bytes()).ok().or_else(|| form(body.as_bytes()));
            assert!(read.is_some_and(|read| read.to == "eve" && read.amount == 5), "{body}");
        }
        assert!(query(&Uri::from_static("/api/transfers?to=eve&amount=5&attempt=x")).is_some());
    }
}
