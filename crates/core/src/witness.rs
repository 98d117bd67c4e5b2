//! What the gate needs of whatever it stands in: somebody to tell, and somewhere to work. It logs nothing itself, and
//! starts no task.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::decision::Decision;
use crate::reservation::Delivery;
use crate::store::StoreError;

/// Something that is waited for, or worked on.
pub type Work<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Is told what the gate decides, and what came of it.
pub trait Witness: Send + Sync {
    /// A request may pass or may not. What is returned is waited for before anything else becomes of it; `None`:
    /// there is nothing to wait for.
    fn decided<'a>(&'a self, _decision: &'a Arc<Decision>) -> Option<Work<'a>> {
        None
    }

    /// A permit that was reserved has been delivered or not, and that was written down or not. What could not be
    /// written down stays reserved until its time is over, and then opens for the same body alone.
    fn settled(&self, _decision: &Arc<Decision>, _delivery: Delivery, _settled: Result<(), StoreError>) {}
}

/// Nobody is told.
impl Witness for () {}

/// Starts work that goes on whoever leaves.
pub trait Spawn: Send + Sync {
    /// Starts `work`.
    fn spawn(&self, work: Work<'static>);
}
