//! Turns a credential into a principal and what must be spent, or into a denial.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};

use crate::crypto::Digest;
use crate::denial::{Challenge, Code, Denial};
use crate::principal::{Principal, Scheme};
use crate::request::{BodySource, Carrier, RequestView};
use crate::requirement::Presentation;
use crate::reservation::Use;
use crate::spending::{Note, Spending};
use crate::store::{Spend, StoreError};
use crate::time::Timestamp;

/// A scheme's verifier, set up for one route.
pub trait Verifier: Send + Sync + 'static {
    /// What a request carries for this scheme: read, not yet believed.
    type Credential: Send;

    /// The scheme.
    fn scheme(&self) -> Scheme;

    /// Another scheme that its credentials may satisfy as well, which is known once one is verified:
    /// such a verifier is asked on routes that name either.
    fn may_stand_for(&self) -> Option<Scheme> {
        None
    }

    /// Where its credentials travel: taken out before the request is forwarded.
    fn carriers(&self) -> Vec<Carrier>;

    /// Reads the credential. Pure: no keys, no I/O. `Ok(None)`: nothing of ours here.
    ///
    /// # Errors
    /// It is ours, and malformed; such a request is refused, whatever else it carries.
    fn extract(&self, request: &RequestView<'_>) -> Result<Option<Self::Credential>, Denial>;

    /// What of its kind is there and was not read as a credential, and why: in words, for the operator of a
    /// request that presents too little. Never a secret.
    fn overlooks(&self, _request: &RequestView<'_>) -> Vec<String> {
        Vec::new()
    }

    /// Believes the credential or not. Writes nothing, anywhere: what to spend and what to note come back with the
    /// principal, and the gate does both after the policy agrees, on a permit alone.
    fn verify(
        &self,
        credential: Self::Credential,
        request: &RequestView<'_>,
        body: &mut dyn BodySource,
    ) -> impl Future<Output = Result<Proven, Denial>> + Send;

    /// Whom a credential names, before it is proven, where proving it asks another host: the policy
    /// judges that name first, so that nobody is dialled for a request that cannot pass.
    ///
    /// # Errors
    /// Nobody of that name is let in at all.
    fn claimed(&self, _credential: &Self::Credential) -> Result<Option<Principal>, Denial> {
        Ok(None)
    }

    /// Whether judging this credential needs the order of moments: when it was made, or that it was not there
    /// before. While the clock stands behind what it has shown, such a credential is `clock_regressed`, and the
    /// others are judged as of the latest moment that it has shown.
    fn needs_order(&self, _credential: &Self::Credential, _request: &RequestView<'_>) -> bool {
        true
    }

    /// The same, with [`AskNobody`](crate::fetch::AskNobody) in the place of whatever asks other hosts, and with
    /// nothing that it could take away from those who wait for an answer: it judges what is only explained. `None`:
    /// it asks nobody as it is.
    fn asking_nobody(&self) -> Option<AskingNobody> {
        None
    }

    /// How to ask for this scheme on a 401.
    fn challenge(&self) -> Option<Challenge> {
        None
    }

    /// A second way to ask, where credentials of another standard are taken as well.
    fn also_challenges(&self) -> Option<Challenge> {
        None
    }

    /// What else a 401 to this request asks for, as a header of its own.
    fn asks(&self, _request: &RequestView<'_>) -> Option<(HeaderName, HeaderValue)> {
        None
    }

    /// How to ask after this very denial. By default as always, on every 401; a scheme whose standard
    /// wants more said (RFC 6750 §3) says it here, on a 403 too.
    fn challenge_to(&self, denial: &Denial) -> Option<Challenge> {
        self.challenge().filter(|_| denial.code().status() == http::StatusCode::UNAUTHORIZED)
    }

    /// What the response to a request that was permitted at `at` says of this scheme, such as
    /// `Authentication-Info` (RFC 9110 §11.6.3).
    fn tells(&self, _at: Timestamp) -> Option<(HeaderName, HeaderValue)> {
        None
    }

    /// Whether what was proven earlier still holds at `now`, apart from the principal's own expiry:
    /// asked while an upgraded connection lives.
    fn still_holds(
        &self,
        _principal: &Principal,
        _now: Timestamp,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send {
        std::future::ready(Ok(true))
    }
}

/// What a verifier found: who, and what is still owed before the request may pass.
pub struct Proven {
    /// Who was proven. It is handed on often, up to the permit.
    pub principal: Box<Principal>,
    /// The other scheme that the credential satisfies, of [`Verifier::may_stand_for`].
    pub also: Option<Scheme>,
    /// The body that was proven with them, if one was.
    pub body: Option<BodyCheck>,
    /// What must be spent.
    pub spends: Vec<Spending>,
    /// What is noted if the request passes.
    pub notes: Vec<Note>,
    /// Until when the proof itself is fresh; looked at again after the body came in.
    pub fresh_until: Option<Timestamp>,
}

impl Proven {
    /// Nothing more is owed.
    #[must_use]
    pub fn outright(principal: Principal) -> Self {
        let principal = Box::new(principal);
        Self { principal, also: None, body: None, spends: Vec::new(), notes: Vec::new(), fresh_until: None }
    }

    /// A proof that passes once and is fresh as long as it is remembered; its second use is
    /// `signature_replayed`.
    #[must_use]
    pub fn once(principal: Principal, spend: Spend) -> Self {
        let spends = vec![Spending::Proof { spend, replayed: Code::SignatureReplayed }];
        Self { spends, fresh_until: Some(spend.until), ..Self::outright(principal) }
    }
}

/// A body that must be read, and what it must be.
pub struct BodyCheck {
    /// How many bytes are read at most.
    pub limit: usize,
    /// Judges the whole body.
    pub check: JudgeBody,
}

/// Judges a whole body, and says which use of something it is, with its digest, if it is one. Nothing else is spent
/// because of a body: proofs are in order and within their quota before one is read.
///
/// ```
/// # use countersign::{crypto::Digest, reservation::Use, verifier::JudgeBody};
/// fn uses(one: Use, digest: Digest) -> JudgeBody {
///     Box::new(move |_| Ok(Some((one, digest))))
/// }
/// ```
///
/// ```compile_fail
/// # use countersign::{spending::Spending, verifier::JudgeBody};
/// fn spends(spending: Spending) -> JudgeBody {
///     Box::new(move |_| Ok(Some(spending)))
/// }
/// ```
pub type JudgeBody = Box<dyn FnOnce(&Bytes) -> Result<Option<(Use, Digest)>, Denial> + Send>;

pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A verifier that asks nobody: [`Verifier::asking_nobody`].
pub struct AskingNobody(pub(crate) Box<dyn AnyVerifier>);

impl AskingNobody {
    /// This one.
    #[must_use]
    pub fn of(verifier: impl Verifier) -> Self {
        Self(Box::new(verifier))
    }
}

/// A [`Verifier`] whose credential type is hidden, so that a route can hold several.
pub(crate) trait AnyVerifier: Send + Sync {
    fn scheme(&self) -> Scheme;
    fn may_stand_for(&self) -> Option<Scheme>;
    fn carriers(&self) -> Vec<Carrier>;
    fn asking_nobody(&self) -> Option<AskingNobody>;
    fn challenges_to(&self, denial: &Denial) -> Vec<Challenge>;
    fn tells(&self, at: Timestamp) -> Option<(HeaderName, HeaderValue)>;
    fn asks(&self, request: &RequestView<'_>) -> Option<(HeaderName, HeaderValue)>;
    fn overlooks(&self, request: &RequestView<'_>) -> Vec<String>;
    fn present<'a>(&'a self, request: &'a RequestView<'a>)
    -> Result<Option<Box<dyn Presented + 'a>>, Denial>;
    fn still_holds<'a>(
        &'a self,
        principal: &'a Principal,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;
}

/// A credential together with the verifier that will judge it.
pub(crate) trait Presented: Send {
    /// What it counts as before it is verified.
    fn claim(&self) -> Presentation;
    fn claimed(&self) -> Result<Option<Principal>, Denial>;
    fn needs_order(&self) -> bool;
    fn verify<'b>(self: Box<Self>, body: &'b mut dyn BodySource) -> BoxFuture<'b, Result<Proven, Denial>>
    where
        Self: 'b;
}

struct Read<'a, V: Verifier> {
    verifier: &'a V,
    credential: V::Credential,
    request: &'a RequestView<'a>,
}

