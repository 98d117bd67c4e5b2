//! The one front door: however a request came in, here its head is made ready and judged, and what is decided is told.

use std::sync::Arc;

use http::Uri;
use http::request::Parts;

use crate::decision::{Check, Decision, Refusal};
use crate::denial::Denial;
use crate::gate::{Gate, Verdict};
use crate::passage::Passage;
use crate::permit::Permit;
use crate::public_url::PublicUrl;
use crate::request::{Body, BodySource, RequestView, join_cookies};
use crate::rule::Rule;
use crate::source::Source;
use crate::store::Store;
use crate::time::Timestamp;
use crate::witness::Witness;

/// A request at the door.
pub struct Arrival<'a, S> {
    gate: &'a Gate<S>,
    parts: &'a Parts,
    target: Uri,
    body: Body,
    source: Option<Source>,
    received_at: Timestamp,
    witness: &'a dyn Witness,
}

impl<'a, S: Store> Arrival<'a, S> {
    /// A request that has come in now. `public_url` is what its caller addressed, by configuration; `body` is what is
    /// known of the body, and `source` of the sender. Cookie lines are joined here.
    pub fn new(
        gate: &'a Gate<S>,
        parts: &'a mut Parts,
        public_url: &PublicUrl,
        body: Body,
        source: Option<Source>,
        witness: &'a dyn Witness,
    ) -> Self {
        join_cookies(&mut parts.headers);
        let target = public_url.target(&parts.uri);
        Self { gate, parts, target, body, source, received_at: gate.now(), witness }
    }

    /// The same, telling somebody else: whoever counts for the rule that was found.
    #[must_use]
    pub fn told_to(self, witness: &'a dyn Witness) -> Self {
        Self { witness, ..self }
    }

    /// The request as it is judged.
    #[must_use]
    pub fn view(&self) -> RequestView<'_> {
        RequestView {
            method: &self.parts.method,
            target: &self.target,
            headers: &self.parts.headers,
            body: self.body,
            source: self.source,
            received_at: self.received_at,
        }
    }

    /// Whether it may try to prove itself: see [`Gate::may_try`].
    ///
    /// # Errors
    /// `rate_limited`.
    pub fn may_try(&self) -> Result<(), Denial> {
        self.gate.may_try(&self.view())
    }

    /// Lets it pass under `rule`, or not: its path first, for what could be read in two ways is under no rule.
    ///
    /// # Errors
    /// Why not.
    pub async fn admit(&self, rule: &Arc<Rule>, body: &mut dyn BodySource) -> Result<Passage<S>, Refusal> {
        let judged = self.judge(rule, body).await;
        self.tell(judged.as_ref().map_or_else(Refusal::decision, |passage| passage.decision())).await;
        judged
    }

    /// The same, for what is answered here or by somebody who never says how: a use is consumed now.
    ///
    /// # Errors
    /// Why not.
    pub async fn admit_at_once(
        &self,
        rule: &Arc<Rule>,
        body: &mut dyn BodySource,
    ) -> Result<Permit, Refusal> {
        let consumed = match self.judge(rule, body).await {
            Ok(passage) => {
                let consumed = passage.consumed().await;
                consumed.map_err(|error| self.gate.fail(&self.view(), Check::Spend, error.into()))
            }
            Err(refusal) => Err(refusal),
        };
        // Last, so that of one request one thing is told.
        self.tell(consumed.as_ref().map_or_else(Refusal::decision, Permit::decision)).await;
        consumed
    }

    async fn judge(&self, rule: &Arc<Rule>, body: &mut dyn BodySource) -> Result<Passage<S>, Refusal> {
        let view = self.view();
        self.gate.read(&view)?;
        match self.gate.decide(rule, &view, body).await {
            Verdict::Permit(passage) => Ok(passage),
            Verdict::Deny(refusal) => Err(refusal),
        }
    }

    /// Refuses it where there is no rule to judge it by: see [`Gate::refuse`].
    pub async fn refuse(&self, check: Check, denial: Denial) -> Refusal {
        let refusal = self.gate.refuse(&self.view(), check, denial);
        self.tell(refusal.decision()).await;
        refusal
    }

    /// Refuses it although it was let in: see [`Gate::fail`].
    pub async fn fail(&self, check: Check, denial: Denial) -> Refusal {
        let refusal = self.gate.fail(&self.view(), check, denial);
        self.tell(refusal.decision()).await;
        refusal
    }

    async fn tell(&self, decision: &Arc<Decision>) {
        if let Some(told) = self.witness.decided(decision) {
            told.await;
        }
    }
}
