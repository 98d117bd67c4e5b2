//! The credentials of one request, first read and then believed: all of them, or none.

use http::header::AUTHORIZATION;

use crate::authorization::Authorization;
use crate::decision::{Check, Steps};
use crate::denial::{Code, Denial};
use crate::principal::{Principal, Scheme};
use crate::request::{BodySource, RequestView};
use crate::requirement::{Presentation, Presentations, Requirement, SchemeSet};
use crate::rule::Guard;
use crate::spending::{Note, Spending};
use crate::time::Timestamp;
use crate::verifier::{AnyVerifier, BodyCheck, Presented, Proven};

/// What a request presents, read and not yet believed: a group that its rule accepts.
pub(crate) struct Credentials<'a> {
    requirement: &'a Requirement,
    first: Box<dyn Presented + 'a>,
    others: Vec<Box<dyn Presented + 'a>>,
    claims: Vec<Presentation>,
    group: SchemeSet,
}

/// Who was proven, and what is still owed before the request may pass.
pub(crate) struct Owed {
    pub(crate) principal: Box<Principal>,
    pub(crate) bodies: Vec<BodyCheck>,
    pub(crate) spends: Vec<Spending>,
    pub(crate) notes: Vec<Note>,
    pub(crate) fresh_until: Option<Timestamp>,
}

/// What was judged before anything is spent.
pub(crate) struct Looked {
    pub(crate) owed: Owed,
    /// Whose credentials the request carries.
    pub(crate) presented: SchemeSet,
}

impl<'a> Credentials<'a> {
    /// Reads every credential of a named scheme, by the `verifiers` of `guard`. One that is malformed refuses the request, even beside
    /// a good one: a bad credential is never skipped.
    pub(crate) fn read<'v: 'a>(
        guard: &'a Guard,
        verifiers: impl Iterator<Item = &'v dyn AnyVerifier>,
        request: &'a RequestView<'a>,
        steps: &mut Steps,
    ) -> Result<Self, Denial> {
        let mut first = None;
        let mut others = Vec::new();
        for verifier in verifiers {
            let scheme = Some(verifier.scheme());
            let presented = steps.refused(Check::Extract, scheme, verifier.present(request))?;
            let Some(presented) = presented else { continue };
            steps.passed(Check::Extract, scheme, "presented");
            match first {
                None => first = Some(presented),
                Some(_) => others.push(presented),
            }
        }
        let claims: Vec<_> = first.iter().chain(&others).map(|credential| credential.claim()).collect();
        let requirement = &guard.requirement;
        let group = match first {
            None => Err(fewer(requirement, &claims)),
            Some(first) => accepted(requirement, &claims).map(|group| (first, group)),
        };
        let group = group.map_err(|denial| guard.telling_near_misses(denial, request, &claims));
        let (first, group) = steps.check(Check::Requirement, None, group)?;
        Ok(Self { requirement, first, others, claims, group })
    }

    /// The schemes that read something.
    pub(crate) fn schemes(&self) -> SchemeSet {
        self.claims.iter().map(|claim| claim.scheme).collect()
    }

    /// The first scheme whose credential cannot be judged without the order of moments.
    pub(crate) fn needs_order(&self) -> Option<Scheme> {
        self.all().find(|credential| credential.needs_order()).map(|credential| credential.claim().scheme)
    }

    /// Whom the credentials name that another host must be asked about: nobody is, for a request that cannot pass.
    /// What several prove together is only known when they have been.
    pub(crate) fn look_at_claimed(
        &self,
        may: impl Fn(&Principal) -> Result<(), Denial>,
        steps: &mut Steps,
    ) -> Result<(), Denial> {
        for credential in self.all() {
            let scheme = Some(credential.claim().scheme);
            let claimed = steps.refused(Check::Policy, scheme, credential.claimed())?;
            if let Some(claimed) = claimed.filter(|_| self.others.is_empty()) {
                steps.check(Check::Policy, scheme, may(&claimed))?;
            }
        }
        Ok(())
    }

    /// Believes all of them, about one subject.
    pub(crate) async fn verify(self, body: &mut dyn BodySource, steps: &mut Steps) -> Result<Owed, Denial> {
        let Self { requirement, first, others, claims, group } = self;
        let mut facts = Vec::with_capacity(claims.len());
        let first = verify(first, body, &mut facts, steps).await?;
        let mut proven = Vec::with_capacity(others.len());
        for credential in others {
            proven.push(verify(credential, body, &mut facts, steps).await?);
        }
        let group = match facts == claims {
            true => group,
            // What might have been a credential of another scheme as well is none.
            false => steps.check(Check::Requirement, None, accepted(requirement, &facts))?,
        };
        let mut owed = Owed::of(first);
        for other in proven {
            owed = steps.check(Check::Verify, None, owed.and(other))?;
        }
        owed.principal.schemes = group.iter().collect();
        Ok(owed)
    }

