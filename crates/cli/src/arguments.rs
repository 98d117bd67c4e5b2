//! What may be typed.

use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};

use super::callback::CallbackCommand;
use super::demo::DemoFlags;
use super::key_add::{AddFlags, MintFlags};
use super::shared::Shared;
use super::store::StoreCommand;
use super::subject::{IssuerCommand, SubjectCommand};
use super::user::UserCommand;
use countersign_gateway::schemes::proof::WalletForm;

/// API authentication in which nothing that leaks is enough: who sent this request, and may it pass?
///
/// `countersign dev` shows it at work on this machine in a minute; `countersign init` writes a
/// configuration for an API of yours, and `countersign serve` guards it.
#[derive(Debug, Parser)]
#[command(name = "countersign", version, propagate_version = true, max_term_width = 100)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) shared: Shared,
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

#[derive(Debug, Args)]
pub(super) struct DevFlags {
    /// Where everything is kept.
    #[arg(long, value_name = "FOLDER", default_value = ".countersign-dev")]
    pub(super) folder: PathBuf,
    /// Where the gateway listens; another port is taken if this one is in use.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub(super) listen: std::net::SocketAddr,
    #[command(flatten)]
    pub(super) restoring: RestoringFlags,
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
pub(super) struct ServeFlags {
    #[command(flatten)]
    pub(super) settings: SettingFlags,
    #[command(flatten)]
    pub(super) restoring: RestoringFlags,
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
        #[command(flatten)]
        mint: MintFlags,
    },
    /// Register a key that somebody else made; its id is what `keyid` names in a signature.
    ///
    /// Either the public half of a pair whose private half stays with its holder, or a secret that both
    /// sides keep.
    Add(AddFlags),
    /// List all keys, oldest first.
    List,
    /// Show one key.
    Show {
        /// Its id.
        id: String,
    },
    /// Make a successor of an API key that inherits everything else; the old key stays valid for the overlap.
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

#[derive(Debug, Args)]
pub(super) struct CallFlags {
    /// What is called: https, or plain http on this machine.
    #[arg(value_name = "URL")]
    pub(super) url: String,
    /// The method. Default: GET, and POST with a body.
    #[arg(short = 'X', long = "request", value_name = "METHOD")]
    pub(super) method: Option<String>,
    /// A header, `Name: value`; several times for several.
    #[arg(short = 'H', long = "header", value_name = "HEADER")]
    pub(super) headers: Vec<String>,
    /// The body; @FILE for a file's bytes, @- for standard input.
    ///
    /// Without a header that says otherwise its Content-Type is application/json if it is a JSON object
    /// or array, else application/x-www-form-urlencoded.
    #[arg(short = 'd', long = "data", value_name = "BODY")]
    pub(super) body: Option<String>,
    /// Print the status and the headers of the answer too.
    #[arg(short, long)]
    pub(super) include: bool,
    /// Tell on standard error what is sent, how it is proven, and who asks about it.
    #[arg(short, long)]
    pub(super) verbose: bool,
    /// Trust the authorities in this PEM file too.
    #[arg(long, value_name = "FILE")]
    pub(super) cacert: Option<PathBuf>,
    /// How long a call may take, as in 30s.
    #[arg(long, value_name = "DURATION", default_value = "30s")]
    pub(super) timeout: String,
    /// Call so many times, one after another.
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(super) repeat: u32,
    #[command(flatten)]
    pub(super) proof: ProofFlags,
    /// Answer at this address, plain HTTP, while the call lasts.
    #[arg(long, value_name = "ADDRESS", requires = "webhook", conflicts_with_all = NO_WEBHOOK)]
    pub(super) listen: Option<std::net::SocketAddr>,
}

// What `requires` asks for, clap forgives where it is excluded by another flag: so that is said as well.
const NO_WALLET: [&str; 5] = ["key", "key_file", "private_key", "hmac_secret_file", "webhook"];
const NO_WEBHOOK: [&str; 5] = ["key", "key_file", "private_key", "hmac_secret_file", "wallet"];

/// What a wallet can make, by the names that a configuration has for it too.
fn wallet_form() -> impl TypedValueParser<Value = WalletForm> {
    let forms = [
        ("asymmetric", "The header AsymmetricAuthentication"),
        ("erc8128", "A message signature, ERC-8128: an account of `eip155:…`, and a tag"),
        (
            "erc8128-untagged",
            "The same as an earlier text has it: an account of `erc8128:…`, and no tag. npm's `@slicekit/erc8128` 0.2 and \
             the crate `erc8128` 0.3 take this one alone",
        ),
    ];
    let forms = forms.map(|(name, makes)| PossibleValue::new(name).help(makes));
    PossibleValuesParser::new(forms).try_map(|name| WalletForm::parse(&name))
}

/// How a request is proven: one way, or none.
#[derive(Debug, Args)]
pub(super) struct ProofFlags {
    /// An API key, which signs. Whoever lists the processes of this machine sees it: --key-file does not
    /// tell.
    #[arg(long, value_name = "KEY", group = "by")]
    pub(super) key: Option<String>,
    /// A file that holds an API key; mode 0600.
    #[arg(long, value_name = "FILE", group = "by")]
    pub(super) key_file: Option<PathBuf>,
    /// Send the API key as itself, instead of signing with it.
    #[arg(long, conflicts_with_all = ["private_key", "hmac_secret_file", "wallet", "token_file", "webhook"])]
    pub(super) bearer: bool,
    /// A private key that signs, whose public half the receiver registered: PEM or a JWK; mode 0600.
    #[arg(long, value_name = "FILE", group = "by", requires = "key_id")]
    pub(super) private_key: Option<PathBuf>,
    /// A file whose bytes are the secret of an HMAC-SHA256, which the receiver registered; mode 0600.
    #[arg(long, value_name = "FILE", group = "by", requires = "key_id")]
    pub(super) hmac_secret_file: Option<PathBuf>,
    /// What the receiver calls the key: the id that `key add` printed there.
    #[arg(long, value_name = "ID", conflicts_with_all = ["key", "key_file", "wallet", "token_file", "webhook"])]
    pub(super) key_id: Option<String>,
    /// An Ethereum wallet: a version 3 key file, or the private key in hexadecimal digits; mode 0600.
    #[arg(long, value_name = "FILE", group = "by")]
    pub(super) wallet: Option<PathBuf>,
    /// What the wallet makes.
    #[arg(long, value_name = "FORM", requires = "wallet", conflicts_with_all = NO_WALLET, default_value = "asymmetric", value_parser = wallet_form())]
    pub(super) form: WalletForm,
    /// A file that holds the wallet's password; mode 0600.
    #[arg(long, value_name = "FILE", requires = "wallet", conflicts_with_all = NO_WALLET)]
    pub(super) password_file: Option<PathBuf>,
    /// A file that holds an access token; mode 0600.
    #[arg(long, value_name = "FILE", group = "by")]
    pub(super) token_file: Option<PathBuf>,
    /// The private key that the token is bound to (DPoP), PEM or a JWK; mode 0600.
    #[arg(long, value_name = "FILE", requires = "token_file")]
    pub(super) dpop_key: Option<PathBuf>,
    /// Prove the request as the API at this webhook URL.
    ///
    /// The receiver asks there. The API at that URL answers, from the store that it shares with us: --config
    /// names its configuration. `call` can answer itself: --listen.
    #[arg(long, value_name = "URL", group = "by")]
    pub(super) webhook: Option<String>,
    /// How tokens are hashed for a receiver that has not said what it takes.
    #[arg(long, value_name = "HASH", requires = "webhook", conflicts_with_all = NO_WEBHOOK, value_parser = ["bcrypt", "sha-256"])]
    pub(super) hash: Option<String>,
    /// With a signature send digests of each line that was signed: a receiver of this kind then says where
    /// its request differs.
    #[arg(long, conflicts_with_all = ["bearer", "wallet", "token_file", "webhook"])]
    pub(super) base_digests: bool,
}

#[derive(Debug, Args)]
pub(super) struct SignFlags {
    #[command(flatten)]
    pub(super) proof: ProofFlags,
    /// The scheme of the request's URL, unless its target says it. Default: https; http where Host is
    /// this machine.
    #[arg(long, value_name = "SCHEME", value_parser = ["https", "http"])]
    pub(super) scheme: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct VerifyFlags {
    /// The public key: PEM or a JWK.
    #[arg(long, value_name = "FILE", required_unless_present = "hmac_secret_file")]
    pub(super) public: Option<PathBuf>,
    /// A file whose bytes are the secret of an HMAC-SHA256; mode 0600.
    #[arg(long, value_name = "FILE", conflicts_with = "public")]
    pub(super) hmac_secret_file: Option<PathBuf>,
    /// As if the request had come in then, RFC 3339. Default: now.
    #[arg(long, value_name = "TIME")]
    pub(super) at: Option<String>,
    /// The scheme of the request's URL, unless its target says it. Default: https; http where Host is
    /// this machine.
    #[arg(long, value_name = "SCHEME", value_parser = ["https", "http"])]
    pub(super) scheme: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct DecodeFlags {
    /// The credential. Whoever lists the processes of this machine sees it: standard input does not tell.
    #[arg(value_name = "CREDENTIAL")]
    pub(super) credential: Option<String>,
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
