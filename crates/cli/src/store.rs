//! `store give-up-sealed`: the way out where the key that sealed a store is lost, or two were used.
//! `store accept-clock`: the way out where the clock was ahead for a while.

use std::process::ExitCode;
use std::sync::Arc;

use bytes::Bytes;
use clap::Subcommand;
use countersign::Clock;
use countersign::crypto::{Random, SystemRandom};
use countersign::sealed::{Closed, closed, give_up_closed};
use countersign_gateway::audit::Audit;
use countersign_gateway::open::Sealed;
use countersign_gateway::terminal;
use countersign_io::{StoreUrl, SystemClock};
use http::Method;
use serde_json::{Value, json};

use crate::failure::{Failure, Outcome};
use crate::global_flags::GlobalFlags;
use crate::management::{ask, text};
use crate::say::say;
use crate::settings::{environment, load_configuration};

#[derive(Debug, Subcommand)]
pub(super) enum StoreCommand {
    /// Say what the sealing key that is there does not open; with --yes, give that up and go on with this key.
    ///
    /// For a store whose sealing key is lost for good, or on which another was used for a while. No gateway may
    /// have the store open.
    GiveUpSealed {
        /// Do it: what was sealed with another key is lost.
        #[arg(long)]
        yes: bool,
    },
    /// Believe the clock, though it stands before what it has shown: it was ahead, and has been set right.
    ///
    /// Until then every dated proof is 503 `clock_regressed`. Proofs made before now stay refused, and so will those
    /// that were accepted while the clock was ahead.
    AcceptClock,
}

pub(super) async fn store(global: &GlobalFlags, command: StoreCommand) -> Outcome {
    match command {
        StoreCommand::GiveUpSealed { yes } => give_up_sealed(global, yes).await,
        StoreCommand::AcceptClock => accept_clock(global).await,
    }
}

async fn accept_clock(global: &GlobalFlags) -> Outcome {
    let answer = ask(global, Method::POST, "/v1/store/accept-clock", Bytes::new()).await?;
    if global.json {
        say(&terminal::json(&answer));
    } else if answer["accepted"] == true {
        let [now, shown, refused] = ["now", "shown", "refused_up_to"].map(|name| text(&answer[name]));
        say(&format!("The clock is believed: it is {now}, and had shown {shown}."));
        say(&format!("Proofs made up to {refused} are refused."));
    } else {
        say("The clock did not go back: nothing changed.");
    }
    Ok(ExitCode::SUCCESS)
}

async fn give_up_sealed(global: &GlobalFlags, yes: bool) -> Outcome {
    let config = load_configuration(global, &environment()?)?.config;
    if matches!(config.store.url, StoreUrl::Memory) {
        return Err(Failure::said("the store is `memory:`: what it seals ends with the process"));
    }
    let (clock, random): (Arc<dyn Clock>, Arc<dyn Random>) = (Arc::new(SystemClock), Arc::new(SystemRandom));
    let Sealed { store, key, .. } = Sealed::open(&config.store, &clock, &random, false).await?;
    let found = match yes {
        false => closed(&store, &key).await?,
        true => {
            let audit = Audit::open(config.audit.file.clone(), config.audit.decisions)?;
            let given_up = give_up_closed(&store, &key, &*random, clock.now()).await?;
            let written = audit.change(clock.now(), "store.sealed_given_up", &listed(&given_up)).await;
            written.map_err(Failure::said)?;
            given_up
        }
    };
    store.close().await?;
    if global.json {
        let mut answer = listed(&found);
        answer["given_up"] = yes.into();
        say(&terminal::json(&answer));
        return Ok(ExitCode::SUCCESS);
    }
    show(&found, yes);
    Ok(ExitCode::SUCCESS)
}

fn listed(closed: &Closed) -> Value {
    let signing = closed.signing.iter().map(|(purpose, kid)| json!({ "purpose": purpose, "kid": kid }));
    let secrets = closed.secrets.iter().map(ToString::to_string);
    json!({ "signing": signing.collect::<Vec<_>>(), "secrets": secrets.collect::<Vec<_>>() })
}

fn show(closed: &Closed, given_up: bool) {
    for (purpose, kid) in &closed.signing {
        say(&format!(
            "the {purpose} key {kid}: what it signed is good no more, and the next is made by itself"
        ));
    }
    for id in &closed.secrets {
        say(&format!("the HMAC secret {id}: revoked; register it again with `countersign key add`"));
    }
    match (closed.is_empty(), given_up) {
        (true, false) => say("This key opens everything that is sealed in the store."),
        (_, false) => say("This key does not open these. Nothing was changed: with --yes they are given up."),
        (_, true) => say("The key that is there is now the store's."),
    }
    say(
        "Passwords of users cannot be told: those that were set under another key need `countersign user set-password`.",
    );
}
