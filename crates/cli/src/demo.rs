//! `demo`: which demonstration is given, and how.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use countersign_demo::{Casting, Demonstration, Part, Sites, Wishes};
use serde_json::json;

use crate::failure::{Failure, Outcome};
use crate::global_flags::GlobalFlags;
use crate::log::log_to_standard_error;
use crate::say::say;
use crate::settings::environment;

#[derive(Debug, Args)]
pub(super) struct DemoFlags {
    /// Which scene; without it they are listed.
    #[arg(value_parser = demonstration())]
    scene: Option<Demonstration>,
    /// Stay up afterwards, until Ctrl-C.
    #[arg(long)]
    keep: bool,
    /// Keep everything that the demonstration writes in this folder. Default: a temporary one.
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    #[command(flatten)]
    session: SessionFlags,
    /// Be one of those who take part, as a process or a container of its own.
    #[arg(long = "as", value_name = "PART", hide = true, requires = "folder", value_parser = part())]
    part: Option<Part>,
    /// End with standard input, and take orders from it.
    #[arg(long, hide = true, requires = "part")]
    directed: bool,
}

/// Where `demo session` is: nothing that is not said is taken from elsewhere.
#[derive(Debug, Args)]
#[command(next_help_heading = "Of `demo session`, which stays up until Ctrl-C")]
struct SessionFlags {
    /// The port of the bank's page; 0 takes one that is free. Default: 5100.
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// The port of Eve's page; 0 takes one that is free. Default: 5101.
    #[arg(long, value_name = "PORT")]
    eve_port: Option<u16>,
    /// Serve both by HTTPS, under a certificate authority that is made for this run: ca.pem in --folder.
    ///
    /// A browser shows the pages once it trusts ca.pem, whose key is forgotten at once.
    #[arg(long, requires = "folder")]
    tls: bool,
    /// The host in the bank's URLs, which the browser must find at 127.0.0.1. Default: localhost.
    #[arg(long, value_name = "NAME", requires = "tls")]
    host: Option<String>,
    /// The host in Eve's URLs, of another site than the bank's. Default: 127.0.0.1.
    #[arg(long, value_name = "NAME", requires = "tls")]
    eve_host: Option<String>,
}

impl From<SessionFlags> for Sites {
    fn from(flags: SessionFlags) -> Self {
        let SessionFlags { port, eve_port, tls, host, eve_host } = flags;
        Self { port, eve_port, tls, host, eve_host }
    }
}

fn demonstration() -> impl TypedValueParser<Value = Demonstration> {
    let known = Demonstration::ALL.map(|one| PossibleValue::new(one.name()).help(one.shows()));
    PossibleValuesParser::new(known).try_map(|name| Demonstration::named(&name).ok_or("no demonstration"))
}

fn part() -> impl TypedValueParser<Value = Part> {
    PossibleValuesParser::new(Part::names()).try_map(|name| Part::named(&name).ok_or("nobody"))
}

pub(super) fn demo(global: &GlobalFlags, flags: DemoFlags) -> Outcome {
    let sites = Sites::from(flags.session);
    if sites != Sites::default() && flags.scene != Some(Demonstration::Session) {
        return Err(Failure::said("only `demo session` takes ports, hosts and --tls"));
    }
    let ended = match (flags.scene, flags.part) {
        (None, _) => return Ok(list(global)),
        (Some(scene), None) => {
            let wishes = Wishes { folder: flags.folder, keep: flags.keep, json: global.json, sites };
            countersign_demo::direct(scene, &wishes)
        }
        (Some(scene), Some(part)) => {
            log_to_standard_error();
            let (folder, directed) = (flags.folder.unwrap_or_default(), flags.directed);
            let casting = Casting { folder, directed, settings: environment()? };
            countersign_demo::act(scene, part, &casting)
        }
    };
    ended.map_err(|failure| Failure::said(failure.to_string()))
}

fn list(global: &GlobalFlags) -> ExitCode {
    if global.json {
        let all = Demonstration::ALL.map(|one| json!({ "scene": one.name(), "shows": one.shows() }));
        say(&json!(all).to_string());
        return ExitCode::SUCCESS;
    }
    for one in Demonstration::ALL {
        say(&format!("  countersign demo {:9} {}", one.name(), one.shows()));
    }
    ExitCode::SUCCESS
}
