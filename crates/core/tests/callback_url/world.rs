//! A gate in front of one route for callbacks, and what mints for it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use countersign::crypto::jwt::{JwtHeader, sign};
use countersign::crypto::{Algorithm, SealKey, Secret, SigningKey, SystemRandom};
use countersign::issuer::keyring::Keyring;
use countersign::path::Template;
use countersign::request::Body;
use countersign::schemes::callback_url::{
    CallbackKeys, CallbackLimits, CallbackRoute, CallbackTerms, CallbackVerifier, Callbacks, Minted, Minter,
    TokenForm, keyring_terms,
};
use countersign::time::ManualClock;
use countersign::{
    Clock, Code, Delivery, Gate, MemoryStore, Permit, Policy, PublicUrl, Purpose, RequestView, Requirement,
    Reservation, Rule, Timestamp, Verdict,
};
use http::{HeaderMap, Method, Uri};
use serde_json::{Value, json};

pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
pub(crate) const TTL: Duration = Duration::from_secs(900);
pub(crate) const LEASE: Duration = Duration::from_secs(90);
pub(crate) const ROUTE: &str = "/v1/results/{res_id}/{token}";
pub(crate) const SECRET: [u8; 32] = *b"thirty-two bytes that are shared";

pub(crate) type Store = Arc<MemoryStore<Arc<ManualClock>>>;

pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) store: Store,
    pub(crate) gate: Gate<Store>,
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

impl World {
    pub(crate) fn new() -> Self {
        Self::on(|store| store)
    }

    /// With a store that is changed first.
    pub(crate) fn on(
        change: impl FnOnce(MemoryStore<Arc<ManualClock>>) -> MemoryStore<Arc<ManualClock>>,
    ) -> Self {
        let clock = Arc::new(ManualClock::new(NOW));
        let store = Arc::new(change(MemoryStore::new(clock.clone())));
        let gate = Gate::new(store.clone(), clock.clone(), &SystemRandom);
        let keys = CallbackKeys::rotating(Self::keyring(&store)).and_shared(&shared()).unwrap();
        let minter = Minter {
            callbacks: Callbacks::new(store.clone()),
            keys: Arc::new(keys),
            public_url: public_url(),
            max_ttl: Duration::from_secs(3600),
            random: Arc::new(SystemRandom),
        };
        let limits = CallbackLimits { max_body: 64, lease: LEASE, strict: false };
        Self { clock, store, gate, minter, limits, policy: Policy::default() }
    }

    /// A keyring over a store, as another process would open it.
    pub(crate) fn keyring(store: &Store) -> Keyring<Store> {
        let seal = SealKey::new(Secret::new([5; 32]));
        Keyring::new(store.clone(), seal, Arc::new(SystemRandom), keyring_terms(Duration::from_secs(3600)))
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
        let rule = Rule::requiring(template, Requirement::parse(["callback-url"]).unwrap());
        Arc::new(rule.policy(self.policy.clone()).verifier(verifier).build().unwrap())
    }

    pub(crate) async fn ask(&self, call: &Call) -> Verdict {
        let view = RequestView {
            method: &call.method,
            target: &call.url,
            headers: &HeaderMap::new(),
            body: call.announced,
            source: None,
            received_at: self.clock.now(),
            purpose: call.purpose,
        };
        self.gate.decide(&self.rule(&call.template), &view, &mut call.body.clone()).await
    }

    /// The code of a refusal.
    pub(crate) async fn refused(&self, call: &Call) -> Code {
        self.refusal(call).await.expect("a refusal")
    }

    /// The same, if it is one.
    pub(crate) async fn refusal(&self, call: &Call) -> Option<Code> {
        match self.ask(call).await {
            Verdict::Permit(_) => None,
            Verdict::Deny(decision) => Some(decision.denial().unwrap().code()),
        }
    }

    pub(crate) async fn passes(&self, call: &Call) -> Permit {
        match self.ask(call).await {
            Verdict::Permit(permit) => permit,
            Verdict::Deny(decision) => panic!("{}", decision.denial().unwrap()),
        }
    }

    /// Passes, and is not settled.
    pub(crate) async fn reserve(&self, call: &Call) -> Reservation {
        self.passes(call).await.take_reservation().unwrap()
    }

    pub(crate) async fn deliver(&self, call: &Call, delivery: Delivery) {
        let reservation = self.reserve(call).await;
        self.gate.settle(reservation, delivery).await.unwrap();
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

/// A request.
#[derive(Clone)]
pub(crate) struct Call {
    method: Method,
    url: Uri,
    template: String,
    announced: Body,
    purpose: Purpose,
    body: Bytes,
}

impl Call {
    pub(crate) fn post(url: &str) -> Self {
        Self {
            method: Method::POST,
            url: url.parse().unwrap(),
            template: ROUTE.into(),
            announced: Body::Announced,
            purpose: Purpose::Decide,
            body: Bytes::from_static(b"{\"done\":1}"),
        }
    }

    /// A call of the resource 42 with this token.
    pub(crate) fn token(token: &str) -> Self {
        Self::post(&format!("https://a.example/v1/results/42/{token}"))
    }

    pub(crate) fn method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    pub(crate) fn on(mut self, template: &str) -> Self {
        self.template = template.into();
        self
    }

    pub(crate) fn body(mut self, body: &str) -> Self {
        self.body = Bytes::from(body.to_owned());
        self
    }

    pub(crate) fn announced(mut self, body: Body) -> Self {
        self.announced = body;
        self
    }

    pub(crate) fn explain(mut self) -> Self {
        self.purpose = Purpose::Explain;
        self
    }
}

pub(crate) fn token_of(url: &str) -> String {
    url.rsplit('/').next().unwrap().to_owned()
}

/// A key that is none of ours.
pub(crate) fn foreign_key() -> SigningKey {
    SigningKey::generate(Algorithm::Ed25519, &SystemRandom).unwrap().0
}
