//! The policy decision point: what is presented, who that proves, what they may do, and last what it costs.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::crypto::Random;
use crate::decision::{Check, Decision, DecisionIds, Outcome, Refusal, Steps};
use crate::denial::{Code, Denial};
use crate::held::Held;
use crate::limit::{Limiter, Rate, network};
use crate::near_miss::refused_as_method;
use crate::passage::{Passage, ReservedPermit};
use crate::path::check_path;
use crate::permit::Permit;
use crate::presented::{Credentials, Looked, Owed, look_at_unread};
use crate::principal::{Principal, Subject};
use crate::redaction::{redact_method, redact_path};
use crate::request::{BodySource, RequestView};
use crate::requirement::SchemeSet;
use crate::reservation::Delivery;
use crate::rule::{Guard, Rule};
use crate::spending::{Note, Spending};
use crate::store::Store;
use crate::time::{Clock, Timestamp};
use crate::verifier::AnyVerifier;
use crate::witness::Spawn;

/// How far a clock may step back unnoticed: leap smearing and small corrections.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(2);

/// What the gate says.
pub enum Verdict<S> {
    /// The request may pass.
    Permit(Passage<S>),
    /// It may not.
    Deny(Refusal),
}

impl<S> Verdict<S> {
    /// How it came to be.
    #[must_use]
    pub fn decision(&self) -> &Arc<Decision> {
        match self {
            Self::Permit(passage) => passage.decision(),
            Self::Deny(refusal) => refusal.decision(),
        }
    }
}

/// The policy decision point.
pub struct Gate<S> {
    store: Arc<S>,
    clock: Arc<dyn Clock>,
    ids: DecisionIds,
    unproven: Option<Limiter<IpAddr>>,
    nonces: Option<Limiter<Subject>>,
    /// The latest `received_at`, in milliseconds.
    latest: AtomicU64,
    spawn: OnceLock<Arc<dyn Spawn>>,
}

impl<S> Gate<S> {
    /// Where work goes on when a caller has left: what was reserved for them and is not being delivered is given back
    /// there. Without it, that stays reserved until its time is over. The first that is named counts.
    pub fn work_in(&self, spawn: Arc<dyn Spawn>) {
        let _ = self.spawn.set(spawn);
    }
}

