//! How a command reaches management, and how it prints what that says.

use bytes::Bytes;
use countersign_gateway::management::Management;
use countersign_gateway::open::{SetUpError, open};
use countersign_gateway::terminal::escape;
use countersign_io::{OpenError, StoreUrl};
use http::Method;
use serde_json::Value;

use crate::failure::Failure;
use crate::global_flags::GlobalFlags;
use crate::settings::{environment, load_configuration};

/// Management, wherever it is: the gateway that runs with this configuration, or the store itself.
pub(super) async fn management(global: &GlobalFlags) -> Result<Management, Failure> {
    let loaded = load_configuration(global, &environment()?)?;
    let socket = loaded.config.server.management_socket.clone();
    if let Some(running) = Management::running(&socket).await {
        return Ok(running);
    }
    if matches!(loaded.config.store.url, StoreUrl::Memory) {
        return Err(Failure::said(format!(
            "the store is `memory:`, which lives inside a running gateway, and none answers on {}",
            socket.display()
        )));
    }
    match open(loaded.config).await {
        Ok(gateway) => Ok(Management::here(gateway)),
        Err(SetUpError::Store(error @ OpenError::AlreadyOpen(_))) => Err(Failure::said(format!(
            "a gateway holds the store ({error}), and does not answer on {}",
            socket.display()
        ))),
        Err(error) => Err(error.into()),
    }
}

/// Asks once.
pub(super) async fn ask(
    global: &GlobalFlags,
    method: Method,
    path: &str,
    body: Bytes,
) -> Result<Value, Failure> {
    let management = management(global).await?;
    let answer = management.call(method, path, body).await;
    management.close().await;
    Ok(answer?)
}

/// A value in plain words; what somebody typed long ago must not command a terminal today.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => escape(text),
        Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(" "),
        Value::Object(members) => {
            let members =
                members.iter().filter(|(_, value)| value.as_array().is_none_or(|list| !list.is_empty()));
            let shown: Vec<_> = members.map(|(name, value)| format!("{name}: {}", text(value))).collect();
            if shown.is_empty() { "-".to_owned() } else { shown.join(", ") }
        }
        other => other.to_string(),
    }
}
