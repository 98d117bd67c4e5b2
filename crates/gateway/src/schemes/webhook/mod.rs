//! Callers that are asked whether they sent a request, and the questions of those whom we called.

pub mod config;
mod question;

use std::sync::Arc;

use countersign::rule::RuleBuilder;
use countersign::schemes::webhook::{Budget, Tokens, WELL_KNOWN, WebhookVerifier};
use countersign_io::egress::GuardedClient;
use countersign_io::{AnyStore, RuntimeTimer};

use super::{Making, Mounted, NotReady, On, Rules};
use crate::endpoint::Endpoint;
use crate::metrics::Metrics;
use question::Questions;

/// What asks callers, and answers those who ask us.
pub struct Ready {
    verifier: WebhookVerifier<Arc<AnyStore>, Arc<GuardedClient>>,
    metrics: Arc<Metrics>,
    /// Where we are asked: the well-known path, and whatever else under our own URL an `[[outbound]]` names as ours.
    asked_at: Vec<String>,
}

impl Ready {
    /// Keeps the questions that are in flight.
    pub(super) fn new(making: &Making<'_>, before: Option<&Self>) -> Result<Self, NotReady> {
        let (config, shared) = (&making.configs.webhook, making.shared);
        let ours = making.public_url.to_string();
        let named = making.asked_at.iter().filter(|url| url.origin() == ours);
        let named = named.map(|url| url.path().to_owned());
        let budget = || Arc::new(Budget::queueing(Arc::new(RuntimeTimer)));
        let verifier = WebhookVerifier {
            store: shared.store.clone(),
            fetch: making.egress.client.clone(),
            workers: shared.workers.clone(),
            budget: before.map_or_else(budget, |before| before.verifier.budget.clone()),
            callers: config.callers.clone(),
            rules: config.rules.clone(),
            max_signed_body: making.max_signed_body,
        };
        let asked_at = std::iter::once(WELL_KNOWN.to_owned()).chain(named).collect();
        Ok(Self { verifier, metrics: shared.recorder.metrics.clone(), asked_at })
    }
}

impl Mounted for Ready {
    fn verify(&self, rule: RuleBuilder, _: &On<'_>) -> RuleBuilder {
        rule.verifier(self.verifier.clone())
    }

    fn endpoints(&self, _: &Rules<'_>) -> Vec<Endpoint> {
        let endpoint = |path: &String| {
            let tokens = Tokens::new(self.verifier.store.clone());
            Endpoint::public(path, None, Questions { tokens, metrics: self.metrics.clone() })
        };
        self.asked_at.iter().filter_map(endpoint).collect()
    }
}
