//! Bob behind his gate, and the APIs that call him, or are said to: all within this process.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use countersign::crypto::SystemRandom;
use countersign::fetch::{Fetch, FetchError, FetchRequest, FetchResponse};
use countersign::request::Body;
use countersign::rule::RuleBuilder;
use countersign::schemes::webhook::signer::{Attempt, OutgoingBody, Requester};
use countersign::schemes::webhook::wire::Question;
use countersign::schemes::webhook::{Budget, Callers, UrlRules, WebhookUrl, WebhookVerifier};
use countersign::time::{ManualClock, Timestamp};
use countersign::workers::OnThisThread;
use countersign::{
    Clock, Decision, Gate, MemoryStore, Permissions, Purpose, RequestView, Requirement, Rule, Verdict,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};

pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
pub(crate) const ALICE: &str = "https://alice.example/.well-known/webhook-auth";
pub(crate) const CAROL: &str = "https://carol.example/hooks/auth";
pub(crate) const EVE: &str = "https://eve.example/.well-known/webhook-auth";

pub(crate) type Memory = Arc<MemoryStore<Arc<ManualClock>>>;
pub(crate) type Api = Arc<Requester<Memory>>;

/// What stands at a webhook URL.
#[derive(Clone)]
pub(crate) enum Host {
    /// A requester that answers questions.
    Api(Api),
    /// Something that always says the same.
    Says(u16, Bytes),
    /// Nothing that answers.
    Fails(FetchError),
}

/// Leads from webhook URLs to what stands there.
#[derive(Default)]
pub(crate) struct Internet {
    hosts: Mutex<HashMap<String, Host>>,
    asked: Mutex<Vec<FetchRequest>>,
    /// Whether every answer lets others go first.
    pub(crate) slow: AtomicBool,
}

impl Internet {
    pub(crate) fn put(&self, url: &str, host: Host) {
        self.hosts.lock().unwrap().insert(url.to_owned(), host);
    }

    pub(crate) fn asked(&self) -> Vec<FetchRequest> {
        self.asked.lock().unwrap().clone()
    }
}

impl Fetch for Internet {
    async fn fetch(&self, request: FetchRequest) -> Result<FetchResponse, FetchError> {
        let host = self.hosts.lock().unwrap().get(&request.url.to_string()).cloned();
        self.asked.lock().unwrap().push(request.clone());
        if self.slow.load(Ordering::SeqCst) {
            for _ in 0..8 {
                tokio::task::yield_now().await;
            }
        }
        let (status, body) = match host {
            Some(Host::Api(api)) => {
                let question = Question::decode(&request.body).expect("Bob asks questions");
                match api.tokens().redeem(&question).await.expect("the store answers") {
                    Some(token) => (200, Bytes::copy_from_slice(token.reveal().as_bytes())),
                    None => (403, Bytes::new()),
                }
            }
            Some(Host::Says(status, body)) => (status, body),
            Some(Host::Fails(error)) => return Err(error),
            None => return Err(FetchError::Unreachable("there is no such host".into())),
        };
        Ok(FetchResponse { status: StatusCode::from_u16(status).unwrap(), headers: HeaderMap::new(), body })
    }
}

/// What came of a call that a requester proved by itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) answer: String,
    pub(crate) by_key: bool,
    pub(crate) again: bool,
}

pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) store: Memory,
    pub(crate) gate: Gate<Memory>,
    pub(crate) budget: Arc<Budget>,
    pub(crate) internet: Arc<Internet>,
    pub(crate) callers: Arc<Callers>,
    pub(crate) alice: Api,
    pub(crate) eve: Api,
}

impl World {
    /// Bob lists Alice by her origin and Carol by her URL, and lets both read orders. Eve is not listed.
    pub(crate) fn new() -> Self {
        Self::listing(&["https://alice.example", CAROL])
    }

    pub(crate) fn listing(entries: &[&str]) -> Self {
        let clock = Arc::new(ManualClock::new(NOW));
        let store: Memory = Arc::new(MemoryStore::new(clock.clone()));
        let internet = Arc::<Internet>::default();
        Self {
            gate: Gate::new(store.clone(), clock.clone(), &SystemRandom),
            alice: connected(&internet, requester(ALICE, &clock)),
            eve: connected(&internet, requester(EVE, &clock)),
            callers: Arc::new(callers(entries)),
            budget: Arc::default(),
            clock,
            store,
            internet,
        }
    }

    /// The API at `url`, set up in a way of its own.
    pub(crate) fn api(&self, url: &str, set_up: fn(Requester<Memory>) -> Requester<Memory>) -> Api {
        connected(&self.internet, set_up(requester(url, &self.clock)))
    }

    pub(crate) fn verifier(&self) -> WebhookVerifier<Memory, Arc<Internet>> {
        WebhookVerifier {
            store: self.store.clone(),
            fetch: self.internet.clone(),
            workers: Arc::new(OnThisThread),
            budget: self.budget.clone(),
            callers: self.callers.clone(),
            rules: UrlRules::default(),
            max_signed_body: 64,
        }
    }

    pub(crate) fn rule(&self) -> Arc<Rule> {
        self.rule_with(self.verifier(), |rule| rule)
    }

    pub(crate) fn rule_with(
        &self,
        verifier: WebhookVerifier<Memory, Arc<Internet>>,
        more: impl FnOnce(RuleBuilder) -> RuleBuilder,
    ) -> Arc<Rule> {
        let rule = Rule::requiring("orders", Requirement::parse(["webhook"]).unwrap());
        Arc::new(more(rule.verifier(verifier)).build().unwrap())
    }

