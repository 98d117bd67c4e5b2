//! Keys that are sent as themselves, and when keys were used.

pub mod config;

use std::collections::HashMap;
use std::sync::Arc;

use countersign::rule::RuleBuilder;
use countersign::schemes::api_key::{ApiKeyVerifier, KeyRegistry, LastUses};
use countersign::store::StoreError;
use countersign::{KeyId, Timestamp};
use countersign_io::AnyStore;

use super::{Making, Mounted, NotReady, On};

/// How many uses are written at once, so that they share commits.
const USES_AT_ONCE: usize = 64;

/// The keys in the store. Clones share what is known of their use.
#[derive(Clone)]
pub struct Ready {
    store: Arc<AnyStore>,
    uses: Arc<LastUses>,
}

impl Ready {
    /// Keeps when keys were used before, which is not written down yet.
    pub(super) fn new(making: &Making<'_>, before: Option<&Self>) -> Result<Self, NotReady> {
        let uses = before.map_or_else(Arc::default, |before| before.uses.clone());
        Ok(Self { store: making.shared.store.clone(), uses })
    }

    /// The keys in the store.
    pub fn keys(&self) -> KeyRegistry<Arc<AnyStore>> {
        KeyRegistry::new(self.store.clone())
    }

    /// When keys were used.
    pub const fn uses(&self) -> &Arc<LastUses> {
        &self.uses
    }

    /// Writes down when keys were used, so that what is listed is not a minute old.
    ///
    /// # Errors
    /// The store's.
    pub async fn write_uses(&self) -> Result<(), StoreError> {
        let mut parts: [HashMap<KeyId, Timestamp>; USES_AT_ONCE] = std::array::from_fn(|_| HashMap::new());
        for (number, (id, used)) in self.uses.take().into_iter().enumerate() {
            parts[number % USES_AT_ONCE].insert(id, used);
        }
        let mut writing = tokio::task::JoinSet::new();
        for part in parts.into_iter().filter(|part| !part.is_empty()) {
            let keys = self.keys();
            writing.spawn(async move { keys.note_uses(part).await });
        }
        while let Some(written) = writing.join_next().await {
            // A task that panicked has lost its part, and nothing else.
            written.unwrap_or(Ok(()))?;
        }
        Ok(())
    }
}

impl Mounted for Ready {
    fn verify(&self, rule: RuleBuilder, on: &On<'_>) -> RuleBuilder {
        let verifier = ApiKeyVerifier::new(self.store.clone(), self.uses.clone());
        rule.verifier(verifier.also_in_query(on.options.api_key.key_in_query))
    }
}
