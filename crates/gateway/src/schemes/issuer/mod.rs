//! Tokens that we issue: our clients' keys, our own, and what we know our nonces by.

pub mod config;
mod oauth;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use countersign::crypto::Algorithm;
use countersign::dpop::Dpop;
use countersign::issuer::clients::{Client, ClientKey, Clients};
use countersign::issuer::keyring::{Keyring, KeyringTerms};
use countersign::issuer::{Issuer, IssuerTerms};
use countersign::schemes::api_key::KeyRegistry;
use countersign::time::SKEW;
use countersign_io::AnyStore;
use countersign_io::secret_file::read_file;

use super::{Making, Mounted, NotReady, Rules};
use crate::endpoint::Endpoint;
use crate::recorder::Recorder;
use config::{ClientConfig, Issuing};

/// A client's file is small.
const MAX_BYTES: usize = 64 * 1024;

/// What issues tokens, while it is enabled.
pub struct Ready {
    enabled: Option<Arc<Issuer<Arc<AnyStore>>>>,
    /// For how long others may keep our keys.
    fresh: Duration,
    recorder: Recorder,
}

impl Ready {
    /// Reads the keys of clients anew each time.
    pub(super) fn new(making: &Making<'_>, _: Option<&Self>) -> Result<Self, NotReady> {
        let config = making.configs.issuer.as_ref();
        let enabled = config.map(|config| issuer(config, making)).transpose()?.map(Arc::new);
        // Whoever keeps a copy of the keys has the next one before anything is signed with it.
        let fresh = config.map_or(Duration::ZERO, |config| config.publish_before / 2);
        let fresh = fresh.min(Duration::from_secs(300));
        Ok(Self { enabled, fresh, recorder: making.shared.recorder.clone() })
    }

    /// The issuer, while it is enabled.
    pub const fn issuer(&self) -> Option<&Arc<Issuer<Arc<AnyStore>>>> {
        self.enabled.as_ref()
    }
}

impl Mounted for Ready {
    fn endpoints(&self, _: &Rules<'_>) -> Vec<Endpoint> {
        let issuer = self.enabled.iter();
        issuer.flat_map(|issuer| oauth::endpoints(issuer, self.fresh, &self.recorder)).collect()
    }
}

fn issuer(config: &Issuing, making: &Making<'_>) -> Result<Issuer<Arc<AnyStore>>, NotReady> {
    let (shared, seal) = (making.shared, &making.shared.seal_key);
    let (store, random) = (shared.store.clone(), shared.random.clone());
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
        public_url: making.public_url.clone(),
        audience: config.audience.clone(),
        access_life: config.access_life,
        refresh_life: config.refresh_life,
        clients: clients(&config.clients, store.clone())?,
        wallets: config.wallets.clone(),
    };
    let secret = seal.derive("issuer");
    Ok(Issuer::new(store, Arc::new(keyring), Arc::new(dpop), random, &secret, terms))
}

fn wrong(why: &dyn std::fmt::Display) -> NotReady {
    NotReady(format!("issuer.clients: {why}"))
}

fn clients(configured: &[ClientConfig], store: Arc<AnyStore>) -> Result<Clients, NotReady> {
    let keys = Arc::new(KeyRegistry::new(store));
    let mut clients = Clients::default();
    for client in configured {
        let added = match client {
            ClientConfig::Registered(id) => clients.add_registered(*id, keys.clone()),
            ClientConfig::Described { id, key_file, scopes } => {
                let keys = key_file.as_deref().map(read).transpose()?.unwrap_or_default();
                let scopes = scopes.clone().map(|scopes| scopes.into_iter().collect());
                clients.add_configured(Client { id: id.clone(), keys, scopes })
            }
        };
        added.map_err(|error| wrong(&error))?;
    }
    Ok(clients)
}

fn read(path: &Path) -> Result<Vec<ClientKey>, NotReady> {
    let bytes = read_file(path, MAX_BYTES).map_err(|why| wrong(&why))?;
    let keys = ClientKey::read(&String::from_utf8_lossy(&bytes));
    keys.map_err(|error| wrong(&format!("{}: {error}", path.display())))
}
