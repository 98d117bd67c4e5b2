//! The issuer in this very process: its keys are read and its revocations known without asking over the network.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use super::key_set::KeySet;
use crate::denial::{Code, Denial};
use crate::issuer::keyring::Keys;
use crate::issuer::{Issuer, Revocations};
use crate::store::{Store, StoreError};
use crate::time::Timestamp;

/// Something that is being had.
pub type OwnFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An issuer in this process.
pub trait OwnIssuer: Send + Sync + 'static {
    /// The keys that its tokens may be signed with at `now`; the same value while they are the same. Writes nothing.
    fn keys(&self, now: Timestamp) -> OwnFuture<'_, Result<Arc<KeySet>, Denial>>;

    /// Whether it revoked the token with this `jti`.
    fn is_revoked<'a>(&'a self, jti: &'a str) -> OwnFuture<'a, Result<bool, StoreError>>;
}

/// Our own [`Issuer`].
pub struct InProcess<S> {
    issuer: Arc<Issuer<S>>,
    revocations: Revocations<S>,
    /// What was read last, and what it was read from.
    last: Mutex<Option<(Arc<Keys>, Arc<KeySet>)>>,
}

impl<S: Store> InProcess<S> {
    /// The keys of `issuer`, whose revocations are in `store`.
    #[must_use]
    pub const fn new(issuer: Arc<Issuer<S>>, store: S) -> Self {
        Self { issuer, revocations: Revocations::new(store), last: Mutex::new(None) }
    }
}

impl<S: Store> OwnIssuer for InProcess<S> {
    fn keys(&self, now: Timestamp) -> OwnFuture<'_, Result<Arc<KeySet>, Denial>> {
        Box::pin(async move {
            let Some(keys) = self.issuer.look(now).await? else { return Ok(Arc::default()) };
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((_, read)) = last.as_ref().filter(|(of, _)| Arc::ptr_eq(of, &keys)) {
                return Ok(read.clone());
            }
            let read = KeySet::read(keys.jwks().to_string().as_bytes());
            let read = Arc::new(read.map_err(|why| Denial::new(Code::KeysUnavailable, why))?);
            *last = Some((keys, read.clone()));
            Ok(read)
        })
    }

    fn is_revoked<'a>(&'a self, jti: &'a str) -> OwnFuture<'a, Result<bool, StoreError>> {
        Box::pin(self.revocations.is_revoked(jti))
    }
}
