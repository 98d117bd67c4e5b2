//! What may be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// API authentication in which nothing that leaks is enough: who sent this request, and may it pass?
///
/// `countersign dev` shows it at work on this machine in a minute; `countersign init` writes a
/// configuration for an API of yours, and `countersign serve` guards it.
#[derive(Debug, Parser)]
#[command(name = "countersign", version, propagate_version = true, max_term_width = 100)]
pub struct Arguments {
    #[command(flatten)]
    pub(super) shared: Shared,
    #[command(subcommand)]
    pub(super) command: Command,
}

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

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Try everything on this machine: a built-in API, guarded, with a key and lines to paste.
    Dev(DevFlags),
    /// Run the gateway.
    Serve(SettingFlags),
    /// Write a commented countersign.toml for an API of yours.
    Init(InitFlags),
    /// Make, list, rotate and revoke API keys.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Say why a request was allowed or denied: a past one, or one on file.
    ///
    /// Exits 0 for a permit, 1 for a denial, 2 for a mistake in use.
    Explain(ExplainFlags),
    /// Check, show or describe the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print a completion script for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Print the man page, or write one for each command into a folder.
    Man {
        /// The folder.
        #[arg(value_name = "FOLDER")]
        folder: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(super) struct DevFlags {
    /// Where everything is kept.
    #[arg(long, value_name = "FOLDER", default_value = ".countersign-dev")]
    pub(super) folder: PathBuf,
    /// Where the gateway listens; another port is taken if this one is in use.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub(super) listen: std::net::SocketAddr,
}

/// What is said over the file and the environment.
#[derive(Debug, Args)]
pub(super) struct SettingFlags {
    /// Instead of server.listen.
    #[arg(long, value_name = "ADDRESS")]
    pub(super) listen: Option<String>,
    /// Instead of server.admin_listen.
    #[arg(long, value_name = "ADDRESS")]
    pub(super) admin_listen: Option<String>,
    /// Instead of server.public_url.
    #[arg(long, value_name = "URL")]
    pub(super) public_url: Option<String>,
    /// Instead of store.url.
    #[arg(long, value_name = "URL")]
    pub(super) store: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct InitFlags {
    /// The API to guard.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:3000")]
    pub(super) upstream: String,
    /// Replace a file that is there.
    #[arg(long)]
    pub(super) force: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Make a key. It is shown once.
    New {
        /// What people call it.
        #[arg(long, value_name = "TEXT")]
        label: String,
        /// What it may do; several times for several.
        #[arg(long = "permission", value_name = "NAME")]
        permissions: Vec<String>,
        /// Who answers for it.
        #[arg(long, value_name = "TEXT")]
        owner: Option<String>,
        /// For how long it is valid, as in 30d. Default: until it is revoked.
        #[arg(long, value_name = "DURATION")]
        expires: Option<String>,
        /// It may sign requests, and refuses to be sent as itself.
        #[arg(long)]
        signed_only: bool,
    },
    /// List all keys, oldest first.
    List,
    /// Show one key.
    Show {
        /// Its id.
        id: String,
    },
    /// Make a successor that inherits everything else; the old key stays valid for the overlap.
    Rotate {
        /// Its id.
        id: String,
        /// For how long the old key stays valid.
        #[arg(long, value_name = "DURATION", default_value = "24h")]
        overlap: String,
    },
    /// Revoke a key: from the answer on it does not pass.
    Revoke {
        /// Its id.
        id: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct ExplainFlags {
    /// A decision, as in the header Countersign-Decision; or `latest`.
    #[arg(value_name = "ID", required_unless_present = "request", conflicts_with = "request")]
    pub(super) id: Option<String>,
    /// A raw HTTP/1.1 request on file; `-` for standard input. Nothing is spent, and nobody is asked.
    #[arg(long, value_name = "FILE")]
    pub(super) request: Option<PathBuf>,
    /// As if it had come in then, RFC 3339. Default: now.
    #[arg(long, value_name = "TIME", requires = "request", conflicts_with = "id")]
    pub(super) at: Option<String>,
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_sound() {
        use clap::CommandFactory as _;
        Arguments::command().debug_assert();
    }
}
