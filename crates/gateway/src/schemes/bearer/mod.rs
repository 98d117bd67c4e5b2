//! Tokens of issuers: the listed ones, and where their keys come from.

pub mod config;

use std::fmt::Display;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use countersign::rule::RuleBuilder;
use countersign::schemes::bearer::{BearerVerifier, InProcess, Issuers, KeySet, KeySource};
use countersign::dpop::Dpop;
use countersign_io::egress::GuardedClient;

use super::{Making, Mounted, NotReady, On, issuer};
use crate::seal::read_secret;
use config::KeysFrom;

/// A file of keys is small.
const MAX_BYTES: u64 = 256 * 1024;

/// What verifies tokens on every route.
pub struct Ready {
    /// Whose tokens are taken.
    issuers: Arc<Issuers>,
    /// Judges proofs of possession.
    dpop: Arc<Dpop>,
    fetch: Arc<GuardedClient>,
    longest_token: usize,
}

impl Ready {
    /// Reads files and asks nobody; what `before` had from other hosts is kept.
    pub(super) fn new(
        making: &Making<'_>,
        before: Option<&Self>,
        ours: &issuer::Ready,
    ) -> Result<Self, NotReady> {
        let Making { config, shared, egress } = making;
        let mut listed = Vec::new();
        for issuer in &config.bearer.issuers {
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
        let issuers = Issuers::new(listed, before.map(|before| &*before.issuers));
        // The issuer's endpoints take the same nonces.
        let dpop = Dpop::new(&shared.seal_key.derive("dpop-nonce"), config.bearer.dpop_nonces);
        Ok(Self {
            issuers: Arc::new(issuers),
            dpop: Arc::new(dpop),
            fetch: egress.client.clone(),
            longest_token: config.bearer.max_token,
        })
    }
}

impl Mounted for Ready {
    fn verify(&self, rule: RuleBuilder, _: &On<'_>) -> RuleBuilder {
        rule.verifier(BearerVerifier {
            issuers: self.issuers.clone(),
            dpop: self.dpop.clone(),
            fetch: self.fetch.clone(),
            longest_token: self.longest_token,
        })
    }
}

fn key_file(path: &Path) -> Result<KeySet, String> {
    let said = |why: &dyn Display| format!("{}: {why}", path.display());
    let mut json = Vec::new();
    let file = File::open(path).map_err(|error| said(&error))?;
    file.take(MAX_BYTES + 1).read_to_end(&mut json).map_err(|error| said(&error))?;
    if json.len() as u64 > MAX_BYTES {
        return Err(said(&"it is larger than 256 KiB"));
    }
    let keys = KeySet::read(&json).map_err(|why| said(&why))?;
    match keys.is_empty() {
        true => Err(said(&format!("no key in it verifies tokens{}", keys.left_out()))),
        false => Ok(keys),
    }
}
