//! A store, a clock, users, and a gate before one route.

use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use countersign::crypto::{SealKey, Secret, SystemRandom};
use countersign::request::Body;
use countersign::schemes::api_key::{ApiKeyVerifier, LastUses};
use countersign::schemes::session::passwords::{PasswordCost, PasswordLimits, Passwords};
use countersign::schemes::session::{
    Accounts, Half, Halves, HandshakePolicy, KeyProof, Lifetimes, NoKeyProof, Origins, SessionCookie,
    SessionDemand, SessionRecord, SessionVerifier, Sessions, SignIn, Surroundings, UserRecord, Users,
    handshakes,
};
use countersign::time::{ManualClock, Timestamp};
use countersign::{
    Clock, Code, Denial, Gate, MemoryStore, Policy, PublicUrl, Purpose, RequestView, Requirement, Rule,
    Scheme, Verdict, Workers,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
pub(crate) const LIFETIMES: Lifetimes =
    Lifetimes { idle: Duration::from_secs(3_600), absolute: Duration::from_secs(36_000) };
pub(crate) const EMAIL: &str = "ann@example.org";
pub(crate) const PASSWORD: &str = "correct horse battery";
pub(crate) const CHEAP: PasswordCost = PasswordCost { memory_kib: 8, passes: 1 };

pub(crate) type TestStore = Arc<MemoryStore<Arc<ManualClock>>>;

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
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) store: TestStore,
    pub(crate) hashed: Arc<Counted>,
    pub(crate) accounts: Accounts<TestStore>,
    pub(crate) gate: Gate<TestStore>,
    pub(crate) rule: Arc<Rule>,
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
        let clock = Arc::new(ManualClock::new(NOW));
        let store = MemoryStore::new(clock.clone());
        let store = Arc::new(match restored_at {
            Some(moment) => store.refusing_proofs_before(moment),
            None => store,
        });
        let hashed = Arc::new(Counted::default());
        let passwords = passwords(&SealKey::new(Secret::new([9; 32])), hashed.clone());
        let sessions = Sessions::new(store.clone(), LIFETIMES);
        let users = Users::new(store.clone());
        let accounts = Accounts::new(users, sessions, passwords, Arc::new(SystemRandom));
        let url = |text| PublicUrl::parse(text).unwrap();
        let origins = Origins::new(&url("https://bob.example"), [url("https://app.example")]);
        let surroundings = Surroundings { cookie, origins, key_proof };
        let rule = Rule::requiring("test", Requirement::parse(["session", "api-key"]).unwrap())
            .verifier(SessionVerifier::new(store.clone(), surroundings, demand))
            .verifier(ApiKeyVerifier::new(store.clone(), Arc::new(LastUses::default())))
            .policy(Policy::default())
            .build();
        let gate = Gate::new(store.clone(), clock.clone(), &SystemRandom);
        Self { clock, store, hashed, accounts, gate, rule: Arc::new(rule.unwrap()) }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
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
        let view = request.view(self.now());
        self.gate.decide(&self.rule, &view, &mut Bytes::new()).await
    }

    /// `None`: it passed.
    pub(crate) async fn code(&self, request: &Request) -> Option<Code> {
        self.decide(request).await.decision().denial().map(Denial::code)
    }
}

pub(crate) fn passwords(seal: &SealKey, workers: Arc<dyn Workers>) -> Passwords {
    Passwords::new(seal, CHEAP, PasswordLimits { at_once: 2, waiting: 4 }, workers, &SystemRandom).unwrap()
}

pub(crate) fn typed<'a>(email: &'a str, password: &'a str) -> SignIn<'a> {
    let source = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)));
    SignIn { email, password, source, agent: Some("Browser/1"), presented: None, bound: None }
}

#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) target: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) purpose: Purpose,
}

impl Request {
    pub(crate) fn new(method: &str) -> Self {
        let target = Uri::from_static("https://bob.example/orders");
        Self { method: method.parse().unwrap(), target, headers: HeaderMap::new(), purpose: Purpose::Decide }
    }

    /// With both halves.
    pub(crate) fn of(method: &str, halves: &Halves) -> Self {
        Self::new(method).cookie(&halves.cookie).token(&halves.token)
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        self
    }

    pub(crate) fn cookie(self, half: &Half) -> Self {
        let value = format!("theme=dark; __Host-session={}; b=2", half.reveal().expose());
        self.with("cookie", &value)
    }

    pub(crate) fn token(self, half: &Half) -> Self {
        self.with("authorization", &format!("Bearer {}", half.reveal().expose()))
    }

    pub(crate) fn handshake(self, handshake: &Half) -> Self {
        self.with("handshake", handshake.reveal().expose())
    }

    pub(crate) fn view(&self, received_at: Timestamp) -> RequestView<'_> {
        RequestView {
            method: &self.method,
            target: &self.target,
            headers: &self.headers,
            body: Body::Absent,
            source: None,
            received_at,
            purpose: self.purpose,
        }
    }
}

pub(crate) fn is_session(verdict: &Verdict) -> bool {
    let Verdict::Permit(permit) = verdict else { return false };
    permit.principal().is_some_and(|principal| principal.schemes == [Scheme::Session])
}
