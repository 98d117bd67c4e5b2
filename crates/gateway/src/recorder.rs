//! Where it is written down what was decided: counted, kept for `explain`, in the audit log.

use std::sync::Arc;
use std::time::Duration;

use countersign::Decision;

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

    /// Writes down a decision that took so long; `route`: it was met.
    pub async fn decided(&self, route: Option<&RouteMetrics>, decision: &Arc<Decision>, took: Duration) {
        self.metrics.decision(route, decision, took);
        self.decisions.push(decision.clone());
        self.audit.decision(decision).await;
    }
}
