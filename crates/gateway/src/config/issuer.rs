//! `[issuer]`, parsed.

use std::path::PathBuf;
use std::time::Duration;

use countersign::issuer::Wallets;
use countersign::schemes::api_key::KeyId;
use countersign::schemes::dpop::NoncePolicy;

/// `[issuer]`, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerConfig {
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
