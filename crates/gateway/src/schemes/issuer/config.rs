//! The settings of the issuer: who may ask for tokens, and how long those live.

use std::path::PathBuf;
use std::time::Duration;

use countersign::KeyId;
use countersign::dpop::NoncePolicy;
use countersign::issuer::Wallets;
use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

use crate::settings::{Text, Truth};

/// `[issuer]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Section {
    /// Serve /oauth/* and the discovery documents. Default: false.
    #[schemars(with = "Option<bool>")]
    pub enabled: Option<Truth>,
    /// What access tokens are for: their `aud`. Default: public_url.
    #[schemars(with = "Option<String>")]
    pub audience: Option<Text>,
    /// Who may ask for tokens: ids of registered public keys (`key add --public`), or tables. Default: nobody.
    #[schemars(with = "Vec<ClientEntry>")]
    pub clients: Vec<Spanned<toml::Value>>,
    /// Which wallets may sign in (EIP-4361): addresses, or `"any"` for whoever makes one. Default: none.
    #[schemars(with = "Option<WalletEntries>")]
    pub wallets: Option<Spanned<toml::Value>>,
    /// How long access and ID tokens live, 10s to 1h. Default: 5m.
    #[schemars(with = "Option<String>")]
    pub access_ttl: Option<Text>,
    /// How long refresh tokens may follow each other, 1m to 365d. Default: 30d.
    #[schemars(with = "Option<String>")]
    pub refresh_ttl: Option<Text>,
    /// How long a signing key signs, 1h to 365d. Default: 30d.
    #[schemars(with = "Option<String>")]
    pub rotate_every: Option<Text>,
    /// How long before that it is among the public keys, 10s to 7d. Default: 1h.
    #[schemars(with = "Option<String>")]
    pub publish_before: Option<Text>,
    /// `accepted`, or `required`: then every DPoP proof here has a nonce of ours. Default: accepted.
    #[schemars(with = "Option<String>")]
    pub dpop_nonces: Option<Text>,
}

/// A client that the file describes: `{ id = "shop", public_key_file = "shop.pem" }`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientSection {
    /// What it calls itself.
    pub id: String,
    /// Its public key: PEM or a JWK.
    pub public_key_file: Option<String>,
    /// Its public keys, as a JWK set.
    pub jwks_file: Option<String>,
    /// What it may ask for. Default: what `subject set` grants.
    pub scopes: Option<Vec<String>>,
}

/// What stands in `clients`.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it describes what the file may say, for `config schema`")]
enum ClientEntry {
    /// The id of a registered public key.
    Registered(String),
    /// A client that is described here.
    Described(ClientSection),
}

/// What stands in `wallets`.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it describes what the file may say, for `config schema`")]
enum WalletEntries {
    /// `any`
    Any(String),
    /// Addresses, `0x` and 40 hexadecimal digits.
    Listed(Vec<String>),
}

/// `[issuer]`, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// What access tokens are for.
    pub audience: String,
    /// Who may ask.
    pub clients: Vec<ClientConfig>,
    /// Which wallets may sign in.
    pub wallets: Wallets,
    /// How long access and ID tokens live.
    pub access_life: Duration,
    /// How long a family of refresh tokens lives.
    pub refresh_life: Duration,
    /// How long a signing key signs.
    pub rotate_every: Duration,
    /// How long before that it is published.
    pub publish_before: Duration,
    /// Whether DPoP proofs need a nonce.
    pub dpop_nonces: NoncePolicy,
}

/// A client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientConfig {
    /// A registered public key.
    Registered(KeyId),
    /// One that the configuration describes.
    Described {
        /// What it calls itself.
        id: String,
        /// Where its public keys are; `None`: it has none, and only wallets sign in by it.
        key_file: Option<PathBuf>,
        /// What it may ask for.
        scopes: Option<Vec<String>>,
    },
}
