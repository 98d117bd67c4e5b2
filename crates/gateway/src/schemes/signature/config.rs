//! The settings of signature: whose signatures count besides those of registered keys.

use countersign::PublicUrl;
use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

use crate::settings::{Text, Truth};

/// `[signature]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Section {
    /// Also take signatures by Ethereum wallets (ERC-8128). Anybody can make one: routes then say `require` or `anyone`.
    #[schemars(with = "Option<bool>")]
    pub wallets: Option<Truth>,
    /// Also take signatures by these web bots (Web Bot Auth), `["https://agent.example"]`: they publish their keys. Default: none.
    #[schemars(with = "Option<Vec<String>>")]
    pub web_bot_auth: Option<Spanned<Vec<Text>>>,
}

/// `[signature]`, parsed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Also take signatures by wallets.
    pub wallets: bool,
    /// Also take signatures by these web bots.
    pub web_bot_auth: Vec<PublicUrl>,
}
