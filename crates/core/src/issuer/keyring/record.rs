//! A keyring as it is stored.

use serde::{Deserialize, Serialize};

use crate::store::StoreError;
use crate::time::Timestamp;

/// The version of the stored form.
const VERSION: u8 = 1;

/// All keys of one purpose, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) entries: Vec<Entry>,
}

/// One key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) kid: String,
    /// As `VerifyingKey::encode` writes it.
    pub(super) public: Vec<u8>,
    /// The private half, sealed under the keyring's purpose and this `kid`.
    pub(super) sealed: Vec<u8>,
    pub(super) active_from: Timestamp,
}

impl Record {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        // Text, bytes and numbers always serialise; should they ever not, nobody can read the entry.
        bytes.extend(postcard::to_stdvec(self).unwrap_or_default());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let corrupt = || StoreError::Corrupt("a keyring of another version".to_owned());
        match bytes {
            [VERSION, rest @ ..] => postcard::from_bytes(rest).map_err(|_| corrupt()),
            _ => Err(corrupt()),
        }
    }
}
