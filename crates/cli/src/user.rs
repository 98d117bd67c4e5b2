//! `user add | list | disable | set-password`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bytes::Bytes;
use clap::Subcommand;
use countersign_gateway::management::{NewPassword, NewUser, Whom};
use countersign_gateway::terminal::{self, escape};
use countersign_io::secret_file::read_secret;
use http::Method;
use serde_json::Value;

use crate::failure::{Failure, Outcome};
use crate::global_flags::GlobalFlags;
use crate::management::{ask, text};
use crate::say::say;

#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Add somebody who may sign in.
    Add {
        /// What they type to sign in.
        #[arg(long, value_name = "ADDRESS")]
        email: String,
        /// What they are called.
        #[arg(long, value_name = "NAME")]
        name: String,
        /// A file that holds their password, 8 to 128 characters on one line; mode 0600.
        #[arg(long, value_name = "FILE")]
        password_file: PathBuf,
    },
    /// List the users, oldest first.
    List,
    /// Disable a user: from the answer on no session of theirs passes, and they cannot sign in.
    Disable {
        /// Their e-mail address or their id, `usr_…`.
        user: String,
    },
    /// Set a user's password; all of their sessions end with it.
    SetPassword {
        /// Their e-mail address or their id, `usr_…`.
        user: String,
        /// A file that holds the password, 8 to 128 characters on one line; mode 0600.
        #[arg(long, value_name = "FILE")]
        password_file: PathBuf,
    },
}

pub(super) async fn user(global: &GlobalFlags, command: UserCommand) -> Outcome {
    let (method, path, body, done) = match command {
        UserCommand::Add { email, name, password_file } => {
            let wanted = NewUser { email, name, password: password(&password_file)? };
            (Method::POST, "/v1/users", serde_json::to_vec(&wanted)?, "is added")
        }
        UserCommand::List => (Method::GET, "/v1/users", Vec::new(), ""),
        UserCommand::Disable { user } => {
            (Method::POST, "/v1/users/disable", serde_json::to_vec(&Whom { user })?, "is disabled")
        }
        UserCommand::SetPassword { user, password_file } => {
            let wanted = NewPassword { user, password: password(&password_file)? };
            let done = "has a new password; all of their sessions have ended";
            (Method::POST, "/v1/users/set-password", serde_json::to_vec(&wanted)?, done)
        }
    };
    let answer = ask(global, method, path, Bytes::from(body)).await?;
    match answer.as_array() {
        _ if global.json => say(&terminal::json(&answer)),
        Some(users) => list(users),
        None => say(&format!("{}  {}  {done}", text(&answer["id"]), text(&answer["email"]))),
    }
    Ok(ExitCode::SUCCESS)
}

fn list(users: &[Value]) {
    if users.is_empty() {
        say("There are no users: countersign user add --email ADDRESS --name NAME --password-file FILE");
    }
    for user in users {
        let state = if user["disabled"].is_null() { "active" } else { "disabled" };
        let (id, email, name) = (text(&user["id"]), text(&user["email"]), text(&user["name"]));
        say(&format!("{id}  {state:8}  since {}  {email}  {name}", text(&user["created"])));
    }
}

fn password(path: &Path) -> Result<String, Failure> {
    let secret = read_secret(path)?;
    let file = escape(&path.display().to_string());
    let password = std::str::from_utf8(secret.expose())
        .map_err(|_| Failure::said(format!("{file} holds no UTF-8 text")))?;
    if password.contains('\n') {
        return Err(Failure::said(format!("{file} has several lines: a password is one")));
    }
    Ok(password.to_owned())
}
