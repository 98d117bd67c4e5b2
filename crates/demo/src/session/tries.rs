//! What Eve's server tries with what was stolen: plain HTTP requests to the bank, from elsewhere.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use countersign::Clock as _;
use countersign::crypto::{Algorithm, Random as _, SigningKey, SystemRandom};
use countersign::dpop::DpopSigner;
use countersign_io::SystemClock;
use http::header::{CONTENT_TYPE, SET_COOKIE};
use http::{HeaderMap, Method, Request, Response};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::loot::Loot;
use super::peer::Peer;
use crate::failure::Failure;

const ACCOUNT: &str = "/api/account";
const TRANSFERS: &str = "/api/transfers";

/// Who tries.
pub(super) struct Tries {
    bank: Peer,
    origin: String,
    /// A key of her own: the one that a session is bound to is not to be had.
    key: DpopSigner,
    /// Both halves of a session of her own, as soon as she has one: anybody can sign up.
    own: Mutex<Option<Own>>,
}

#[derive(Clone)]
struct Own {
    half: String,
    cookie: String,
}

/// What was tried, and what was answered.
#[derive(Debug, Serialize)]
pub(super) struct Tried {
    attempt: &'static str,
    status: u16,
    code: Option<String>,
}

impl Tries {
    pub(super) fn new(bank: Peer, origin: &str) -> Result<Self, Failure> {
        let (key, _) = SigningKey::generate(Algorithm::EcdsaP256Sha256, &SystemRandom)
            .ok_or_else(|| Failure::said("no key could be made"))?;
        let key = DpopSigner::new(key, Arc::new(SystemRandom))?;
        Ok(Self { bank, origin: origin.to_owned(), key, own: Mutex::default() })
    }

    /// Tries everything that can be done with it.
    pub(super) async fn of(&self, loot: &Loot) -> Vec<Tried> {
        let mut tried = Vec::new();
        match &loot.cookie {
            None => self.one_half(loot, &mut tried).await,
            Some(cookie) => self.both_halves(&loot.half, cookie, &mut tried).await,
        }
        tried
    }

    /// What XSS brought: the token half and, unless the session is key-bound, a handshake.
    async fn one_half(&self, loot: &Loot, tried: &mut Vec<Tried>) {
        let half = || Attempt::new("half", Method::GET, ACCOUNT).bearer(&loot.half);
        tried.extend(self.try_one(half()).await);
        if let Some(handshake) = &loot.handshake {
            let with_handshake = Attempt::transfer("half-handshake").bearer(&loot.half).handshake(handshake);
            tried.extend(self.try_one(with_handshake).await);
        }
        let mut invented = [0; 32];
        SystemRandom.fill(&mut invented);
        let name = if self.origin.starts_with("https") { "__Host-session" } else { "session" };
        let invented = format!("{name}={}", URL_SAFE_NO_PAD.encode(invented));
        tried.extend(self.try_one(half().named("half-invented-cookie").cookie(&invented)).await);
        let Some(own) = self.own_session().await else { return };
        tried.extend(self.try_one(half().named("half-own-cookie").cookie(&own.cookie)).await);
        if let Some(handshake) = &loot.handshake {
            let borrowed = Attempt::transfer("borrowed-handshake").bearer(&own.half).cookie(&own.cookie);
            tried.extend(self.try_one(borrowed.handshake(handshake)).await);
        }
    }

