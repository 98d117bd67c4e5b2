//! A gate, what it remembers, and a clock that stands still.

use std::sync::Arc;
use std::time::Duration;

use super::clock::clock;
use super::random::Seeded;
use super::request::Request;
use super::store::TestStore;
use crate::crypto::SystemRandom;
use crate::rule::RuleBuilder;
use crate::schemes::api_key::{ApiKey, KeyRegistry, KeyTerms};
use crate::store::MemoryStore;
use crate::time::ManualClock;
use crate::{Clock, Code, Decision, Denial, Gate, Passage, Requirement, Rule, Timestamp};

/// What the gate of a [`World`] says.
pub type Verdict = crate::Verdict<Arc<TestStore>>;

/// What every test of a scheme stands in. A scheme's own world has one of these, and more.
pub struct World {
    /// Stands at [`NOW`](super::NOW) until it is told to move.
    pub clock: Arc<ManualClock>,
    /// What the gate and the verifiers remember.
    pub store: Arc<TestStore>,
    /// Decides.
    pub gate: Gate<Arc<TestStore>>,
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// One in which nothing has happened.
    #[must_use]
    pub fn new() -> Self {
        Self::remembering(|memory| memory)
    }

    /// The same with a memory that is changed first.
    #[must_use]
    pub fn remembering(
        change: impl FnOnce(MemoryStore<Arc<ManualClock>>) -> MemoryStore<Arc<ManualClock>>,
    ) -> Self {
        let clock = clock();
        let store = Arc::new(TestStore::over(change(MemoryStore::new(clock.clone()))));
        let gate = Gate::new(store.clone(), clock.clone(), &Seeded::new("gate"));
        Self { clock, store, gate }
    }

    /// The same with a gate that is changed first.
    #[must_use]
    pub fn gated(mut self, change: impl FnOnce(Gate<Arc<TestStore>>) -> Gate<Arc<TestStore>>) -> Self {
        self.gate = change(self.gate);
        self
    }

    /// The present moment.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Time goes by.
    pub fn pass_seconds(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// What becomes of a request that comes in now.
    ///
    /// # Panics
    /// If nobody waits for it.
    pub async fn decide(&self, rule: &Arc<Rule>, request: &Request) -> Verdict {
        assert!(!request.is_explained, "what is explained is neither let in nor refused");
        self.gate.decide(rule, &request.view(self.now()), &mut request.body.clone()).await
    }

    /// The same of a request for which somebody waits; what would become of any other.
    pub async fn decision(&self, rule: &Arc<Rule>, request: &Request) -> Arc<Decision> {
        if !request.is_explained {
            return self.decide(rule, request).await.decision().clone();
        }
        self.gate.explain(rule, &request.view(self.now()), &mut request.body.clone()).await
    }

    /// The code with which it is refused; `None`: it passes.
    pub async fn code(&self, rule: &Arc<Rule>, request: &Request) -> Option<Code> {
        self.decision(rule, request).await.denial().map(Denial::code)
    }

    /// Why it is refused.
    ///
    /// # Panics
    /// If it passes.
    pub async fn denial(&self, rule: &Arc<Rule>, request: &Request) -> Denial {
        self.decision(rule, request).await.denial().expect("it passed").clone()
    }

    /// It passes.
    ///
    /// # Panics
    /// If it does not.
    pub async fn permit(&self, rule: &Arc<Rule>, request: &Request) -> Passage<Arc<TestStore>> {
        match self.decide(rule, request).await {
            Verdict::Permit(passage) => passage,
            Verdict::Deny(refusal) => panic!("{}", refusal.denial()),
        }
    }

    /// A new API key with these permissions.
    pub async fn api_key(&self, permissions: &[&str]) -> ApiKey {
        let permissions = permissions.iter().map(ToString::to_string).collect();
        self.api_key_on(KeyTerms { label: "test".into(), permissions, ..KeyTerms::default() }).await
    }

    /// A new API key on these terms. No two worlds have the same ones.
    ///
    /// # Panics
    /// If the store does not answer.
    pub async fn api_key_on(&self, terms: KeyTerms) -> ApiKey {
        let registry = KeyRegistry::new(self.store.clone());
        registry.create(terms, self.now(), &SystemRandom).await.expect("the store answers").0
    }
}

/// A rule that asks for these schemes, which are separated by spaces, and whatever `more` adds to it.
///
/// # Panics
/// If it cannot be built.
#[must_use]
pub fn rule(accept: &str, more: impl FnOnce(RuleBuilder) -> RuleBuilder) -> Arc<Rule> {
    let requirement = Requirement::parse(accept.split(' ')).expect("a requirement");
    Arc::new(more(Rule::requiring("test", requirement)).build().expect("a rule"))
}
