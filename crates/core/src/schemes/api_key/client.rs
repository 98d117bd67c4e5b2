//! Registered public keys as the clients of an issuer.

use super::kind::KeyKind;
use super::record::{KEYS, KeyRecord};
use super::registry::KeyRegistry;
use crate::denial::Denial;
use crate::issuer::clients::{Client, ClientKey, FoundClient, RegisteredClients};
use crate::principal::KeyId;
use crate::store::Store;
use crate::time::Timestamp;

impl<S: Store> RegisteredClients for KeyRegistry<S> {
    fn client(&self, id: KeyId, now: Timestamp) -> FoundClient<'_> {
        Box::pin(client(&self.store, id, now))
    }
}

async fn client<S: Store>(store: &S, id: KeyId, now: Timestamp) -> Result<Option<Client>, Denial> {
    let Some(bytes) = store.get(KEYS, KeyRecord::place(id)).await? else { return Ok(None) };
    let record = KeyRecord::decode(&bytes)?;
    if record.lapsed(now).is_some() || !matches!(record.kind, KeyKind::Public { .. }) {
        return Ok(None);
    }
    let key = ClientKey::of(record.verifying_key(None)?).ok();
    let scopes = Some(record.terms.permissions.into_iter().collect());
    Ok(Some(Client { id: id.as_str().to_owned(), keys: key.into_iter().collect(), scopes }))
}
