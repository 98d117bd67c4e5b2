//! A gate in front of one route for callbacks, and what mints for it.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use countersign::crypto::jwt::{JwtHeader, sign};
use countersign::crypto::{Algorithm, Secret, SigningKey, SystemRandom};
use countersign::issuer::keyring::Keyring;
use countersign::path::Template;
use countersign::request::Body;
use countersign::schemes::callback_url::{
    CallbackKeys, CallbackLimits, CallbackRoute, CallbackTerms, CallbackVerifier, Callbacks, Minted, Minter,
    TokenForm, keyring_terms,
};
use countersign::testing::Verdict;
use countersign::testing::{self, AtOnce, Request, TestStore, rule, seal_key};
use countersign::{
    Clock, Code, Delivery, Denial, Passage, Policy, PublicUrl, ReservedPermit, Rule, Timestamp,
};
use http::Method;
use serde_json::{Value, json};

pub(crate) const TTL: Duration = Duration::from_secs(900);
pub(crate) const LEASE: Duration = Duration::from_secs(90);
pub(crate) const ROUTE: &str = "/v1/results/{res_id}/{token}";
pub(crate) const SECRET: [u8; 32] = *b"thirty-two bytes that are shared";

pub(crate) type Store = Arc<TestStore>;

pub(crate) struct World {
    common: testing::World,
    pub(crate) minter: Minter<Store>,
    pub(crate) limits: CallbackLimits,
    pub(crate) policy: Policy,
}

pub(crate) fn public_url() -> PublicUrl {
    PublicUrl::parse("https://a.example").unwrap()
}

pub(crate) fn route(text: &str) -> CallbackRoute {
    CallbackRoute::new(Template::parse(text).unwrap()).unwrap()
}

pub(crate) fn terms(resource: &str) -> CallbackTerms {
    CallbackTerms { user: "u1".into(), resource: Some(resource.into()), ..CallbackTerms::default() }
}

pub(crate) fn shared() -> Secret<Vec<u8>> {
    Secret::new(SECRET.to_vec())
}

impl Deref for World {
    type Target = testing::World;

    fn deref(&self) -> &testing::World {
        &self.common
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::in_a(testing::World::new())
    }

    pub(crate) fn in_a(common: testing::World) -> Self {
        let store = common.store.clone();
        let keys = CallbackKeys::rotating(Self::keyring(&store)).and_shared(&shared()).unwrap();
        let minter = Minter {
            callbacks: Callbacks::new(store),
            keys: Arc::new(keys),
            public_url: public_url(),
            max_ttl: Duration::from_secs(3600),
            random: Arc::new(SystemRandom),
        };
        let limits = CallbackLimits { max_body: 64, lease: LEASE, strict: false };
        Self { common, minter, limits, policy: Policy::default() }
    }

    /// A keyring over a store, as another process would open it.
    pub(crate) fn keyring(store: &Store) -> Keyring<Store> {
        Keyring::new(
            store.clone(),
            seal_key(5),
            Arc::new(SystemRandom),
            keyring_terms(Duration::from_secs(3600)),
        )
    }

    pub(crate) async fn mint(&self, resource: &str) -> String {
        self.mint_with(TokenForm::Signed, terms(resource)).await.url.expose().clone()
    }

    pub(crate) async fn mint_with(&self, form: TokenForm, terms: CallbackTerms) -> Minted {
        self.minter.mint(&route(ROUTE), form, terms, TTL, self.clock.now()).await.unwrap()
    }

    pub(crate) fn rule(&self, template: &str) -> Arc<Rule> {
        let verifier = CallbackVerifier {
            store: self.store.clone(),
            keys: self.minter.keys.clone(),
            public_url: public_url(),
            route: route(template),
            limits: self.limits,
        };
        rule("callback-url", |rule| rule.policy(self.policy.clone()).verifier(verifier))
    }

    pub(crate) async fn ask(&self, call: &Call) -> Verdict {
        self.common.decide(&self.rule(&call.template), &call.request).await
    }

