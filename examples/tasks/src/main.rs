//! An API has tasks done by a service that cannot sign anything. Each task carries a callback URL, which opens
//! one result, once, for a while: whoever steals the service's database rewrites nothing.
//!
//! ```text
//! cargo run -p countersign-example-tasks -- 127.0.0.1:3001 127.0.0.1:3002
//! curl -X POST http://127.0.0.1:3001/jobs/42
//! curl http://127.0.0.1:3001/results/42
//! ```
#![expect(clippy::print_stdout, reason = "it shows what to try")]

mod api;
mod service;

use std::error::Error;

use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut addresses = std::env::args().skip(1);
    let mut next = |usual: &str| TcpListener::bind(addresses.next().unwrap_or_else(|| usual.to_owned()));
    let (for_api, for_service) = (next("127.0.0.1:3001").await?, next("127.0.0.1:3002").await?);
    let url = format!("http://{}", for_api.local_addr()?);
    let tasks = format!("http://{}/tasks", for_service.local_addr()?);
    println!("curl -X POST {url}/jobs/42\ncurl {url}/results/42\ncurl {tasks}");
    let api = axum::serve(for_api, api::api(&url, tasks)?);
    let service = axum::serve(for_service, service::service());
    tokio::try_join!(api.into_future(), service.into_future())?;
    Ok(())
}

/// `POST url` with JSON; whether it was taken.
async fn post(url: &str, body: &serde_json::Value) -> bool {
    use axum::body::Body;
    use axum::http::Request;
    use hyper_util::client::legacy::Client;
    use hyper_util::rt::TokioExecutor;

    let client = Client::builder(TokioExecutor::new()).build_http();
    let request = Request::post(url).header("content-type", "application/json");
    let Ok(request) = request.body(Body::from(body.to_string())) else { return false };
    client.request(request).await.is_ok_and(|answer| answer.status().is_success())
}
