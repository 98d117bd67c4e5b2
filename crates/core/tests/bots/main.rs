//! Web Bot Auth through the gate, with agents whose answers are scripted: what passes, what is refused, as
//! what, and how often anybody is asked.

mod agents;
mod directories;
mod refusals;
mod spending;

use std::sync::Arc;
use std::time::Duration;

use agents::{Agents, directory_of};
use bytes::Bytes;
use countersign::crypto::{Ed25519Key, Secret, Signer, SystemRandom, VerifyingKey};
use countersign::request::Body;
use countersign::schemes::signature::{
    CONTENT_DIGEST, Component, ContentDigest, Directories, Parameters, RegisteredKeys, SIGNATURE_AGENT,
    SignatureVerifier, WebBots, sign,
};
use countersign::time::ManualClock;
use countersign::{
    Clock, Code, Denial, Gate, MemoryStore, PublicUrl, Purpose, RequestView, Requirement, Rule, Timestamp,
    Verdict,
};
use http::{HeaderMap, HeaderValue, Method, Uri};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const AGENT: &str = "https://agent.example";
const OTHER: &str = "https://other.example";

type Store = Arc<MemoryStore<Arc<ManualClock>>>;

/// A gate that lets the agents `AGENT`, whose key is number 1, and `OTHER`, whose key is number 2, pass.
struct World {
    clock: Arc<ManualClock>,
    agents: Arc<Agents>,
    directories: Arc<Directories>,
    gate: Gate<Store>,
    rule: Arc<Rule>,
}

impl World {
    fn new() -> Self {
        Self::listing(&[AGENT, OTHER])
    }

    fn listing(origins: &[&str]) -> Self {
        let agents = Arc::new(Agents::default());
        agents.answer(AGENT, directory_of(&[&public(1)]));
        agents.answer(OTHER, directory_of(&[&public(2)]));
        let clock = Arc::new(ManualClock::new(NOW));
        let store: Store = Arc::new(MemoryStore::new(clock.clone()));
        let listed: Vec<_> = origins.iter().map(|origin| PublicUrl::parse(origin).unwrap()).collect();
        let directories = Arc::new(Directories::new(&listed, None));
        let bots = WebBots { directories: directories.clone(), fetch: agents.clone() };
        let verifier = SignatureVerifier {
            keys: Arc::new(RegisteredKeys::new(store.clone(), Arc::default(), None)),
            wallets: false,
            bots: (!origins.is_empty()).then_some(bots),
            untagged: false,
            max_signed_body: 1024,
        };
        let gate = Gate::new(store, clock.clone(), &SystemRandom);
        let rule = Rule::requiring("test", Requirement::parse(["signature"]).unwrap()).verifier(verifier);
        Self { clock, agents, directories, gate, rule: Arc::new(rule.build().unwrap()) }
    }

    async fn decide(&self, request: &Request) -> Verdict {
        let view = request.view(self.clock.now());
        self.gate.decide(&self.rule, &view, &mut request.body.clone()).await
    }

    /// `None`: it passed.
    async fn code(&self, request: &Request) -> Option<Code> {
        self.decide(request).await.decision().denial().map(Denial::code)
    }

    async fn denial(&self, request: &Request) -> Denial {
        self.decide(request).await.decision().denial().expect("it passed").clone()
    }

    /// What becomes of a good request by `AGENT`'s key at this moment.
    async fn now(&self) -> Option<Code> {
        self.code(&self.bot().signed()).await
    }

    /// `AGENT`, about to sign at this moment.
    fn bot(&self) -> Bot {
        Bot::at(self.clock.now())
    }

    fn pass_seconds(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

fn ed25519(seed: u8) -> Ed25519Key {
    Ed25519Key::from_seed(Secret::new([seed; 32]))
}

fn public(seed: u8) -> VerifyingKey {
    VerifyingKey::from_ed25519(ed25519(seed).public()).unwrap()
}

fn thumbprint(seed: u8) -> String {
    public(seed).thumbprint().unwrap()
}

/// What an agent signs, and how: each field may be spoilt before it does.
struct Bot {
    key: Box<dyn Signer>,
    method: Method,
    target: &'static str,
    agent: Option<String>,
    components: Vec<&'static str>,
    parameters: Parameters,
    body: &'static [u8],
}

impl Bot {
    fn at(now: Timestamp) -> Self {
        static NONCES: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let nonce = NONCES.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Self {
            key: Box::new(ed25519(1)),
            method: Method::GET,
            target: "https://bob.example/pages/1",
            agent: Some(format!("{AGENT:?}")),
            components: vec!["\"@authority\"", "\"signature-agent\""],
            parameters: Parameters {
                created: Some(now),
                expires: Some(now.plus(Duration::from_secs(300))),
                nonce: Some(format!("nonce-{nonce}")),
                keyid: Some(thumbprint(1)),
                tag: Some("web-bot-auth".to_owned()),
                alg: None,
            },
            body: b"",
        }
    }

    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// The same with another `Signature-Agent`.
    fn agent(self, value: &str) -> Self {
        self.with(|bot| bot.agent = Some(value.to_owned()))
    }

    /// The same with the key of this number.
    fn key(self, seed: u8) -> Self {
        self.with(|bot| {
            bot.key = Box::new(ed25519(seed));
            bot.parameters.keyid = Some(thumbprint(seed));
        })
    }

    fn covering(self, components: &[&'static str]) -> Self {
        self.with(|bot| bot.components = components.to_vec())
    }

    fn signed(&self) -> Request {
        let (mut headers, target) = (HeaderMap::new(), self.target.parse().unwrap());
        if let Some(agent) = &self.agent {
            headers.insert(SIGNATURE_AGENT, HeaderValue::from_str(agent).unwrap());
        }
        if !self.body.is_empty() {
            headers.insert(CONTENT_DIGEST, ContentDigest::of_sha256(self.body));
        }
        let components: Vec<_> =
            self.components.iter().map(|component| Component::parse(component).unwrap()).collect();
        let key = &*self.key;
        sign(&mut headers, &self.method, &target, "sig1", &components, &self.parameters, key).unwrap();
        Request {
            method: self.method.clone(),
            target: Uri::from_static("https://bob.example/pages/1"),
            headers,
            body: Bytes::from_static(self.body),
            withheld: false,
            purpose: Purpose::Decide,
        }
    }
}

#[derive(Clone)]
struct Request {
    method: Method,
    target: Uri,
    headers: HeaderMap,
    body: Bytes,
    withheld: bool,
    purpose: Purpose,
}

impl Request {
    fn view(&self, received_at: Timestamp) -> RequestView<'_> {
        RequestView {
            method: &self.method,
            target: &self.target,
            headers: &self.headers,
            body: match (self.withheld, self.body.is_empty()) {
                (true, _) => Body::Withheld,
                (false, true) => Body::Absent,
                (false, false) => Body::Announced,
            },
            source: None,
            received_at,
            purpose: self.purpose,
        }
    }

    fn explained(mut self) -> Self {
        self.purpose = Purpose::Explain;
        self
    }
}
