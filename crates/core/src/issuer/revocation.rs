//! Access tokens that were ended before their time. The list is short: an entry goes when its token would
//! have expired.

use bytes::Bytes;

use super::refresh::{self, FamilyId};
use crate::store::{Id, Space, Store, StoreError};
use crate::time::Timestamp;

/// Where it is kept which tokens were revoked.
pub const REVOKED: Space = Space::durable("revoked-tokens");

/// The revoked tokens of our issuer, for whoever verifies them.
pub struct Revocations<S> {
    store: S,
}

impl<S: Store> Revocations<S> {
    /// Those in `store`.
    pub const fn new(store: S) -> Self {
        Self { store }
    }

    /// Whether the access token with this `jti` was revoked, by itself or with the refresh tokens that it was
    /// issued beside.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn is_revoked(&self, jti: &str) -> Result<bool, StoreError> {
        if self.store.get(REVOKED, place(jti)).await?.is_some() {
            return Ok(true);
        }
        match jti.split_once('.').and_then(|(family, _)| FamilyId::parse(family)) {
            None => Ok(false),
            Some(family) => refresh::is_revoked(&self.store, family).await,
        }
    }

    /// Revokes an access token that expires at `until`; durable when this answers.
    pub(super) async fn revoke(&self, jti: &str, until: Timestamp) -> Result<(), StoreError> {
        self.store.insert(REVOKED, place(jti), Bytes::from_static(&[1]), Some(until)).await.map(drop)
    }
}

fn place(jti: &str) -> Id {
    Id::of(&[b"revoked-token/1", jti.as_bytes()])
}
