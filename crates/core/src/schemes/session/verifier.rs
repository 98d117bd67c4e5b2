//! Verifies sessions: both halves, the user behind them, and a handshake or the proof of a bound key.

use std::sync::Arc;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};

use super::cookie::SessionCookie;
use super::cross_site::Origins;
use super::handshakes;
use super::key_proof;
use super::key_proof::{DPOP_SUBPROTOCOL, KeyProof, KeyProven};
use super::policy::{HandshakePolicy, SessionDemand};
use super::record::{Lifetimes, SESSIONS, SessionRecord};
use super::sessions::Sessions;
use super::users::Users;
use super::wire::{self, HALF_SUBPROTOCOL, HANDSHAKE, HANDSHAKE_SUBPROTOCOL, SessionCredential};
use crate::denial::{Challenge, Code, Denial};
use crate::dpop::DPOP;
use crate::principal::{Principal, Scheme, SessionId, Subject};
use crate::request::{BodySource, Carrier, RequestView};
use crate::spending::Note;
use crate::store::{Id, Store, StoreError};
use crate::time::Timestamp;
use crate::verifier::{Proven, Verifier};

/// The claim that names the session (`ses_…`), as in OpenID Connect.
pub const SESSION_CLAIM: &str = "sid";

/// What a verifier must know of the place where it stands.
#[derive(Clone)]
pub struct Surroundings {
    /// Which cookie holds the half.
    pub cookie: SessionCookie,
    /// Whose pages may change something.
    pub origins: Origins,
    /// What judges proofs of bound keys.
    pub key_proof: Arc<dyn KeyProof>,
}

/// Verifies sessions, as one route demands them.
///
/// Two reads, the session's and its user's: that a user is disabled, or has ended all sessions, is one durable
/// write to one entry, which no session that begins at that moment can slip past. A list of sessions to end
/// could be read a moment too early.
pub struct SessionVerifier<S> {
    store: S,
    sessions: Sessions<S>,
    users: Users<S>,
    surroundings: Surroundings,
    demand: SessionDemand,
}

impl<S: Store + Clone> SessionVerifier<S> {
    /// A verifier of the sessions in `store`.
    pub fn new(store: S, surroundings: Surroundings, demand: SessionDemand) -> Self {
        // None begins here, so their lifetimes are nobody's concern.
        let sessions = Sessions::new(store.clone(), Lifetimes::default());
        let users = Users::new(store.clone());
        Self { store, sessions, users, surroundings, demand }
    }
}

impl<S: Store> SessionVerifier<S> {
    /// The session of both halves, as it is kept. Whatever is wrong is the same denial.
    async fn session(
        &self,
        credential: &SessionCredential,
        place: Id,
        now: Timestamp,
    ) -> Result<(Bytes, SessionRecord), Denial> {
        let mismatch = |cause: String| Denial::new(Code::ProofMismatch, cause);
        let Some(bytes) = self.store.get(SESSIONS, place).await? else {
            return Err(mismatch("there is no session of this cookie, or no longer".into()));
        };
        let record = SessionRecord::decode(&bytes)?;
        if !record.is_token(&credential.halves.token) {
            return Err(mismatch(format!("not the token half of {}", record.id)));
        }
        if self.store.forgets_before().is_some_and(|forgotten| record.created < forgotten) {
            let cause = format!(
                "whether {} was ended, the store does not know: it was put back from a copy",
                record.id
            );
            return Err(mismatch(cause));
        }
        let end = record.lives_until();
        if end <= now {
            return Err(mismatch(format!("{} has expired", record.id)).ended_at(end));
        }
        let user = self.users.get(record.user).await?;
        if !user.is_some_and(|user| user.lets(record.generation)) {
            let cause = format!("{} is disabled, or has ended {} with all others", record.user, record.id);
            return Err(mismatch(cause));
        }
        Ok((bytes, record))
    }

    /// The proof of the bound key, which stands in for a handshake, or else the handshake if one is needed. One
    /// that is there is spent, needed or not: nothing that is presented is skipped.
    fn second_proof(
        &self,
        credential: &SessionCredential,
        record: &SessionRecord,
        place: Id,
        request: &RequestView<'_>,
    ) -> Result<KeyProven, Denial> {
        let mut proven = match &record.bound {
            Some(thumbprint) => {
                self.surroundings.key_proof.judge(thumbprint, &credential.halves.token, request)?
            }
            None if self.demand.key_bound => {
                let cause = format!("{} is bound to no key, and this route asks for one", record.id);
                return Err(Denial::new(Code::DpopInvalid, cause));
            }
            None => KeyProven::default(),
        };
        match &credential.handshake {
            Some(handshake) => proven.spends.push(handshakes::spending(place, handshake)),
            None if record.bound.is_none() && self.demand.handshake.asks(wire::is_unsafe(request)) => {
                let cause = format!("handshakes are asked for: {}", self.demand.handshake);
                return Err(Denial::new(Code::HandshakeMissing, cause));
            }
            None => {}
        }
        Ok(proven)
    }
}

