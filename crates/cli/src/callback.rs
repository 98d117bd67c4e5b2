//! `callback mint | list | revoke`.

use std::process::ExitCode;

use bytes::Bytes;
use clap::{Args, Subcommand};
use countersign::schemes::callback_url::CallbackId;
use countersign_gateway::schemes::callback_url::Wanted;
use countersign_gateway::terminal::{self, escape};
use http::Method;
use serde_json::Value;

use crate::failure::{Failure, Outcome};
use crate::global_flags::GlobalFlags;
use crate::management::{ask, text};
use crate::say::say;

#[derive(Debug, Subcommand)]
pub(super) enum CallbackCommand {
    /// Mint a URL that opens one thing, once, for a while. It is shown once.
    Mint(MintFlags),
    /// List the callbacks that are remembered, oldest first: what each opens and what it can still do.
    List,
    /// Revoke a callback: from the answer on it opens nothing.
    Revoke {
        /// Its id.
        id: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct MintFlags {
    /// The route that it leads to, by its path in the configuration, as in /v1/results/{res_id}/{token}.
    #[arg(long, value_name = "TEMPLATE")]
    route: String,
    /// The user of the application for whom it is.
    #[arg(long, value_name = "USER")]
    user: String,
    /// The resource, as it stands in the path: needed where the route names one, except with --static.
    #[arg(long, value_name = "SEGMENT")]
    resource: Option<String>,
    /// For how long it is valid, as in 15m: longer than the service may take.
    #[arg(long, value_name = "DURATION")]
    ttl: String,
    /// The method; several times for several. Default: POST.
    #[arg(long = "method", value_name = "METHOD")]
    methods: Vec<String>,
    /// The longest body, as in 64KiB. Default: callback.max_body.
    #[arg(long, value_name = "SIZE", conflicts_with = "is_static")]
    max_bytes: Option<String>,
    /// How often it may be used. Default: once.
    #[arg(long, value_name = "N", conflicts_with = "is_static")]
    uses: Option<u32>,
    /// A static token: used as often as anybody likes until it ends or is revoked.
    #[arg(long = "static")]
    is_static: bool,
}

pub(super) async fn callback(global: &GlobalFlags, command: CallbackCommand) -> Outcome {
    let path = "/v1/callbacks".to_owned();
    let (method, path, body) = match &command {
        CallbackCommand::Mint(flags) => (Method::POST, path, serde_json::to_vec(&wanted(flags)?)?.into()),
        CallbackCommand::List => (Method::GET, path, Bytes::new()),
        CallbackCommand::Revoke { id } => match CallbackId::parse(id) {
            Some(id) => (Method::POST, format!("{path}/{id}/revoke"), Bytes::new()),
            None => {
                let why = format!("`{}` is no callback id: 22 letters and digits", escape(id));
                return Err(Failure::said(why));
            }
        },
    };
    let answer = ask(global, method, &path, body).await?;
    match (global.json, &command) {
        (true, _) => say(&terminal::json(&answer)),
        (false, CallbackCommand::Mint(_)) => {
            say(answer["url"].as_str().unwrap_or_default());
            say("");
            say(&format!(
                "This is the only time that the URL is shown. It ends at {}; its id, for `callback revoke`, is",
                text(&answer["expires"])
            ));
            say(&format!("  {}", text(&answer["id"])));
        }
        (false, CallbackCommand::List) => list(&answer),
        (false, CallbackCommand::Revoke { .. }) => say(&format!("{} is revoked", text(&answer["id"]))),
    }
    Ok(ExitCode::SUCCESS)
}

fn wanted(flags: &MintFlags) -> Result<Wanted, Failure> {
    let max_bytes = flags.max_bytes.as_deref().map(countersign_gateway::settings::quantities::parse_size);
    Ok(Wanted {
        route: flags.route.clone(),
        user: flags.user.clone(),
        resource: flags.resource.clone(),
        ttl: flags.ttl.clone(),
        method: None,
        methods: flags.methods.clone(),
        max_bytes: max_bytes.transpose().map_err(Failure::said)?.map(|bytes| bytes as u64),
        uses: flags.uses,
        is_static: flags.is_static,
    })
}

fn list(answer: &Value) {
    let callbacks = answer.as_array().map_or(&[][..], Vec::as_slice);
    if callbacks.is_empty() {
        say("There are no callbacks: countersign callback mint --route TEMPLATE --user USER --ttl 15m");
    }
    for callback in callbacks {
        let kind =
            if callback["static"] == true { "static, bearer-class" } else { "jwt, bearer-class until used" };
        say(&format!(
            "{}  {:8}  {kind:28}  until {}  {} of {}  {}",
            text(&callback["id"]),
            text(&callback["state"]),
            text(&callback["expires"]),
            text(&callback["resource"]),
            text(&callback["user"]),
            text(&callback["route"]),
        ));
    }
}
