//! The settings of sessions.

use countersign_tower::SessionSettings;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::settings::{Text, Truth};

/// `[session]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Section {
    /// Serve `/auth/*`: sign-in, handshakes, sign-out. Default: false.
    #[schemars(with = "Option<bool>")]
    pub enabled: Option<Truth>,
    /// Let anybody sign up by themselves at `/auth/signup`; routes that accept session then say `require` or `anyone`. Default: false.
    #[schemars(with = "Option<bool>")]
    pub signup: Option<Truth>,
    /// Which requests need a handshake: `always`, `unsafe-methods` or `never`. A route may ask for more. Default: unsafe-methods.
    #[schemars(with = "Option<String>")]
    pub handshake: Option<Text>,
    /// Only sessions that are bound to a key of their browser begin and pass. Default: false.
    #[schemars(with = "Option<bool>")]
    pub key_bound: Option<Truth>,
    /// How long a session lives unused, at least 2m. Default: 24h.
    #[schemars(with = "Option<String>")]
    pub idle: Option<Text>,
    /// How long a session lives at all. Default: 30d.
    #[schemars(with = "Option<String>")]
    pub absolute: Option<Text>,
    /// Whether the DPoP proofs of bound sessions need a nonce of ours: `accepted` or `required`. Default: accepted.
    #[schemars(with = "Option<String>")]
    pub dpop_nonces: Option<Text>,
}

/// `[session]`, parsed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Whether `/auth/*` is served.
    pub enabled: bool,
    /// How people sign in, and how strong the proofs of their sessions are.
    pub settings: SessionSettings,
}

impl Config {
    /// Whether anybody can become somebody.
    #[must_use]
    pub const fn takes_anybody(&self) -> bool {
        self.enabled && self.settings.signup
    }
}
