//! What every scheme may use, and nothing above it.

use std::sync::Arc;

use countersign::crypto::{Random, SealKey};
use countersign::{Clock, Workers};
use countersign_io::AnyStore;

use crate::life::Life;
use crate::recorder::Recorder;

/// What lives as long as the process, whatever its configuration becomes. Clones share it.
#[derive(Clone)]
pub struct Shared {
    /// Keys and proofs.
    pub store: Arc<AnyStore>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// Hashes where it holds up nobody.
    pub workers: Arc<dyn Workers>,
    /// Seals secrets at rest.
    pub seal_key: SealKey,
    /// Where decisions and changes are written down.
    pub recorder: Recorder,
    /// How the process ends, and what goes on without its caller until then.
    pub life: Life,
}