    fn all(&self) -> impl Iterator<Item = &(dyn Presented + 'a)> {
        std::iter::once(&self.first).chain(&self.others).map(|credential| &**credential)
    }
}

async fn verify(
    credential: Box<dyn Presented + '_>,
    body: &mut dyn BodySource,
    facts: &mut Vec<Presentation>,
    steps: &mut Steps,
) -> Result<Proven, Denial> {
    let scheme = credential.claim().scheme;
    let proven = steps.check(Check::Verify, Some(scheme), credential.verify(body).await)?;
    facts.push(Presentation { scheme, also: proven.also });
    Ok(proven)
}

impl Owed {
    #[inline]
    fn of(proven: Proven) -> Self {
        let Proven { principal, also: _, body, spends, notes, fresh_until } = proven;
        Self { principal, bodies: body.into_iter().collect(), spends, notes, fresh_until }
    }

    /// Two proofs about one subject: what either owes is owed.
    fn and(mut self, other: Proven) -> Result<Self, Denial> {
        let (mine, theirs) = (&self.principal.subject, &other.principal.subject);
        let cause = format!("{mine} and {theirs} are not one subject, or their claims differ");
        let principal = self.principal.join(*other.principal);
        *self.principal = principal.ok_or_else(|| Denial::new(Code::SubjectMismatch, cause))?;
        self.bodies.extend(other.body);
        self.spends.extend(other.spends);
        self.notes.extend(other.notes);
        self.fresh_until = [self.fresh_until, other.fresh_until].into_iter().flatten().min();
        Ok(self)
    }

    /// Whether a proof is spent, which is remembered for its signer.
    pub(crate) fn has_proof(&self) -> bool {
        self.spends.iter().any(Spending::is_proof)
    }
}

/// The group that is presented, if it is one.
fn accepted(requirement: &Requirement, presented: &[Presentation]) -> Result<SchemeSet, Denial> {
    match requirement.judge(presented) {
        Presentations::Whole(group) => Ok(group),
        Presentations::Fewer => Err(fewer(requirement, presented)),
        Presentations::Mixture => Err(Denial::new(Code::CredentialAmbiguous, told(requirement, presented))),
    }
}

fn fewer(requirement: &Requirement, presented: &[Presentation]) -> Denial {
    Denial::new(Code::CredentialMissing, told(requirement, presented))
}

fn told(requirement: &Requirement, presented: &[Presentation]) -> String {
    let there = match presented {
        [] => "nothing".to_owned(),
        _ => presented.iter().map(|one| one.scheme.as_str()).collect::<Vec<_>>().join("+"),
    };
    format!("{there} was presented where {requirement} is accepted")
}

/// Looks at an `Authorization` that no scheme of the route has read, beside a credential that counts: whether it
/// goes on is decided by its grammar, is told, and is never in doubt.
pub(crate) fn look_at_unread(
    request: &RequestView<'_>,
    read: SchemeSet,
    steps: &mut Steps,
) -> Result<(), Denial> {
    let mut values = request.headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(()) };
    if values.next().is_some() {
        let twice = Denial::new(Code::CredentialAmbiguous, "authorization is there twice");
        return steps.refused(Check::Extract, None, Err(twice));
    }
    // What is not visible ASCII is none of ours.
    let value = value.to_str().map_or(Authorization::Foreign, Authorization::parse);
    let Some(scheme) = value.scheme().filter(|scheme| !read.contains(*scheme)) else { return Ok(()) };
    let told = match value {
        Authorization::SessionHalf(_) => {
            let cause = "Authorization holds 43 base64url characters, as a session's half does: the route does not read \
                         it, and whether it is ours or the API's own nobody can tell. Send a token of the API's own in \
                         another header";
            let doubtful = Denial::new(Code::CredentialAmbiguous, cause);
            return steps.refused(Check::Extract, Some(scheme), Err(doubtful));
        }
        Authorization::ApiKey(_) => "the API key in Authorization is not read here, and not forwarded",
        Authorization::Webhook(_) => "the webhook in Authorization is not read here, and not forwarded",
        _ => "the token in Authorization is not read here, and is forwarded",
    };
    steps.passed(Check::Extract, None, told);
    Ok(())
}
