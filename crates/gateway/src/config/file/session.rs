//! `[session]` and `[cors]` as they are written.

use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

use super::{Text, Truth};

/// `[session]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Session {
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

/// `[cors]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Cors {
    /// The origins of other sites whose pages may call every route, `["https://app.example"]`. Default: none.
    #[schemars(with = "Option<Vec<String>>")]
    pub origins: Option<Spanned<Vec<Text>>>,
}