impl<V: Verifier> AnyVerifier for V {
    fn scheme(&self) -> Scheme {
        Verifier::scheme(self)
    }

    fn may_stand_for(&self) -> Option<Scheme> {
        Verifier::may_stand_for(self)
    }

    fn carriers(&self) -> Vec<Carrier> {
        Verifier::carriers(self)
    }

    fn asking_nobody(&self) -> Option<AskingNobody> {
        Verifier::asking_nobody(self)
    }

    fn challenges_to(&self, denial: &Denial) -> Vec<Challenge> {
        let first = self.challenge_to(denial);
        let unproven = denial.code().status() == http::StatusCode::UNAUTHORIZED;
        let second = self.also_challenges().filter(|_| unproven);
        first.into_iter().chain(second).collect()
    }

    fn tells(&self, at: Timestamp) -> Option<(HeaderName, HeaderValue)> {
        Verifier::tells(self, at)
    }

    fn asks(&self, request: &RequestView<'_>) -> Option<(HeaderName, HeaderValue)> {
        Verifier::asks(self, request)
    }

    fn overlooks(&self, request: &RequestView<'_>) -> Vec<String> {
        Verifier::overlooks(self, request)
    }

    fn present<'a>(
        &'a self,
        request: &'a RequestView<'a>,
    ) -> Result<Option<Box<dyn Presented + 'a>>, Denial> {
        let credential = self.extract(request)?;
        Ok(credential.map(|credential| {
            Box::new(Read { verifier: self, credential, request }) as Box<dyn Presented + 'a>
        }))
    }

    fn still_holds<'a>(
        &'a self,
        principal: &'a Principal,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(Verifier::still_holds(self, principal, now))
    }
}

impl<V: Verifier> Presented for Read<'_, V> {
    fn claim(&self) -> Presentation {
        let verifier = self.verifier;
        Presentation { scheme: Verifier::scheme(verifier), also: Verifier::may_stand_for(verifier) }
    }

    fn claimed(&self) -> Result<Option<Principal>, Denial> {
        self.verifier.claimed(&self.credential)
    }

    fn needs_order(&self) -> bool {
        self.verifier.needs_order(&self.credential, self.request)
    }

    fn verify<'b>(self: Box<Self>, body: &'b mut dyn BodySource) -> BoxFuture<'b, Result<Proven, Denial>>
    where
        Self: 'b,
    {
        let Read { verifier, credential, request } = *self;
        Box::pin(verifier.verify(credential, request, body))
    }
}
