//! A claimant that signs: drafts of requests, the keys that sign them, and a lab with a gateway that
//! judges them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use countersign::crypto::{Algorithm, Ed25519Key, Secret, Signer, SigningKey, derive_ed25519};
use countersign::schemes::api_key::ApiKey;
use countersign::schemes::signature::{
    BASE_DIGESTS, CONTENT_DIGEST, COUNTERSIGN, Component, ContentDigest, Message, Parameters, base_digests,
    cover_floor, sign,
};
use countersign::time::{Clock as _, Timestamp};
use countersign_io::SystemClock;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

use crate::{Echo, Gateway, Request, Response, root};

/// What callers address, whatever their connection and their `Host` header say.
pub const PUBLIC: &str = "https://orders.example";

pub fn now() -> Timestamp {
    SystemClock.now()
}

/// A key that the gateway knows, and what signs with it.
pub struct Key {
    pub id: String,
    pub signer: Box<dyn Signer + Send + Sync>,
}

/// A private key of `signatures_files`, as PEM.
pub fn pem(name: &str) -> String {
    std::fs::read_to_string(root().join(format!("crates/cli/tests/signatures_files/{name}.pem"))).unwrap()
}

/// The same, read.
pub fn private_key(name: &str, algorithm: Option<Algorithm>) -> SigningKey {
    SigningKey::from_pem(&pem(name), algorithm).unwrap()
}

/// Registers the public half.
pub fn registered(gateway: &Gateway, key: SigningKey, more: &[&str]) -> Key {
    let file = format!("{}.jwk", key.algorithm());
    std::fs::write(gateway.path(&file), key.verifying_key().to_jwk().unwrap()).unwrap();
    let algorithm = key.algorithm().to_string();
    let add = ["key", "add", "--label", "partner", "--public", &file, "--algorithm", &algorithm];
    let added = gateway.json(&[&add[..], more].concat());
    Key { id: added["id"].as_str().unwrap().to_owned(), signer: Box::new(key) }
}

/// Registers a shared secret.
pub fn shared(gateway: &Gateway, secret: &[u8]) -> Key {
    use std::os::unix::fs::PermissionsExt as _;
    let file = gateway.path("hmac.secret");
    std::fs::write(&file, secret).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let added = gateway.json(&["key", "add", "--label", "partner", "--hmac-secret-file", "hmac.secret"]);
    let key = SigningKey::from_hmac_secret(&Secret::new(secret.to_vec())).unwrap();
    Key { id: added["id"].as_str().unwrap().to_owned(), signer: Box::new(key) }
}

/// The key that an API key's holder derives, so that the API key itself never travels.
pub fn derived(key: &str) -> Key {
    let key = ApiKey::parse(key).unwrap();
    let (seed, _) = derive_ed25519(key.secret.expose(), b"countersign/api-key/ed25519/1");
    Key { id: key.id.to_string(), signer: Box::new(Ed25519Key::from_seed(seed)) }
}

/// How a draft is signed: a test changes what it is about.
pub struct Terms {
    pub label: &'static str,
    pub public: &'static str,
    /// What is left out of what must be covered.
    pub without: &'static str,
    /// What is covered beside it.
    pub also: &'static [&'static str],
    pub parameters: Parameters,
    /// Whether the caller says what it signed, line by line.
    pub digests: bool,
}

/// A request, before and after it is signed, as a program holds it.
#[derive(Clone, Debug)]
pub struct Draft {
    pub method: Method,
    /// Path and query.
    pub target: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Draft {
    pub fn get(target: &str) -> Self {
        Self { method: Method::GET, target: target.to_owned(), headers: HeaderMap::new(), body: Vec::new() }
    }

    /// A POST of JSON.
    pub fn post(target: &str, body: &[u8]) -> Self {
        let draft = Self { method: Method::POST, body: body.to_vec(), ..Self::get(target) };
        draft.with("content-type", "application/json").with_digest()
    }

    /// The digest of the body that it has now.
    pub fn with_digest(mut self) -> Self {
        self.headers.insert(CONTENT_DIGEST, ContentDigest::of_sha256(&self.body));
        self
    }

    /// With this header, in place of any other value.
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        self
    }

    /// With this header beside those of its name.
    pub fn and(mut self, name: &'static str, value: &str) -> Self {
        self.headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        self
    }

    /// Sent elsewhere.
    pub fn to(mut self, target: &str) -> Self {
        target.clone_into(&mut self.target);
        self
    }

    pub fn header(&self, name: &str) -> String {
        self.headers[name].to_str().unwrap().to_owned()
    }

    pub fn signed(self, key: &Key) -> Self {
        self.signed_on(key, |_| {})
    }

