//! Registering keys that somebody else made: public keys and HMAC secrets.

use bytes::Bytes;

use crate::crypto::{KeyError, Random, SealKey, Secret, VerifyingKey};
use crate::store::{Id, Space, Store};
use crate::time::Timestamp;

use super::kind::KeyKind;
use super::record::{KEYS, KeyRecord, KeyTerms};
use super::registry::{KeyRegistry, RegistryError, check_terms};
use crate::principal::KeyId;

/// Under which name a public key is registered, by its thumbprint.
const PRINTS: Space = Space::durable("key-prints");

impl<S: Store> KeyRegistry<S> {
    /// Registers a public key, whose name is then what `keyid` says. It is durable when this answers.
    ///
    /// # Errors
    /// [`RegistryError::AlreadyRegistered`] while the same key has another name that has not lapsed;
    /// [`RegistryError::Terms`] as for API keys.
    pub async fn add_public(
        &self,
        key: &VerifyingKey,
        terms: KeyTerms,
        now: Timestamp,
        random: &dyn Random,
    ) -> Result<KeyRecord, RegistryError> {
        // What has neither is an HMAC secret, and must not be kept in the open.
        let no_public_key = || RegistryError::Terms("an HMAC secret is no public key");
        let kind = KeyKind::public(key).ok_or_else(no_public_key)?;
        let print = key.thumbprint().ok_or_else(no_public_key)?;
        let record = self.add(terms, now, random, |_| Ok(kind.clone())).await?;
        // The record first: so a name in the index is always that of a record, and of two who
        // register the same key at once one finds the other.
        if let Err(error) = self.claim(&print, record.id, now).await {
            self.store.take_if(KEYS, KeyRecord::place(record.id), Some(record.encode()?)).await?;
            return Err(error);
        }
        Ok(record)
    }

    /// Registers the secret of an HMAC-SHA256, 32 to 4096 bytes, sealed under `seal`. It is durable
    /// when this answers.
    ///
    /// # Errors
    /// [`RegistryError::Key`] for another length; [`RegistryError::Terms`] as for API keys.
    pub async fn add_hmac(
        &self,
        secret: &Secret<Vec<u8>>,
        seal: &SealKey,
        terms: KeyTerms,
        now: Timestamp,
        random: &dyn Random,
    ) -> Result<KeyRecord, RegistryError> {
        self.add(terms, now, random, |id| KeyKind::hmac(secret, id, seal, random)).await
    }

    async fn add(
        &self,
        terms: KeyTerms,
        now: Timestamp,
        random: &dyn Random,
        kind: impl Fn(KeyId) -> Result<KeyKind, KeyError>,
    ) -> Result<KeyRecord, RegistryError> {
        check_terms(&terms, now)?;
        loop {
            let id = KeyId::generate(random);
            let record = KeyRecord::registered(id, kind(id)?, terms.clone(), now);
            if self.store.insert(KEYS, KeyRecord::place(id), record.encode()?, None).await? {
                return Ok(record);
            }
        }
    }

    /// Makes `id` the name of the key with this thumbprint, unless another has it that still passes.
    async fn claim(&self, print: &str, id: KeyId, now: Timestamp) -> Result<(), RegistryError> {
        let place = Id::of(&[b"key-print", print.as_bytes()]);
        let name = Bytes::copy_from_slice(id.as_str().as_bytes());
        loop {
            let Some(other) = self.store.get(PRINTS, place).await? else {
                if self.store.insert(PRINTS, place, name.clone(), None).await? {
                    return Ok(());
                }
                continue;
            };
            let holder = std::str::from_utf8(&other).ok().and_then(KeyId::parse);
            if let Some(holder) = holder {
                match self.get(holder).await {
                    Ok(record) if record.lapsed(now).is_none() => {
                        return Err(RegistryError::AlreadyRegistered(holder));
                    }
                    Ok(_) | Err(RegistryError::Unknown(_)) => {}
                    Err(error) => return Err(error),
                }
            }
            if self.store.replace(PRINTS, place, other, name.clone(), None).await? {
                return Ok(());
            }
        }
    }
}
