//! `config check | show | schema`.

use std::process::ExitCode;

use clap::Subcommand;
use countersign_gateway::config::file::schema;
use serde_json::json;

use crate::failure::Outcome;
use crate::global_flags::GlobalFlags;
use crate::say::{complain, say};
use crate::settings::{SettingFlags, load_configuration, overrides};

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Parse everything, open nothing.
    Check(SettingFlags),
    /// Print every setting.
    Show {
        #[command(flatten)]
        settings: SettingFlags,
        /// Also where each came from.
        #[arg(long)]
        origin: bool,
    },
    /// Print the JSON Schema of countersign.toml, for editors.
    Schema,
}

pub(super) fn config(global: &GlobalFlags, command: ConfigCommand) -> Outcome {
    match command {
        ConfigCommand::Schema => {
            say(&format!("{:#}", schema()));
            Ok(ExitCode::SUCCESS)
        }
        ConfigCommand::Check(flags) => {
            let loaded = load_configuration(global, &overrides(flags)?)?;
            for warning in &loaded.warnings {
                complain(&format!("warning: {warning}"));
            }
            match global.json {
                true => say(&json!({ "ok": true, "warnings": loaded.warnings }).to_string()),
                false => say(&format!(
                    "{} is sound: {} routes",
                    global.config.display(),
                    loaded.config.routes.len()
                )),
            }
            Ok(ExitCode::SUCCESS)
        }
        ConfigCommand::Show { settings, origin } => {
            let loaded = load_configuration(global, &overrides(settings)?)?;
            if global.json {
                let settings = loaded.settings.iter().map(|setting| {
                    json!({ "setting": setting.path, "value": setting.value, "origin": setting.origin })
                });
                say(&format!("{:#}", serde_json::Value::from_iter(settings)));
                return Ok(ExitCode::SUCCESS);
            }
            let width = loaded.settings.iter().map(|setting| setting.path.len()).max().unwrap_or(0);
            for setting in &loaded.settings {
                match origin {
                    true => say(&format!("{:width$}  {}  ({})", setting.path, setting.told, setting.origin)),
                    false => say(&format!("{:width$}  {}", setting.path, setting.told)),
                }
            }
            for warning in &loaded.warnings {
                complain(&format!("warning: {warning}"));
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}
