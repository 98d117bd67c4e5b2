//! From `[bearer]` to what verifies tokens: the listed issuers, and where their keys come from.

pub mod config;

use std::fmt::Display;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use countersign::issuer::Issuer;
use countersign::schemes::bearer::{InProcess, Issuers, KeySet, KeySource};
use countersign::schemes::dpop::Dpop;
use countersign_io::AnyStore;

use crate::runtime::Parts;
use crate::seal::read_secret;

use config::{Config, KeysFrom};

/// A file of keys is small.
const MAX_BYTES: u64 = 256 * 1024;

/// An issuer whose keys cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("bearer.issuer {issuer}: {why}")]
pub struct BearerError {
    issuer: String,
    why: String,
}

/// What verifies tokens on every route.
#[derive(Clone)]
pub struct Bearer {
    /// Whose tokens are taken.
    pub issuers: Arc<Issuers>,
    /// Judges proofs of possession.
    pub dpop: Arc<Dpop>,
}

impl Bearer {
    /// Makes it ready: files are read, nobody is asked. `own` is our own issuer; what `before` had from
    /// other hosts is kept.
    ///
    /// # Errors
    /// [`BearerError`].
    pub fn new(
        config: &Config,
        own: Option<&Arc<Issuer<Arc<AnyStore>>>>,
        parts: &Parts<'_>,
        before: Option<&Self>,
    ) -> Result<Self, BearerError> {
        let mut listed = Vec::new();
        for issuer in &config.issuers {
            let wrong = |why: String| BearerError { issuer: issuer.terms.issuer.clone(), why };
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
                    let own = own.ok_or_else(|| wrong("[issuer] is not enabled".to_owned()))?;
                    KeySource::InProcess(Arc::new(InProcess::new(own.clone(), parts.store.clone())))
                }
            };
            listed.push((issuer.terms.clone(), source));
        }
        let issuers = Issuers::new(listed, before.map(|before| &*before.issuers));
        // The issuer's endpoints take the same nonces.
        let dpop = Dpop::new(&parts.seal_key.derive("dpop-nonce"), config.dpop_nonces);
        Ok(Self { issuers: Arc::new(issuers), dpop: Arc::new(dpop) })
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
