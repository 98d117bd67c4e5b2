//! What every command takes.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(super) struct Shared {
    /// The configuration file.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        default_value = "countersign.toml",
        env = "COUNTERSIGN_CONFIG"
    )]
    pub(super) config: PathBuf,
    /// Print JSON, for programs.
    #[arg(long, global = true)]
    pub(super) json: bool,
}
