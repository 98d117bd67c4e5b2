//! A store in which a gateway with another sealing key has been at work.

use std::sync::Arc;

use countersign::assertion::Asserter;
use countersign::crypto::{SealKey, Secret, SystemRandom};
use countersign::issuer::keyring::KEYRINGS;
use countersign::store::{Id, Inventory as _, Space};
use countersign::{Clock as _, Store as _};
use countersign_io::{RedbStore, SystemClock};

use crate::Gateway;

/// The keyrings that were in the store.
pub type Keyrings = Vec<(Id, bytes::Bytes)>;

/// Opens the store of a gateway that does not run.
async fn store(gateway: &Gateway) -> Arc<RedbStore> {
    Arc::new(RedbStore::open(&gateway.path("countersign.redb"), Arc::new(SystemClock)).unwrap())
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// Makes of the store one from before it said itself which key is its own.
pub fn forget_check(gateway: &Gateway) {
    wait(async {
        let store = store(gateway).await;
        let space = Space::durable("seal-check");
        for (id, _) in store.list(space, None, 9).await.unwrap() {
            assert!(store.take_if(space, id, None).await.unwrap().is_some());
        }
        store.close().await.unwrap();
    });
}

/// Takes the keyrings out of the store of a gateway that does not run; with `seal`, a key for assertions is made
/// under that; `back` is put in.
pub fn exchange_keyrings(gateway: &Gateway, seal: Option<u8>, back: &Keyrings) -> Keyrings {
    wait(async {
        let store = store(gateway).await;
        let found = store.list(KEYRINGS, None, 9).await.unwrap();
        for (id, _) in &found {
            store.take_if(KEYRINGS, *id, None).await.unwrap();
        }
        if let Some(byte) = seal {
            let seal = SealKey::new(Secret::new([byte; 32]));
            let asserter = Asserter::new(store.clone(), seal, Arc::new(SystemRandom));
            asserter.keys(SystemClock.now()).await.unwrap();
        }
        for (id, value) in back {
            assert!(store.insert(KEYRINGS, *id, value.clone(), None).await.unwrap());
        }
        store.close().await.unwrap();
        found
    })
}
