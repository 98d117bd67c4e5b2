//! `config check | show | schema`.

use std::process::ExitCode;

use serde_json::json;

use super::arguments::ConfigCommand;
use super::shared::Shared;
use super::{Outcome, complain, load_configuration, overrides, say};
use countersign_gateway::config::file::File;

pub(super) fn config(shared: &Shared, command: ConfigCommand) -> Outcome {
    match command {
        ConfigCommand::Schema => {
            say(&format!("{:#}", schemars::schema_for!(File).to_value()));
            Ok(ExitCode::SUCCESS)
        }
        ConfigCommand::Check(flags) => {
            let loaded = load_configuration(shared, &overrides(flags)?)?;
            for warning in &loaded.warnings {
                complain(&format!("warning: {warning}"));
            }
            match shared.json {
                true => say(&json!({ "ok": true, "warnings": loaded.warnings }).to_string()),
                false => say(&format!(
                    "{} is sound: {} routes",
                    shared.config.display(),
                    loaded.config.routes.len()
                )),
            }
            Ok(ExitCode::SUCCESS)
        }
        ConfigCommand::Show { settings, origin } => {
            let loaded = load_configuration(shared, &overrides(settings)?)?;
            if shared.json {
                let settings = loaded.settings.iter().map(|setting| {
                    json!({ "setting": setting.path, "value": setting.value, "origin": setting.origin })
                });
                say(&format!("{:#}", serde_json::Value::from_iter(settings)));
                return Ok(ExitCode::SUCCESS);
            }
            let width = loaded.settings.iter().map(|setting| setting.path.len()).max().unwrap_or(0);
            for setting in &loaded.settings {
                match origin {
                    true => say(&format!("{:width$}  {}  ({})", setting.path, setting.value, setting.origin)),
                    false => say(&format!("{:width$}  {}", setting.path, setting.value)),
                }
            }
            for warning in &loaded.warnings {
                complain(&format!("warning: {warning}"));
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}
