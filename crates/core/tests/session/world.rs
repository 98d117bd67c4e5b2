//! A store, a clock, users, and a gate before one route.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use countersign::crypto::{SealKey, SystemRandom};
use countersign::schemes::api_key::{ApiKeyVerifier, LastUses};
use countersign::schemes::session::passwords::{PasswordCost, PasswordLimits, Passwords};
use countersign::schemes::session::{
    Accounts, Half, Halves, HandshakePolicy, KeyProof, Lifetimes, NoKeyProof, Origins, SessionCookie,
    SessionDemand, SessionRecord, SessionVerifier, Sessions, SignIn, Surroundings, UserRecord, Users,
    handshakes,
};
use countersign::testing::Verdict;
use countersign::testing::{self, Request, TestStore, rule, seal_key};
use countersign::{Code, PublicUrl, Rule, Scheme, Timestamp, Workers};

pub(crate) const LIFETIMES: Lifetimes =
    Lifetimes { idle: Duration::from_secs(3_600), absolute: Duration::from_secs(36_000) };
pub(crate) const EMAIL: &str = "ann@example.org";
pub(crate) const PASSWORD: &str = "correct horse battery";
pub(crate) const CHEAP: PasswordCost = PasswordCost { memory_kib: 8, passes: 1 };

/// Does the work at once, and counts it.
#[derive(Default)]
pub(crate) struct Counted(pub(crate) AtomicUsize);

impl Workers for Counted {
    fn run(&self, work: Box<dyn FnOnce() + Send>) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        work();
        Box::pin(std::future::ready(()))
    }
}

pub(crate) struct World {
    common: testing::World,
    pub(crate) hashed: Arc<Counted>,
    pub(crate) accounts: Accounts<Arc<TestStore>>,
    pub(crate) rule: Arc<Rule>,
}

impl Deref for World {
    type Target = testing::World;

    fn deref(&self) -> &testing::World {
        &self.common
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::demanding(HandshakePolicy::UnsafeMethods)
    }

    pub(crate) fn demanding(handshake: HandshakePolicy) -> Self {
        Self::with(SessionDemand { handshake, key_bound: false }, Arc::new(NoKeyProof), SessionCookie::Host)
    }

    pub(crate) fn with(demand: SessionDemand, key_proof: Arc<dyn KeyProof>, cookie: SessionCookie) -> Self {
        Self::on(demand, key_proof, cookie, None)
    }

    /// With a store that was put back from a copy at this moment.
    pub(crate) fn restored_at(moment: Timestamp) -> Self {
        let demand = SessionDemand { handshake: HandshakePolicy::UnsafeMethods, key_bound: false };
        Self::on(demand, Arc::new(NoKeyProof), SessionCookie::Host, Some(moment))
    }

    fn on(
        demand: SessionDemand,
        key_proof: Arc<dyn KeyProof>,
        cookie: SessionCookie,
        restored_at: Option<Timestamp>,
    ) -> Self {
        let common = testing::World::remembering(|memory| match restored_at {
            Some(moment) => memory.refusing_proofs_before(moment),
            None => memory,
        });
        let store = &common.store;
        let hashed = Arc::new(Counted::default());
        let passwords = passwords(&seal_key(9), hashed.clone());
        let sessions = Sessions::new(store.clone(), LIFETIMES);
        let users = Users::new(store.clone());
        let accounts = Accounts::new(users, sessions, passwords, Arc::new(SystemRandom));
        let url = |text| PublicUrl::parse(text).unwrap();
        let origins = Origins::new(&url("https://bob.example"), [url("https://app.example")]);
        let surroundings = Surroundings { cookie, origins, key_proof };
        let rule = rule("session api-key", |rule| {
            rule.verifier(SessionVerifier::new(store.clone(), surroundings, demand))
                .verifier(ApiKeyVerifier::new(store.clone(), Arc::new(LastUses::default())))
        });
        Self { hashed, accounts, rule, common }
    }

    pub(crate) async fn ann(&self) -> UserRecord {
        self.accounts.add(EMAIL, "Ann", PASSWORD, self.now()).await.unwrap()
    }

    /// Ann, signed in.
    pub(crate) async fn signed_in() -> (Self, Halves) {
        Self::new().with_ann().await
    }

    pub(crate) async fn with_ann(self) -> (Self, Halves) {
        self.ann().await;
        let (halves, _) = self.sign_in().await;
        (self, halves)
    }

    pub(crate) async fn sign_in(&self) -> (Halves, SessionRecord) {
        self.accounts.sign_in(typed(EMAIL, PASSWORD), self.now()).await.unwrap()
    }

    pub(crate) async fn handshake(&self, halves: &Halves) -> Half {
        let place = SessionRecord::place(&halves.cookie);
        handshakes::give(&self.store, place, self.now(), &SystemRandom).await.unwrap()
    }

    pub(crate) async fn decide(&self, request: &Request) -> Verdict {
        self.common.decide(&self.rule, request).await
    }

    /// `None`: it passed.
    pub(crate) async fn code(&self, request: &Request) -> Option<Code> {
        self.common.code(&self.rule, request).await
    }
}

pub(crate) fn passwords(seal: &SealKey, workers: Arc<dyn Workers>) -> Passwords {
    Passwords::new(seal, CHEAP, PasswordLimits { at_once: 2, waiting: 4 }, workers, &SystemRandom).unwrap()
}

pub(crate) fn typed<'a>(email: &'a str, password: &'a str) -> SignIn<'a> {
    let source = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)));
    SignIn { email, password, source, agent: Some("Browser/1"), presented: None, bound: None }
}

/// A request that carries halves.
pub(crate) trait Halved {
    fn cookie(self, half: &Half) -> Self;

    fn token(self, half: &Half) -> Self;

    fn handshake(self, handshake: &Half) -> Self;
}

impl Halved for Request {
    fn cookie(self, half: &Half) -> Self {
        let value = format!("theme=dark; __Host-session={}; b=2", half.reveal().expose());
        self.with("cookie", &value)
    }

    fn token(self, half: &Half) -> Self {
        self.with("authorization", &format!("Bearer {}", half.reveal().expose()))
    }

    fn handshake(self, handshake: &Half) -> Self {
        self.with("handshake", handshake.reveal().expose())
    }
}

/// A request without halves.
pub(crate) fn bare(method: &str) -> Request {
    Request::new(method, "/orders")
}

/// A request with both halves.
pub(crate) fn with_both(method: &str, halves: &Halves) -> Request {
    bare(method).cookie(&halves.cookie).token(&halves.token)
}

pub(crate) fn is_session(verdict: &Verdict) -> bool {
    let Verdict::Permit(permit) = verdict else { return false };
    permit.principal().is_some_and(|principal| principal.schemes == [Scheme::Session])
}
