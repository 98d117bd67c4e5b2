//! Eve: a page that makes visiting browsers send requests to the bank, and a server that takes what was stolen
//! and tries it.

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Json, State};
use axum::routing::get;
use serde_json::{Value, json};

use super::loot::Loot;
use super::peer::Peer;
use super::tries::{Tried, Tries};
use super::{Places, pages};
use crate::actor::{follow_orders, until_told};
use crate::cast::Casting;
use crate::failure::Outcome;
use crate::front::{Tls, listen};
use crate::orders::Report;

struct Eve {
    places: Places,
    tries: Tries,
    last: Mutex<Option<Loot>>,
}

/// Plays Eve until she is told to end.
pub(super) async fn play(casting: &Casting, places: Places) -> Outcome {
    let listener = listen(places.eve_listen).await?;
    let bank = Peer::new(&places.bank, places.listen, &casting.folder)?;
    let tries = Tries::new(bank, &places.bank)?;
    let eve = Arc::new(Eve { places: places.clone(), tries, last: Mutex::default() });
    let router = axum::Router::new()
        .route("/loot", get(last).post(take))
        .route("/stage", get(stage))
        .with_state(eve)
        .merge(pages::of_eve());
    if places.tls {
        let tls = Tls::over(listener, &casting.folder)?;
        tokio::spawn(async move { drop(axum::serve(tls, router).await) });
    } else {
        tokio::spawn(async move { drop(axum::serve(listener, router).await) });
    }
    follow_orders(casting, async |order| Report::Failed(format!("{order:?} is not for me")));
    until_told().await?;
    Ok(ExitCode::SUCCESS)
}

/// Whom to attack, and whether this page is of the same site.
async fn stage(State(eve): State<Arc<Eve>>) -> Json<Value> {
    Json(json!({ "bank": eve.places.bank, "neighbour": eve.places.neighbour }))
}

/// Something was stolen: tried at once, while it is fresh.
async fn take(State(eve): State<Arc<Eve>>, Json(loot): Json<Loot>) -> Json<Vec<Tried>> {
    *eve.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(loot.clone());
    Json(eve.tries.of(&loot).await)
}

/// What was stolen last: her page needs the half and the handshake, if she has them.
async fn last(State(eve): State<Arc<Eve>>) -> Json<Option<Loot>> {
    Json(eve.last.lock().unwrap_or_else(PoisonError::into_inner).clone())
}
