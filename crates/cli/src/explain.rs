//! `explain`: why a request was allowed or denied.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;

use bytes::Bytes;
use clap::Args;
use countersign::DecisionId;
use countersign_gateway::management::Management;
use countersign_gateway::story::story;
use countersign_gateway::terminal::{self, escape};
use http::Method;

use crate::failure::{Failure, Outcome};
use crate::global_flags::GlobalFlags;
use crate::management::management;
use crate::say::say;
use crate::settings::{environment, load_configuration};

#[derive(Debug, Args)]
pub(super) struct ExplainFlags {
    /// A decision, as in the header Countersign-Decision; or `latest`.
    #[arg(value_name = "ID", required_unless_present = "request", conflicts_with = "request")]
    id: Option<String>,
    /// A raw HTTP/1.1 request on file; `-` for standard input. Nothing is spent, and nobody is asked.
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,
    /// As if it had come in then, RFC 3339. Default: now.
    #[arg(long, value_name = "TIME", requires = "request", conflicts_with = "id")]
    at: Option<String>,
}

/// As much of a request on file as any gateway would look at.
const MAX_REQUEST: u64 = 2 * 1024 * 1024;

pub(super) async fn explain(global: &GlobalFlags, flags: ExplainFlags) -> Outcome {
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
        Method::GET => running(global).await?,
        _ => management(global).await?,
    };
    let answer = management.call(method, &path, body).await;
    management.close().await;
    let answer = answer?;
    if global.json {
        say(&terminal::json(&answer));
    } else {
        say(story(&answer).trim_end());
    }
    Ok(if answer["outcome"] == "permit" { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Past decisions are in the memory of the gateway that made them.
async fn running(global: &GlobalFlags) -> Result<Management, Failure> {
    let config = load_configuration(global, &environment()?)?.config;
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
