//! The external service: takes tasks, keeps them in a database, and does one after another.

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{Json, State};
use axum::http::StatusCode;
use axum::routing::post;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{Places, attempt};
use crate::actor::{follow_orders, until_told};
use crate::cast::Casting;
use crate::failure::Outcome;
use crate::front::{listen, loopback_client};
use crate::orders::{Order, Report, Task};

/// What a result says when it comes from the service.
pub(super) const DONE: &str = "computed by the service";

/// Its database: every task that it was ever given, with its callback URL.
type Database = Arc<Mutex<Vec<Task>>>;

/// Plays the service until it is told to end.
pub(super) async fn play(casting: &Casting, places: Places) -> Outcome {
    let database = Database::default();
    let (queue, tasks) = unbounded_channel();
    let router = Router::new().route("/tasks", post(take)).with_state((database.clone(), queue));
    let listener = listen(places.service).await?;
    tokio::spawn(async move { drop(axum::serve(listener, router).await) });
    let heavy = Database::default();
    tokio::spawn(process(tasks, heavy.clone()));
    follow_orders(casting, move |order| {
        let (database, heavy) = (database.clone(), heavy.clone());
        async move {
            match order {
                Order::Breach => Report::Tasks(all(&database).clone()),
                Order::Finish => {
                    let left = std::mem::take(&mut *all(&heavy));
                    let client = loopback_client();
                    let mut delivered = Vec::new();
                    for task in left {
                        delivered.push(attempt(&client, &task, task.result, DONE).await);
                    }
                    Report::Attempts(delivered)
                }
                other => Report::Failed(format!("{other:?} is not for me")),
            }
        }
    });
    until_told().await?;
    Ok(ExitCode::SUCCESS)
}

fn all(tasks: &Database) -> std::sync::MutexGuard<'_, Vec<Task>> {
    tasks.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `POST /tasks`: into the database and into the queue.
async fn take(
    State((database, queue)): State<(Database, UnboundedSender<Task>)>,
    Json(task): Json<Task>,
) -> StatusCode {
    all(&database).push(task.clone());
    match queue.send(task) {
        Ok(()) => StatusCode::ACCEPTED,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// The processor: what is light is done at once, what is heavy takes longer than Eve needs.
async fn process(mut tasks: UnboundedReceiver<Task>, heavy: Database) {
    let client = loopback_client();
    while let Some(task) = tasks.recv().await {
        if task.heavy {
            all(&heavy).push(task);
        } else {
            attempt(&client, &task, task.result, DONE).await;
        }
    }
}
