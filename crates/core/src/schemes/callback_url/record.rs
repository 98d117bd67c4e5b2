//! What is kept of callbacks: what each opens and until when; of a static token also its hash. Never a token.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::crypto::Digest;
use crate::denial::Code;
use crate::reservation::Use;
use crate::store::{Id, Inventory, Space, Store, StoreError};
use crate::time::Timestamp;

use super::wire::CallbackId;

/// Where what was minted is kept.
pub const CALLBACKS: Space = Space::durable("callbacks");
/// Where uses and revocations are kept.
pub const CALLBACK_USES: Space = Space::durable("callback-uses");
/// How long after its end a callback is remembered: for lists, and because clocks differ.
pub const REMEMBERED: Duration = Duration::from_secs(3600);
/// A page of a listing.
const PAGE: usize = 1000;

/// What a callback opens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallbackTerms {
    /// The application's user: visible ASCII, 1 to 200 bytes.
    pub user: String,
    /// The raw path segment that names the resource. Needed where the route has one, except that a static
    /// token may open them all.
    pub resource: Option<String>,
    /// The methods; none for POST.
    pub methods: Vec<String>,
    /// The longest body, in bytes, where that is less than the receiver's own limit.
    pub max_bytes: Option<u64>,
    /// How often it may be used; none for once. Static tokens are not counted.
    pub uses: Option<u32>,
}

/// What is kept of a callback.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallbackRecord {
    /// Its name.
    pub id: CallbackId,
    /// SHA-256 of a static token; `None` for a JWT, of which nothing is kept.
    pub digest: Option<Digest>,
    /// The template of its route.
    pub route: String,
    /// What it opens.
    pub terms: CallbackTerms,
    /// When it was minted.
    pub created: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
}

/// What a callback can still do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallbackState {
    /// It opens what it opens.
    Active,
    /// It is being used at this moment.
    InUse,
    /// It has been used as often as it may.
    Used,
    /// It was revoked.
    Revoked,
    /// It has ended.
    Expired,
}

impl CallbackState {
    /// In a word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::InUse => "in-use",
            Self::Used => "used",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
        }
    }
}

impl CallbackRecord {
    const VERSION: u8 = 1;

    fn encode(&self) -> Result<Bytes, StoreError> {
        let bytes = postcard::to_extend(self, vec![Self::VERSION]);
        bytes.map(Bytes::from).map_err(|error| StoreError::Corrupt(error.to_string()))
    }

    /// Reads what is kept.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] for another version or broken bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let corrupt = || StoreError::Corrupt("a callback of another version".to_owned());
        match bytes {
            [Self::VERSION, rest @ ..] => postcard::from_bytes(rest).map_err(|_| corrupt()),
            _ => Err(corrupt()),
        }
    }

    /// The use that one request makes of it.
    fn one_use(&self) -> Use {
        use_of(self.id.as_str(), self.terms.uses.unwrap_or(1), self.expires)
    }
}

/// The use of the callback of this name.
pub(super) fn use_of(id: &str, uses: u32, expires: Timestamp) -> Use {
    Use {
        space: CALLBACK_USES,
        id: place_of_use(id),
        name: id.to_owned(),
        uses,
        until: expires.plus(REMEMBERED),
        lease: Duration::ZERO,
        strict: false,
    }
}

fn place_of_use(id: &str) -> Id {
    Id::of(&[b"callback use", id.as_bytes()])
}

fn place(id: &CallbackId) -> Id {
    Id::of(&[b"callback", id.as_str().as_bytes()])
}

/// The callbacks in a store.
#[derive(Clone, Debug)]
pub struct Callbacks<S> {
    store: S,
}

impl<S: Store> Callbacks<S> {
    /// The callbacks in `store`.
    pub const fn new(store: S) -> Self {
        Self { store }
    }