/// Once a minute, that the session is in use. Whoever ended it meanwhile has the last word: nothing is written where
/// nothing is.
fn use_of(
    bytes: Bytes,
    mut record: SessionRecord,
    place: Id,
    now: Timestamp,
) -> Result<Option<Note>, StoreError> {
    if !record.is_stale(now) {
        return Ok(None);
    }
    record.seen = now;
    let (new, until) = (record.encode()?, record.lives_until());
    Ok(Some(Note::Updated { space: SESSIONS, id: place, old: bytes, new, until }))
}

impl<S: Store> Verifier for SessionVerifier<S> {
    type Credential = SessionCredential;

    fn scheme(&self) -> Scheme {
        Scheme::Session
    }

    fn carriers(&self) -> Vec<Carrier> {
        vec![
            Carrier::Header(AUTHORIZATION),
            Carrier::Header(HANDSHAKE),
            Carrier::Cookie(self.surroundings.cookie.name()),
            Carrier::Subprotocol(HALF_SUBPROTOCOL),
            Carrier::Subprotocol(HANDSHAKE_SUBPROTOCOL),
            Carrier::Header(DPOP),
            Carrier::Subprotocol(DPOP_SUBPROTOCOL),
        ]
    }

    fn extract(&self, request: &RequestView<'_>) -> Result<Option<SessionCredential>, Denial> {
        wire::read(request, self.surroundings.cookie)
    }

    /// The halves are good until the session ends, and a handshake is taken out of where it waits; the proof of a
    /// bound key has a date.
    fn needs_order(&self, _credential: &SessionCredential, request: &RequestView<'_>) -> bool {
        key_proof::is_presented(request)
    }

    async fn verify(
        &self,
        credential: SessionCredential,
        request: &RequestView<'_>,
        _body: &mut dyn BodySource,
    ) -> Result<Proven, Denial> {
        self.surroundings.origins.judge(request)?;
        let place = SessionRecord::place(&credential.halves.cookie);
        let (bytes, record) = self.session(&credential, place, request.received_at).await?;
        let KeyProven { spends, fresh_until } = self.second_proof(&credential, &record, place, request)?;
        let mut principal = Principal::vouch_for(Subject::User(record.user));
        principal.claims.insert(SESSION_CLAIM.to_owned(), record.id.to_string().into());
        principal.expires = Some(record.ends);
        let notes = use_of(bytes, record, place, request.received_at)?.into_iter().collect();
        Ok(Proven { spends, notes, fresh_until, ..Proven::outright(principal) })
    }

    fn challenge(&self) -> Option<Challenge> {
        Some(Challenge::new(match (self.demand.key_bound, self.demand.handshake) {
            (true, _) => "Session realm=\"session\", key-bound=true",
            (false, HandshakePolicy::Never) => "Session realm=\"session\", handshake=never",
            (false, HandshakePolicy::UnsafeMethods) => "Session realm=\"session\", handshake=unsafe-methods",
            (false, HandshakePolicy::Always) => "Session realm=\"session\", handshake=always",
        }))
    }

    fn asks(&self, request: &RequestView<'_>) -> Option<(HeaderName, HeaderValue)> {
        self.surroundings.key_proof.asks(request)
    }

    fn tells(&self, at: Timestamp) -> Option<(HeaderName, HeaderValue)> {
        self.surroundings.key_proof.tells(at)
    }

    async fn still_holds(&self, principal: &Principal, now: Timestamp) -> Result<bool, StoreError> {
        let session = principal.claims.get(SESSION_CLAIM).and_then(|name| SessionId::parse(name.as_str()?));
        let (Subject::User(user), Some(session)) = (&principal.subject, session) else { return Ok(false) };
        let Some(record) = self.sessions.get(*user, session, now).await? else { return Ok(false) };
        Ok(self.users.get(*user).await?.is_some_and(|user| user.lets(record.generation)))
    }
}