    /// What malware brought.
    async fn both_halves(&self, half: &str, cookie: &str, tried: &mut Vec<Tried>) {
        let both = |attempt: Attempt| attempt.bearer(half).cookie(cookie);
        tried.extend(self.try_one(both(Attempt::new("both-read", Method::GET, ACCOUNT))).await);
        let asked = both(Attempt::new("both-handshake", Method::POST, "/auth/handshake"));
        if let Ok(answer) = self.send(&asked).await {
            let handshake = String::from_utf8_lossy(answer.body()).trim().to_owned();
            let got = answer.status().is_success();
            tried.push(told(&asked, &answer));
            if got {
                let transfer = both(Attempt::transfer("both-transfer")).handshake(&handshake);
                tried.extend(self.try_one(transfer).await);
                return;
            }
        }
        let own_key = both(Attempt::transfer("both-own-key"));
        let target = format!("{}{TRANSFERS}", self.origin).parse();
        let proof = target
            .ok()
            .and_then(|target| self.key.prove(&Method::POST, &target, Some(half), None, SystemClock.now()));
        if let Some(proof) = proof {
            tried.extend(self.try_one(own_key.header("dpop", &proof)).await);
        }
    }

    async fn try_one(&self, attempt: Attempt) -> Option<Tried> {
        let answer = self.send(&attempt).await.ok()?;
        Some(told(&attempt, &answer))
    }

    async fn send(&self, attempt: &Attempt) -> Result<Response<Bytes>, Failure> {
        let target = format!("{}?attempt={}", attempt.path, attempt.name);
        let mut request = Request::new(Bytes::from_static(attempt.body.as_bytes()));
        *request.method_mut() = attempt.method.clone();
        *request.uri_mut() = target.parse()?;
        *request.headers_mut() = attempt.headers.clone();
        self.bank.send(request).await
    }

    /// Her own session: as good as anybody's, and about nobody else.
    async fn own_session(&self) -> Option<Own> {
        let mut own = self.own.lock().await;
        if own.is_none() {
            *own = self.sign_in().await.ok();
        }
        own.clone()
    }

    async fn sign_in(&self) -> Result<Own, Failure> {
        let (mut name, mut password) = ([0; 6], [0; 12]);
        SystemRandom.fill(&mut name);
        SystemRandom.fill(&mut password);
        let encoded = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let email = format!("eve-{}@example.net", encoded(&name));
        let post = async |path: &str, body: Value| {
            let request = Request::post(path).header(CONTENT_TYPE, "application/json");
            self.bank.send(request.body(Bytes::from(body.to_string()))?).await
        };
        let password = encoded(&password);
        post("/auth/signup", json!({ "email": email, "name": "Eve", "password": password })).await?;
        let answer = post("/auth/signin", json!({ "email": email, "password": password })).await?;
        let cookie = answer.headers().get(SET_COOKIE).and_then(|value| value.to_str().ok());
        let cookie = cookie.and_then(|set| set.split(';').next());
        let cookie = cookie.ok_or_else(|| Failure::said("no session"))?.to_owned();
        Ok(Own { half: String::from_utf8_lossy(answer.body()).into_owned(), cookie })
    }
}

/// One request that she makes up.
struct Attempt {
    name: &'static str,
    method: Method,
    path: &'static str,
    headers: HeaderMap,
    body: &'static str,
}

impl Attempt {
    fn new(name: &'static str, method: Method, path: &'static str) -> Self {
        Self { name, method, path, headers: HeaderMap::new(), body: "" }
    }

    fn transfer(name: &'static str) -> Self {
        let body = r#"{"to":"eve","amount":100}"#;
        Self { body, ..Self::new(name, Method::POST, TRANSFERS) }.header("content-type", "application/json")
    }

    fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    /// A value that no header takes was no half: then it is left out.
    fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = value.parse() {
            self.headers.insert(name, value);
        }
        self
    }

    fn bearer(self, half: &str) -> Self {
        self.header("authorization", &format!("Bearer {half}"))
    }

    fn cookie(self, cookie: &str) -> Self {
        self.header("cookie", cookie)
    }

    fn handshake(self, handshake: &str) -> Self {
        self.header("handshake", handshake)
    }
}

fn told(attempt: &Attempt, answer: &Response<Bytes>) -> Tried {
    let problem: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    let code = problem["code"].as_str().map(str::to_owned);
    Tried { attempt: attempt.name, status: answer.status().as_u16(), code }
}