    /// The code of a refusal.
    pub(crate) async fn refused(&self, call: &Call) -> Code {
        self.refusal(call).await.expect("a refusal")
    }

    /// The same, if it is one.
    pub(crate) async fn refusal(&self, call: &Call) -> Option<Code> {
        self.code(&self.rule(&call.template), &call.request).await
    }

    /// What would become of it at `at`: the code of a refusal, if it is one.
    pub(crate) async fn explained_at(&self, call: &Call, at: Timestamp) -> Option<Code> {
        let (rule, request) = (self.rule(&call.template), &call.request);
        let decision = self.gate.explain(&rule, &request.view(at), &mut request.body.clone()).await;
        decision.denial().map(Denial::code)
    }

    pub(crate) async fn passes(&self, call: &Call) -> Passage<Arc<TestStore>> {
        self.permit(&self.rule(&call.template), &call.request).await
    }

    /// Passes, and is not settled.
    pub(crate) async fn reserve(&self, call: &Call) -> ReservedPermit<Arc<TestStore>> {
        let Passage::Once(reserved) = self.passes(call).await else { panic!("nothing was reserved") };
        reserved
    }

    pub(crate) async fn deliver(&self, call: &Call, delivery: Delivery) {
        let came = self.reserve(call).await.deliver(&AtOnce, Arc::new(()), async move |_| delivery).await;
        assert_eq!(came, Some(delivery));
    }

    /// A token over claims of the test's own, by the shared secret.
    pub(crate) fn forge(&self, change: impl FnOnce(&mut Value)) -> String {
        self.forge_typed("callback+jwt", change)
    }

    pub(crate) fn forge_typed(&self, typ: &str, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = self.claims();
        change(&mut claims);
        let key = SigningKey::from_hmac_secret(&shared()).unwrap();
        sign(&key, &JwtHeader { typ: Some(typ), ..JwtHeader::default() }, &claims).unwrap()
    }

    pub(crate) fn claims(&self) -> Value {
        json!({
            "iss": "https://a.example",
            "aud": "https://a.example/callbacks",
            "exp": self.clock.now().plus(TTL).as_secs(),
            "jti": "one",
            "_id": "u1",
            "path": ROUTE,
            "res_id": "42",
        })
    }
}

/// A request, and the route that it is made to.
#[derive(Clone)]
pub(crate) struct Call {
    request: Request,
    template: String,
}

impl Call {
    pub(crate) fn post(url: &str) -> Self {
        Self { request: Request::post(url, "{\"done\":1}"), template: ROUTE.into() }
    }

    /// A call of the resource 42 with this token.
    pub(crate) fn token(token: &str) -> Self {
        Self::post(&format!("https://a.example/v1/results/42/{token}"))
    }

    pub(crate) fn method(self, method: Method) -> Self {
        Self { request: self.request.by(method), ..self }
    }

    pub(crate) fn on(self, template: &str) -> Self {
        Self { template: template.into(), ..self }
    }

    pub(crate) fn body(self, body: &str) -> Self {
        Self { request: self.request.body(body.to_owned()), ..self }
    }

    pub(crate) fn announced(self, body: Body) -> Self {
        Self { request: self.request.announcing(body), ..self }
    }

    /// Its head, as it comes in.
    pub(crate) fn head(&self) -> http::request::Parts {
        let mut request = http::Request::new(());
        *request.method_mut() = self.request.method.clone();
        *request.uri_mut() = self.request.target.clone();
        request.into_parts().0
    }

    pub(crate) fn explain(self) -> Self {
        Self { request: self.request.explained(), ..self }
    }
}

pub(crate) fn token_of(url: &str) -> String {
    url.rsplit('/').next().unwrap().to_owned()
}

/// A key that is none of ours.
pub(crate) fn foreign_key() -> SigningKey {
    SigningKey::generate(Algorithm::Ed25519, &SystemRandom).unwrap().0
}
