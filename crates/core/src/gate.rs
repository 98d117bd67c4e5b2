//! The policy decision point: extract, verify, policy, body, time, spend, limit, permit.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};

use crate::authorization::Authorization;
use crate::crypto::{Random, sha256};
use crate::decision::{Check, Decision, DecisionIds, Outcome, Step};
use crate::denial::{Challenge, Code, Denial};
use crate::limit::{Limiter, Rate, network};
use crate::near_miss::{near_misses, refused_as_method};
use crate::policy::Policy;
use crate::principal::{Principal, Scheme, Subject};
use crate::redaction::{redact_method, redact_path};
use crate::request::{BodySource, Carrier, Purpose, RequestView};
use crate::requirement::{Presentation, Presentations, Requirement, SchemeSet};
use crate::reservation::{Delivery, Reservation};
use crate::source::Source;
use crate::store::{Id, Space, Spent, Store, StoreError};
use crate::time::{Clock, Timestamp};
use crate::verifier::{AnyVerifier, Presented, Spending, Verifier};

/// How far a clock may step back unnoticed: leap smearing and small corrections.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(2);
/// Of what was nearly presented, so much is said.
const MOST_NEAR_MISSES: usize = 6;

/// What one route asks of its callers.
pub struct Rule {
    name: Arc<str>,
    /// `None` for a public route.
    requirement: Option<Requirement>,
    /// In the order of [`Scheme`], so that the order of writing decides nothing.
    verifiers: Vec<Arc<dyn AnyVerifier>>,
    policy: Policy,
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
        Self {
            name: name.into(),
            requirement: None,
            verifiers: Vec::new(),
            policy: Policy::default(),
            limit: None,
            carriers: Arc::new([]),
            carried: Arc::new([]),
        }
    }

    /// A rule that lets pass whoever meets `requirement`. Give it a verifier for each scheme that
    /// the requirement names with [`RuleBuilder::verifier`].
    #[must_use]
    pub fn requiring(name: impl Into<Arc<str>>, requirement: Requirement) -> RuleBuilder {
        let rule = Self { requirement: Some(requirement), ..Self::public(name) };
        RuleBuilder { rule }
    }

    /// The name that decisions and metrics carry.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Whether everybody passes.
    #[must_use]
    pub const fn is_public(&self) -> bool {
        self.requirement.is_none()
    }

    /// Where credentials travel on this route.
    #[must_use]
    pub fn carriers(&self) -> &[Carrier] {
        &self.carriers
    }

    /// The challenges of this rule's schemes to a request that was denied, each once.
    fn challenges_to(&self, denial: &Denial) -> Vec<Challenge> {
        let mut challenges = Vec::with_capacity(self.verifiers.len());
        for challenge in self.verifiers.iter().flat_map(|verifier| verifier.challenges_to(denial)) {
            if !challenges.contains(&challenge) {
                challenges.push(challenge);
            }
        }
        challenges
    }

    /// The same, saying to the operator what was nearly presented.
    fn telling_near_misses(
        &self,
        denial: Denial,
        request: &RequestView<'_>,
        presented: &[Presentation],
    ) -> Denial {
        if denial.code() != Code::CredentialMissing {
            return denial;
        }
        let named = self.requirement.as_ref().map(Requirement::schemes).unwrap_or_default();
        let presented = presented.iter().fold(SchemeSet::default(), |all, one| all.with(one.scheme));
        let unread = self.verifiers.iter().filter(|verifier| !presented.contains(verifier.scheme()));
        let overlooked = unread.flat_map(|verifier| verifier.overlooks(request)).map(Cow::Owned);
        let found = near_misses(request, named, presented).into_iter().chain(overlooked);
        found.take(MOST_NEAR_MISSES).fold(denial, |denial, near_miss| denial.noting(&near_miss))
    }

    fn look_at_limit(&self, principal: &Principal, request: &RequestView<'_>) -> Result<(), Denial> {
        let Some(limiter) = &self.limit else { return Ok(()) };
        let looked = limiter.look(&principal.subject, request.received_at);
        looked.map_err(|wait| over_limit(limiter.rate(), wait))
    }
}

/// A [`Rule`] that is being put together.
pub struct RuleBuilder {
    rule: Rule,
}

