//! One request's whole story: which checks it met, what came of each, and how it ended.

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use http::Method;
use serde::Serialize;

use crate::crypto::{Random, Secret, hash_parts};
use crate::denial::{Code, Denial};
use crate::principal::{Scheme, Subject};
use crate::source::Source;
use crate::time::Timestamp;

/// The name of a decision: a UUID of version 7, so that names sort by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DecisionId(uuid::Uuid);

impl DecisionId {
    /// A new name for a decision at `at`.
    #[must_use]
    pub fn new(at: Timestamp, random: &dyn Random) -> Self {
        let mut bytes = [0_u8; 10];
        random.fill(&mut bytes);
        Self(uuid::Builder::from_unix_timestamp_millis(at.as_millis(), &bytes).into_uuid())
    }

    /// Reads a name back.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        uuid::Uuid::try_parse(text).ok().map(Self)
    }

    /// The name in the 36 bytes that headers carry.
    #[must_use]
    pub fn encode(self, buffer: &mut [u8; 36]) -> &str {
        self.0.hyphenated().encode_lower(buffer)
    }
}

impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// Names decisions: random to whoever does not hold the seed, at a tenth of what asking the system for
/// randomness costs for each.
pub(crate) struct DecisionIds {
    seed: Secret<[u8; 32]>,
    count: AtomicU64,
}

impl DecisionIds {
    pub(crate) fn new(random: &dyn Random) -> Self {
        let mut seed = [0; 32];
        random.fill(&mut seed);
        Self { seed: Secret::new(seed), count: AtomicU64::new(0) }
    }

    pub(crate) fn next(&self, at: Timestamp) -> DecisionId {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let digest = hash_parts(&[self.seed.expose(), &count.to_be_bytes()]);
        let mut bytes = [0; 10];
        bytes.copy_from_slice(&digest[..10]);
        DecisionId(uuid::Builder::from_unix_timestamp_millis(at.as_millis(), &bytes).into_uuid())
    }
}

/// What was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// The request can be read in one way.
    Reading,
    /// A route serves this path and method.
    Route,
    /// The source may try (so many unproven requests in so long).
    Source,
    /// Which credentials are there.
    Extract,
    /// What is there is what the route accepts.
    Requirement,
    /// A credential proves somebody.
    Verify,
    /// They may do this.
    Policy,
    /// The body is the one that was proven.
    Body,
    /// The proof is still fresh after the body came in.
    Time,
    /// The proof had not been used.
    Spend,
    /// The subject's rate.
    Limit,
    /// What is noted of whoever passes was written down.
    Note,
    /// A request of an application of ours stays with the peer that it is for.
    Outbound,
    /// The upstream can be told who was proven.
    Assertion,
    /// The upstream's answer came, and came whole.
    Answer,
}

/// One check and what came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// What was looked at.
    pub check: Check,
    /// By which scheme, if by one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme: Option<Scheme>,
    /// Whether it went on from here.
    pub passed: bool,
    /// In words, for the operator. Never a secret.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub note: Cow<'static, str>,
}

/// The checks of a decision that is being made, in order.
pub(crate) struct Steps(Vec<Step>);

impl Steps {
    pub(crate) fn new() -> Self {
        Self(Vec::with_capacity(12))
    }

    /// One check that was passed, and what is to be said of it.
    pub(crate) fn passed(
        &mut self,
        check: Check,
        scheme: Option<Scheme>,
        note: impl Into<Cow<'static, str>>,
    ) {
        self.0.push(Step { check, scheme, passed: true, note: note.into() });
    }

    /// One check and what came of it.
    #[inline]
    pub(crate) fn check<T>(
        &mut self,
        check: Check,
        scheme: Option<Scheme>,
        result: Result<T, Denial>,
    ) -> Result<T, Denial> {
        let result = self.refused(check, scheme, result)?;
        self.passed(check, scheme, "");
        Ok(result)
    }

    /// The same, where passing is not worth a word.
    #[inline]
    pub(crate) fn refused<T>(
        &mut self,
        check: Check,
        scheme: Option<Scheme>,
        result: Result<T, Denial>,
    ) -> Result<T, Denial> {
        result.inspect_err(|denial| self.denied(check, scheme, denial))
    }

    pub(crate) fn denied(&mut self, check: Check, scheme: Option<Scheme>, denial: &Denial) {
        let note = Cow::Owned(denial.cause().to_owned());
        self.0.push(Step { check, scheme, passed: false, note });
    }

    /// What was known before the first check goes before it.
    pub(crate) fn all(mut self, source: Option<Source>) -> Vec<Step> {
        if let Some(why) = source.and_then(Source::unread) {
            let note = Cow::Borrowed(why);
            self.0.insert(0, Step { check: Check::Source, scheme: None, passed: true, note });
        }
        self.0
    }
}

/// How a decision ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It may pass, as this subject; `None` on a public route.
    Permit(Option<(Subject, Vec<Scheme>)>),
    /// It may not.
    Deny(Arc<Denial>),
}

/// A request that may not pass.
#[derive(Clone, Debug)]
pub struct Refusal {
    decision: Arc<Decision>,
    denial: Arc<Denial>,
}

impl Refusal {
    pub(crate) fn of(denial: Denial, decide: impl FnOnce(Outcome) -> Arc<Decision>) -> Self {
        let denial = Arc::new(denial);
        Self { decision: decide(Outcome::Deny(denial.clone())), denial }
    }

    /// The whole story.
    #[must_use]
    pub const fn decision(&self) -> &Arc<Decision> {
        &self.decision
    }

    /// Why not.
    #[must_use]
    pub fn denial(&self) -> &Denial {
        &self.denial
    }
}

