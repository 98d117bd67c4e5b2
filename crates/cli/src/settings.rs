//! What is set: by the file that was named, the environment, and flags, of which a flag counts most.

use clap::Args;
use countersign_gateway::config::{Loaded, Overrides, load};

use crate::failure::Failure;
use crate::global_flags::GlobalFlags;

/// What is said over the file and the environment.
#[derive(Debug, Args)]
pub(crate) struct SettingFlags {
    /// Instead of server.listen.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Instead of server.admin_listen.
    #[arg(long, value_name = "ADDRESS")]
    admin_listen: Option<String>,
    /// Instead of server.public_url.
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Instead of store.url.
    #[arg(long, value_name = "URL")]
    store: Option<String>,
}

/// The configuration that the command line names.
pub(crate) fn load_configuration(global: &GlobalFlags, overrides: &Overrides) -> Result<Loaded, Failure> {
    load(&global.config, overrides).map_err(Failure::Config)
}

/// What the environment says.
pub(crate) fn environment() -> Result<Overrides, Failure> {
    let mut variables = Vec::new();
    for (name, value) in std::env::vars_os() {
        let Ok(name) = name.into_string() else { continue };
        if name.starts_with("COUNTERSIGN_") {
            let value = value.into_string().map_err(|_| Failure::Said(format!("{name} is not UTF-8")))?;
            variables.push((name, value));
        }
    }
    Overrides::from_environment(variables).map_err(|problem| {
        let help = problem.help.map(|help| format!("\n  {help}")).unwrap_or_default();
        Failure::Said(format!("{}{help}", problem.message))
    })
}

/// What the environment and the flags say; a flag counts more.
pub(crate) fn overrides(flags: SettingFlags) -> Result<Overrides, Failure> {
    let mut overrides = environment()?;
    overrides.flag("server.listen", "--listen", flags.listen);
    overrides.flag("server.admin_listen", "--admin-listen", flags.admin_listen);
    overrides.flag("server.public_url", "--public-url", flags.public_url);
    overrides.flag("store.url", "--store", flags.store);
    Ok(overrides)
}
