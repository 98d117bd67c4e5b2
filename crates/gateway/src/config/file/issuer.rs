//! `[issuer]` as it is written.

use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

use super::{Text, Truth};

/// `[issuer]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Issuer {
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
pub struct IssuerClient {
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
    Described(IssuerClient),
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
