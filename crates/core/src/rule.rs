//! What one route asks of its callers.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use crate::denial::{Challenge, Code, Denial};
use crate::limit::{Limiter, Rate};
use crate::near_miss::near_misses;
use crate::policy::Policy;
use crate::principal::{Principal, Scheme, Subject};
use crate::redaction::redact_path;
use crate::request::{Carrier, RequestView};
use crate::requirement::{Presentation, Requirement, SchemeSet};
use crate::time::Timestamp;
use crate::verifier::{AnyVerifier, Verifier};

/// Of what was nearly presented, so much is said.
const MOST_NEAR_MISSES: usize = 6;

/// What one route asks of its callers.
pub struct Rule {
    name: Arc<str>,
    asks: Asks,
}

/// Of whom a rule asks something.
enum Asks {
    /// Of nobody.
    Nothing,
    /// Of the source, that it has not failed too often.
    Source,
    /// Of the source the same, and of the caller a proof.
    Proof(Box<Guard>),
}

/// What a rule that is not public asks.
pub(crate) struct Guard {
    pub(crate) requirement: Requirement,
    /// In the order of [`Scheme`], so that the order of writing decides nothing.
    pub(crate) verifiers: Vec<Arc<dyn AnyVerifier>>,
    pub(crate) policy: Policy,
    limit: Option<Limiter<Subject>>,
    carriers: Arc<[Carrier]>,
    /// For each of them, the scheme whose credentials it carries.
    carried: Arc<[Scheme]>,
}

/// A rule that cannot be built.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum RuleError {
    /// The requirement names a scheme for which no verifier was given.
    #[error("no verifier was given for the scheme {0}")]
    NoVerifier(Scheme),
}

impl Rule {
    /// A rule that lets everybody pass and asks nobody.
    #[must_use]
    pub fn public(name: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), asks: Asks::Nothing }
    }

    /// A rule that lets everybody try who has not failed too often: whoever calls proves in the request's body what
    /// there is to prove, and what answers it [counts](crate::Gate::fail) those who do not.
    #[must_use]
    pub fn trying(name: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), asks: Asks::Source }
    }

    /// A rule that lets pass whoever meets `requirement`. Give it a verifier for each scheme that
    /// the requirement names with [`RuleBuilder::verifier`].
    #[must_use]
    pub fn requiring(name: impl Into<Arc<str>>, requirement: Requirement) -> RuleBuilder {
        let guard = Guard {
            requirement,
            verifiers: Vec::new(),
            policy: Policy::default(),
            limit: None,
            carriers: Arc::new([]),
            carried: Arc::new([]),
        };
        RuleBuilder { name: name.into(), guard }
    }

    /// The name that decisions and metrics carry.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Whether everybody passes.
    #[must_use]
    pub const fn is_public(&self) -> bool {
        self.guard().is_none()
    }

    /// Where credentials travel on this route.
    #[must_use]
    pub fn carriers(&self) -> &[Carrier] {
        self.guard().map_or(&[], |guard| &guard.carriers)
    }

    /// The same, each with the scheme whose credentials it carries.
    pub(crate) fn carried(&self) -> impl Iterator<Item = (Scheme, &Carrier)> {
        let guard = self.guard().into_iter();
        guard.flat_map(|guard| guard.carried.iter().copied().zip(&*guard.carriers))
    }

    pub(crate) fn verifiers(&self) -> impl Iterator<Item = &dyn AnyVerifier> {
        self.guard().into_iter().flat_map(|guard| &guard.verifiers).map(|verifier| &**verifier)
    }

    /// Whether only those may try who have not failed too often.
    pub(crate) const fn is_watched(&self) -> bool {
        !matches!(self.asks, Asks::Nothing)
    }

    /// What it asks; `None` for a public route.
    pub(crate) const fn guard(&self) -> Option<&Guard> {
        match &self.asks {
            Asks::Proof(guard) => Some(guard),
            Asks::Nothing | Asks::Source => None,
        }
    }

    /// A path that may be shown: without what is a credential in it, and without what looks like one.
    pub(crate) fn shown_path(&self, path: &str) -> String {
        let carriers = self.carriers();
        let hides = |number: usize| carriers.iter().any(|carrier| *carrier == Carrier::Segment(number));
        if !carriers.iter().any(|carrier| matches!(carrier, Carrier::Segment(_))) {
            return redact_path(path);
        }
        let segments = path.split('/').enumerate().map(|(number, segment)| match number.checked_sub(1) {
            Some(number) if hides(number) => "…",
            _ => segment,
        });
        redact_path(&segments.collect::<Vec<_>>().join("/"))
    }
}

