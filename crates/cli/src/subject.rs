//! `subject set | show`: what our tokens say of whom.

use std::process::ExitCode;

use bytes::Bytes;
use clap::Subcommand;
use countersign::issuer::KeyName;
use countersign_gateway::management::SubjectWish;
use countersign_gateway::terminal::{self, escape};
use http::Method;
use serde_json::Value;

use crate::failure::{Failure, Outcome};
use crate::global_flags::GlobalFlags;
use crate::management::{ask, text};
use crate::say::say;

#[derive(Debug, Subcommand)]
pub(super) enum SubjectCommand {
    /// Keep claims and permissions of a subject; its next tokens carry them.
    ///
    /// What is not named stays as it is.
    Set {
        /// `eip155:0x…` or `jkt:<thumbprint>`; either may be written bare.
        #[arg(value_name = "SUBJECT")]
        subject: String,
        /// A claim: NAME=TEXT, or NAME:=JSON for what is no text; NAME= removes it. Several times for several.
        #[arg(long = "claim", value_name = "NAME=VALUE")]
        claims: Vec<String>,
        /// What it may ask for as scope; several times for several.
        #[arg(long = "permission", value_name = "NAME")]
        permissions: Vec<String>,
        /// What it may no longer ask for.
        #[arg(long = "remove-permission", value_name = "NAME")]
        removed: Vec<String>,
    },
    /// Show what is kept of a subject, or of all.
    Show {
        /// `eip155:0x…` or `jkt:<thumbprint>`; without it, all of whom something is kept.
        #[arg(value_name = "SUBJECT")]
        subject: Option<String>,
    },
}

pub(super) async fn subject(global: &GlobalFlags, command: SubjectCommand) -> Outcome {
    let (method, path, body) = match command {
        SubjectCommand::Set { subject, claims, permissions, removed } => {
            let mut wish = SubjectWish {
                grant: permissions.into_iter().collect(),
                withdraw: removed.into_iter().collect(),
                ..SubjectWish::default()
            };
            for claim in &claims {
                let (name, value) = read_claim(claim)?;
                if wish.claims.insert(name.clone(), value).is_some() {
                    return Err(Failure::said(format!("the claim `{}` is there twice", escape(&name))));
                }
            }
            if wish.claims.is_empty() && wish.grant.is_empty() && wish.withdraw.is_empty() {
                return Err(Failure::said("nothing to set: --claim NAME=VALUE, --permission NAME"));
            }
            (Method::POST, path(&subject)?, Bytes::from(serde_json::to_vec(&wish)?))
        }
        SubjectCommand::Show { subject: Some(subject) } => (Method::GET, path(&subject)?, Bytes::new()),
        SubjectCommand::Show { subject: None } => (Method::GET, "/v1/subjects".to_owned(), Bytes::new()),
    };
    let answer = ask(global, method, &path, body).await?;
    if global.json {
        say(&terminal::json(&answer));
        return Ok(ExitCode::SUCCESS);
    }
    match answer.as_array() {
        Some(all) if all.is_empty() => {
            say("Nothing is kept of anybody: countersign subject set SUBJECT --claim NAME=VALUE");
        }
        Some(all) => all.iter().for_each(show),
        None => show(&answer),
    }
    Ok(ExitCode::SUCCESS)
}

/// What is no subject is refused before it becomes part of a path.
fn path(subject: &str) -> Result<String, Failure> {
    let name =
        KeyName::parse(subject).map_err(|error| Failure::said(format!("`{}`: {error}", escape(subject))))?;
    Ok(format!("/v1/subjects/{name}"))
}

/// `country=CH`, `age:=42`, `country=`.
fn read_claim(claim: &str) -> Result<(String, Option<Value>), Failure> {
    let wrong = |why: &str| Failure::said(format!("`{}` is no claim: {why}", escape(claim)));
    let (name, value) = claim.split_once('=').ok_or_else(|| wrong("write NAME=VALUE"))?;
    let value = match name.strip_suffix(':') {
        Some(name) => {
            let json = serde_json::from_str(value).map_err(|_| wrong("what follows := is JSON"))?;
            return Ok((name.to_owned(), Some(json)));
        }
        None => value,
    };
    Ok((name.to_owned(), (!value.is_empty()).then(|| value.into())))
}

fn show(subject: &Value) {
    say(&text(&subject["subject"]));
    for (name, value) in subject["claims"].as_object().into_iter().flatten() {
        say(&format!("  {}  {}", escape(name), text(value)));
    }
    say(&format!("  permissions  {}", text(&subject["permissions"])));
}
