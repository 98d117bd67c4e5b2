//! A receiver: a store, a clock, and a gate before one route.

use std::ops::Deref;
use std::sync::Arc;

use countersign::rule::RuleBuilder;
use countersign::schemes::signature::{Message, Signed, signature_base};
use countersign::testing::Verdict;
use countersign::testing::{self, AtOnce, TestStore};
use countersign::{Delivery, Passage, Policy, Requirement, Rule};
use http::StatusCode;
use serde_json::Value;

use crate::bytes::Request;
use crate::file::{Outcome, Step, at};

pub(crate) type Store = Arc<TestStore>;

/// One route, and the same one for whoever has a permission that nobody has.
pub(crate) struct Route {
    rule: Arc<Rule>,
    for_nobody: Arc<Rule>,
}

pub(crate) struct World(testing::World);

impl Deref for World {
    type Target = testing::World;

    fn deref(&self) -> &testing::World {
        &self.0
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self(testing::World::new())
    }

    /// The route, which accepts what the settings say.
    pub(crate) fn route(&self, settings: &Value, verifiers: impl Fn(RuleBuilder) -> RuleBuilder) -> Route {
        let accepted = settings["route"]["accept"].as_array().unwrap();
        let accepted = Requirement::parse(accepted.iter().map(|name| name.as_str().unwrap())).unwrap();
        let rule = |policy| {
            let rule = Rule::requiring("route", accepted.clone()).policy(policy);
            Arc::new(verifiers(rule).build().unwrap())
        };
        let nobodys = Policy { permissions: ["nobody's".to_owned()].into(), ..Policy::default() };
        Route { rule: rule(Policy::default()), for_nobody: rule(nobodys) }
    }

    /// The same request would be refused by the policy, whatever it proves: that leaves nothing behind.
    async fn refuse(&self, route: &Route, request: &Request, story: &str, step: &Step) {
        self.store.writes();
        let view = request.view(at(step));
        let verdict = self.gate.decide(&route.for_nobody, &view, &mut request.body.clone()).await;
        let refused = Outcome::of(&verdict);
        assert!(refused.code.is_some(), "{story}: {}", step.request);
        if step.outcome.subject.is_some() {
            assert_eq!(refused, Outcome::parse("403 permission_missing"), "{story}: {}", step.request);
        }
        assert_eq!(self.store.writes(), 0, "{story}: {}", step.request);
    }

    /// A request arrives, and its outcome is the one that is written.
    pub(crate) async fn play(&self, route: &Route, settings: &Value, story: &str, step: &Step) {
        self.clock.set(at(step));
        let request = Request::read(&step.request, settings["public_url"].as_str().unwrap());
        if let Some(base) = step.base.as_ref().filter(|_| request.headers.contains_key("signature-input")) {
            assert_eq!(*base, base_of(&request), "{story}");
        }
        self.refuse(route, &request, story, step).await;
        let verdict = self.gate.decide(&route.rule, &request.view(at(step)), &mut request.body.clone()).await;
        assert_eq!(Outcome::of(&verdict), step.outcome, "{story}: {}", step.request);
        let (Verdict::Permit(passage), Some(application)) = (verdict, &step.application) else { return };
        let Passage::Once(reserved) = passage else {
            assert_eq!(None, application.idempotency_key, "{story}");
            return;
        };
        assert_eq!(Some(reserved.idempotency_key()), application.idempotency_key.as_deref(), "{story}");
        let answered = application.status.map(|status| StatusCode::from_u16(status).unwrap());
        let delivery = answered.map_or(Delivery::Uncertain, Delivery::of);
        let came = reserved.deliver(&AtOnce, Arc::new(()), async move |_| delivery).await;
        assert_eq!(came, Some(delivery), "{story}");
    }
}

/// What a request's only signature is made of.
pub(crate) fn base_of(request: &Request) -> String {
    let signed = Signed::read_all(&request.headers).unwrap().remove(0);
    let message = Message::request(&request.method, &request.target, &request.headers);
    signature_base(&signed.components, signed.signature_params(), &message).unwrap()
}
