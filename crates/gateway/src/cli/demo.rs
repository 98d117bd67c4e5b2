//! `demo`: the seeds' own demonstrations, as separate processes that share nothing.

mod actor;
mod apps;
mod callback;
mod certificates;
mod configuration;
mod director;
mod drawing;
mod front;
mod orders;
mod players;
mod stage;
mod wallet;
mod webhook;

use std::process::ExitCode;

use serde_json::json;

use super::arguments::{DemoFlags, Part, Scene, Shared};
use super::{Failure, Outcome, say};
use stage::Stage;

/// What each scene shows, and whether this version can.
const SCENES: [(Scene, &str, &str, bool); 4] = [
    (Scene::Webhook, "webhook", "APIs that share no secret prove who they are; Eve tries to be Alice", true),
    (
        Scene::Callback,
        "callback",
        "an external service loses all its callback URLs; what each kind of them opens for Eve",
        true,
    ),
    (Scene::Session, "session", "a session in two halves, which no script can carry away", false),
    (
        Scene::Wallet,
        "wallet",
        "an Ethereum key signs in without a page, and every request; a stolen token opens nothing",
        true,
    ),
];

pub(super) fn demo(shared: &Shared, flags: DemoFlags) -> Outcome {
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
        (None, Some(Scene::Wallet)) => wallet::direct(shared, flags.folder.as_deref(), flags.keep),
        (None, Some(Scene::Callback)) => callback::direct(shared, flags.folder.as_deref(), flags.keep),
        (None, Some(Scene::Webhook)) => director::direct(shared, flags.folder.as_deref(), flags.keep),
        (_, Some(other)) => {
            let name = SCENES.iter().find(|(scene, ..)| *scene == other).map_or("", |(_, name, ..)| *name);
            Err(Failure::said(format!(
                "`demo {name}` is not in this version yet: try `demo webhook`, `demo callback` or `demo wallet`"
            )))
        }
    }
}

fn list(shared: &Shared) -> ExitCode {
    if shared.json {
        let scenes = SCENES
            .map(|(_, name, shows, built)| json!({ "scene": name, "shows": shows, "available": built }));
        say(&json!(scenes).to_string());
        return ExitCode::SUCCESS;
    }
    for (_, name, shows, built) in SCENES {
        let later = if built { "" } else { "  (not in this version yet)" };
        say(&format!("  countersign demo {name:9} {shows}{later}"));
    }
    ExitCode::SUCCESS
}
