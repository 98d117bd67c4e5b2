//! The issuer: what it gives tokens for, and what each check refuses.

mod assertions;
mod grants;
mod refreshing;
mod signing_in;
mod upkeep;

use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::crypto::ethereum::{EthereumKey, encode_hex};
use countersign::crypto::jwt::Jwt;
use countersign::crypto::{Algorithm, Secret, Signer as _, SigningKey, SystemRandom};
use countersign::dpop::{DPOP, Dpop, DpopSigner, NoncePolicy};
use countersign::issuer::clients::{Client, ClientKey, Clients};
use countersign::issuer::keyring::{Keyring, KeyringTerms};
use countersign::issuer::{
    Issued, Issuer, IssuerTerms, OAuthError, SubjectChange, SubjectError, Subjects, Wallets,
};
use countersign::testing::{self, NOW, Request, TestStore, ed25519, seal_key};
use countersign::{Clock as _, PublicUrl, RequestView, Timestamp};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, Uri};
use serde_json::{Value, json};

const ISSUER: &str = "https://bob.example";
const AUDIENCE: &str = "orders";
const BY_KEY: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

type Store = Arc<TestStore>;

struct World {
    common: testing::World,
    issuer: Issuer<Store>,
    wallet: EthereumKey,
    random: Arc<SystemRandom>,
}

impl Deref for World {
    type Target = testing::World;

    fn deref(&self) -> &testing::World {
        &self.common
    }
}

/// A request to the token endpoint or another, in parts that can be spoilt.
#[derive(Clone)]
struct Post {
    path: &'static str,
    form: Vec<(String, String)>,
    headers: HeaderMap,
}

