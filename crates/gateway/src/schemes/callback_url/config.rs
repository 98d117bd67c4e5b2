//! The settings of callback URLs.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::settings::{Text, Truth};

/// `[callback]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Section {
    /// The longest body that a callback URL may bring. Default: 1MiB.
    #[schemars(with = "Option<String>")]
    pub max_body: Option<Text>,
    /// The longest life of a callback URL; whoever asks for more is refused. Default: 24h.
    #[schemars(with = "Option<String>")]
    pub max_ttl: Option<Text>,
    /// A use is consumed before it is forwarded: one delivery at most, even if it gets lost. Default: false.
    #[schemars(with = "Option<bool>")]
    pub strict: Option<Truth>,
    /// A file whose bytes are the secret with which an application makes tokens itself (HS256); mode 0600. Default: none.
    #[schemars(with = "Option<String>")]
    pub secret_file: Option<Text>,
}

/// `[callback]`, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The longest body, in bytes.
    pub max_body: usize,
    /// The longest life.
    pub max_ttl: Duration,
    /// A use is consumed before it is forwarded.
    pub strict: bool,
    /// The secret with which an application makes tokens itself.
    pub secret_file: Option<PathBuf>,
}