impl<S: Store> Gate<S> {
    /// A gate that spends in `store`.
    #[must_use]
    pub fn new(store: S, clock: Arc<dyn Clock>, random: &dyn Random) -> Self {
        let (unproven, nonces) = (None, None);
        Self {
            store: Arc::new(store),
            clock,
            ids: DecisionIds::new(random),
            unproven,
            nonces,
            latest: AtomicU64::new(0),
            spawn: OnceLock::new(),
        }
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

    /// Decides whether `request`, whose path can be read in one way, may pass under `rule`. Whatever lets requests in
    /// asks an [`Arrival`](crate::Arrival).
    pub async fn decide(
        &self,
        rule: &Arc<Rule>,
        request: &RequestView<'_>,
        body: &mut dyn BodySource,
    ) -> Verdict<S> {
        let mut steps = Steps::new();
        let judged = match self.look_at_rule(rule, request, &mut steps) {
            Err(denial) => Err(denial),
            Ok(None) => Ok(Judged::public()),
            Ok(Some(guard)) => {
                let judged = self.judge(guard, request, body, &mut steps).await;
                judged.map_err(|denial| guard.challenging(denial, request))
            }
        };
        match judged {
            Ok(judged) => Verdict::Permit(self.permit(judged, rule, request, steps)),
            Err(denial) => {
                self.count(request, &denial);
                let record = |outcome| self.record(request, Some(rule), steps, outcome);
                Verdict::Deny(Refusal::of(denial, record))
            }
        }
    }

    /// What would become of a request: it is judged as by [`Gate::decide`], but nobody is asked, and what would be
    /// spent is only looked at. Nothing counts and nothing is noted.
    pub async fn explain(
        &self,
        rule: &Arc<Rule>,
        request: &RequestView<'_>,
        body: &mut dyn BodySource,
    ) -> Arc<Decision> {
        if let Err(refusal) = self.read(request) {
            return refusal.decision().clone();
        }
        let mut steps = Steps::new();
        let foreseen = match self.look_at_rule(rule, request, &mut steps) {
            Err(denial) => Err(denial),
            Ok(None) => Ok(None),
            Ok(Some(guard)) => {
                let foreseen = self.foresee(guard, request, body, &mut steps).await;
                foreseen.map(Some).map_err(|denial| guard.challenging(denial, request))
            }
        };
        let outcome = match foreseen {
            Ok(principal) => Outcome::Permit(principal.map(|who| (who.subject, who.schemes))),
            Err(denial) => Outcome::Deny(Arc::new(denial)),
        };
        self.record(request, Some(rule), steps, outcome)
    }

    /// What could be read in two ways is under no rule. This is the guarantee, for every front; a router that looks
    /// before only keeps such a path out of its own matching.
    pub(crate) fn read(&self, request: &RequestView<'_>) -> Result<(), Refusal> {
        let read = check_path(request.target.path());
        read.map_err(|denial| self.refuse(request, Check::Reading, denial))
    }

    #[inline]
    fn permit(
        &self,
        judged: Judged<S>,
        rule: &Arc<Rule>,
        request: &RequestView<'_>,
        steps: Steps,
    ) -> Passage<S> {
        let Judged { principal, reservation, presented } = judged;
        let proven = principal.as_ref().map(|who| (who.subject.clone(), who.schemes.clone()));
        let decision = self.record(request, Some(rule), steps, Outcome::Permit(proven));
        let permit = Permit::of(principal, presented, decision, rule.clone());
        match reservation {
            None => Passage::Free(permit),
            Some(reservation) => Passage::Once(ReservedPermit::of(permit, reservation)),
        }
    }

    /// The present moment, by the clock that was handed in.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Records a request that is refused without a rule. Where one was looked for, its path comes first: that nothing is
    /// found under it is no answer to what could be read in two ways.
    #[must_use]
    pub fn refuse(&self, request: &RequestView<'_>, check: Check, denial: Denial) -> Refusal {
        let (check, denial) = match (check, check_path(request.target.path())) {
            (Check::Route, Err(ambiguous)) => (Check::Reading, ambiguous),
            _ => (check, denial),
        };
        let near_miss = refused_as_method(request).filter(|_| denial.code() == Code::MethodNotAllowed);
        let denial = match near_miss {
            Some(near_miss) => denial.noting(&near_miss),
            None => denial,
        };
        let mut steps = Steps::new();
        steps.denied(check, None, &denial);
        Refusal::of(denial, |outcome| self.record(request, None, steps, outcome))
    }

    /// Records a request that was refused by whatever answers it instead of a rule, and counts it among
    /// what its source failed to prove.
    #[must_use]
    pub fn fail(&self, request: &RequestView<'_>, check: Check, denial: Denial) -> Refusal {
        self.count(request, &denial);
        self.refuse(request, check, denial)
    }

    /// Taken only by failures, so that many proven callers behind one address stay welcome.
    fn count(&self, request: &RequestView<'_>, denial: &Denial) {
        if let (Some(limiter), Some(source)) = (&self.unproven, request.source)
            && matches!(denial.code().status().as_u16(), 400 | 401)
        {
            let _ = limiter.take(network(source.counted_as()), request.received_at);
        }
    }

    fn record(
        &self,
        request: &RequestView<'_>,
        rule: Option<&Arc<Rule>>,
        steps: Steps,
        outcome: Outcome,
    ) -> Arc<Decision> {
        let path = request.target.path();
        Arc::new(Decision {
            id: self.ids.next(request.received_at),
            at: request.received_at,
            source: request.source,
            method: redact_method(request.method),
            path: rule.map_or_else(|| redact_path(path), |rule| rule.shown_path(path)),
            route: rule.map(|rule| rule.name().clone()),
            steps: steps.all(request.source),
            outcome,
            afterwards: OnceLock::new(),
        })
    }

    /// Whoever may try meets the rule's guard, if it has one.
    fn look_at_rule<'r>(
        &self,
        rule: &'r Rule,
        request: &RequestView<'_>,
        steps: &mut Steps,
    ) -> Result<Option<&'r Guard>, Denial> {
        if rule.is_watched() {
            steps.check(Check::Source, None, self.may_try(request))?;
        }
        let guard = rule.guard();
        if guard.is_none() {
            steps.passed(Check::Requirement, None, "the route is public");
        }
        Ok(guard)
    }

    /// The order is DESIGN's: nothing is spent until everything else has been judged, so that a
    /// refused request burns nobody's nonce, token or budget.
    async fn judge(
        &self,
        guard: &Guard,
        request: &RequestView<'_>,
        body: &mut dyn BodySource,
        steps: &mut Steps,
    ) -> Result<Judged<S>, Denial> {
        let behind = self.look_at_clock(request, steps);
        let verifiers = guard.verifiers.iter().map(|verifier| &**verifier);
        let Looked { owed, presented } = self.look(guard, verifiers, behind, request, body, steps).await?;
        self.look_at_time(&owed, steps)?;
        let Owed { principal, spends, notes, .. } = owed;
        let reservation = self.spend(spends, &principal, request.received_at, steps).await?;
        let passed = match take(guard, &principal, request.received_at, steps) {
            Ok(()) => self.note(notes, steps).await,
            limited => limited,
        };
        if let Err(denial) = passed {
            if let Some(reservation) = reservation {
                // Somebody took the last of the limit at this moment, say: nothing was delivered.
                reservation.settle(Delivery::Declined).await?;
            }
            return Err(denial);
        }
        Ok(Judged { principal: Some(principal), reservation, presented })
    }

    /// The same without effects. Its moment may be any, and is not the clock's: that did not go back, and no time
    /// passes while the body comes in.
    async fn foresee(
        &self,
        guard: &Guard,
        request: &RequestView<'_>,
        body: &mut dyn BodySource,
        steps: &mut Steps,
    ) -> Result<Box<Principal>, Denial> {
        let silent: Vec<_> = guard.verifiers.iter().map(|verifier| verifier.asking_nobody()).collect();
        let verifiers = guard.verifiers.iter().zip(&silent);
        let verifiers =
            verifiers.map(|(asking, silent)| silent.as_ref().map_or(&**asking, |silent| &*silent.0));
        let Looked { owed, .. } = self.look(guard, verifiers, None, request, body, steps).await?;
        for spending in &owed.spends {
            let looked = spending.look(&*self.store, request.received_at).await;
            steps.check(Check::Spend, None, looked)?;
        }
        Ok(owed.principal)
    }

    /// All that is judged before anything is spent.
    async fn look<'v>(
        &self,
        guard: &Guard,
        verifiers: impl Iterator<Item = &'v dyn AnyVerifier>,
        behind: Option<Behind>,
        request: &RequestView<'_>,
        body: &mut dyn BodySource,
        steps: &mut Steps,
    ) -> Result<Looked, Denial> {
        // Expiry is judged by the later of the two, so that nothing that had expired lives again.
        let received_at = behind.as_ref().map_or(request.received_at, |behind| behind.latest);
        let view = RequestView { received_at, ..request.clone() };
        let credentials = Credentials::read(guard, verifiers, &view, steps)?;
        let presented = credentials.schemes();
        look_at_order(behind.as_ref(), &credentials, steps)?;
        look_at_unread(&view, presented, steps)?;
        look_at_claimed(guard, &credentials, request.received_at, steps)?;
        let doubt = |denial| behind.iter().fold(denial, |denial, behind| behind.doubting(denial));
        let mut owed = credentials.verify(body, steps).await.map_err(doubt)?;
        look_at_policy(guard, &owed.principal, request.received_at, steps)?;
        self.look_at_proofs(behind, &owed, request.received_at, steps)?;
        look_at_body(&mut owed, body, steps).await?;
        Ok(Looked { owed, presented })
    }

    /// Whether the source of a request may try to prove itself.
    ///
    /// # Errors
    /// `rate_limited`: it failed too often lately.
    pub fn may_try(&self, request: &RequestView<'_>) -> Result<(), Denial> {
        let (Some(limiter), Some(source)) = (&self.unproven, request.source) else { return Ok(()) };
        limiter.look(&network(source.counted_as()), request.received_at).map_err(|wait| {
            let cause = format!("{source} failed to prove itself more often than {}", limiter.rate());
            Denial::new(Code::RateLimited, cause).retry_after(wait)
        })
    }

    /// A clock that went back would let expired proofs live again, and used ones.
    fn look_at_clock(&self, request: &RequestView<'_>, steps: &mut Steps) -> Option<Behind> {
        let received_at = request.received_at;
        let latest = Timestamp::from_millis(self.latest.load(Ordering::Relaxed));
        if received_at > latest {
            self.latest.fetch_max(received_at.as_millis(), Ordering::Relaxed);
        }
        if received_at.plus(CLOCK_TOLERANCE) >= latest {
            steps.passed(Check::Time, None, "");
            return None;
        }
        let behind = Behind { latest, received_at };
        steps.passed(Check::Time, None, format!("{}; nothing dated passes", behind.told()));
        Some(behind)
    }

    /// What names itself is spent in the order of moments, and only so often by one signer.
    fn look_at_proofs(
        &self,
        behind: Option<Behind>,
        owed: &Owed,
        received_at: Timestamp,
        steps: &mut Steps,
    ) -> Result<(), Denial> {
        if !owed.has_proof() {
            return Ok(());
        }
        if let Some(behind) = behind {
            return steps.refused(Check::Time, None, Err(behind.denial()));
        }
        let Some(quota) = &self.nonces else { return Ok(()) };
        let looked = quota.look(&owed.principal.subject, received_at);
        steps.check(Check::Limit, None, looked.map_err(|wait| over_quota(quota.rate(), wait)))
    }

    /// Time passed while the body came in.
    fn look_at_time(&self, owed: &Owed, steps: &mut Steps) -> Result<(), Denial> {
        let end = [owed.fresh_until, owed.principal.expires].into_iter().flatten().min();
        let over = end.filter(|end| self.clock.now() >= *end);
        let cause = |end| format!("the proof ended at {end}, before its request was whole");
        let over = over.map_or(Ok(()), |end| Err(Denial::new(Code::ProofExpired, cause(end))));
        steps.check(Check::Time, None, over)
    }

    async fn spend(
        &self,
        spends: Vec<Spending>,
        principal: &Principal,
        received_at: Timestamp,
        steps: &mut Steps,
    ) -> Result<Option<Box<Held<S>>>, Denial> {
        let mut reservation = None;
        for spending in spends {
            let is_proof = spending.is_proof();
            let spent = spending.spend(&self.store, self.spawn.get(), self.clock.now()).await;
            reservation = steps.check(Check::Spend, None, spent)?.or(reservation);
            // Taken by what was spent alone: whoever replays another's request takes nothing of its quota.
            if let Some(quota) = self.nonces.as_ref().filter(|_| is_proof) {
                let taken = quota.take(principal.subject.clone(), received_at);
                let taken = taken.map_err(|wait| over_quota(quota.rate(), wait));
                steps.refused(Check::Limit, None, taken)?;
            }
        }
        Ok(reservation)
    }

    async fn note(&self, notes: Vec<Note>, steps: &mut Steps) -> Result<(), Denial> {
        for note in notes {
            let is_owed = note.is_owed();
            match note.write(&*self.store).await {
                // What was spent for it is gone: a refusal would only take that, too.
                Err(error) if !is_owed => {
                    steps.passed(Check::Note, None, format!("not written down: {error}"));
                }
                written => steps.refused(Check::Note, None, written.map_err(Denial::from))?,
            }
        }
        Ok(())
    }
}

