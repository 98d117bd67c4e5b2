//! `key new | add | list | show | rotate | revoke`.

use std::process::ExitCode;

use bytes::Bytes;
use clap::Subcommand;
use countersign_gateway::management::{NewKey, Rotation};
use countersign_gateway::terminal::{self, escape};
use http::Method;
use serde_json::Value;

use crate::failure::{Failure, Outcome};
use crate::global_flags::GlobalFlags;
use crate::key_add::{AddFlags, MintFlags, registration};
use crate::management::{ask, text};
use crate::say::say;

#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Make a key. It is shown once.
    New {
        /// What people call it.
        #[arg(long, value_name = "TEXT")]
        label: String,
        /// What it may do; several times for several.
        #[arg(long = "permission", value_name = "NAME")]
        permissions: Vec<String>,
        /// Who answers for it.
        #[arg(long, value_name = "TEXT")]
        owner: Option<String>,
        /// For how long it is valid, as in 30d. Default: until it is revoked.
        #[arg(long, value_name = "DURATION")]
        expires: Option<String>,
        /// It may sign requests, and refuses to be sent as itself.
        #[arg(long)]
        signed_only: bool,
        #[command(flatten)]
        mint: MintFlags,
    },
    /// Register a key that somebody else made; its id is what `keyid` names in a signature.
    ///
    /// Either the public half of a pair whose private half stays with its holder, or a secret that both
    /// sides keep.
    Add(AddFlags),
    /// List all keys, oldest first.
    List,
    /// Show one key.
    Show {
        /// Its id.
        id: String,
    },
    /// Make a successor of an API key that inherits everything else; the old key stays valid for the overlap.
    Rotate {
        /// Its id.
        id: String,
        /// For how long the old key stays valid.
        #[arg(long, value_name = "DURATION", default_value = "24h")]
        overlap: String,
    },
    /// Revoke a key: from the answer on it does not pass.
    Revoke {
        /// Its id.
        id: String,
    },
}

pub(super) async fn key(global: &GlobalFlags, command: KeyCommand) -> Outcome {
    // First, so that a mistake in what was typed opens nothing.
    let ((method, path, body), kind) = asked(command)?;
    let answer = ask(global, method, &path, body).await?;
    if global.json {
        say(&terminal::json(&answer));
    } else {
        show(&answer, &kind);
    }
    Ok(ExitCode::SUCCESS)
}

enum Shown {
    Revealed,
    Added,
    List,
    One,
    Revoked,
}

/// What management is asked: a method, a path and a body.
type Question = (Method, String, Bytes);

fn asked(command: KeyCommand) -> Result<(Question, Shown), Failure> {
    let keys = || "/v1/keys".to_owned();
    Ok(match command {
        KeyCommand::New { label, permissions, owner, expires, signed_only, mint } => {
            let wanted = NewKey { label, owner, permissions, expires, signed_only, mint: mint.into() };
            ((Method::POST, keys(), serde_json::to_vec(&wanted)?.into()), Shown::Revealed)
        }
        KeyCommand::Add(flags) => {
            ((Method::POST, "/v1/registered-keys".to_owned(), registration(flags)?), Shown::Added)
        }
        KeyCommand::List => ((Method::GET, keys(), Bytes::new()), Shown::List),
        KeyCommand::Show { id } => ((Method::GET, path(&id, "")?, Bytes::new()), Shown::One),
        KeyCommand::Rotate { id, overlap } => {
            let wanted = serde_json::to_vec(&Rotation { overlap })?;
            ((Method::POST, path(&id, "/rotate")?, wanted.into()), Shown::Revealed)
        }
        KeyCommand::Revoke { id } => ((Method::POST, path(&id, "/revoke")?, Bytes::new()), Shown::Revoked),
    })
}

/// What is no id is refused before it becomes part of a path.
fn path(id: &str, action: &str) -> Result<String, Failure> {
    match id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        true => Ok(format!("/v1/keys/{id}{action}")),
        false => Err(Failure::said(format!(
            "`{}` is no key id: 12 letters and digits, the part between `cs_` and the second `_`",
            escape(id)
        ))),
    }
}

fn show(answer: &Value, shown: &Shown) {
    match shown {
        Shown::Revealed => {
            say(answer["key"].as_str().unwrap_or_default());
            say("");
            say("This is the only time that the key is shown. Its id, for everything else, is");
            say(&format!("  {}", text(&answer["id"])));
        }
        Shown::Added => {
            say(&text(&answer["id"]));
            say("");
            say(&format!("This is the keyid of signatures by this key, {}.", text(&answer["algorithm"])));
        }
        Shown::Revoked => say(&format!("{} is revoked", text(&answer["id"]))),
        Shown::One => {
            for (name, value) in answer.as_object().into_iter().flatten() {
                say(&format!("{name:12}  {}", text(value)));
            }
        }
        Shown::List => {
            let keys = answer.as_array().map_or(&[][..], Vec::as_slice);
            if keys.is_empty() {
                say("There are no keys yet: countersign key new --label NAME");
            }
            for key in keys {
                let kind = match (text(&key["kind"]).as_str(), key["bearer_class"] == true) {
                    ("api-key", true) => "api key, bearer-class".to_owned(),
                    ("api-key", false) => "api key, signed only".to_owned(),
                    (kind, _) => format!("{kind}, {}", text(&key["algorithm"])),
                };
                let used = if key["last_used"].is_null() { "never".into() } else { text(&key["last_used"]) };
                say(&format!(
                    "{}  {:8}  {kind:25}  used {used:24}  {}  [{}]",
                    text(&key["id"]),
                    text(&key["state"]),
                    text(&key["label"]),
                    text(&key["permissions"]),
                ));
            }
        }
    }
}
