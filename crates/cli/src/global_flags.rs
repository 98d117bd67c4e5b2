//! What every command takes, and what those that open the store for long take.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(super) struct GlobalFlags {
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

/// What a store that was put back from a copy needs once.
#[derive(Debug, Args)]
pub(super) struct RestoringFlags {
    /// The store was put back from a copy: take it although it is older than what this machine wrote.
    ///
    /// For one start. All proofs dated before now are refused. What was revoked, ended or used after the copy was
    /// made may pass again: nobody can know.
    #[arg(long)]
    pub(super) restored: bool,
}
