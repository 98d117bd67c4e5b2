//! `serve`.

use std::process::ExitCode;

use super::arguments::ServeFlags;
use super::log::log_to_standard_error;
use super::shared::Shared;
use super::{Outcome, load_configuration, overrides};
use countersign_gateway::run::Bound;

pub(super) fn serve(shared: &Shared, flags: ServeFlags) -> Outcome {
    let overrides = overrides(flags.settings)?;
    let loaded = load_configuration(shared, &overrides)?;
    log_to_standard_error();
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        Bound::new(&shared.config, loaded, overrides, flags.restoring.restored).await?.run().await;
        Ok(ExitCode::SUCCESS)
    })
}
