//! `demo`: the seeds' own demonstrations, as separate processes that share nothing.

mod actor;
mod apps;
mod callback;
mod certificates;
mod company;
mod configuration;
mod director;
mod drawing;
mod front;
mod orders;
mod players;
mod scene;
mod session;
mod stage;
mod wallet;
mod webhook;

use std::net::SocketAddr;
use std::process::ExitCode;

use serde_json::json;

use super::arguments::{DemoFlags, Part, Scene};
use super::shared::Shared;
use super::{Failure, Outcome, say};
use stage::Stage;

/// What each scene shows.
const SCENES: [(&str, &str); 4] = [
    ("webhook", "APIs that share no secret prove who they are; Eve tries to be Alice"),
    ("callback", "an external service loses all its callback URLs; what each kind of them opens for Eve"),
    ("session", "a bank for your browser: XSS and CSRF at the press of a button, and what Eve gets by them"),
    ("wallet", "an Ethereum key signs in without a page, and every request; a stolen token opens nothing"),
];

pub(super) fn demo(shared: &Shared, flags: DemoFlags) -> Outcome {
    if !flags.session.is_empty() && flags.scene != Some(Scene::Session) {
        return Err(Failure::said("only `demo session` takes ports, hosts and --tls"));
    }
    match (flags.part, flags.scene) {
        (_, None) => Ok(list(shared)),
        (Some(Part::Authority), Some(Scene::Webhook)) => {
            let folder = flags.folder.unwrap_or_default();
            certificates::make(&folder, &Stage::of_containers())?;
            Ok(ExitCode::SUCCESS)
        }
        (Some(part), Some(Scene::Webhook)) => {
            actor::act(part, &flags.folder.unwrap_or_default(), flags.directed)
        }
        (Some(part), Some(Scene::Callback)) => {
            callback::act(part, &flags.folder.unwrap_or_default(), flags.directed)
        }
        (Some(part), Some(Scene::Wallet)) => {
            wallet::act(part, &flags.folder.unwrap_or_default(), flags.directed)
        }
        (Some(part), Some(Scene::Session)) => {
            session::act(part, &flags.folder.unwrap_or_default(), flags.directed)
        }
        (None, Some(Scene::Session)) => session::direct(shared, flags.folder.as_deref(), &flags.session),
        (None, Some(Scene::Wallet)) => wallet::direct(shared, flags.folder.as_deref(), flags.keep),
        (None, Some(Scene::Callback)) => callback::direct(shared, flags.folder.as_deref(), flags.keep),
        (None, Some(Scene::Webhook)) => director::direct(shared, flags.folder.as_deref(), flags.keep),
    }
}

fn list(shared: &Shared) -> ExitCode {
    if shared.json {
        let scenes = SCENES.map(|(name, shows)| json!({ "scene": name, "shows": shows }));
        say(&json!(scenes).to_string());
        return ExitCode::SUCCESS;
    }
    for (name, shows) in SCENES {
        say(&format!("  countersign demo {name:9} {shows}"));
    }
    ExitCode::SUCCESS
}

/// How the configuration of a gateway begins: where it listens, what it is called, what it keeps beside it.
fn configuration_of(scene: &str, listen: SocketAddr, public_url: &str) -> String {
    format!(
        "# Written by `countersign demo {scene}`, anew at each start.\n\
         [server]\n\
         listen = \"{listen}\"\n\
         public_url = \"{public_url}\"\n\
         management_socket = \"management.sock\"\n\
         drain_timeout = \"1s\"\n\
         \n[store]\n\
         url = \"redb:store.redb\"\n\
         seal_key_file = \"seal.key\"\n"
    )
}