/// What was judged of a request that may pass.
struct Judged<S> {
    /// Who was proven; `None` on a public route.
    principal: Option<Box<Principal>>,
    /// What was reserved for it.
    reservation: Option<Box<Held<S>>>,
    /// Whose credentials it carries.
    presented: SchemeSet,
}

impl<S> Judged<S> {
    /// Of a request to a public route.
    fn public() -> Self {
        Self { principal: None, reservation: None, presented: SchemeSet::default() }
    }
}

/// The clock stands behind what it has shown.
struct Behind {
    /// The latest moment that it has shown.
    latest: Timestamp,
    received_at: Timestamp,
}

impl Behind {
    fn told(&self) -> String {
        let Self { latest, received_at } = self;
        format!("the clock shows {received_at} after {latest}: `countersign store accept-clock` believes it")
    }

    /// For whatever needs the order of moments.
    fn denial(&self) -> Denial {
        let denial = Denial::new(Code::ClockRegressed, self.told());
        denial.retry_after(self.latest.since(self.received_at))
    }

    /// For what has ended by the latest moment alone: a 401 would make its caller throw away what is good, if that
    /// moment was wrong.
    fn doubting(&self, denial: Denial) -> Denial {
        match denial.ended() {
            Some(end) if self.received_at < end => self.denial().noting(denial.cause()),
            _ => denial,
        }
    }
}