fn print(key: &SigningKey) -> String {
    key.verifying_key().thumbprint().unwrap()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn client(id: &str, seed: Option<u8>, scopes: Option<&[&str]>) -> Client {
    let keys = seed.map(|seed| ClientKey::read(&ed25519(seed).verifying_key().to_jwk().unwrap()).unwrap());
    Client { id: id.into(), keys: keys.unwrap_or_default(), scopes: scopes.map(set) }
}

impl World {
    /// The clients `shop` and `other` with keys, and `page` without; one wallet.
    fn new() -> Self {
        Self::with(NoncePolicy::Accepted, |wallet| Wallets::Listed([wallet.address()].into()))
    }

    fn with(policy: NoncePolicy, wallets: impl FnOnce(&EthereumKey) -> Wallets) -> Self {
        let common = testing::World::new();
        let wallet = EthereumKey::from_bytes(Secret::new([5; 32])).unwrap();
        let mut clients = Clients::default();
        clients.add_configured(client("shop", Some(1), Some(&["orders:read", "orders:write"]))).unwrap();
        clients.add_configured(client("other", Some(2), None)).unwrap();
        clients.add_configured(client("page", None, Some(&["orders:read"]))).unwrap();
        let issuer = Self::issuer(&common.store, ISSUER, AUDIENCE, policy, clients, wallets(&wallet));
        Self { common, issuer, wallet, random: Arc::new(SystemRandom) }
    }

    fn issuer(
        store: &Store,
        public_url: &str,
        audience: &str,
        policy: NoncePolicy,
        clients: Clients,
        wallets: Wallets,
    ) -> Issuer<Store> {
        let random = Arc::new(SystemRandom);
        let terms = KeyringTerms {
            purpose: "issuer",
            algorithm: Algorithm::EcdsaP256Sha256,
            rotate_every: Duration::from_secs(86_400 * 30),
            publish_before: Duration::from_secs(3600),
            retain: Duration::from_secs(600),
        };
        let seal = seal_key(3);
        let keyring = Keyring::new(store.clone(), seal.clone(), random.clone(), terms);
        let terms = IssuerTerms {
            public_url: PublicUrl::parse(public_url).unwrap(),
            audience: audience.into(),
            access_life: Duration::from_secs(300),
            refresh_life: Duration::from_secs(3600),
            clients,
            wallets,
        };
        let dpop = Dpop::new(&seal.derive("dpop-nonce"), policy);
        let secret = seal.derive("issuer");
        Issuer::new(store.clone(), Arc::new(keyring), Arc::new(dpop), random, &secret, terms)
    }

    /// The same with another issuer on the same store.
    fn listing(self, clients: Clients, wallets: Wallets) -> Self {
        let policy = NoncePolicy::Accepted;
        let issuer = Self::issuer(&self.store, ISSUER, AUDIENCE, policy, clients, wallets);
        Self { issuer, ..self }
    }

    async fn keep(&self, name: &str, claims: Value, permissions: &[&str]) -> Result<(), SubjectError> {
        let claims =
            claims.as_object().unwrap().iter().map(|(name, value)| (name.clone(), Some(value.clone())));
        let change =
            SubjectChange { claims: claims.collect(), grant: set(permissions), withdraw: BTreeSet::new() };
        Subjects::new(self.store.clone()).change(&name.parse_name(), &change).await.map(drop)
    }

    async fn token(&self, post: &Post) -> Result<Issued, OAuthError> {
        self.at(post, async |request, body| self.issuer.token(&request, body).await).await
    }

    async fn introspect(&self, post: &Post) -> Result<Value, OAuthError> {
        self.at(post, async |request, body| self.issuer.introspect(&request, body).await).await
    }

    async fn revoke(&self, post: &Post) -> Result<(), OAuthError> {
        self.at(post, async |request, body| self.issuer.revoke(&request, body).await).await
    }

    async fn at<T>(&self, post: &Post, ask: impl AsyncFnOnce(RequestView<'_>, &[u8]) -> T) -> T {
        let body = post.body();
        let request = Request::new("POST", &format!("{ISSUER}{}", post.path)).body(body.clone());
        let request = Request { headers: post.headers.clone(), ..request };
        ask(request.view(self.now()), body.as_bytes()).await
    }

    /// The claims of a token that we signed.
    async fn claims(&self, token: &Value) -> Value {
        let token = token.as_str().unwrap();
        let mut buffer = Vec::new();
        let jwt = Jwt::parse(token, 8192, &mut buffer).unwrap();
        let keys = self.issuer.keys(self.now()).await.unwrap();
        let claims = jwt.verify(keys.find(jwt.key_id().unwrap()).unwrap()).unwrap();
        Value::Object(claims.to_map())
    }

    /// What is posted for `client_credentials`.
    fn client_credentials(&self) -> Post {
        Post::token("client_credentials").by(&self.assertion("shop"), &ed25519(1))
    }

    /// A sound assertion of `client`.
    fn assertion(&self, client: &str) -> Value {
        json!({
            "iss": client, "sub": client, "aud": ISSUER, "jti": unique(),
            "iat": self.now().as_secs(), "exp": self.now().as_secs() + 60,
        })
    }

    fn message(&self) -> Message {
        Message {
            domain: "bob.example".into(),
            address: self.wallet.address().checksummed(),
            statement: "\nSign in to the orders.\n".into(),
            uri: ISSUER.into(),
            version: "1".into(),
            nonce: self.issuer.nonce(self.now()),
            issued_at: self.now().to_string(),
            rest: String::new(),
        }
    }

    /// A wallet's sign-in by `message`.
    fn sign_in(&self, message: &Message) -> Post {
        self.sign_in_with(&message.text())
    }

    fn sign_in_with(&self, text: &str) -> Post {
        let signature = self.wallet.sign_personal_message(text.as_bytes());
        let json = json!({ "message": text, "signature": format!("0x{}", encode_hex(&signature)) });
        Post::token("urn:countersign:grant-type:siwe").with("assertion", &json.to_string())
    }

    /// The same post with a DPoP proof by the key of `seed`.
    fn proven(&self, post: Post, seed: u8) -> Post {
        self.proven_with(post, seed, None)
    }

    fn proven_with(&self, mut post: Post, seed: u8, nonce: Option<&str>) -> Post {
        let signer = DpopSigner::new(ed25519(seed), self.random.clone()).unwrap();
        let target: Uri = format!("{ISSUER}{}", post.path).parse().unwrap();
        let proof = signer.prove(&Method::POST, &target, None, nonce, self.now()).unwrap();
        post.headers.insert(DPOP, proof.parse().unwrap());
        post
    }
}

/// An EIP-4361 message in parts.
#[derive(Clone)]
struct Message {
    domain: String,
    address: String,
    statement: String,
    uri: String,
    version: String,
    nonce: String,
    issued_at: String,
    rest: String,
}

impl Message {
    fn text(&self) -> String {
        let Self { domain, address, statement, uri, version, nonce, issued_at, rest } = self;
        format!(
            "{domain} wants you to sign in with your Ethereum account:\n{address}\n{statement}\nURI: {uri}\n\
             Version: {version}\nChain ID: 1\nNonce: {nonce}\nIssued At: {issued_at}{rest}"
        )
    }
}

trait ParseName {
    fn parse_name(&self) -> countersign::issuer::KeyName;
}

impl ParseName for str {
    fn parse_name(&self) -> countersign::issuer::KeyName {
        countersign::issuer::KeyName::parse(self).unwrap()
    }
}

fn unique() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("jti-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

impl Post {
    fn to(path: &'static str) -> Self {
        let form_type = "application/x-www-form-urlencoded".parse().unwrap();
        Self { path, form: Vec::new(), headers: HeaderMap::from_iter([(CONTENT_TYPE, form_type)]) }
    }

    fn token(grant: &str) -> Self {
        Self::to("/oauth/token").with("grant_type", grant)
    }

    /// The same with another value of a parameter, or without it (empty).
    fn with(mut self, name: &str, value: &str) -> Self {
        self.form.retain(|(known, _)| known != name);
        self.form.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same, with an assertion that says who asks.
    fn by(self, claims: &Value, key: &SigningKey) -> Self {
        self.with("client_assertion_type", BY_KEY).with("client_assertion", &signed(claims, key))
    }

    fn body(&self) -> String {
        let encode = |text: &str| {
            let byte = |byte: u8| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
                other => format!("%{other:02X}"),
            };
            text.bytes().map(byte).collect::<String>()
        };
        let pairs = self.form.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value)));
        pairs.collect::<Vec<_>>().join("&")
    }
}