    /// Signed on other terms than the usual ones.
    pub fn signed_on(mut self, key: &Key, change: impl FnOnce(&mut Terms)) -> Self {
        let mut terms = Terms {
            label: "sig1",
            public: PUBLIC,
            without: "",
            also: &[],
            parameters: parameters(&key.id),
            digests: false,
        };
        change(&mut terms);
        let mut components = cover_floor(&self.headers, !self.body.is_empty());
        components.retain(|component| component.as_str() != format!("{:?}", terms.without));
        components.extend(terms.also.iter().map(|name| Component::field(HeaderName::from_static(name))));
        let target: Uri = format!("{}{}", terms.public, self.target).parse().unwrap();
        if terms.digests {
            let digests = self.digests(&target, &terms, &components);
            self.headers.insert(BASE_DIGESTS, digests);
        }
        let Self { method, headers, .. } = &mut self;
        sign(headers, method, &target, terms.label, &components, &terms.parameters, &*key.signer).unwrap();
        self
    }

    fn digests(&self, target: &Uri, terms: &Terms, components: &[Component]) -> HeaderValue {
        let message = Message::request(&self.method, target, &self.headers);
        base_digests(&message, terms.label, components, &terms.parameters).unwrap()
    }

    /// Byte for byte.
    pub fn bytes(&self) -> Vec<u8> {
        let mut request = Request::new(self.method.as_str(), &self.target).body(&self.body);
        for (name, value) in &self.headers {
            request = request.header(name.as_str(), value.to_str().unwrap());
        }
        request.bytes()
    }
}

/// A POST of an order.
pub fn order(target: &str) -> Draft {
    Draft::post(target, b"{\"amount\":1}")
}

/// A nonce that no other draft has.
pub fn nonce() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("nonce-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// What a signature says of itself, made now, for a minute.
pub fn parameters(keyid: &str) -> Parameters {
    Parameters {
        created: Some(now()),
        expires: Some(now().plus(Duration::from_secs(59))),
        nonce: Some(nonce()),
        alg: None,
        keyid: Some(keyid.to_owned()),
        tag: Some(COUNTERSIGN.to_owned()),
    }
}

/// A gateway and the upstream behind it.
pub struct Lab {
    pub echo: Echo,
    pub gateway: Gateway,
}

impl Lab {
    /// Routes of every kind that take signatures.
    pub fn start() -> Self {
        Self::with("", "")
    }

    /// The same, and a key that it knows.
    pub fn keyed() -> (Self, Key) {
        let lab = Self::start();
        let key = registered(&lab.gateway, private_key("ed25519", None), &[]);
        (lab, key)
    }

    /// Routes of every kind, with more lines before the routes and after them.
    pub fn with(before: &str, after: &str) -> Self {
        let echo = Echo::start();
        let mut gateway = Gateway::with_server(&server(), &format!("{before}{}{after}", routes(&echo)));
        gateway.start();
        Self { echo, gateway }
    }

    pub fn send(&self, draft: &Draft) -> Response {
        crate::exchange(self.gateway.address, &draft.bytes())
    }

    /// It passes, and reaches the upstream.
    #[track_caller]
    pub fn passes(&self, draft: &Draft) -> crate::Seen {
        let before = self.echo.seen().len();
        let answer = self.send(draft);
        assert_eq!(answer.status, 200, "{draft:?}: {}\n{}", answer.text(), self.gateway.explain_latest());
        assert_eq!(self.echo.seen().len(), before + 1);
        let seen = self.echo.last();
        assert_eq!(seen.body, draft.body, "its body is whole");
        for name in ["signature", "signature-input", "countersign-base-digests", "authorization"] {
            assert_eq!(seen.header(name), None, "credentials end here");
        }
        seen
    }

    /// It is refused, and the upstream sees nothing of it.
    #[track_caller]
    pub fn refuses(&self, draft: &Draft, status: u16, code: &str) -> Response {
        let before = self.echo.seen().len();
        let answer = self.send(draft);
        answer.is(status, code);
        assert_eq!(self.echo.seen().len(), before, "{draft:?}");
        answer
    }
}

pub fn server() -> String {
    format!("public_url = \"{PUBLIC}\"")
}

pub fn routes(echo: &Echo) -> String {
    let route = |path: &str, more: &str| {
        format!("[[route]]\npath = \"{path}/*\"\nupstream = \"{}\"\n{more}\n", echo.url())
    };
    [
        route("/signature", "accept = [\"signature\"]\nanyone = true"),
        route("/key", "accept = [\"api-key\"]\nanyone = true"),
        route("/either", "accept = [\"api-key\", \"signature\"]\nanyone = true"),
        route("/untagged", "accept = [\"signature\"]\nuntagged = true\nanyone = true"),
        route("/permitted", "accept = [\"signature\"]\nrequire = { permission = [\"orders:write\"] }"),
        route("/asymmetric", "accept = [\"asymmetric\"]\nanyone = true"),
        route("/rising", "accept = [\"asymmetric\"]\nnonce = \"rising\"\nanyone = true"),
    ]
    .concat()
}
