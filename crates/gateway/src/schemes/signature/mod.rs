//! Signatures over messages, by keys, wallets and web bots.

pub mod config;

use std::sync::Arc;

use countersign::Scheme;
use countersign::rule::RuleBuilder;
use countersign::schemes::signature::{Directories, RegisteredKeys, SignatureVerifier, WebBots};
use countersign_io::AnyStore;
use countersign_io::egress::GuardedClient;

use super::{Making, Mounted, NotReady, On, api_key};

/// What verifies signatures: the keys in the store, parsed once, and those of web bots, as they were last had.
pub struct Ready(SignatureVerifier<Arc<AnyStore>, Arc<GuardedClient>>);

impl Ready {
    /// Keeps what `before` knows of keys and directories. Uses are noted where those of API keys are.
    pub(super) fn new(
        making: &Making<'_>,
        before: Option<&Self>,
        api_key: &api_key::Ready,
    ) -> Result<Self, NotReady> {
        let (shared, config) = (making.shared, &making.configs.signature);
        let parsed = || {
            let (store, uses) = (shared.store.clone(), api_key.uses().clone());
            Arc::new(RegisteredKeys::new(store, uses, Some(shared.seal_key.clone())))
        };
        let bots = || {
            let before = before.and_then(|Self(before)| before.bots.as_ref());
            let directories = Directories::new(&config.web_bot_auth, before.map(|bots| &*bots.directories));
            WebBots { directories: Arc::new(directories), fetch: making.egress.client.clone() }
        };
        Ok(Self(SignatureVerifier {
            keys: before.map_or_else(parsed, |Self(before)| before.keys.clone()),
            wallets: config.wallets,
            bots: (!config.web_bot_auth.is_empty()).then(bots),
            untagged: false,
            max_signed_body: making.max_signed_body,
        }))
    }
}

impl Mounted for Ready {
    fn verify(&self, rule: RuleBuilder, on: &On<'_>) -> RuleBuilder {
        let mut verifier = self.0.clone();
        // A wallet holds no API key, and is asked for none.
        verifier.wallets &= on.named.contains(Scheme::Signature);
        verifier.untagged = on.options.signature.untagged;
        rule.verifier(verifier)
    }
}
