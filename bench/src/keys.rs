//! Stores full of keys, made before a gateway opens them.

use std::path::Path;
use std::sync::Arc;

use countersign::crypto::SystemRandom;
use countersign::schemes::api_key::{KeyRegistry, KeyTerms};
use countersign::{Clock, Timestamp};
use countersign_io::{AnyStore, StoreUrl, SystemClock};

use crate::Failure;

/// What every key may do.
pub(crate) const PERMISSION: &str = "orders:read";

/// How many keys are made at once, so that their commits are gathered.
const AT_ONCE: usize = 512;

/// Makes a store at `path` with `count` keys, and returns them as they are sent.
pub(crate) fn make(path: &Path, count: usize) -> Result<Vec<String>, Failure> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store = Arc::new(AnyStore::open(&StoreUrl::Redb(path.to_owned()), clock.clone()).await?);
        let registry = Arc::new(KeyRegistry::new(store.clone()));
        let now = clock.now();
        let tasks: Vec<_> = (0..AT_ONCE.min(count))
            .map(|first| tokio::spawn(make_some(registry.clone(), (first..count).step_by(AT_ONCE), now)))
            .collect();
        let mut keys = Vec::with_capacity(count);
        for task in tasks {
            keys.extend(task.await?.map_err(|error| format!("no key was made: {error}"))?);
        }
        store.close().await?;
        Ok(keys)
    })
}

async fn make_some(
    registry: Arc<KeyRegistry<Arc<AnyStore>>>,
    numbers: impl Iterator<Item = usize>,
    now: Timestamp,
) -> Result<Vec<String>, countersign::schemes::api_key::RegistryError> {
    let mut keys = Vec::new();
    for number in numbers {
        let terms = KeyTerms {
            label: format!("bench {number}"),
            permissions: vec![PERMISSION.into()],
            ..KeyTerms::default()
        };
        let (key, _) = registry.create(terms, now, &SystemRandom).await?;
        keys.push(key.reveal().expose().clone());
    }
    Ok(keys)
}
