//! Web Bot Auth through the gate, with agents whose answers are scripted: what passes, what is refused, as
//! what, and how often anybody is asked.

mod agents;
mod directories;
mod refusals;
mod spending;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use agents::{Agents as _, directory_of};
use countersign::crypto::Signer;
use countersign::schemes::signature::{
    CONTENT_DIGEST, Component, ContentDigest, Directories, Parameters, RegisteredKeys, SIGNATURE_AGENT,
    SignatureVerifier, WebBots, sign,
};
use countersign::testing::Verdict;
use countersign::testing::{self, NOW, Request, Table, ed25519, public_key, rule};
use countersign::{Clock as _, Code, Denial, PublicUrl, Rule, Timestamp};
use http::{HeaderMap, HeaderValue, Method};

const AGENT: &str = "https://agent.example";
const OTHER: &str = "https://other.example";

/// A gate that lets the agents `AGENT`, whose key is number 1, and `OTHER`, whose key is number 2, pass.
struct World {
    common: testing::World,
    agents: Arc<Table>,
    directories: Arc<Directories>,
    rule: Arc<Rule>,
}

impl Deref for World {
    type Target = testing::World;

    fn deref(&self) -> &testing::World {
        &self.common
    }
}

impl World {
    fn new() -> Self {
        Self::listing(&[AGENT, OTHER])
    }

    fn listing(origins: &[&str]) -> Self {
        let agents = Arc::new(Table::default());
        agents.set_lag(4);
        agents.answer(AGENT, directory_of(&[&public_key(1)]));
        agents.answer(OTHER, directory_of(&[&public_key(2)]));
        let common = testing::World::new();
        let listed: Vec<_> = origins.iter().map(|origin| PublicUrl::parse(origin).unwrap()).collect();
        let directories = Arc::new(Directories::new(&listed, None));
        let bots = WebBots { directories: directories.clone(), fetch: agents.clone() };
        let verifier = SignatureVerifier {
            keys: Arc::new(RegisteredKeys::new(common.store.clone(), Arc::default(), None)),
            wallets: false,
            bots: (!origins.is_empty()).then_some(bots),
            untagged: false,
            max_signed_body: 1024,
        };
        let rule = rule("signature", |rule| rule.verifier(verifier));
        Self { common, agents, directories, rule }
    }

    async fn decide(&self, request: &Request) -> Verdict {
        self.common.decide(&self.rule, request).await
    }

    /// `None`: it passed.
    async fn code(&self, request: &Request) -> Option<Code> {
        self.common.code(&self.rule, request).await
    }

    async fn denial(&self, request: &Request) -> Denial {
        self.common.denial(&self.rule, request).await
    }

    /// What becomes of a good request by `AGENT`'s key at this moment.
    async fn now(&self) -> Option<Code> {
        self.code(&self.bot().signed()).await
    }

    /// `AGENT`, about to sign at this moment.
    fn bot(&self) -> Bot {
        Bot::at(self.clock.now())
    }
}

fn thumbprint(seed: u8) -> String {
    public_key(seed).thumbprint().unwrap()
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
        let request = Request::new(self.method.as_str(), "https://bob.example/pages/1").body(self.body);
        Request { headers, ..request }
    }
}
