//! Tokens of issuers: the listed ones, and where their keys come from.

pub mod config;

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use countersign::dpop::Dpop;
use countersign::rule::RuleBuilder;
use countersign::schemes::bearer::{BearerVerifier, InProcess, Issuers, KeySet, KeySource};
use countersign_io::egress::GuardedClient;
use countersign_io::secret_file::{read_file, read_secret};

use super::{Making, Mounted, NotReady, On, issuer};
use config::KeysFrom;

/// A file of keys is small.
const MAX_BYTES: usize = 256 * 1024;

/// What verifies tokens on every route.
pub struct Ready(BearerVerifier<Arc<GuardedClient>>);

impl Ready {
    /// Reads files and asks nobody; what `before` had from other hosts is kept.
    pub(super) fn new(
        making: &Making<'_>,
        before: Option<&Self>,
        ours: &issuer::Ready,
    ) -> Result<Self, NotReady> {
        let (config, shared) = (&making.configs.bearer, making.shared);
        let mut listed = Vec::new();
        for issuer in &config.issuers {
            let wrong = |why: String| NotReady(format!("bearer.issuer {}: {why}", issuer.terms.issuer));
            let source = match &issuer.keys {
                KeysFrom::Discovery => KeySource::Discovered,
                KeysFrom::Url(url) => KeySource::At(url.clone()),
                KeysFrom::File(path) => KeySource::Fixed(Arc::new(key_file(path).map_err(wrong)?)),
                KeysFrom::Secret(path) => {
                    let secret = read_secret(path).map_err(|error| wrong(error.to_string()))?;
                    let keys = KeySet::of_secret(&secret).map_err(|error| wrong(error.to_string()))?;
                    KeySource::Fixed(Arc::new(keys))
                }
                KeysFrom::Ourselves => {
                    let ours = ours.issuer().ok_or_else(|| wrong("[issuer] is not enabled".to_owned()))?;
                    KeySource::InProcess(Arc::new(InProcess::new(ours.clone(), shared.store.clone())))
                }
            };
            listed.push((issuer.terms.clone(), source));
        }
        let issuers = Issuers::new(listed, before.map(|Self(before)| &*before.issuers));
        // The issuer's endpoints take the same nonces.
        let dpop = Dpop::new(&shared.seal_key.derive("dpop-nonce"), config.dpop_nonces);
        Ok(Self(BearerVerifier {
            issuers: Arc::new(issuers),
            dpop: Arc::new(dpop),
            fetch: making.egress.client.clone(),
            longest_token: config.max_token,
        }))
    }
}

impl Mounted for Ready {
    fn verify(&self, rule: RuleBuilder, _: &On<'_>) -> RuleBuilder {
        rule.verifier(self.0.clone())
    }
}

fn key_file(path: &Path) -> Result<KeySet, String> {
    let said = |why: &dyn Display| format!("{}: {why}", path.display());
    let keys = KeySet::read(&read_file(path, MAX_BYTES)?).map_err(|why| said(&why))?;
    match keys.is_empty() {
        true => Err(said(&format!("no key in it verifies tokens{}", keys.left_out()))),
        false => Ok(keys),
    }
}
