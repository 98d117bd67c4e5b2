//! The moment at which tests begin.

use std::sync::Arc;

use crate::time::{ManualClock, Timestamp};

/// When every world begins: 2027-01-15T08:00:00Z.
pub const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// Stands at [`NOW`] until it is told to move.
#[must_use]
pub fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(NOW))
}
