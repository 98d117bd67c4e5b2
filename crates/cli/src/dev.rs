//! `dev`: everything on this machine, no file needed.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use axum::extract::Path as Segment;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Json, Response};
use axum::routing::get;
use bytes::Bytes;
use clap::Args;
use countersign_gateway::config::{Overrides, load};
use countersign_gateway::management::Management;
use countersign_gateway::run::Bound;
use http::Method;
use serde_json::json;
use tokio::net::TcpListener;

use crate::failure::{Failure, Outcome};
use crate::global_flags::RestoringFlags;
use crate::say::say;

#[derive(Debug, Args)]
pub(super) struct DevFlags {
    /// Where everything is kept.
    #[arg(long, value_name = "FOLDER", default_value = ".countersign-dev")]
    folder: PathBuf,
    /// Where the gateway listens; another port is taken if this one is in use.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: std::net::SocketAddr,
    #[command(flatten)]
    restoring: RestoringFlags,
}

pub(super) fn dev(flags: &DevFlags) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(flags))
}

async fn run(flags: &DevFlags) -> Outcome {
    std::fs::create_dir_all(&flags.folder)
        .map_err(|error| Failure::said(format!("{}: {error}", flags.folder.display())))?;
    let folder = flags.folder.canonicalize()?;
    let api = TcpListener::bind("127.0.0.1:0").await?;
    let upstream = api.local_addr()?;
    let listen = free(flags.listen).await?;
    let file = folder.join("countersign.toml");
    std::fs::write(&file, configuration(listen, upstream))?;
    let loaded = load(&file, &Overrides::default()).map_err(Failure::Config)?;

    let restored = flags.restoring.restored;
    let bound = Bound::new(&file, loaded, Overrides::default(), restored).await.map_err(|error| {
        Failure::said(format!(
            "{error}\n  If another `countersign dev` runs here, stop it or give --folder another folder."
        ))
    })?;
    let management = Management::here(bound.opened().clone());
    let key = fresh_key(&management).await?;
    tokio::spawn(async move { axum::serve(api, built_in_api()).await });
    introduce(&folder, listen, &key);
    bound.run().await;
    Ok(ExitCode::SUCCESS)
}

/// The address itself, or the same with a port that is free.
async fn free(wanted: SocketAddr) -> Result<SocketAddr, Failure> {
    if !wanted.ip().is_loopback() {
        return Err(Failure::said("dev listens on loopback alone: its key is shown on the screen"));
    }
    let socket = match TcpListener::bind(wanted).await {
        Ok(socket) => socket,
        Err(_) => TcpListener::bind((wanted.ip(), 0)).await?,
    };
    Ok(socket.local_addr()?)
}

fn configuration(listen: SocketAddr, upstream: SocketAddr) -> String {
    format!(
        r#"# Written by `countersign dev`, anew at each start.
[server]
listen = "{listen}"
[store]
url = "redb:store.redb"
[[route]]
path = "/orders/*"
upstream = "http://{upstream}"
accept = ["api-key"]
require = {{ permission = ["orders:read"] }}
[[route]]
path = "/"
upstream = "http://{upstream}"
public = true
"#
    )
}

/// The keys of earlier starts are revoked: nobody has them any more but a terminal's scroll-back.
async fn fresh_key(management: &Management) -> Result<String, Failure> {
    let keys = management.call(Method::GET, "/v1/keys", Bytes::new()).await?;
    for key in keys.as_array().into_iter().flatten() {
        if key["label"] == "dev" && key["state"] == "active" {
            let path = format!("/v1/keys/{}/revoke", key["id"].as_str().unwrap_or_default());
            management.call(Method::POST, &path, Bytes::new()).await?;
        }
    }
    let wanted = json!({ "label": "dev", "permissions": ["orders:read"] });
    let made = management.call(Method::POST, "/v1/keys", wanted.to_string().into()).await?;
    Ok(made["key"].as_str().unwrap_or_default().to_owned())
}

fn introduce(folder: &Path, listen: SocketAddr, key: &str) {
    let socket = folder.join("management.sock");
    say(&format!(
        "Countersign guards a small API on http://{listen}. Everything is in {}.",
        folder.display()
    ));
    say("");
    say("Paste these into another terminal. The first is refused:");
    say("");
    say(&format!("  curl -i http://{listen}/orders/1"));
    say("");
    say("The second is allowed. The API behind sees who called, and no key:");
    say("");
    say(&format!("  curl -i -H 'Authorization: Bearer {key}' http://{listen}/orders/1"));
    say("");
    say("The third explains the latest decision, check by check:");
    say("");
    say(&format!(
        "  curl -s -H 'Accept: text/plain' --unix-socket '{}' http://countersign/v1/decisions/latest",
        socket.display()
    ));
    say("");
    say(
        "Ctrl-C stops it. `countersign init` writes a configuration for an API of your own, with sign-in for browsers.",
    );
}

fn built_in_api() -> axum::Router {
    axum::Router::new()
        .route("/", get(async || "The orders are at /orders, behind a key.\n"))
        .route("/orders", get(async |headers: HeaderMap| answer(&headers, &json!(ORDERS.map(order)))))
        .route("/orders/{id}", get(one))
}

const ORDERS: [(&str, &str); 2] = [("1", "a kettle"), ("2", "two cups")];

fn order((id, what): (&str, &str)) -> serde_json::Value {
    json!({ "id": id, "what": what })
}

async fn one(Segment(id): Segment<String>, headers: HeaderMap) -> Response {
    match ORDERS.into_iter().find(|(known, _)| *known == id) {
        Some(found) => answer(&headers, &order(found)),
        None => (StatusCode::NOT_FOUND, Json(json!({ "error": "there are orders 1 and 2" }))).into_response(),
    }
}

/// Shows what came through the gateway: who, and no key.
fn answer(headers: &HeaderMap, orders: &serde_json::Value) -> Response {
    let seen = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let caller = json!({
        "subject": seen("countersign-subject"),
        "scheme": seen("countersign-scheme"),
        "authorization": seen("authorization"),
    });
    let body = format!("{:#}\n", json!({ "orders": orders, "the_api_saw": caller }));
    ([("content-type", "application/json")], body).into_response()
}
