//! Refresh tokens: opaque, kept as a hash, good for one use, and followed by the next of their family. An
//! old one shown again ends the family (RFC 9700 §4.14.2).

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::mac::{MARK, Marks};
use super::subjects::KeyName;
use crate::crypto::{Digest, Random, equal, sha256};
use crate::store::{Id, Space, Store, StoreError};
use crate::time::Timestamp;

/// Where families of refresh tokens are kept.
pub const FAMILIES: Space = Space::durable("refresh-families");
/// How a refresh token begins.
pub const PREFIX: &str = "csr_";

const PURPOSE: &[u8] = b"countersign/refresh-token/1";
const FAMILY: usize = 16;
const SECRET: usize = 32;
const TEXT: usize = FAMILY + SECRET;
/// How many base64url characters a refresh token has behind its prefix.
pub(crate) const CHARACTERS: usize = ((TEXT + MARK) * 4).div_ceil(3);

/// Names a family; its access tokens carry the name in their `jti`, so that they end with it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct FamilyId([u8; FAMILY]);

impl FamilyId {
    pub(super) fn make(random: &dyn Random) -> Self {
        let mut id = [0; FAMILY];
        random.fill(&mut id);
        Self(id)
    }

    /// 22 base64url characters.
    pub(super) fn text(self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut id = [0; FAMILY];
        let length = URL_SAFE_NO_PAD.decode_slice(text, &mut id).ok()?;
        (length == FAMILY).then_some(Self(id))
    }

    fn place(self) -> Id {
        Id::of(&[b"refresh-family/1", &self.0])
    }
}

impl fmt::Debug for FamilyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

/// What a family's tokens stand for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Family {
    /// For whom.
    pub(super) name: KeyName,
    /// To whom.
    pub(super) client_id: String,
    /// The key that the client must prove itself with, if it proves itself with one.
    pub(super) client_key: Option<String>,
    /// The DPoP key that they are bound to.
    pub(super) jkt: Option<String>,
    /// What was granted: a refresh never grants more.
    pub(super) scopes: BTreeSet<String>,
    /// Also an ID token.
    pub(super) openid: bool,
    /// When it began.
    pub(super) begun: Timestamp,
    /// When it ends, however often it is used.
    pub(super) until: Timestamp,
}

/// What is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    family: Family,
    /// SHA-256 of the secret of the one token that is good.
    current: Digest,
    /// When it was ended before its time.
    revoked: Option<Timestamp>,
}

impl Record {
    const VERSION: u8 = 1;

    fn encode(&self) -> Result<Bytes, StoreError> {
        let bytes = postcard::to_extend(self, vec![Self::VERSION]);
        bytes.map(Bytes::from).map_err(|error| StoreError::Corrupt(error.to_string()))
    }

    fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let corrupt = || StoreError::Corrupt(String::from("a refresh family of another version"));
        let [Self::VERSION, rest @ ..] = bytes else { return Err(corrupt()) };
        postcard::from_bytes(rest).map_err(|_| corrupt())
    }
}

impl Record {
    /// Whether the store was put back from a copy since the family began: nobody knows which of its tokens were used.
    fn forgotten<S: Store>(&self, store: &S) -> Option<Timestamp> {
        store.forgets_before().filter(|forgotten| self.family.begun < *forgotten)
    }
}

/// A token of ours that was shown, and what is known of its family.
pub(super) struct Shown {
    pub(super) id: FamilyId,
    bytes: Bytes,
    record: Record,
    is_current: bool,
}

impl Shown {
    pub(super) const fn family(&self) -> &Family {
        &self.record.family
    }

    /// Whether it was good, and has been used.
    pub(super) const fn is_used(&self) -> bool {
        !self.is_current
    }

    pub(super) const fn is_revoked(&self) -> bool {
        self.record.revoked.is_some()
    }
}

/// The families in a store.
pub(super) struct Families<'a, S> {
    pub(super) store: &'a S,
    pub(super) marks: &'a Marks,
    pub(super) random: &'a dyn Random,
}