impl RuleBuilder {
    /// Adds a verifier. One for a scheme that the requirement does not name is left out.
    #[must_use]
    pub fn verifier<V: Verifier>(mut self, verifier: V) -> Self {
        self.rule.verifiers.push(Arc::new(verifier));
        self
    }

    /// What is demanded of whoever was proven.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.rule.policy = policy;
        self
    }

    /// How often one subject may pass.
    #[must_use]
    pub fn limit(mut self, rate: Rate) -> Self {
        self.rule.limit = Some(Limiter::new(rate));
        self
    }

    /// The rule.
    ///
    /// # Errors
    /// [`RuleError::NoVerifier`].
    pub fn build(mut self) -> Result<Rule, RuleError> {
        let named = self.rule.requirement.as_ref().map(Requirement::schemes).unwrap_or_default();
        let verifiers = &mut self.rule.verifiers;
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
        (self.rule.carriers, self.rule.carried) = (carriers.into(), carried.into());
        Ok(self.rule)
    }
}

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
/// let permit = countersign::Permit { principal: None, reservation: None, decision, rule: todo!() };
/// ```
///
/// ```compile_fail
/// fn twice(permit: countersign::Permit) -> (countersign::Permit, countersign::Permit) {
///     (permit.clone(), permit)
/// }
/// ```
pub struct Permit {
    principal: Option<Principal>,
    reservation: Option<Box<Reservation>>,
    decision: Arc<Decision>,
    rule: Arc<Rule>,
    presented: SchemeSet,
}

impl Permit {
    /// Who was proven; `None` on a public route.
    #[must_use]
    pub const fn principal(&self) -> Option<&Principal> {
        self.principal.as_ref()
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
        let all = self.rule.carried.iter().copied().zip(&*self.rule.carriers);
        all.filter(|(scheme, carrier)| {
            self.presented.contains(*scheme) || matches!(carrier, Carrier::Cookie(_))
        })
    }

    /// What the response says of the schemes that proved it, such as `Authentication-Info`.
    pub fn tells(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        let schemes = self.principal.iter().flat_map(|principal| &principal.schemes);
        schemes.filter_map(|scheme| {
            let verifier = self.rule.verifiers.iter().find(|verifier| verifier.scheme() == *scheme)?;
            verifier.tells(self.decision.at)
        })
    }

