//! `explain`: why a request was allowed or denied.

use std::fmt::Write as _;
use std::io::Read as _;
use std::process::ExitCode;

use bytes::Bytes;
use countersign::DecisionId;
use http::Method;
use serde_json::Value;

use super::arguments::{ExplainFlags, Shared};
use super::key::management;
use super::{Failure, Outcome, configuration, environment, escape, say};
use crate::management::client::Management;
use crate::terminal;

/// As much of a request on file as any gateway would look at.
const MAX_REQUEST: u64 = 2 * 1024 * 1024;

pub(super) async fn explain(shared: &Shared, flags: ExplainFlags) -> Outcome {
    let (method, path, body) = match (flags.request, flags.id) {
        (Some(file), _) => {
            let path = match flags.at {
                Some(at) => format!("/v1/explain?at={}", encode(&at)),
                None => "/v1/explain".to_owned(),
            };
            (Method::POST, path, read(&file)?)
        }
        (None, Some(id)) if id == "latest" || DecisionId::parse(&id).is_some() => {
            (Method::GET, format!("/v1/decisions/{id}"), Bytes::new())
        }
        (None, id) => {
            let id = escape(&id.unwrap_or_default());
            return Err(Failure::said(format!(
                "`{id}` is no decision: give the UUID in Countersign-Decision, or `latest`"
            )));
        }
    };
    let management = match method {
        Method::GET => running(shared).await?,
        _ => management(shared).await?,
    };
    let answer = management.call(method, &path, body).await;
    management.close().await;
    let answer = answer?;
    if shared.json {
        say(&terminal::json(&answer));
    } else {
        say(story(&answer).trim_end());
    }
    Ok(if answer["outcome"] == "permit" { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Past decisions are in the memory of the gateway that made them.
async fn running(shared: &Shared) -> Result<Management, Failure> {
    let config = configuration(shared, &environment()?)?.config;
    let socket = config.server.management_socket;
    let Some(running) = Management::running(&socket).await else {
        let log = config.audit.file.map(|file| format!(" {}", file.display())).unwrap_or_default();
        return Err(Failure::said(format!(
            "no gateway answers on {}: past decisions are explained by the one that made them, and stand in its audit log{log}",
            socket.display()
        )));
    };
    Ok(running)
}

/// A request on file; `-` is standard input.
pub(super) fn read(file: &std::path::Path) -> Result<Bytes, Failure> {
    let failed = |error: std::io::Error| Failure::said(format!("{}: {error}", file.display()));
    let mut bytes = Vec::new();
    match file.as_os_str() == "-" {
        true => std::io::stdin().take(MAX_REQUEST + 1).read_to_end(&mut bytes).map_err(failed)?,
        false => {
            let opened = std::fs::File::open(file).map_err(failed)?;
            opened.take(MAX_REQUEST + 1).read_to_end(&mut bytes).map_err(failed)?
        }
    };
    if bytes.len() as u64 > MAX_REQUEST {
        return Err(Failure::said("the request is larger than 2 MiB"));
    }
    Ok(bytes.into())
}

fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b':' => encoded.push(char::from(byte)),
            _ => drop(write!(encoded, "%{byte:02X}")),
        }
        encoded
    })
}

/// A decision for people.
pub(crate) fn story(decision: &Value) -> String {
    let text = |name: &str| match &decision[name] {
        Value::String(text) => escape(text),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    };
    let mut story = String::new();
    let permitted = decision["outcome"] == "permit";
    let end = match permitted {
        true if decision["subject"].is_null() => "permitted: the route is public".to_owned(),
        true => format!("permitted as {} by {}", text("subject"), text("scheme")),
        false => format!("denied: {} ({})", text("code"), text("cause")),
    };
    let _ = writeln!(story, "{} {}  {end}", text("method"), text("path"));
    let _ = writeln!(story, "  decision {}", text("id"));
    let _ = writeln!(story, "  at       {}", text("at"));
    let _ = writeln!(story, "  source   {}", text("source"));
    let _ = writeln!(story, "  route    {}", text("route"));
    for step in decision["steps"].as_array().into_iter().flatten() {
        let mark = if step["passed"] == true { "✓" } else { "✗" };
        let part = |name: &str| escape(step[name].as_str().unwrap_or_default());
        let line = format!("  {mark} {:12} {:12} {}", part("check"), part("scheme"), part("note"));
        let _ = writeln!(story, "{}", line.trim_end());
    }
    story
}
