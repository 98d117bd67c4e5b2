//! `init`: a commented countersign.toml.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::process::ExitCode;

use clap::Args;
use countersign_gateway::config::{Overrides, load_text};

use crate::failure::{Failure, Outcome};
use crate::global_flags::GlobalFlags;
use crate::say::say;

#[derive(Debug, Args)]
pub(super) struct InitFlags {
    /// The API to guard.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:3000")]
    upstream: String,
    /// Replace a file that is there.
    #[arg(long)]
    force: bool,
}

/// The file that `init` writes; `http://127.0.0.1:3000` is replaced by `--upstream`.
pub(crate) const TEMPLATE: &str = include_str!("init.toml");

pub(super) fn init(global: &GlobalFlags, flags: &InitFlags) -> Outcome {
    let text = TEMPLATE.replace("http://127.0.0.1:3000", &flags.upstream);
    // What is written must be taken by `serve`.
    load_text(&global.config, &text, &Overrides::default()).map_err(Failure::Config)?;
    let file = global.config.display();
    let mut options = OpenOptions::new();
    options.write(true);
    match flags.force {
        true => options.create(true).truncate(true),
        false => options.create_new(true),
    };
    let written = options.open(&global.config).and_then(|mut opened| opened.write_all(text.as_bytes()));
    match written {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(Failure::said(format!("{file} is there already; `--force` replaces it")));
        }
        Err(error) => return Err(Failure::said(format!("{file}: {error}"))),
    }
    say(&format!("Wrote {file}: it guards {} on http://127.0.0.1:8080.", flags.upstream));
    say("");
    say("Next:");
    say("  countersign serve");
    say("  countersign key new --label first --permission api");
    say("  curl -H \"Authorization: Bearer cs_…\" http://127.0.0.1:8080/");
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_a_configuration_without_warnings() {
        let loaded = load_text("countersign.toml".as_ref(), TEMPLATE, &Overrides::default()).unwrap();
        assert_eq!(loaded.warnings, [""; 0]);
        assert_eq!(loaded.config.routes.len(), 2);
    }
}
