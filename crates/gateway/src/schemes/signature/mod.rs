//! Signatures over messages, by keys, wallets and web bots.

pub mod config;

use std::sync::Arc;

use countersign::Scheme;
use countersign::rule::RuleBuilder;
use countersign::schemes::signature::{Directories, RegisteredKeys, SignatureVerifier, WebBots};
use countersign_io::AnyStore;
use countersign_io::egress::GuardedClient;

use super::{Making, Mounted, NotReady, On, api_key};

/// What verifies signatures on every route.
pub struct Ready {
    /// Parsed once.
    keys: Arc<RegisteredKeys<Arc<AnyStore>>>,
    /// The keys of web bots, as they were last had.
    directories: Arc<Directories>,
    fetch: Arc<GuardedClient>,
    takes_bots: bool,
    takes_wallets: bool,
    max_signed_body: usize,
}

impl Ready {
    /// Keeps what `before` knows of keys and directories. Uses are noted where those of API keys are.
    pub(super) fn new(
        making: &Making<'_>,
        before: Option<&Self>,
        api_key: &api_key::Ready,
    ) -> Result<Self, NotReady> {
        let (shared, config) = (making.shared, &making.config.signature);
        let parsed = || {
            let (store, uses) = (shared.store.clone(), api_key.uses().clone());
            Arc::new(RegisteredKeys::new(store, uses, Some(shared.seal_key.clone())))
        };
        let directories = Directories::new(&config.web_bot_auth, before.map(|before| &*before.directories));
        Ok(Self {
            keys: before.map_or_else(parsed, |before| before.keys.clone()),
            directories: Arc::new(directories),
            fetch: making.egress.client.clone(),
            takes_bots: !config.web_bot_auth.is_empty(),
            takes_wallets: config.wallets,
            max_signed_body: making.config.limits.max_signed_body,
        })
    }
}

impl Mounted for Ready {
    fn verify(&self, rule: RuleBuilder, on: &On<'_>) -> RuleBuilder {
        let bots = || WebBots { directories: self.directories.clone(), fetch: self.fetch.clone() };
        rule.verifier(SignatureVerifier {
            keys: self.keys.clone(),
            // A wallet holds no API key, and is asked for none.
            wallets: self.takes_wallets && on.named.contains(Scheme::Signature),
            bots: self.takes_bots.then(bots),
            untagged: on.options.untagged,
            max_signed_body: self.max_signed_body,
        })
    }
}
