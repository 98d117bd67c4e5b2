//! Whether the file can be used at this moment: asked before anything else, so that nobody waits for one that cannot.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use countersign::store::StoreError;

/// What is wrong with the file, while something is.
#[derive(Default)]
pub(super) struct Trouble {
    is_there: AtomicBool,
    why: Mutex<String>,
}

impl Trouble {
    pub(super) fn is_there(&self) -> bool {
        self.is_there.load(Ordering::Acquire)
    }

    /// # Errors
    /// What is wrong, if something is.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        if !self.is_there() {
            return Ok(());
        }
        Err(StoreError::Unavailable(self.why.lock().unwrap_or_else(PoisonError::into_inner).clone()))
    }

    /// Something is wrong from here on. It is said in the log once.
    pub(super) fn begin(&self, path: &Path, why: &str) {
        let file = path.display();
        let mut told = self.why.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_there() {
            return;
        }
        *told = format!("{file}: {why}");
        self.is_there.store(true, Ordering::Release);
        tracing::error!(%file, why, "the store is not available: whoever needs it gets 503 until it is");
    }

    /// It still is, for this reason.
    pub(super) fn goes_on(&self, why: String) {
        *self.why.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    /// It is over.
    pub(super) fn end(&self, path: &Path) {
        self.is_there.store(false, Ordering::Release);
        tracing::info!(file = %path.display(), "the store is available again");
    }
}