    /// What was reserved for this request, and is to be settled with [`Gate::settle`] when the upstream
    /// has answered. Taken once; what nobody settles stays reserved until its time is over, and then
    /// opens for the same body alone.
    #[must_use]
    pub fn take_reservation(&mut self) -> Option<Reservation> {
        self.reservation.take().map(|reservation| *reservation)
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
    principal: Option<Principal>,
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
        for verifier in &self.rule.verifiers {
            if principal.schemes.contains(&verifier.scheme()) && !verifier.still_holds(principal, now).await?
            {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// What was judged of a request that may pass.
struct Judged {
    principal: Option<Principal>,
    reservation: Option<Box<Reservation>>,
    presented: SchemeSet,
}

/// What the gate says.
pub enum Verdict {
    /// The request may pass, once.
    Permit(Permit),
    /// It may not; the decision holds the denial.
    Deny(Arc<Decision>),
}

impl Verdict {
    /// How it came to be.
    #[must_use]
    pub const fn decision(&self) -> &Arc<Decision> {
        match self {
            Self::Permit(permit) => permit.decision(),
            Self::Deny(decision) => decision,
        }
    }
}

/// The policy decision point.
pub struct Gate<S> {
    store: S,
    clock: Arc<dyn Clock>,
    ids: DecisionIds,
    unproven: Option<Limiter<IpAddr>>,
    nonces: Option<Limiter<Subject>>,
    /// The latest `received_at`, in milliseconds.
    latest: AtomicU64,
}

impl<S: Store> Gate<S> {
    /// A gate that spends in `store`.
    #[must_use]
    pub fn new(store: S, clock: Arc<dyn Clock>, random: &dyn Random) -> Self {
        let (unproven, nonces) = (None, None);
        Self { store, clock, ids: DecisionIds::new(random), unproven, nonces, latest: AtomicU64::new(0) }
    }

    /// The same, letting each source fail to prove itself only so often.
    #[must_use]
    pub fn with_unproven_limit(mut self, rate: Rate) -> Self {
        self.unproven = Some(Limiter::new(rate));
        self
    }

    /// The same, letting each signer spend only so many nonces in a period, so that what is remembered of
    /// one is bounded and none crowds out another: about 100 bytes for each nonce, so 100 bytes × `rate` ×
    /// the time for which one is remembered (90 s for our own signatures, an hour for a web bot's), and
    /// one period's burst on top. Requests that are judged at the same moment may exceed it by their number.
    #[must_use]
    pub fn with_nonce_quota(mut self, rate: Rate) -> Self {
        self.nonces = Some(Limiter::new(rate));
        self
    }

    /// The same, for a clock that has shown `latest` already, in a process before this one.
    #[must_use]
    pub fn with_latest(self, latest: Timestamp) -> Self {
        self.latest.fetch_max(latest.as_millis(), Ordering::Relaxed);
        self
    }

    /// Believes a clock that went back to `now`. The store must have seen to it before that nothing passes twice.
    pub fn accept_clock(&self, now: Timestamp) {
        self.latest.store(now.as_millis(), Ordering::Relaxed);
    }

    /// Decides whether `request` may pass under `rule`.
    pub async fn decide(
        &self,
        rule: &Arc<Rule>,
        request: &RequestView<'_>,
        body: &mut dyn BodySource,
    ) -> Verdict {
        let mut steps = Vec::with_capacity(12);
        let result = self.judge(rule, request, body, &mut steps).await;
        let result = result.map_err(|denial| match denial.code().status().as_u16() {
            401 => {
                let asks = rule.verifiers.iter().filter_map(|verifier| verifier.asks(request));
                let challenges = rule.challenges_to(&denial);
                denial.with_challenges(challenges).asking(asks.collect())
            }
            403 => {
                let challenges = rule.challenges_to(&denial);
                denial.with_challenges(challenges)
            }
            _ => denial,
        });
        if let Err(denial) = &result {
            self.count(request, denial);
        }
        let (judged, outcome) = match result {
            Ok(judged) => {
                let proven = judged.principal.as_ref().map(|who| (who.subject.clone(), who.schemes.clone()));
                (Some(judged), Outcome::Permit(proven))
            }
            Err(denial) => (None, Outcome::Deny(denial)),
        };
        let decision = Arc::new(self.record(request, Some(rule), steps, outcome));
        match judged {
            Some(Judged { principal, reservation, presented }) => {
                Verdict::Permit(Permit { principal, reservation, decision, rule: rule.clone(), presented })
            }
            None => Verdict::Deny(decision),
        }
    }

    /// The present moment, by the clock that was handed in.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Records a request that was refused before it met a rule.
    #[must_use]
    pub fn refuse(&self, request: &RequestView<'_>, check: Check, denial: Denial) -> Arc<Decision> {
        let near_miss = refused_as_method(request).filter(|_| denial.code() == Code::MethodNotAllowed);
        let denial = match near_miss {
            Some(near_miss) => denial.noting(&near_miss),
            None => denial,
        };
        let step = Step { check, scheme: None, passed: false, note: Cow::Owned(denial.cause().to_owned()) };
        Arc::new(self.record(request, None, vec![step], Outcome::Deny(denial)))
    }

    /// Says what came of a delivery, durably.
    ///
    /// # Errors
    /// [`StoreError`]: nobody can know at this moment. What was reserved stays so until its time is over.
    pub async fn settle(&self, reservation: Reservation, delivery: Delivery) -> Result<(), StoreError> {
        reservation.settle(&self.store, delivery).await
    }

    /// Records a request that was refused by whatever answers it instead of a rule, and counts it among
    /// what its source failed to prove.
    #[must_use]
    pub fn fail(&self, request: &RequestView<'_>, check: Check, denial: Denial) -> Arc<Decision> {
        self.count(request, &denial);
        self.refuse(request, check, denial)
    }

    /// Taken only by failures, so that many proven callers behind one address stay welcome.
    fn count(&self, request: &RequestView<'_>, denial: &Denial) {
        if let (Some(limiter), Some(source), Purpose::Decide) =
            (&self.unproven, request.source, request.purpose)
            && matches!(denial.code().status().as_u16(), 400 | 401)
        {
            let _ = limiter.take(network(source.counted_as()), request.received_at);
        }
    }

    fn record(
        &self,
        request: &RequestView<'_>,
        rule: Option<&Arc<Rule>>,
        mut steps: Vec<Step>,
        outcome: Outcome,
    ) -> Decision {
        if let Some(why) = request.source.and_then(Source::unread) {
            steps.insert(0, passed(Check::Source, None, why));
        }
        Decision {
            id: self.ids.next(request.received_at),
            at: request.received_at,
            source: request.source,
            method: redact_method(request.method),
            path: shown_path(request.target.path(), rule),
            route: rule.map(|rule| rule.name.clone()),
            steps,
            outcome,
            afterwards: OnceLock::new(),
        }
    }

    /// The order is DESIGN's: nothing is spent until everything else has been judged, so that a
    /// refused request burns nobody's nonce, token or budget.
    async fn judge(
        &self,
        rule: &Rule,
        request: &RequestView<'_>,
        body: &mut dyn BodySource,
        steps: &mut Vec<Step>,
    ) -> Result<Judged, Denial> {
        let Some(requirement) = &rule.requirement else {
            steps.push(passed(Check::Requirement, None, "the route is public"));
            return Ok(Judged { principal: None, reservation: None, presented: SchemeSet::default() });
        };
        note(steps, Check::Source, None, self.look_at_source(request))?;
        let regressed = match request.purpose {
            Purpose::Decide => self.look_at_clock(request.received_at).err(),
            Purpose::Explain => None,
        };
        match &regressed {
            Some((_, denial)) => steps.push(Step {
                check: Check::Time,
                scheme: None,
                passed: true,
                note: Cow::Owned(format!("{}; nothing dated passes", denial.cause())),
            }),
            None if request.purpose == Purpose::Decide => note(steps, Check::Time, None, Ok(()))?,
            None => {}
        }
        // Expiry is judged by the later of the two, so that nothing that had expired lives again.
        let received_at = regressed.as_ref().map_or(request.received_at, |(latest, _)| *latest);
        let view = RequestView { received_at, ..request.clone() };

        let presented = extract(rule, &view, steps)?;
        let claims: Vec<_> = presented
            .iter()
            .map(|credential| Presentation { scheme: credential.scheme(), also: credential.may_stand_for() })
            .collect();
        let judged = judge_presented(requirement, &claims);
        let judged = judged.map_err(|denial| rule.telling_near_misses(denial, request, &claims));
        let mut counted = note(steps, Check::Requirement, None, judged)?;
        if let Some((_, denial)) = &regressed
            && let Some(credential) = presented.iter().find(|credential| credential.needs_order())
        {
            note(steps, Check::Time, Some(credential.scheme()), Err(denial.clone()))?;
        }

        let read: SchemeSet = presented.iter().map(|credential| credential.scheme()).collect();
        look_at_unread(request, read, steps)?;

        let alone = presented.len() == 1;
        for credential in &presented {
            let scheme = Some(credential.scheme());
            let Some(claimed) = note_denial(steps, Check::Policy, scheme, credential.claimed())? else {
                continue;
            };
            if alone {
                let may = rule.policy.allows(&claimed).and_then(|()| rule.look_at_limit(&claimed, request));
                note(steps, Check::Policy, scheme, may)?;
            }
        }

        let (mut principals, mut facts) = (Vec::with_capacity(2), Vec::with_capacity(2));
        let (mut bodies, mut spends) = (Vec::new(), Vec::new());
        let mut fresh_until: Option<Timestamp> = None;
        for credential in presented {
            let scheme = credential.scheme();
            let proven = credential.verify(body).await;
            let proven = note(steps, Check::Verify, Some(scheme), proven)?;
            bodies.extend(proven.body);
            spends.extend(proven.spends);
            fresh_until = [fresh_until, proven.fresh_until].into_iter().flatten().min();
            facts.push(Presentation { scheme, also: proven.also });
            principals.push(proven.principal);
        }
        if facts != claims {
            // What might have been a credential of another scheme as well is none.
            counted = note(steps, Check::Requirement, None, judge_presented(requirement, &facts))?;
        }
        let mut principal: Option<Principal> = None;
        for (mut proven, counts) in principals.into_iter().zip(counted) {
            proven.schemes = counts.iter().collect();
            principal = Some(match principal {
                None => proven,
                Some(other) => note(steps, Check::Verify, None, join(other, proven))?,
            });
        }
        let Some(principal) = principal else {
            return Err(Denial::new(Code::CredentialMissing, "no credential was judged"));
        };

        note(steps, Check::Policy, None, rule.policy.allows(&principal))?;
        if rule.limit.is_some() {
            note(steps, Check::Limit, None, rule.look_at_limit(&principal, request))?;
        }
        let proofs = spends.iter().any(|spending| matches!(spending, Spending::Proof { .. }));
        if let Some((_, denial)) = regressed.filter(|_| proofs) {
            return note(steps, Check::Time, None, Err(denial));
        }
        if let Some(quota) = self.nonces.as_ref().filter(|_| proofs) {
            let looked = quota.look(&principal.subject, request.received_at);
            note(steps, Check::Limit, None, looked.map_err(|wait| over_quota(quota.rate(), wait)))?;
        }
        let mut digest = None;
        let reserves = spends.iter().any(|spending| matches!(spending, Spending::Use(_)));
        for demand in bodies {
            let whole = body.read(demand.limit).await.and_then(|bytes| {
                if reserves {
                    digest = Some(sha256(&bytes));
                }
                (demand.check)(&bytes)
            });
            note(steps, Check::Body, None, whole)?;
        }
        if request.purpose == Purpose::Explain {
            return Ok(Judged { principal: Some(principal), reservation: None, presented: read });
        }
        note(steps, Check::Time, None, self.look_at_time_again(&principal, fresh_until))?;
        let mut reservation = None;
        for spending in spends {
            let is_proof = matches!(spending, Spending::Proof { .. });
            let spent = match spending {
                Spending::Use(one) => {
                    let digest = digest.unwrap_or_else(|| sha256(b""));
                    let reserved = one.reserve(&self.store, digest, self.clock.now()).await;
                    reserved.map(|reserved| reservation = Some(reserved))
                }
                other => self.spend(other).await,
            };
            note(steps, Check::Spend, None, spent)?;
            // Taken by what was spent alone: whoever replays another's request takes nothing of its quota.
            if let Some(quota) = self.nonces.as_ref().filter(|_| is_proof) {
                let taken = quota.take(principal.subject.clone(), request.received_at);
                note_denial(steps, Check::Limit, None, taken.map_err(|wait| over_quota(quota.rate(), wait)))?;
            }
        }
        if let Some(limiter) = &rule.limit {
            let taken = limiter.take(principal.subject.clone(), request.received_at);
            let taken =
                note(steps, Check::Limit, None, taken.map_err(|wait| over_limit(limiter.rate(), wait)));
            if let Err(denial) = taken {
                if let Some(reservation) = reservation {
                    // Somebody took the last of the limit at this moment: nothing was delivered.
                    self.settle(reservation, Delivery::Declined).await?;
                }
                return Err(denial);
            }
        }
        Ok(Judged { principal: Some(principal), reservation: reservation.map(Box::new), presented: read })
    }

    /// Whether the source of a request may try to prove itself.
    ///
    /// # Errors
    /// `rate_limited`: it failed too often lately.
    pub fn look_at_source(&self, request: &RequestView<'_>) -> Result<(), Denial> {
        let (Some(limiter), Some(source), Purpose::Decide) =
            (&self.unproven, request.source, request.purpose)
        else {
            return Ok(());
        };
        limiter.look(&network(source.counted_as()), request.received_at).map_err(|wait| {
            let cause = format!("{source} failed to prove itself more often than {}", limiter.rate());
            Denial::new(Code::RateLimited, cause).retry_after(wait)
        })
    }

    /// A clock that went back would let expired proofs live again, and used ones. Where it did: the latest moment
    /// that it has shown, and the denial for whatever needs the order of moments.
    fn look_at_clock(&self, received_at: Timestamp) -> Result<(), (Timestamp, Denial)> {
        let latest = Timestamp::from_millis(self.latest.load(Ordering::Relaxed));
        if received_at > latest {
            self.latest.fetch_max(received_at.as_millis(), Ordering::Relaxed);
            return Ok(());
        }
        if received_at.plus(CLOCK_TOLERANCE) >= latest {
            return Ok(());
        }
        let cause = format!(
            "the clock shows {received_at} after {latest}: `countersign store accept-clock` believes it"
        );
        Err((latest, Denial::new(Code::ClockRegressed, cause).retry_after(latest.since(received_at))))
    }

    fn look_at_time_again(
        &self,
        principal: &Principal,
        fresh_until: Option<Timestamp>,
    ) -> Result<(), Denial> {
        let Some(end) = [fresh_until, principal.expires].into_iter().flatten().min() else { return Ok(()) };
        let now = self.clock.now();
        if now < end {
            return Ok(());
        }
        Err(Denial::new(
            Code::ProofExpired,
            format!("the proof ended at {end}, before its request was whole"),
        ))
    }

    async fn spend(&self, spending: Spending) -> Result<(), Denial> {
        match spending {
            Spending::Proof { spend, replayed } => match self.store.spend(spend).await? {
                Spent::Once => Ok(()),
                Spent::Replayed => Err(Denial::new(replayed, "the proof has been used")),
                Spent::PredatesBoot(wait) => {
                    let cause = "made before the ledger lost its memory";
                    Err(Denial::new(Code::ProofPredatesBoot, cause).retry_after(wait))
                }
            },
            Spending::Entry { space, id, expected, absent } => {
                match self.store.take_if(space, id, Some(expected)).await? {
                    Some(_) => Ok(()),
                    None => Err(Denial::new(absent, format!("not in {}, or taken", space.name()))),
                }
            }
            Spending::Rising { space, id, value, until, not_higher } => {
                match self.rise(space, id, value, until).await? {
                    true => Ok(()),
                    false => Err(Denial::new(not_higher, "not higher than the last one")),
                }
            }
            Spending::Keep { space, id, entry } => Ok(self.keep(space, id, entry).await?),
            // Reserved by whoever has the body's digest.
            Spending::Use(_) => Err(Denial::new(Code::StoreUnavailable, "a use is reserved, not spent")),
        }
    }

    /// Puts a number in the place of a lower one; false if there is none lower. Whoever loses a race
    /// against a lower number tries again, so that of several at once the highest always passes.
    async fn rise(&self, space: Space, id: Id, value: u64, until: Timestamp) -> Result<bool, StoreError> {
        let new = Bytes::copy_from_slice(&value.to_be_bytes());
        loop {
            let done = match self.store.get(space, id).await? {
                None => self.store.insert(space, id, new.clone(), Some(until)).await?,
                // Big-endian numbers of one length compare as their bytes do.
                Some(last) if last >= new => return Ok(false),
                Some(last) => self.store.replace(space, id, last, new.clone(), Some(until)).await?,
            };
            if done {
                return Ok(true);
            }
        }
    }

    /// Puts an entry in the place of whatever is there. Whoever does the same at the same time wins or
    /// loses as a whole.
    async fn keep(&self, space: Space, id: Id, entry: Option<(Bytes, Timestamp)>) -> Result<(), StoreError> {
        let Some((value, until)) = entry else { return self.store.take_if(space, id, None).await.map(drop) };
        if self.store.insert(space, id, value.clone(), Some(until)).await? {
            return Ok(());
        }
        match self.store.get(space, id).await? {
            Some(old) => self.store.replace(space, id, old, value, Some(until)).await.map(drop),
            None => self.store.insert(space, id, value, Some(until)).await.map(drop),
        }
    }
}

/// Reads every credential of a named scheme. One that is malformed refuses the request, even beside
/// a good one: a bad credential is never skipped.
fn extract<'a>(
    rule: &'a Rule,
    request: &'a RequestView<'a>,
    steps: &mut Vec<Step>,
) -> Result<Vec<Box<dyn Presented + 'a>>, Denial> {
    let mut presented = Vec::with_capacity(2);
    for verifier in &rule.verifiers {
        match verifier.present(request) {
            Ok(None) => {}
            Ok(Some(credential)) => {
                steps.push(passed(Check::Extract, Some(verifier.scheme()), "presented"));
                presented.push(credential);
            }
            Err(denial) => return note(steps, Check::Extract, Some(verifier.scheme()), Err(denial)),
        }
    }
    Ok(presented)
}

fn judge_presented(requirement: &Requirement, presented: &[Presentation]) -> Result<Vec<SchemeSet>, Denial> {
    let there = || match presented {
        [] => "nothing".to_owned(),
        _ => presented.iter().map(|one| one.scheme.as_str()).collect::<Vec<_>>().join("+"),
    };
    let cause = |there: String| format!("{there} was presented where {requirement} is accepted");
    match requirement.judge(presented) {
        Presentations::Whole(counted) => Ok(counted),
        Presentations::Fewer => Err(Denial::new(Code::CredentialMissing, cause(there()))),
        Presentations::Mixture => Err(Denial::new(Code::CredentialAmbiguous, cause(there()))),
    }
}

/// Looks at an `Authorization` that no scheme of the route has read, beside a credential that counts: whether it
/// goes on is decided by its grammar, is told, and is never in doubt.
fn look_at_unread(request: &RequestView<'_>, read: SchemeSet, steps: &mut Vec<Step>) -> Result<(), Denial> {
    let mut values = request.headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(()) };
    if values.next().is_some() {
        let twice = Denial::new(Code::CredentialAmbiguous, "authorization is there twice");
        return note(steps, Check::Extract, None, Err(twice));
    }
    // What is not visible ASCII is none of ours.
    let value = value.to_str().map_or(Authorization::Foreign, Authorization::parse);
    let Some(scheme) = value.scheme().filter(|scheme| !read.contains(*scheme)) else { return Ok(()) };
    let told = match value {
        Authorization::SessionHalf(_) => {
            let cause = "Authorization holds 43 base64url characters, as a session's half does: the route does not read \
                         it, and whether it is ours or the API's own nobody can tell. Send a token of the API's own in \
                         another header";
            return note(
                steps,
                Check::Extract,
                Some(scheme),
                Err(Denial::new(Code::CredentialAmbiguous, cause)),
            );
        }
        Authorization::ApiKey(_) => "the API key in Authorization is not read here, and not forwarded",
        Authorization::Webhook(_) => "the webhook in Authorization is not read here, and not forwarded",
        _ => "the token in Authorization is not read here, and is forwarded",
    };
    steps.push(passed(Check::Extract, None, told));
    Ok(())
}

fn join(left: Principal, right: Principal) -> Result<Principal, Denial> {
    let cause = format!("{} and {} are not one subject, or their claims differ", left.subject, right.subject);
    left.join(right).ok_or_else(|| Denial::new(Code::SubjectMismatch, cause))
}

/// A path that may be shown: without what a rule says is a credential in it, and without what looks like one.
fn shown_path(path: &str, rule: Option<&Arc<Rule>>) -> String {
    let carriers = rule.map(|rule| rule.carriers()).unwrap_or_default();
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

fn over_limit(rate: Rate, wait: Duration) -> Denial {
    Denial::new(Code::RateLimited, format!("the subject's limit is {rate}")).retry_after(wait)
}

fn over_quota(rate: Rate, wait: Duration) -> Denial {
    Denial::new(Code::NonceQuota, format!("the subject may spend {rate} nonces")).retry_after(wait)
}

fn passed(check: Check, scheme: Option<Scheme>, note: &'static str) -> Step {
    Step { check, scheme, passed: true, note: Cow::Borrowed(note) }
}

/// The same, where passing is not worth a word.
fn note_denial<T>(
    steps: &mut Vec<Step>,
    check: Check,
    scheme: Option<Scheme>,
    result: Result<T, Denial>,
) -> Result<T, Denial> {
    match result {
        Ok(value) => Ok(value),
        denied => note(steps, check, scheme, denied),
    }
}

fn note<T>(
    steps: &mut Vec<Step>,
    check: Check,
    scheme: Option<Scheme>,
    result: Result<T, Denial>,
) -> Result<T, Denial> {
    let (passed, note) = match &result {
        Ok(_) => (true, Cow::Borrowed("")),
        Err(denial) => (false, Cow::Owned(denial.cause().to_owned())),
    };
    steps.push(Step { check, scheme, passed, note });
    result
}
