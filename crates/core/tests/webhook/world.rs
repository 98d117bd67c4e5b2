//! Bob behind his gate, and the APIs that call him, or are said to: all within this process.

use std::ops::Deref;
use std::sync::Arc;

use countersign::crypto::SystemRandom;
use countersign::rule::RuleBuilder;
use countersign::schemes::webhook::signer::{Attempt, OutgoingBody, Requester};
use countersign::schemes::webhook::wire::Question;
use countersign::schemes::webhook::{Budget, Callers, UrlRules, WebhookUrl, WebhookVerifier};
use countersign::testing::Verdict;
use countersign::testing::{self, Request, Table, TestStore, response, rule};
use countersign::time::{ManualClock, Timestamp};
use countersign::workers::OnThisThread;
use countersign::{Decision, Permissions, Rule};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

pub(crate) const ALICE: &str = "https://alice.example/.well-known/webhook-auth";
pub(crate) const CAROL: &str = "https://carol.example/hooks/auth";
pub(crate) const EVE: &str = "https://eve.example/.well-known/webhook-auth";

pub(crate) type Memory = Arc<TestStore>;
pub(crate) type Api = Arc<Requester<Memory>>;

/// Puts the requester where its URL leads.
pub(crate) fn connect(internet: &Table, api: &Api) {
    let answering = api.clone();
    internet.put_with(api.url().as_str(), move |request| {
        let api = answering.clone();
        async move {
            let question = Question::decode(&request.body).expect("Bob asks questions");
            Ok(match api.tokens().redeem(&question).await.expect("the store answers") {
                Some(token) => response(200, token.reveal().to_owned()),
                None => response(403, ""),
            })
        }
    });
}

/// What came of a call that a requester proved by itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) answer: String,
    pub(crate) by_key: bool,
    pub(crate) again: bool,
}

pub(crate) struct World {
    pub(crate) common: testing::World,
    pub(crate) budget: Arc<Budget>,
    pub(crate) internet: Arc<Table>,
    pub(crate) callers: Arc<Callers>,
    pub(crate) alice: Api,
    pub(crate) eve: Api,
}

impl Deref for World {
    type Target = testing::World;

    fn deref(&self) -> &testing::World {
        &self.common
    }
}

impl World {
    /// Bob lists Alice by her origin and Carol by her URL, and lets both read orders. Eve is not listed.
    pub(crate) fn new() -> Self {
        Self::listing(&["https://alice.example", CAROL])
    }

    pub(crate) fn listing(entries: &[&str]) -> Self {
        Self::in_a(testing::World::new(), entries)
    }

    pub(crate) fn in_a(common: testing::World, entries: &[&str]) -> Self {
        let internet = Arc::<Table>::default();
        Self {
            alice: connected(&internet, requester(ALICE, &common.clock)),
            eve: connected(&internet, requester(EVE, &common.clock)),
            callers: Arc::new(callers(entries)),
            budget: Arc::default(),
            common,
            internet,
        }
    }

    /// The API at `url`, set up in a way of its own.
    pub(crate) fn api(&self, url: &str, set_up: fn(Requester<Memory>) -> Requester<Memory>) -> Api {
        connected(&self.internet, set_up(requester(url, &self.clock)))
    }

    pub(crate) fn verifier(&self) -> WebhookVerifier<Memory, Arc<Table>> {
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
        verifier: WebhookVerifier<Memory, Arc<Table>>,
        more: impl FnOnce(RuleBuilder) -> RuleBuilder,
    ) -> Arc<Rule> {
        rule("webhook", |rule| more(rule.verifier(verifier)))
    }

    /// `200` for a permit, else status and code.
    pub(crate) async fn answer(&self, call: &Call) -> String {
        self.answer_under(&self.rule(), call).await
    }

    pub(crate) async fn answer_under(&self, rule: &Arc<Rule>, call: &Call) -> String {
        outcome(&*self.decision(rule, call).await)
    }

    /// How often anybody was asked.
    pub(crate) fn asked(&self) -> usize {
        self.internet.asked().len()
    }

    pub(crate) async fn proven(&self, api: &Api, mut call: Call) -> Call {
        call.prove(api, self.now()).await;
        call
    }

    /// Sends a call as a client does: proves it, and learns from the answer.
    pub(crate) async fn send(&self, api: &Api, mut call: Call) -> Sent {
        let attempt = call.prove(api, self.now()).await;
        let verdict = self.decide(&self.rule(), &call).await;
        let (status, headers) = match &verdict {
            Verdict::Permit(permit) => {
                (StatusCode::OK, lines("authentication-info", permit.tells().map(|(_, value)| value)))
            }
            Verdict::Deny(refusal) => {
                let denial = refusal.denial();
                let challenges = denial.challenges().iter();
                let challenges = challenges.map(|challenge| challenge.as_str().parse().unwrap());
                (denial.code().status(), lines("www-authenticate", challenges))
            }
        };
        let again = api.learn(&attempt, status, &headers, self.now());
        Sent { answer: outcome(verdict.decision()), by_key: attempt.is_by_key(), again }
    }
}

fn lines(name: &'static str, values: impl Iterator<Item = HeaderValue>) -> HeaderMap {
    values.map(|value| (HeaderName::from_static(name), value)).collect()
}

fn requester(url: &str, clock: &Arc<ManualClock>) -> Requester<Memory> {
    let store = Arc::new(TestStore::new(clock.clone()));
    Requester::new(webhook_url(url), store, Arc::new(SystemRandom), Arc::new(OnThisThread))
}

fn connected(internet: &Table, api: Requester<Memory>) -> Api {
    let api = Arc::new(api);
    connect(internet, &api);
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
pub(crate) type Call = Request;

/// A POST of plain text.
pub(crate) fn post(target: &str, body: &'static str) -> Call {
    Request::post(target, body).with("content-type", "text/plain")
}

pub(crate) trait Calling: Sized {
    /// The same, to another host.
    fn to_host(self, host: &str) -> Self;

    fn naming(self, url: &str, hash: &str) -> Self;

    /// The hash that its `Authorization` carries.
    fn hash(&self) -> &str;

    async fn prove(&mut self, api: &Api, now: Timestamp) -> Attempt;
}

impl Calling for Call {
    fn to_host(self, host: &str) -> Self {
        let target = self.target.to_string().replace("bob.example", host);
        self.to(&target)
    }

    fn naming(self, url: &str, hash: &str) -> Self {
        self.with("authorization", &format!("Webhook {url} {hash}"))
    }

    fn hash(&self) -> &str {
        self.header("authorization").rsplit_once(' ').unwrap().1
    }

    async fn prove(&mut self, api: &Api, now: Timestamp) -> Attempt {
        let body = match self.body.is_empty() {
            true => OutgoingBody::Absent,
            false => OutgoingBody::Whole(&self.body),
        };
        api.prove(&self.method, &self.target, &mut self.headers, body, now).await.unwrap()
    }
}
