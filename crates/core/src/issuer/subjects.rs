//! What the operator keeps of a subject: claims that go into its tokens, and what it may ask for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::crypto::ethereum::Address;
use crate::principal::Subject;
use crate::store::{Id, Inventory, Space, Store, StoreError};

/// Where it is kept what the operator says of subjects.
pub const SUBJECTS: Space = Space::durable("subjects");
/// The claims of one subject, as JSON, in bytes: they travel with every request.
const LARGEST: usize = 2048;

/// The names that tokens use themselves (RFC 7519 §4.1, RFC 9068 §2.2, RFC 7800 §3.1, OpenID Connect).
const RESERVED: [&str; 20] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "client_id",
    "scope",
    "cnf",
    "typ",
    "nonce",
    "azp",
    "acr",
    "amr",
    "auth_time",
    "at_hash",
    "c_hash",
    "sid",
    "act",
];

/// A key's own name: what `sub` says in our tokens.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum KeyName {
    /// An Ethereum account.
    Address([u8; 20]),
    /// An RFC 7638 thumbprint, 43 base64url characters.
    Thumbprint(String),
}

/// What is no name of a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a subject is eip155: and an address, or jkt: and the 43 characters of a key's thumbprint; either may be written bare"
)]
pub struct KeyNameError;

impl KeyName {
    /// Reads `eip155:0x…`, `jkt:…`, or either without what is before the colon.
    ///
    /// # Errors
    /// [`KeyNameError`]; also for an address whose checksum is wrong.
    pub fn parse(text: &str) -> Result<Self, KeyNameError> {
        if let Some(address) = text.strip_prefix("eip155:").or_else(|| text.starts_with("0x").then_some(text))
        {
            let address = Address::parse(address).map_err(|_| KeyNameError)?;
            return Ok(Self::Address(*address.as_bytes()));
        }
        let print = text.strip_prefix("jkt:").unwrap_or(text);
        if !is_thumbprint(print) {
            return Err(KeyNameError);
        }
        Ok(Self::Thumbprint(print.to_owned()))
    }

    /// Its name as `sub` in a token: bare.
    #[must_use]
    pub fn sub(&self) -> String {
        match self {
            Self::Address(bytes) => Address::from_bytes(*bytes).to_string(),
            Self::Thumbprint(print) => print.clone(),
        }
    }

    /// Its name as a subject: with its authority.
    #[must_use]
    pub fn subject(&self) -> Subject {
        match self {
            Self::Address(bytes) => Subject::Ethereum(Address::from_bytes(*bytes)),
            Self::Thumbprint(print) => Subject::Thumbprint(print.as_str().into()),
        }
    }

    fn place(&self) -> Id {
        Id::of(&[b"subject", self.to_string().as_bytes()])
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.subject().fmt(f)
    }
}

/// Whether `text` could be the RFC 7638 thumbprint of a key, by SHA-256.
pub(super) fn is_thumbprint(text: &str) -> bool {
    text.len() == 43 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// What is kept of a subject.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SubjectRecord {
    /// What its tokens say of it.
    pub claims: BTreeMap<String, Value>,
    /// What it may ask for.
    pub permissions: BTreeSet<String>,
}

/// The record as it is kept: JSON of claims is text, since postcard cannot hold what describes itself.
#[derive(Serialize, Deserialize)]
struct Kept {
    name: KeyName,
    claims: String,
    permissions: BTreeSet<String>,
}

/// A change of what is kept of a subject.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SubjectChange {
    /// Claims to set; `None` removes.
    pub claims: BTreeMap<String, Option<Value>>,
    /// Permissions to grant.
    pub grant: BTreeSet<String>,
    /// Permissions to withdraw.
    pub withdraw: BTreeSet<String>,
}

/// Why a subject was not changed.
#[derive(Debug, thiserror::Error)]
pub enum SubjectError {
    /// A name that tokens use themselves.
    #[error("`{0}` is a name that tokens use themselves")]
    Reserved(String),
    /// A claim's name, or a permission, that cannot be.
    #[error("`{0}` cannot be: a name has 1 to 64 visible ASCII characters, without quotes and backslashes")]
    Name(String),
    /// Too much for a token.
    #[error("the claims have {0} bytes; a token carries 2048")]
    TooLarge(usize),
    /// The store gave no answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SubjectRecord {
    const VERSION: u8 = 1;

