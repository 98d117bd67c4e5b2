//! The flags of `call` and `sign` that say how a request is proven.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use countersign_io::key_file::WalletForm;

// What `requires` asks for, clap forgives where it is excluded by another flag: so that is said as well.
pub(super) const NO_WALLET: [&str; 5] = ["key", "key_file", "private_key", "hmac_secret_file", "webhook"];
pub(super) const NO_WEBHOOK: [&str; 5] = ["key", "key_file", "private_key", "hmac_secret_file", "wallet"];

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
pub(crate) struct ProofFlags {
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