impl Guard {
    /// A denial together with how to do better: the challenges of this rule's schemes, each once, and what else a
    /// 401 asks for.
    pub(crate) fn challenging(&self, denial: Denial, request: &RequestView<'_>) -> Denial {
        let status = denial.code().status().as_u16();
        if !matches!(status, 401 | 403) {
            return denial;
        }
        let mut challenges: Vec<Challenge> = Vec::with_capacity(self.verifiers.len());
        for challenge in self.verifiers.iter().flat_map(|verifier| verifier.challenges_to(&denial)) {
            if !challenges.contains(&challenge) {
                challenges.push(challenge);
            }
        }
        let denial = denial.with_challenges(challenges);
        match status {
            401 => {
                denial.asking(self.verifiers.iter().filter_map(|verifier| verifier.asks(request)).collect())
            }
            _ => denial,
        }
    }

    /// The same denial, saying to the operator what was nearly presented.
    pub(crate) fn telling_near_misses(
        &self,
        denial: Denial,
        request: &RequestView<'_>,
        presented: &[Presentation],
    ) -> Denial {
        if denial.code() != Code::CredentialMissing {
            return denial;
        }
        let named = self.requirement.schemes();
        let presented = presented.iter().fold(SchemeSet::default(), |all, one| all.with(one.scheme));
        let unread = self.verifiers.iter().filter(|verifier| !presented.contains(verifier.scheme()));
        let overlooked = unread.flat_map(|verifier| verifier.overlooks(request)).map(Cow::Owned);
        let found = near_misses(request, named, presented).into_iter().chain(overlooked);
        found.take(MOST_NEAR_MISSES).fold(denial, |denial, near_miss| denial.noting(&near_miss))
    }

    /// Whether there is a limit on how often one subject may pass.
    pub(crate) const fn has_limit(&self) -> bool {
        self.limit.is_some()
    }

    /// Whether the subject may pass once more; nothing is taken.
    pub(crate) fn look_at_limit(&self, principal: &Principal, now: Timestamp) -> Result<(), Denial> {
        let Some(limiter) = &self.limit else { return Ok(()) };
        limiter.look(&principal.subject, now).map_err(|wait| over_limit(limiter.rate(), wait))
    }

    /// Takes one of what the subject may do.
    pub(crate) fn take_of_limit(&self, principal: &Principal, now: Timestamp) -> Result<(), Denial> {
        let Some(limiter) = &self.limit else { return Ok(()) };
        limiter.take(principal.subject.clone(), now).map_err(|wait| over_limit(limiter.rate(), wait))
    }
}

fn over_limit(rate: Rate, wait: Duration) -> Denial {
    Denial::new(Code::RateLimited, format!("the subject's limit is {rate}")).retry_after(wait)
}

/// A [`Rule`] that is being put together.
pub struct RuleBuilder {
    name: Arc<str>,
    guard: Guard,
}

impl RuleBuilder {
    /// Adds a verifier. One for a scheme that the requirement does not name is left out.
    #[must_use]
    pub fn verifier<V: Verifier>(mut self, verifier: V) -> Self {
        self.guard.verifiers.push(Arc::new(verifier));
        self
    }

    /// What is demanded of whoever was proven.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.guard.policy = policy;
        self
    }

    /// How often one subject may pass.
    #[must_use]
    pub fn limit(mut self, rate: Rate) -> Self {
        self.guard.limit = Some(Limiter::new(rate));
        self
    }

    /// The rule.
    ///
    /// # Errors
    /// [`RuleError::NoVerifier`].
    pub fn build(mut self) -> Result<Rule, RuleError> {
        let named = self.guard.requirement.schemes();
        let verifiers = &mut self.guard.verifiers;
        let asked = |scheme: Option<Scheme>| scheme.is_some_and(|scheme| named.contains(scheme));
        verifiers.retain(|verifier| asked(Some(verifier.scheme())) || asked(verifier.may_stand_for()));
        verifiers.sort_by_key(|verifier| verifier.scheme());
        if let Some(missing) =
            named.iter().find(|scheme| !verifiers.iter().any(|verifier| verifier.scheme() == *scheme))
        {
            return Err(RuleError::NoVerifier(missing));
        }
        let (mut carriers, mut carried) = (Vec::new(), Vec::new());
        for verifier in verifiers {
            carriers.extend(verifier.carriers());
            carried.resize(carriers.len(), verifier.scheme());
        }
        (self.guard.carriers, self.guard.carried) = (carriers.into(), carried.into());
        Ok(Rule { name: self.name, asks: Asks::Proof(Box::new(self.guard)) })
    }
}
