//! `issuer rotate`: what signs our tokens.

use std::process::ExitCode;

use bytes::Bytes;
use clap::Subcommand;
use countersign_gateway::terminal;
use http::Method;

use crate::failure::Outcome;
use crate::global_flags::GlobalFlags;
use crate::management::{ask, text};
use crate::say::say;

#[derive(Debug, Subcommand)]
pub(super) enum IssuerCommand {
    /// Publish the next signing key now; it signs when whoever keeps the public keys has had time to see it.
    Rotate,
}

pub(super) async fn issuer(global: &GlobalFlags, command: IssuerCommand) -> Outcome {
    let IssuerCommand::Rotate = command;
    let answer = ask(global, Method::POST, "/v1/issuer/rotate", Bytes::new()).await?;
    if global.json {
        say(&terminal::json(&answer));
        return Ok(ExitCode::SUCCESS);
    }
    for key in answer["keys"].as_array().into_iter().flatten() {
        say(&format!("{}  {}", text(&key["kid"]), text(&key["state"])));
    }
    Ok(ExitCode::SUCCESS)
}
