//! What more than one of the tests needs.

use bytes::Bytes;
use countersign::store::{Id, Space, Spend, Spent, StoreError};
use countersign::{Store, Timestamp};

/// A store that answers nothing.
pub(crate) struct Down;

impl Store for Down {
    async fn get(&self, _: Space, _: Id) -> Result<Option<Bytes>, StoreError> {
        Err(StoreError::Unavailable("down".into()))
    }
    async fn insert(&self, _: Space, _: Id, _: Bytes, _: Option<Timestamp>) -> Result<bool, StoreError> {
        Err(StoreError::Unavailable("down".into()))
    }
    async fn replace(
        &self,
        _: Space,
        _: Id,
        _: Bytes,
        _: Bytes,
        _: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        Err(StoreError::Unavailable("down".into()))
    }
    async fn take_if(&self, _: Space, _: Id, _: Option<Bytes>) -> Result<Option<Bytes>, StoreError> {
        Err(StoreError::Unavailable("down".into()))
    }
    async fn spend(&self, _: Spend) -> Result<Spent, StoreError> {
        Err(StoreError::Unavailable("down".into()))
    }
}