    fn changed(mut self, change: &SubjectChange) -> Result<Self, SubjectError> {
        let names = change.claims.keys().chain(&change.grant);
        if let Some(name) = names.into_iter().find(|name| !is_name(name)) {
            return Err(SubjectError::Name(name.clone()));
        }
        for (name, value) in &change.claims {
            if RESERVED.contains(&name.as_str()) {
                return Err(SubjectError::Reserved(name.clone()));
            }
            match value {
                Some(value) => self.claims.insert(name.clone(), value.clone()),
                None => self.claims.remove(name),
            };
        }
        self.permissions.extend(change.grant.iter().cloned());
        self.permissions.retain(|name| !change.withdraw.contains(name));
        let size = serde_json::to_vec(&self.claims).map_or(0, |json| json.len())
            + self.permissions.iter().map(String::len).sum::<usize>();
        if size > LARGEST {
            return Err(SubjectError::TooLarge(size));
        }
        Ok(self)
    }

    fn encode(&self, name: &KeyName) -> Result<Bytes, StoreError> {
        let corrupt = |error: &dyn fmt::Display| StoreError::Corrupt(error.to_string());
        let claims = serde_json::to_string(&self.claims).map_err(|error| corrupt(&error))?;
        let kept = Kept { name: name.clone(), claims, permissions: self.permissions.clone() };
        let bytes = postcard::to_extend(&kept, vec![Self::VERSION]);
        bytes.map(Bytes::from).map_err(|error| corrupt(&error))
    }

    fn decode(bytes: &[u8]) -> Result<(KeyName, Self), StoreError> {
        let corrupt = || StoreError::Corrupt(String::from("a subject's record of another version"));
        let [Self::VERSION, rest @ ..] = bytes else { return Err(corrupt()) };
        let kept: Kept = postcard::from_bytes(rest).map_err(|_| corrupt())?;
        let claims = serde_json::from_str(&kept.claims).map_err(|_| corrupt())?;
        Ok((kept.name, Self { claims, permissions: kept.permissions }))
    }
}

/// Visible ASCII that a scope may consist of (RFC 6749 §3.3).
pub(super) fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
}

/// The subjects in a store.
pub struct Subjects<S> {
    store: S,
}

impl<S: Store> Subjects<S> {
    /// The subjects in `store`.
    pub const fn new(store: S) -> Self {
        Self { store }
    }

    /// What is kept of `name`: nothing, of most.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn get(&self, name: &KeyName) -> Result<SubjectRecord, StoreError> {
        let bytes = self.store.get(SUBJECTS, name.place()).await?;
        bytes.map_or_else(|| Ok(SubjectRecord::default()), |bytes| Ok(SubjectRecord::decode(&bytes)?.1))
    }

    /// Changes what is kept, and says what it is now. It is durable when this answers; tokens that were issued
    /// before say what they said.
    ///
    /// # Errors
    /// [`SubjectError`]; then nothing was changed.
    pub async fn change(
        &self,
        name: &KeyName,
        change: &SubjectChange,
    ) -> Result<SubjectRecord, SubjectError> {
        loop {
            let stored = self.store.get(SUBJECTS, name.place()).await?;
            let before = stored.as_deref().map(SubjectRecord::decode).transpose()?;
            let after = before.map(|(_, record)| record).unwrap_or_default().changed(change)?;
            let written = after.encode(name)?;
            let won = match stored {
                None => self.store.insert(SUBJECTS, name.place(), written, None).await?,
                Some(stored) => self.store.replace(SUBJECTS, name.place(), stored, written, None).await?,
            };
            if won {
                return Ok(after);
            }
        }
    }
}

impl<S: Store + Inventory> Subjects<S> {
    /// Every subject of which something is kept.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list(&self) -> Result<Vec<(KeyName, SubjectRecord)>, StoreError> {
        const PAGE: usize = 1000;
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = self.store.list(SUBJECTS, after, PAGE).await?;
            for (_, bytes) in &page {
                all.push(SubjectRecord::decode(bytes)?);
            }
            match page.last() {
                Some((id, _)) if page.len() == PAGE => after = Some(*id),
                _ => break,
            }
        }
        all.sort_by(|(left, _), (right, _)| left.cmp(right));
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_name_in_two_spellings_and_nothing_else_is_one() {
        let print = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
        let address = "0x2c7536e3605d9c16a7a3d7b1898e529396a65c23";
        for (bare, prefix) in [(print, "jkt:"), (address, "eip155:")] {
            let name = KeyName::parse(bare).unwrap();
            assert_eq!(KeyName::parse(&format!("{prefix}{bare}")), Ok(name.clone()));
            assert_eq!(name.sub(), bare);
        }
        let shorter = &print[1..];
        for wrong in
            ["", "alice", "jkt:", shorter, &format!("{print}A"), &format!("{shorter}="), &address[..41]]
        {
            assert_eq!(KeyName::parse(wrong), Err(KeyNameError), "{wrong}");
        }
        assert_eq!(KeyName::parse(&format!("eip155:{print}")), Err(KeyNameError));
    }
}