    /// Keeps what was minted; `false` if its name is taken.
    pub(super) async fn keep(&self, record: &CallbackRecord) -> Result<bool, StoreError> {
        let until = record.expires.plus(REMEMBERED);
        self.store.insert(CALLBACKS, place(&record.id), record.encode()?, Some(until)).await
    }

    /// What is kept of the callback of this name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn get(&self, id: &CallbackId) -> Result<Option<CallbackRecord>, StoreError> {
        let bytes = self.store.get(CALLBACKS, place(id)).await?;
        bytes.map(|bytes| CallbackRecord::decode(&bytes)).transpose()
    }

    /// What it can still do at `now`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn state(&self, record: &CallbackRecord, now: Timestamp) -> Result<CallbackState, StoreError> {
        let looked = record.one_use().look(&self.store, now).await;
        Ok(match looked.map_err(|denial| (denial.code(), denial)) {
            Err((Code::CallbackRevoked, _)) => CallbackState::Revoked,
            Err((Code::CallbackConsumed, _)) => CallbackState::Used,
            Err((Code::CallbackInUse, _)) => CallbackState::InUse,
            Err((_, denial)) => return Err(StoreError::Unavailable(denial.cause().to_owned())),
            Ok(()) if record.expires <= now => CallbackState::Expired,
            Ok(()) => CallbackState::Active,
        })
    }

    /// Revokes a callback: from this answer on it opens nothing. `None`: there is none of this name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn revoke(&self, id: &CallbackId) -> Result<Option<CallbackRecord>, StoreError> {
        let Some(record) = self.get(id).await? else { return Ok(None) };
        let until = record.expires.plus(REMEMBERED);
        Use::revoke(&self.store, CALLBACK_USES, place_of_use(id.as_str()), until).await?;
        Ok(Some(record))
    }
}

impl<S: Store + Inventory> Callbacks<S> {
    /// Every callback that is remembered, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list(&self) -> Result<Vec<CallbackRecord>, StoreError> {
        let mut records = Vec::new();
        let mut after: Option<Id> = None;
        loop {
            let page = self.store.list(CALLBACKS, after, PAGE).await?;
            for (_, bytes) in &page {
                records.push(CallbackRecord::decode(bytes)?);
            }
            match page.last() {
                Some((id, _)) if page.len() == PAGE => after = Some(*id),
                _ => break,
            }
        }
        records.sort_by(|one, other| (one.created, &one.id).cmp(&(other.created, &other.id)));
        Ok(records)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SystemRandom;

    fn record() -> CallbackRecord {
        CallbackRecord {
            id: CallbackId::generate(&SystemRandom),
            digest: Some([7; 32]),
            route: "/v1/results/{id}/{token}".into(),
            terms: CallbackTerms {
                user: "u1".into(),
                resource: Some("42".into()),
                ..CallbackTerms::default()
            },
            created: Timestamp::from_secs(1),
            expires: Timestamp::from_secs(2),
        }
    }

    #[test]
    fn a_record_is_read_back_and_another_version_is_refused() {
        let bytes = record().encode().unwrap();
        let read = CallbackRecord::decode(&bytes).unwrap();
        assert_eq!((read.terms, read.route), (record().terms, record().route));
        assert!(CallbackRecord::decode(&bytes[..9]).is_err() && CallbackRecord::decode(&[2]).is_err());
    }

    proptest::proptest! {
        #[test]
        fn whatever_bytes_are_read_they_mean_what_would_be_written(
            place in 0..300_usize,
            byte: u8,
            noise in proptest::collection::vec(proptest::num::u8::ANY, 0..80),
        ) {
            let mut changed = record().encode().unwrap().to_vec();
            let length = changed.len();
            changed[place % length] = byte;
            for bytes in [changed, noise] {
                if let Ok(record) = CallbackRecord::decode(&bytes) {
                    let again = CallbackRecord::decode(&record.encode().unwrap());
                    proptest::prop_assert_eq!(again.unwrap(), record);
                }
            }
        }
    }
}
