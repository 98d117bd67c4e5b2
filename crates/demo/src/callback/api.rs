//! Our API: a gateway, what is behind it, and the sender that has tasks done.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Json, Path as Segments, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use countersign_gateway::open::Opened;
use countersign_gateway::schemes::callback_url::{Refused, Wanted};
use serde::Deserialize;

use super::{KINDS, Places, RESULTS, SHORT};
use crate::actor::follow_orders;
use crate::cast::Casting;
use crate::failure::Outcome;
use crate::front::{listen, loopback_client};
use crate::gateway::{configuration_of, gateway};
use crate::orders::{Kept, Order, Report, Task};

/// The user whose results the service computes.
const USER: &str = "u1";
/// Long enough for the service.
const TTL: Duration = Duration::from_secs(900);

/// The database: results by kind of callback and number.
type Database = Arc<Mutex<BTreeMap<(String, u32), String>>>;

/// Plays the API until it is told to end.
pub(super) async fn play(casting: &Casting, places: Places) -> Outcome {
    let database = Database::default();
    for kind in &KINDS {
        for (result, _) in RESULTS {
            lock(&database).insert((kind.name.to_owned(), result), "from before".to_owned());
        }
    }
    let application = listen(places.application).await?;
    let router = Router::new().route("/{kind}/results/{id}", post(save)).with_state(database.clone());
    tokio::spawn(async move { drop(axum::serve(application, router).await) });
    let bound = gateway(casting, &configuration(&places)).await?;
    let served = bound.opened().clone();
    follow_orders(casting, move |order| {
        let (served, database) = (served.clone(), database.clone());
        async move {
            match order {
                Order::Submit => match submit(&served, &places).await {
                    Ok(()) => Report::Ready,
                    Err(why) => Report::Failed(why),
                },
                Order::Results => Report::Results(
                    lock(&database)
                        .iter()
                        .map(|((kind, result), text)| Kept {
                            kind: kind.clone(),
                            result: *result,
                            text: text.clone(),
                        })
                        .collect(),
                ),
                other => Report::Failed(format!("{other:?} is not for me")),
            }
        }
    });
    bound.run().await;
    Ok(ExitCode::SUCCESS)
}

fn lock(database: &Database) -> std::sync::MutexGuard<'_, BTreeMap<(String, u32), String>> {
    database.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Deserialize)]
struct Body {
    text: String,
}

/// `POST /results/{id}`: saves a result. Where it is told for which user the caller may write, the result must
/// be that user's.
async fn save(
    State(database): State<Database>,
    Segments((kind, id)): Segments<(String, u32)>,
    headers: HeaderMap,
    Json(result): Json<Body>,
) -> StatusCode {
    let subject = headers.get("countersign-subject").and_then(|value| value.to_str().ok());
    let owner = if id == 5 { "callback:u2" } else { "callback:u1" };
    if subject.is_some_and(|subject| subject != owner) {
        return StatusCode::FORBIDDEN;
    }
    match lock(&database).get_mut(&(kind, id)) {
        Some(text) => {
            *text = result.text;
            StatusCode::OK
        }
        None => StatusCode::NOT_FOUND,
    }
}

/// The sender: three tasks for each kind of callback.
async fn submit(served: &Opened, places: &Places) -> std::result::Result<(), String> {
    let client = loopback_client();
    // The seed's static token is a user's: one for all results.
    let fixed = minted(served, "static", None, TTL).await?;
    for (result, heavy, ttl) in [(1, false, TTL), (2, true, TTL), (4, true, SHORT)] {
        let bare = format!("http://{}/none/results/{result}", places.gateway);
        let by_user = fixed.replace("{id}", &result.to_string());
        let by_jwt = minted(served, "jwt", Some(result.to_string()), ttl).await?;
        for callback_url in [bare, by_user, by_jwt] {
            let body = serde_json::json!(Task { result, heavy, callback_url });
            let tasks = format!("http://{}/tasks", places.service);
            let answered = super::post(&client, &tasks, &body).await;
            if answered.is_none_or(|(status, _)| status != 202) {
                return Err("the service did not take a task".to_owned());
            }
        }
    }
    Ok(())
}

async fn minted(
    served: &Opened,
    kind: &str,
    resource: Option<String>,
    ttl: Duration,
) -> std::result::Result<String, String> {
    let wanted = Wanted {
        route: format!("/{kind}/results/{{id}}/{{token}}"),
        user: USER.to_owned(),
        is_static: resource.is_none(),
        resource,
        ttl: format!("{}s", ttl.as_secs()),
        method: None,
        methods: Vec::new(),
        max_bytes: None,
        uses: None,
    };
    let minting = served.live.load().schemes.callback_url.minting().clone();
    match minting.mint(wanted, "demo", served.shared.clock.now()).await {
        Ok(minted) => Ok(minted.url.expose().clone()),
        Err(Refused::Terms(why)) => Err(why),
        Err(Refused::Now(denial)) => Err(denial.to_string()),
    }
}

/// What an operator would write.
fn configuration(places: &Places) -> String {
    let upstream = format!("upstream = \"http://{}\"", places.application);
    let begins = configuration_of("callback", places.gateway, &format!("http://{}", places.gateway));
    format!(
        "{begins}\
         \n# The seed's three kinds of callback.\n\
         [[route]]\n\
         path = \"/none/results/{{id}}\"\n\
         {upstream}\n\
         public = true\n\
         \n[[route]]\n\
         path = \"/static/results/{{id}}/{{token}}\"\n\
         {upstream}\n\
         accept = [\"callback-url\"]\n\
         \n[[route]]\n\
         path = \"/jwt/results/{{id}}/{{token}}\"\n\
         {upstream}\n\
         accept = [\"callback-url\"]\n",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_gateway::config::{Overrides, load_text};

    #[test]
    fn what_is_written_is_a_sound_configuration() {
        let text = configuration(&Places::here().unwrap());
        assert!(load_text("countersign.toml".as_ref(), &text, &Overrides::default()).is_ok(), "{text}");
    }
}
