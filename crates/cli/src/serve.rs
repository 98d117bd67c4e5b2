//! `serve`.

use std::process::ExitCode;

use clap::Args;
use countersign_gateway::run::Bound;

use crate::failure::Outcome;
use crate::global_flags::{GlobalFlags, RestoringFlags};
use crate::log::log_to_standard_error;
use crate::settings::{SettingFlags, load_configuration, overrides};

#[derive(Debug, Args)]
pub(super) struct ServeFlags {
    #[command(flatten)]
    settings: SettingFlags,
    #[command(flatten)]
    restoring: RestoringFlags,
}

pub(super) fn serve(global: &GlobalFlags, flags: ServeFlags) -> Outcome {
    let overrides = overrides(flags.settings)?;
    let loaded = load_configuration(global, &overrides)?;
    log_to_standard_error();
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        Bound::new(&global.config, loaded, overrides, flags.restoring.restored).await?.run().await;
        Ok(ExitCode::SUCCESS)
    })
}