fn signed(claims: &Value, key: &SigningKey) -> String {
    let algorithm = match key.algorithm() {
        Algorithm::EcdsaP256Sha256 => "ES256",
        Algorithm::HmacSha256 => "HS256",
        _ => "EdDSA",
    };
    signed_under(&json!({ "alg": algorithm, "typ": "JWT" }), claims, key)
}

fn signed_under(header: &Value, claims: &Value, key: &SigningKey) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", part(header), part(claims));
    let signature = key.sign(text.as_bytes()).unwrap();
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// The claims with another value of one, or without it (null).
fn changed(claims: &Value, name: &str, value: Value) -> Value {
    let mut claims = claims.clone();
    let members = claims.as_object_mut().unwrap();
    match value {
        Value::Null => members.remove(name),
        value => members.insert(name.to_owned(), value),
    };
    claims
}

/// Asserts the exact error, status and a part of the cause.
#[track_caller]
fn refused<T>(result: Result<T, OAuthError>, error: &str, status: u16, cause: &str) {
    let refused = result.err().expect(cause);
    assert_eq!(
        (refused.code().as_str(), refused.status().as_u16()),
        (error, status),
        "{:?}",
        refused.denial()
    );
    assert!(refused.denial().cause().contains(cause), "{} does not say {cause}", refused.denial());
    assert_eq!(refused.body()["error"], error);
}