/// One request's whole story, permit or denial, step by step.
#[derive(Clone, Debug)]
pub struct Decision {
    /// Its name.
    pub id: DecisionId,
    /// When the request came in.
    pub at: Timestamp,
    /// Who sent it, by address where that could be read.
    pub source: Option<Source>,
    /// Its method, redacted.
    pub method: Method,
    /// Its path, redacted; never its query.
    pub path: String,
    /// The route that it met.
    pub route: Option<Arc<str>>,
    /// The checks, in order.
    pub steps: Vec<Step>,
    /// How it ended.
    pub outcome: Outcome,
    /// What came of it later: a decision is kept, and written down, before anybody knows.
    pub afterwards: OnceLock<Step>,
}

impl Decision {
    /// Notes what came of it later. What is noted first stands.
    pub fn note_afterwards(&self, step: Step) {
        // The first failure is the cause of those that follow from it.
        let _ = self.afterwards.set(step);
    }

    /// The denial, if it was one.
    #[must_use]
    pub fn denial(&self) -> Option<&Denial> {
        match &self.outcome {
            Outcome::Deny(denial) => Some(&**denial),
            Outcome::Permit(_) => None,
        }
    }

    /// Whether somebody had been proven by the time it ended: such decisions are evidence that a
    /// flood of unproven requests must not push out.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        match &self.outcome {
            // On a public route anybody is permitted, and nobody proven.
            Outcome::Permit(subject) => subject.is_some(),
            Outcome::Deny(_) => {
                let mut verified = self.steps.iter().filter(|step| step.check == Check::Verify).peekable();
                verified.peek().is_some() && verified.all(|step| step.passed)
            }
        }
    }

    /// The schemes that proved the subject, or failed to: `bearer+signature`.
    #[must_use]
    pub fn scheme_names(&self) -> Option<Cow<'static, str>> {
        match &self.outcome {
            Outcome::Permit(None) => None,
            Outcome::Permit(Some((_, schemes))) => join(schemes),
            Outcome::Deny(_) => {
                let mut tried: Vec<_> = self.steps.iter().filter_map(|step| step.scheme).collect();
                tried.sort_unstable();
                tried.dedup();
                join(&tried)
            }
        }
    }

    /// The decision as `explain --json` prints it.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let steps = self.steps.iter().chain(self.afterwards.get()).collect();
        serde_json::to_value(self.told(Some(steps))).unwrap_or_default()
    }

    /// The decision as the audit log keeps it: without its steps.
    pub fn audit_line(&self) -> impl Serialize + '_ {
        self.told(None)
    }

    fn told<'a>(&'a self, steps: Option<Vec<&'a Step>>) -> Told<'a> {
        let denial = self.denial();
        Told {
            id: Shown(self.id),
            at: Shown(self.at),
            outcome: if denial.is_some() { "deny" } else { "permit" },
            code: denial.map(Denial::code),
            scheme: self.scheme_names(),
            subject: match &self.outcome {
                Outcome::Permit(Some((subject, _))) => Some(subject),
                Outcome::Permit(None) | Outcome::Deny(_) => None,
            },
            source: self.source.map(Shown),
            method: self.method.as_str(),
            path: &self.path,
            route: self.route.as_deref(),
            cause: denial.map(Denial::cause),
            steps,
        }
    }
}

#[derive(Serialize)]
struct Told<'a> {
    id: Shown<DecisionId>,
    at: Shown<Timestamp>,
    outcome: &'static str,
    code: Option<Code>,
    scheme: Option<Cow<'static, str>>,
    subject: Option<&'a Subject>,
    source: Option<Shown<Source>>,
    method: &'a str,
    path: &'a str,
    route: Option<&'a str>,
    cause: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<Vec<&'a Step>>,
}

/// Written as it is displayed.
struct Shown<T>(T);

impl<T: fmt::Display> Serialize for Shown<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

fn join(schemes: &[Scheme]) -> Option<Cow<'static, str>> {
    match schemes {
        [] => None,
        [scheme] => Some(Cow::Borrowed(scheme.as_str())),
        _ => Some(Cow::Owned(schemes.iter().map(|scheme| scheme.as_str()).collect::<Vec<_>>().join("+"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_id_is_read_back() {
        let id = DecisionId::new(Timestamp::from_secs(1_800_000_000), &crate::crypto::SystemRandom);
        assert_eq!(DecisionId::parse(&id.to_string()), Some(id));
        assert_eq!(id.encode(&mut [0; 36]), id.to_string());
        assert_eq!(DecisionId::parse("latest"), None);
    }

    #[test]
    fn what_came_later_is_told_behind_the_steps_and_the_first_of_it_stands() {
        let at = Timestamp::from_secs(1_800_000_000);
        let step = |check, note: &'static str| Step { check, scheme: None, passed: false, note: note.into() };
        let decision = Decision {
            id: DecisionId::new(at, &crate::crypto::SystemRandom),
            at,
            source: None,
            method: Method::GET,
            path: "/".into(),
            route: None,
            steps: vec![step(Check::Route, "first")],
            outcome: Outcome::Permit(None),
            afterwards: OnceLock::new(),
        };
        for note in ["broke off", "and was reported again"] {
            decision.note_afterwards(step(Check::Answer, note));
        }
        let told = decision.to_json();
        let notes: Vec<_> = told["steps"].as_array().unwrap().iter().map(|step| &step["note"]).collect();
        assert_eq!(notes, ["first", "broke off"]);
        assert_eq!(told["steps"][1]["check"], "answer");
        assert_eq!(told["outcome"], "permit");
        let audited = serde_json::to_value(decision.audit_line()).unwrap();
        assert!(audited.get("steps").is_none());
    }
}
