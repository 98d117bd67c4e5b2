//! URLs of ours that are credentials: a callback's token is a segment of its path.

pub mod config;
mod endpoint;
mod minting;
mod urls;

use std::sync::Arc;
use std::time::Duration;

use countersign::PublicUrl;
use countersign::issuer::keyring::Keyring;
use countersign::rule::RuleBuilder;
use countersign::schemes::callback_url::{
    CallbackKeys, CallbackLimits, CallbackRoute, CallbackVerifier, keyring_terms,
};
use countersign_io::AnyStore;
use countersign_io::secret_file::read_secret;

use super::{Making, Mounted, NotReady, On, Rules, api_key};
use crate::endpoint::Endpoint;
use config::Config;
pub use minting::{Minting, Refused, Wanted, revealed, shown};
pub use urls::CallbackUrls;

/// What signs and verifies callbacks here.
type Keys = CallbackKeys<Arc<AnyStore>>;

/// What mints callbacks, and verifies them.
pub struct Ready {
    store: Arc<AnyStore>,
    api_key: api_key::Ready,
    keys: Arc<Keys>,
    config: Config,
    public_url: PublicUrl,
    /// How long a use stays reserved.
    lease: Duration,
    minting: Arc<Minting>,
    urls: CallbackUrls,
}

impl Ready {
    /// Keeps the keys of `before` under the same terms.
    pub(super) fn new(
        making: &Making<'_>,
        before: Option<&Self>,
        api_key: &api_key::Ready,
    ) -> Result<Self, NotReady> {
        let Making { configs, shared, public_url, .. } = *making;
        let terms = &configs.callback_url;
        let keys = match before {
            Some(before) if before.config == *terms => before.keys.clone(),
            _ => Arc::new(keys(terms, making)?),
        };
        let minting = Minting::new(making, keys.clone());
        let templates = minting.routes().map(|route| route.template.clone()).collect();
        Ok(Self {
            store: shared.store.clone(),
            api_key: api_key.clone(),
            keys,
            config: terms.clone(),
            public_url: public_url.clone(),
            lease: making.longest_delivery,
            urls: CallbackUrls::new(public_url, templates),
            minting: Arc::new(minting),
        })
    }

    /// Mints them.
    pub const fn minting(&self) -> &Arc<Minting> {
        &self.minting
    }

    /// The URLs of ours that are credentials.
    pub const fn urls(&self) -> &CallbackUrls {
        &self.urls
    }
}

impl Mounted for Ready {
    fn verify(&self, rule: RuleBuilder, on: &On<'_>) -> RuleBuilder {
        let Some(route) = on.path.and_then(|path| CallbackRoute::new(path.clone()).ok()) else { return rule };
        rule.verifier(CallbackVerifier {
            store: self.store.clone(),
            keys: self.keys.clone(),
            public_url: self.public_url.clone(),
            route,
            limits: CallbackLimits {
                max_body: self.config.max_body,
                lease: self.lease,
                strict: on.options.callback_url.strict.unwrap_or(self.config.strict),
            },
        })
    }

    fn endpoints(&self, rules: &Rules<'_>) -> Vec<Endpoint> {
        endpoint::endpoint(&self.minting, &self.api_key, rules).into_iter().collect()
    }
}

/// The keys of callbacks: a keyring in the store, and the secret that an application shares with us.
fn keys(config: &Config, making: &Making<'_>) -> Result<Keys, NotReady> {
    let (shared, terms) = (making.shared, keyring_terms(config.max_ttl));
    let keyring = Keyring::new(shared.store.clone(), shared.seal_key.clone(), shared.random.clone(), terms);
    let keys = CallbackKeys::rotating(keyring);
    let Some(file) = &config.secret_file else { return Ok(keys) };
    let wrong = |error: &dyn std::fmt::Display| NotReady(format!("callback.secret_file: {error}"));
    let secret = read_secret(file).map_err(|error| wrong(&error))?;
    keys.and_shared(&secret).map_err(|error| wrong(&error))
}
