//! Where it is written down what was decided: counted, kept for `explain`, in the audit log.

use std::sync::Arc;
use std::time::Instant;

use countersign::store::StoreError;
use countersign::witness::Work;
use countersign::{Decision, Delivery, Outcome, Witness};

use crate::audit::Audit;
use crate::decisions::Decisions;
use crate::metrics::{Metrics, RouteMetrics};

/// Writes decisions down. Clones write to the same places.
#[derive(Clone)]
pub struct Recorder {
    /// What Prometheus scrapes.
    pub metrics: Arc<Metrics>,
    /// The last decisions.
    pub decisions: Arc<Decisions>,
    /// The audit log.
    pub audit: Arc<Audit>,
}

impl Recorder {
    /// Begins to write to an audit log.
    pub fn new(audit: Audit) -> Self {
        Self { metrics: Arc::default(), decisions: Arc::default(), audit: Arc::new(audit) }
    }

    /// Who is told of a request that came in at `began`; `route`: it was met.
    #[must_use]
    pub const fn told<'a>(&'a self, route: Option<&'a RouteMetrics>, began: Instant) -> Told<'a> {
        Told { recorder: self, route, began }
    }
}

/// What becomes of a delivery is counted.
impl Witness for Recorder {
    fn settled(&self, decision: &Arc<Decision>, delivery: Delivery, settled: Result<(), StoreError>) {
        if let Err(error) = &settled {
            tracing::error!(decision = %decision.id, ?delivery, %error, "a delivery was not settled");
        }
        self.metrics.delivery(delivery, settled.is_ok());
    }
}

/// Writes down what is decided of one request.
pub struct Told<'a> {
    recorder: &'a Recorder,
    route: Option<&'a RouteMetrics>,
    began: Instant,
}

impl Witness for Told<'_> {
    fn decided<'a>(&'a self, decision: &'a Arc<Decision>) -> Option<Work<'a>> {
        if self.route.is_none() && matches!(decision.outcome, Outcome::Permit(None)) {
            // What we answer to everybody proves nobody, and is evidence of nothing.
            return None;
        }
        self.recorder.metrics.decision(self.route, decision, self.began.elapsed());
        self.recorder.decisions.push(decision.clone());
        self.recorder.audit.decision(decision)
    }
}
