//! What lets a request on: made by the gate alone, given up by whoever forwards.

use std::sync::Arc;

use http::{HeaderName, HeaderValue};

use crate::decision::Decision;
use crate::principal::{Principal, Scheme};
use crate::request::Carrier;
use crate::requirement::SchemeSet;
use crate::rule::Rule;
use crate::store::StoreError;
use crate::time::Timestamp;

/// The only value that lets a request be forwarded; only the gate can make one.
///
/// ```
/// fn forward(permit: countersign::Permit) {
///     let _ = permit.decision().id;
/// }
/// ```
///
/// ```compile_fail
/// let decision = todo!();
/// let permit = countersign::Permit { principal: None, decision, rule: todo!(), presented: todo!() };
/// ```
///
/// ```compile_fail
/// fn twice(permit: countersign::Permit) -> (countersign::Permit, countersign::Permit) {
///     (permit.clone(), permit)
/// }
/// ```
pub struct Permit {
    principal: Option<Box<Principal>>,
    decision: Arc<Decision>,
    rule: Arc<Rule>,
    presented: SchemeSet,
}

impl Permit {
    /// For the gate alone: whoever else calls this lets a request pass that nobody judged.
    pub(crate) const fn of(
        principal: Option<Box<Principal>>,
        presented: SchemeSet,
        decision: Arc<Decision>,
        rule: Arc<Rule>,
    ) -> Self {
        Self { principal, decision, rule, presented }
    }

    /// Who was proven; `None` on a public route.
    #[must_use]
    pub fn principal(&self) -> Option<&Principal> {
        self.principal.as_deref()
    }

    /// How it came to be.
    #[must_use]
    pub const fn decision(&self) -> &Arc<Decision> {
        &self.decision
    }

    /// The rule under which it was given.
    #[must_use]
    pub const fn rule(&self) -> &Arc<Rule> {
        &self.rule
    }

    /// Where the credentials that were presented travelled, and whose they are: what has to be taken out before
    /// the request is forwarded. What another scheme would have carried there is not a credential of ours, for
    /// then it would have been presented too; a browser's cookie alone is sent without being presented.
    pub fn carriers(&self) -> impl Iterator<Item = (Scheme, &Carrier)> {
        self.rule.carried().filter(|(scheme, carrier)| {
            self.presented.contains(*scheme) || matches!(carrier, Carrier::Cookie(_))
        })
    }

    /// What the response says of the schemes that proved it, such as `Authentication-Info`.
    pub fn tells(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        let schemes = self.principal.iter().flat_map(|principal| &principal.schemes);
        schemes.filter_map(|scheme| {
            let mut verifiers = self.rule.verifiers();
            verifiers.find(|verifier| verifier.scheme() == *scheme)?.tells(self.decision.at)
        })
    }

    /// Gives the permit up for forwarding. What is left can be asked whether it still holds, and lets
    /// nothing pass.
    #[must_use]
    pub fn spend(self) -> Standing {
        Standing { principal: self.principal, decision: self.decision, rule: self.rule }
    }
}

/// What was proven by a request that has been forwarded: asked while its upgraded connection lives.
pub struct Standing {
    principal: Option<Box<Principal>>,
    decision: Arc<Decision>,
    rule: Arc<Rule>,
}

impl Standing {
    /// How it came to be.
    #[must_use]
    pub const fn decision(&self) -> &Arc<Decision> {
        &self.decision
    }

    /// Whether what was proven still holds at `now`.
    ///
    /// # Errors
    /// [`StoreError`]: nobody can know at this moment.
    pub async fn still_holds(&self, now: Timestamp) -> Result<bool, StoreError> {
        let Some(principal) = &self.principal else { return Ok(true) };
        if principal.expires.is_some_and(|expires| expires <= now) {
            return Ok(false);
        }
        for verifier in self.rule.verifiers() {
            if principal.schemes.contains(&verifier.scheme()) && !verifier.still_holds(principal, now).await?
            {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