impl<S: Store> Families<'_, S> {
    /// Begins a family, and makes its first token. Durable when this answers.
    pub(super) async fn begin(&self, id: FamilyId, family: Family) -> Result<String, StoreError> {
        let (token, current) = self.token(id);
        let until = family.until;
        let record = Record { family, current, revoked: None };
        match self.store.insert(FAMILIES, id.place(), record.encode()?, Some(until)).await? {
            true => Ok(token),
            // 128 random bits.
            false => Err(StoreError::Corrupt(String::from("a refresh family is there twice"))),
        }
    }

    /// What is known of a token: nothing, of what we did not make, and nobody is asked about it.
    pub(super) async fn look(&self, token: &str) -> Result<Option<Shown>, StoreError> {
        let Some((id, secret)) = self.read(token) else { return Ok(None) };
        let Some(bytes) = self.store.get(FAMILIES, id.place()).await? else { return Ok(None) };
        let mut record = Record::decode(&bytes)?;
        record.revoked = record.revoked.or(record.forgotten(self.store));
        let is_current = equal(&sha256(&secret), &record.current);
        Ok(Some(Shown { id, bytes, record, is_current }))
    }

    /// Uses a token up and makes the next; `None`: somebody else used it at this moment.
    pub(super) async fn rotate(&self, shown: &Shown) -> Result<Option<String>, StoreError> {
        let (token, current) = self.token(shown.id);
        let until = shown.family().until;
        let next = Record { current, ..shown.record.clone() }.encode()?;
        let old = shown.bytes.clone();
        let won = self.store.replace(FAMILIES, shown.id.place(), old, next, Some(until)).await?;
        Ok(won.then_some(token))
    }

    /// Ends a family, for good; durable when this answers.
    pub(super) async fn revoke(&self, id: FamilyId, now: Timestamp) -> Result<(), StoreError> {
        loop {
            let Some(bytes) = self.store.get(FAMILIES, id.place()).await? else { return Ok(()) };
            let mut record = Record::decode(&bytes)?;
            if record.revoked.is_some() {
                return Ok(());
            }
            record.revoked = Some(now);
            let until = Some(record.family.until);
            if self.store.replace(FAMILIES, id.place(), bytes, record.encode()?, until).await? {
                return Ok(());
            }
        }
    }

    fn token(&self, id: FamilyId) -> (String, Digest) {
        let mut token = [0; TEXT + MARK];
        token[..FAMILY].copy_from_slice(&id.0);
        self.random.fill(&mut token[FAMILY..TEXT]);
        let mark = self.marks.mark(PURPOSE, &token[..TEXT]);
        token[TEXT..].copy_from_slice(&mark);
        (format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(token)), sha256(&token[FAMILY..TEXT]))
    }

    fn read(&self, token: &str) -> Option<(FamilyId, [u8; SECRET])> {
        let mut bytes = [0; TEXT + MARK];
        let length = URL_SAFE_NO_PAD.decode_slice(token.strip_prefix(PREFIX)?, &mut bytes).ok()?;
        let (text, mark) = bytes.split_at(TEXT);
        if length != bytes.len() || !self.marks.is_ours(PURPOSE, text, mark) {
            return None;
        }
        let (id, secret) = text.split_first_chunk::<FAMILY>()?;
        Some((FamilyId(*id), *secret.first_chunk::<SECRET>()?))
    }
}

/// Whether the family `id` was ended. One that is gone ended by itself.
pub(super) async fn is_revoked<S: Store>(store: &S, id: FamilyId) -> Result<bool, StoreError> {
    let bytes = store.get(FAMILIES, id.place()).await?;
    let record = bytes.map(|bytes| Record::decode(&bytes)).transpose()?;
    Ok(record.is_some_and(|record| record.revoked.or(record.forgotten(store)).is_some()))
}

/// How long a family may live.
pub const LONGEST_LIFE: Duration = Duration::from_secs(365 * 86_400);
