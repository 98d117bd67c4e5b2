//! What may be typed.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::call::CallFlags;
use crate::callback::CallbackCommand;
use crate::configuration::ConfigCommand;
use crate::decode::DecodeFlags;
use crate::demo::DemoFlags;
use crate::dev::DevFlags;
use crate::explain::ExplainFlags;
use crate::global_flags::GlobalFlags;
use crate::init::InitFlags;
use crate::issuer::IssuerCommand;
use crate::key::KeyCommand;
use crate::serve::ServeFlags;
use crate::sign::SignFlags;
use crate::store::StoreCommand;
use crate::subject::SubjectCommand;
use crate::user::UserCommand;
use crate::verify::VerifyFlags;

/// API authentication in which nothing that leaks is enough: who sent this request, and may it pass?
///
/// `countersign dev` shows it at work on this machine in a minute; `countersign init` writes a
/// configuration for an API of yours, and `countersign serve` guards it.
#[derive(Debug, Parser)]
#[command(name = "countersign", version, propagate_version = true, max_term_width = 100)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) global: GlobalFlags,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Try everything on this machine: a built-in API, guarded, with a key and lines to paste.
    Dev(DevFlags),
    /// Run the gateway.
    Serve(ServeFlags),
    /// Write a commented countersign.toml for an API of yours.
    Init(InitFlags),
    /// Make API keys, register keys of others, list, rotate and revoke them.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Mint callback URLs, list and revoke them.
    #[command(subcommand)]
    Callback(CallbackCommand),
    /// Keep claims and permissions for the keys that our issuer gives tokens to.
    #[command(subcommand)]
    Subject(SubjectCommand),
    /// Tend the people who may sign in.
    #[command(subcommand)]
    User(UserCommand),
    /// Tend the issuer's signing keys.
    #[command(subcommand)]
    Issuer(IssuerCommand),
    /// Tend the store itself.
    #[command(subcommand)]
    Store(StoreCommand),
    /// Call an API, and prove who is calling: like curl, with a proof.
    ///
    /// Exits 0 when an answer below 400 came, 1 for an answer of 400 and more, 2 for a mistake in use
    /// or when there is no answer. Redirects are not followed.
    Call(CallFlags),
    /// Sign a request: a raw HTTP/1.1 request on standard input, the signed one on standard output.
    ///
    /// All else stays as it is, byte for byte. Exits 0 when it is signed, 2 otherwise.
    Sign(SignFlags),
    /// Say whether a request was signed with a key: a raw HTTP/1.1 request on standard input.
    ///
    /// Judges what is covered, the times, the signature, and the digest against the body. Whether it was
    /// there before, and whether the key still passes, only a gateway knows. Exits 0 if it holds, 1 with
    /// the code of what does not, 2 for a mistake in use.
    Verify(VerifyFlags),
    /// Show what a credential says, without judging it: a key, a token, a signature, a whole request.
    ///
    /// Reads an API key, a Webhook header, a JWT, the JSON of AsymmetricAuthentication, header lines such as
    /// Signature-Input and Signature, or a raw HTTP/1.1 request. What opens something is left out.
    Decode(DecodeFlags),
    /// See a scheme at work: who calls whom, who asks whom, and how an attacker fails.
    ///
    /// Without a name it lists the scenes. Exits 0 when everything was as it must be, 1 otherwise,
    /// 2 when the scene could not be set up.
    Demo(DemoFlags),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_sound() {
        use clap::CommandFactory as _;
        Arguments::command().debug_assert();
    }
}
