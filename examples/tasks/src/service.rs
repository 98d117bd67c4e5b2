//! The external service: it knows nothing of proofs. Its database is about to be stolen.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

#[derive(Clone, Serialize, Deserialize)]
struct Task {
    work: String,
    callback_url: String,
}

#[derive(Clone)]
struct Service {
    queue: UnboundedSender<Task>,
    /// Every task that there ever was.
    database: Arc<Mutex<Vec<Task>>>,
}

/// `POST /tasks`, a queue, and what works it off. `GET /tasks` is the hole through which the database leaks.
pub(crate) fn service() -> Router {
    let (queue, tasks) = unbounded_channel();
    tokio::spawn(process(tasks));
    let service = Service { queue, database: Arc::default() };
    Router::new().route("/tasks", post(take).get(leak)).with_state(service)
}

async fn take(State(service): State<Service>, Json(task): Json<Task>) -> StatusCode {
    service.database.lock().unwrap_or_else(PoisonError::into_inner).push(task.clone());
    match service.queue.send(task) {
        Ok(()) => StatusCode::ACCEPTED,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

async fn process(mut tasks: UnboundedReceiver<Task>) {
    while let Some(task) = tasks.recv().await {
        // A result that could not be delivered could be tried again: the same body is welcome.
        crate::post(&task.callback_url, &json!({ "done": task.work })).await;
    }
}

async fn leak(State(service): State<Service>) -> Json<Vec<Task>> {
    Json(service.database.lock().unwrap_or_else(PoisonError::into_inner).clone())
}