fn look_at_order(
    behind: Option<&Behind>,
    credentials: &Credentials<'_>,
    steps: &mut Steps,
) -> Result<(), Denial> {
    match behind.map(|behind| (behind, credentials.needs_order())) {
        Some((behind, Some(scheme))) => steps.refused(Check::Time, Some(scheme), Err(behind.denial())),
        _ => Ok(()),
    }
}

/// Nobody is asked about a request that cannot pass.
fn look_at_claimed(
    guard: &Guard,
    credentials: &Credentials<'_>,
    received_at: Timestamp,
    steps: &mut Steps,
) -> Result<(), Denial> {
    let may = |claimed: &Principal| {
        guard.policy.allows(claimed).and_then(|()| guard.look_at_limit(claimed, received_at))
    };
    credentials.look_at_claimed(may, steps)
}

fn look_at_policy(
    guard: &Guard,
    principal: &Principal,
    received_at: Timestamp,
    steps: &mut Steps,
) -> Result<(), Denial> {
    steps.check(Check::Policy, None, guard.policy.allows(principal))?;
    match guard.has_limit() {
        true => steps.check(Check::Limit, None, guard.look_at_limit(principal, received_at)),
        false => Ok(()),
    }
}

/// The body is the one that was proven; what it costs is owed with the rest.
async fn look_at_body(owed: &mut Owed, body: &mut dyn BodySource, steps: &mut Steps) -> Result<(), Denial> {
    for demand in std::mem::take(&mut owed.bodies) {
        let judged = body.read(demand.limit).await.and_then(|bytes| (demand.check)(&bytes));
        let used = steps.check(Check::Body, None, judged)?;
        owed.spends.extend(used.map(|(one, digest)| Spending::Use { one, digest }));
    }
    Ok(())
}

/// Takes of the subject's limit, when everything else has been taken: what does not pass costs nothing of it.
fn take(
    guard: &Guard,
    principal: &Principal,
    received_at: Timestamp,
    steps: &mut Steps,
) -> Result<(), Denial> {
    match guard.has_limit() {
        true => steps.check(Check::Limit, None, guard.take_of_limit(principal, received_at)),
        false => Ok(()),
    }
}

fn over_quota(rate: Rate, wait: Duration) -> Denial {
    Denial::new(Code::NonceQuota, format!("the subject may spend {rate} nonces")).retry_after(wait)
}
