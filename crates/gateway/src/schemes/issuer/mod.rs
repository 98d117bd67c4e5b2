//! From `[issuer]` to an issuer: its clients' keys, its own, and what it knows its nonces by.

pub mod config;
pub(crate) mod oauth;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use countersign::crypto::Algorithm;
use countersign::issuer::clients::{Client, ClientKey, Clients};
use countersign::issuer::keyring::{Keyring, KeyringTerms};
use countersign::issuer::{Issuer, IssuerTerms};
use countersign::schemes::dpop::Dpop;
use countersign::time::SKEW;
use countersign_io::AnyStore;

use crate::runtime::Parts;

use config::{ClientConfig, Config};

/// A client's file is small.
const MAX_BYTES: u64 = 64 * 1024;

/// Why there is no issuer: which client, and what is wrong with it.
#[derive(Debug, thiserror::Error)]
#[error("issuer.clients: {0}")]
pub struct IssuerError(String);

/// The issuer that `config` describes. Clients' keys are read anew each time.
///
/// # Errors
/// [`IssuerError`].
pub fn issuer(
    config: &Config,
    public_url: &countersign::PublicUrl,
    parts: &Parts<'_>,
) -> Result<Issuer<Arc<AnyStore>>, IssuerError> {
    let (store, random, seal) = (parts.store.clone(), parts.random.clone(), parts.seal_key);
    let terms = KeyringTerms {
        purpose: "issuer",
        algorithm: Algorithm::EcdsaP256Sha256,
        rotate_every: config.rotate_every,
        publish_before: config.publish_before,
        // Whoever verifies allows for skew, and may have read the keys a while ago.
        retain: config.access_life + 2 * SKEW + Duration::from_secs(60),
    };
    let keyring = Keyring::new(store.clone(), seal.clone(), random.clone(), terms);
    let dpop = Dpop::new(&seal.derive("dpop-nonce"), config.dpop_nonces);
    let terms = IssuerTerms {
        public_url: public_url.clone(),
        audience: config.audience.clone(),
        access_life: config.access_life,
        refresh_life: config.refresh_life,
        clients: clients(&config.clients)?,
        wallets: config.wallets.clone(),
    };
    let secret = seal.derive("issuer");
    Ok(Issuer::new(store, Arc::new(keyring), Arc::new(dpop), random, &secret, terms))
}

fn clients(configured: &[ClientConfig]) -> Result<Clients, IssuerError> {
    let mut clients = Clients::default();
    for client in configured {
        let added = match client {
            ClientConfig::Registered(id) => clients.add_registered(*id),
            ClientConfig::Described { id, key_file, scopes } => {
                let keys = key_file.as_deref().map(read).transpose()?.unwrap_or_default();
                let scopes = scopes.clone().map(|scopes| scopes.into_iter().collect());
                clients.add_configured(Client { id: id.clone(), keys, scopes })
            }
        };
        added.map_err(|error| IssuerError(error.to_string()))?;
    }
    Ok(clients)
}

fn read(path: &Path) -> Result<Vec<ClientKey>, IssuerError> {
    use std::io::Read as _;
    let said = |why: &dyn std::fmt::Display| IssuerError(format!("{}: {why}", path.display()));
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|error| said(&error))?;
    file.take(MAX_BYTES).read_to_string(&mut text).map_err(|error| said(&error))?;
    ClientKey::read(&text).map_err(|error| said(&error))
}