    pub(crate) async fn decide(&self, rule: &Arc<Rule>, call: &Call) -> Verdict {
        self.gate.decide(rule, &call.view(self.clock.now()), &mut call.body.clone()).await
    }

    /// `200` for a permit, else status and code.
    pub(crate) async fn answer(&self, call: &Call) -> String {
        self.answer_under(&self.rule(), call).await
    }

    pub(crate) async fn answer_under(&self, rule: &Arc<Rule>, call: &Call) -> String {
        outcome(self.decide(rule, call).await.decision())
    }

    /// How often anybody was asked.
    pub(crate) fn asked(&self) -> usize {
        self.internet.asked().len()
    }

    pub(crate) async fn proven(&self, api: &Api, mut call: Call) -> Call {
        call.prove(api, self.clock.now()).await;
        call
    }

    /// Sends a call as a client does: proves it, and learns from the answer.
    pub(crate) async fn send(&self, api: &Api, mut call: Call) -> Sent {
        let attempt = call.prove(api, self.clock.now()).await;
        let verdict = self.decide(&self.rule(), &call).await;
        let (status, headers) = match &verdict {
            Verdict::Permit(permit) => {
                (StatusCode::OK, lines("authentication-info", permit.tells().map(|(_, value)| value)))
            }
            Verdict::Deny(decision) => {
                let denial = decision.denial().unwrap();
                let challenges = denial.challenges().iter();
                let challenges = challenges.map(|challenge| challenge.as_str().parse().unwrap());
                (denial.code().status(), lines("www-authenticate", challenges))
            }
        };
        let again = api.learn(&attempt, status, &headers, self.clock.now());
        Sent { answer: outcome(verdict.decision()), by_key: attempt.is_by_key(), again }
    }
}

fn lines(name: &'static str, values: impl Iterator<Item = HeaderValue>) -> HeaderMap {
    values.map(|value| (HeaderName::from_static(name), value)).collect()
}

fn requester(url: &str, clock: &Arc<ManualClock>) -> Requester<Memory> {
    let store = Arc::new(MemoryStore::new(clock.clone()));
    Requester::new(webhook_url(url), store, Arc::new(SystemRandom), Arc::new(OnThisThread))
}

fn connected(internet: &Internet, api: Requester<Memory>) -> Api {
    let api = Arc::new(api);
    internet.put(api.url().as_str(), Host::Api(api.clone()));
    api
}

pub(crate) fn webhook_url(text: &str) -> WebhookUrl {
    WebhookUrl::parse(text, &UrlRules::default()).unwrap()
}

pub(crate) fn callers(entries: &[&str]) -> Callers {
    let mut callers = Callers::default();
    let permissions = Permissions::Only(["orders:read".into(), "orders:write".into()].into());
    for entry in entries {
        callers.add(entry, Some(permissions.clone()), &UrlRules::default()).unwrap();
    }
    callers
}

pub(crate) fn outcome(decision: &Decision) -> String {
    decision.denial().map_or_else(
        || "200".to_owned(),
        |denial| format!("{} {}", denial.code().status().as_u16(), denial.code()),
    )
}

/// A request to Bob.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) source: Option<IpAddr>,
    pub(crate) purpose: Purpose,
}

impl Call {
    pub(crate) fn get(target: &str) -> Self {
        Self {
            method: Method::GET,
            uri: format!("https://bob.example{target}").parse().unwrap(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            source: None,
            purpose: Purpose::Decide,
        }
    }

    pub(crate) fn post(target: &str, body: &'static str) -> Self {
        let call = Self::get(target).with("content-type", "text/plain");
        Self { method: Method::POST, body: Bytes::from_static(body.as_bytes()), ..call }
    }

    /// The same, to another host.
    pub(crate) fn to(mut self, host: &str) -> Self {
        self.uri = self.uri.to_string().replace("bob.example", host).parse().unwrap();
        self
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.append(HeaderName::from_static(name), value.parse().unwrap());
        self
    }

    pub(crate) fn without(mut self, names: &[&str]) -> Self {
        for name in names {
            self.headers.remove(*name).unwrap_or_else(|| panic!("{name} is there"));
        }
        self
    }

    pub(crate) fn naming(self, url: &str, hash: &str) -> Self {
        self.with("authorization", &format!("Webhook {url} {hash}"))
    }

    pub(crate) fn from(mut self, source: [u8; 4]) -> Self {
        self.source = Some(source.into());
        self
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("{name} is there")).to_str().unwrap()
    }

    /// The hash that its `Authorization` carries.
    pub(crate) fn hash(&self) -> &str {
        self.header("authorization").rsplit_once(' ').unwrap().1
    }

    pub(crate) async fn prove(&mut self, api: &Api, now: Timestamp) -> Attempt {
        let body = match self.body.is_empty() {
            true => OutgoingBody::Absent,
            false => OutgoingBody::Whole(&self.body),
        };
        api.prove(&self.method, &self.uri, &mut self.headers, body, now).await.unwrap()
    }

    pub(crate) fn view(&self, received_at: Timestamp) -> RequestView<'_> {
        RequestView {
            method: &self.method,
            target: &self.uri,
            headers: &self.headers,
            body: if self.body.is_empty() { Body::Absent } else { Body::Announced },
            source: self.source.map(Into::into),
            received_at,
            purpose: self.purpose,
        }
    }
}
