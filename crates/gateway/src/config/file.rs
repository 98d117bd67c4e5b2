//! `countersign.toml` as it is written: every field that may be written, and nothing judged yet.

use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

use crate::schemes::bearer::config as bearer;
use crate::schemes::callback_url::config as callback_url;
use crate::schemes::issuer::config as issuer;
use crate::schemes::session::config as session;
use crate::schemes::signature::config as signature;
use crate::schemes::webhook::config as webhook;
use crate::settings::diagnostics::hide_passwords;
use crate::settings::{Text, Truth};

mod assertion;

pub use assertion::Assertion;

/// The whole file.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "countersign.toml")]
pub struct File {
    /// What listens, and as whom.
    pub server: Server,
    /// Where keys and proofs are remembered.
    pub store: Store,
    /// Bounds on what callers may ask for before anything is proven.
    pub limits: Limits,
    /// Time-outs towards upstreams.
    pub upstream: Upstream,
    /// What upstreams are told in a form that they can check.
    pub assertion: Assertion,
    /// The audit log.
    pub audit: Audit,
    /// Whom outgoing calls may reach.
    pub egress: Egress,
    /// The `webhook` scheme: APIs that share no secret.
    pub webhook: webhook::Section,
    /// The `signature` scheme: requests signed one by one.
    pub signature: signature::Section,
    /// The `callback-url` scheme: URLs that open one thing, once, for a while.
    pub callback: callback_url::Section,
    /// The `bearer` scheme: access tokens of listed issuers.
    pub bearer: bearer::Section,
    /// The issuer of tokens for signed messages.
    pub issuer: issuer::Section,
    /// The `session` scheme: browsers, whose proof is in two halves.
    pub session: session::Section,
    /// Pages of other origins.
    pub cors: Cors,
    /// Listeners for applications here, whose requests are proven and sent to a peer.
    #[schemars(with = "Vec<Outbound>")]
    pub outbound: Vec<Spanned<Outbound>>,
    /// What is served, and for whom.
    #[schemars(with = "Vec<Route>")]
    pub route: Vec<Spanned<Route>>,
}

/// `[server]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// Where callers connect, `address:port`. Default: 127.0.0.1:8080.
    #[schemars(with = "Option<String>")]
    pub listen: Option<Text>,
    /// What callers address, `https://host[:port]`: every proof is bound to it. Default: `listen`, while that is loopback.
    #[schemars(with = "Option<String>")]
    pub public_url: Option<Text>,
    /// Where /livez, /readyz and /metrics are served, `address:port`. Default: nowhere.
    #[schemars(with = "Option<String>")]
    pub admin_listen: Option<Text>,
    /// A file with a token that opens management on `admin_listen` too; mode 0600.
    #[schemars(with = "Option<String>")]
    pub admin_token_file: Option<Text>,
    /// The Unix socket for management. Default: `management.sock` beside the redb file.
    #[schemars(with = "Option<String>")]
    pub management_socket: Option<Text>,
    /// Certificate and key; without them HTTP is plain, which is for loopback.
    pub tls: Option<Tls>,
    /// Serve plain HTTP beyond loopback: for a TLS terminator in front.
    #[schemars(with = "Option<bool>")]
    pub plain_http: Option<Truth>,
    /// Addresses or ranges of proxies whose X-Forwarded-For names the source.
    #[schemars(with = "Vec<String>")]
    pub trusted_proxies: Vec<Text>,
    /// How long requests in progress may go on after SIGTERM. Default: 30s.
    #[schemars(with = "Option<String>")]
    pub drain_timeout: Option<Text>,
}

/// `tls = { cert_file, key_file }`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate chain, PEM.
    #[schemars(with = "String")]
    pub cert_file: Text,
    /// The private key, PEM.
    #[schemars(with = "String")]
    pub key_file: Text,
}

/// `[store]`
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Store {
    /// `redb:<path>`, `redis://host[:port][/db]`, or `memory:` for tests. Default: `redb:countersign.redb` beside the file.
    #[schemars(with = "Option<String>")]
    pub url: Option<Text>,
    /// How long a Redis may take to answer before a request gets 503. Default: 100ms.
    #[schemars(with = "Option<String>")]
    pub timeout: Option<Text>,
    /// 32 bytes that seal private keys and shared secrets at rest; a secret file. Default: `seal.key` beside the redb file.
    #[schemars(with = "Option<String>")]
    pub seal_key_file: Option<Text>,
}

/// The URL may hold a password.
impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let url = self.url.as_ref().map(|url| hide_passwords(url.get_ref()));
        f.debug_struct("Store")
            .field("url", &url)
            .field("timeout", &self.timeout)
            .field("seal_key_file", &self.seal_key_file)
            .finish()
    }
}

/// `[limits]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// A request's head. Default: 32KiB.
    #[schemars(with = "Option<String>")]
    pub max_head: Option<Text>,
    /// Header fields in a request. Default: 100.
    #[schemars(with = "Option<usize>")]
    pub max_headers: Option<Spanned<usize>>,
    /// A body that a proof covers. Default: 1MiB.
    #[schemars(with = "Option<String>")]
    pub max_signed_body: Option<Text>,
    /// Any body. Default: none.
    #[schemars(with = "Option<String>")]
    pub max_body: Option<Text>,
    /// Open connections. Default: 20000.
    #[schemars(with = "Option<usize>")]
    pub max_connections: Option<Spanned<usize>>,
    /// Requests at once on one HTTP/2 connection. Default: 100.
    #[schemars(with = "Option<u32>")]
    pub max_streams: Option<Spanned<u32>>,
    /// How much of bodies an HTTP/2 connection may send ahead of who reads them. Default: 256KiB.
    #[schemars(with = "Option<String>")]
    pub http2_window: Option<Text>,
    /// How often one source may fail to prove itself, `600/min`. Default: 60000/min.
    #[schemars(with = "Option<String>")]
    pub unproven: Option<Text>,
    /// How many nonces one signer may spend, `600/min`. Default: 60000/min.
    #[schemars(with = "Option<String>")]
    pub nonces: Option<Text>,
    /// From the first byte of a head to its last; also the TLS handshake. Default: 10s.
    #[schemars(with = "Option<String>")]
    pub header_timeout: Option<Text>,
    /// Between two pieces of a body. Default: 30s.
    #[schemars(with = "Option<String>")]
    pub body_timeout: Option<Text>,
    /// A caller that does not read its response. Default: 60s.
    #[schemars(with = "Option<String>")]
    pub write_timeout: Option<Text>,
    /// A connection without a request. Default: 120s.
    #[schemars(with = "Option<String>")]
    pub idle_timeout: Option<Text>,
}

/// `[upstream]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Upstream {
    /// To connect. Default: 5s.
    #[schemars(with = "Option<String>")]
    pub connect_timeout: Option<Text>,
    /// From the end of the request to the head of the response. Default: 60s.
    #[schemars(with = "Option<String>")]
    pub response_timeout: Option<Text>,
    /// Between two pieces of a response's body, and on an upgraded connection. Default: 5m.
    #[schemars(with = "Option<String>")]
    pub stream_timeout: Option<Text>,
    /// How long an unused connection is kept; shorter than the upstream keeps it. Default: 4s.
    #[schemars(with = "Option<String>")]
    pub idle_timeout: Option<Text>,
    /// Unused connections kept for each upstream. Default: 256.
    #[schemars(with = "Option<usize>")]
    pub max_idle: Option<Spanned<usize>>,
}

/// `[audit]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Audit {
    /// One JSON line a decision and a change of keys; `-` for standard output. Default: `audit.jsonl` beside the store.
    #[schemars(with = "Option<String>")]
    pub file: Option<Text>,
    /// Also decisions, not only changes of keys. Default: true.
    #[schemars(with = "Option<bool>")]
    pub decisions: Option<Truth>,
}

/// `[egress]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Egress {
    /// The ports that https may use. Default: 443 alone.
    #[schemars(with = "Option<Vec<u16>>")]
    pub ports: Option<Spanned<Vec<u16>>>,
    /// Certificates of authorities that are trusted besides the system's, PEM.
    #[schemars(with = "Option<String>")]
    pub ca_file: Option<Text>,
    /// Private ranges that may be dialled for hosts that this file names: `["10.1.0.0/16"]`. For labs and inside a network.
    #[schemars(with = "Vec<String>")]
    pub allow_private: Vec<Text>,
    /// Plain HTTP on loopback, any port. For labs.
    #[schemars(with = "Option<bool>")]
    pub allow_http_loopback: Option<Truth>,
    /// How long an unused connection is kept; shorter than the other side keeps it. `0s` keeps none. Default: 1500ms.
    #[schemars(with = "Option<String>")]
    pub idle_timeout: Option<Text>,
}

/// `[cors]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Cors {
    /// The origins of other sites whose pages may call every route, `["https://app.example"]`. Default: none.
    #[schemars(with = "Option<Vec<String>>")]
    pub origins: Option<Spanned<Vec<Text>>>,
}

/// `[[outbound]]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Outbound {
    /// Where an application here connects: `127.0.0.1:9100`, or `unix:/run/countersign/bob.sock`.
    #[schemars(with = "String")]
    pub listen: Text,
    /// The peer, `https://host[:port]`.
    #[schemars(with = "String")]
    pub target: Text,
    /// How requests are proven.
    #[schemars(with = "Prove")]
    pub prove: Spanned<Prove>,
}

/// `prove = { .. }`: exactly one of `webhook`, `key_file`, `private_key_file`, `hmac_secret_file`, `wallet_file` and `token_file`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Prove {
    /// Our webhook URL: where the peer asks. This gateway answers there if it is under `public_url`.
    #[schemars(with = "Option<String>")]
    pub webhook: Option<Text>,
    /// A file that holds an API key (`cs_…`), which signs. All files are read at the start.
    #[schemars(with = "Option<String>")]
    pub key_file: Option<Text>,
    /// Send the API key as itself instead.
    #[schemars(with = "Option<bool>")]
    pub bearer: Option<Truth>,
    /// A private key that signs: PEM or a JWK. The peer registered its public half.
    #[schemars(with = "Option<String>")]
    pub private_key_file: Option<Text>,
    /// A file whose bytes are the secret of an HMAC-SHA256, which the peer registered.
    #[schemars(with = "Option<String>")]
    pub hmac_secret_file: Option<Text>,
    /// What the peer calls the private key or the secret.
    #[schemars(with = "Option<String>")]
    pub key_id: Option<Text>,
    /// An Ethereum wallet: a version 3 key file, or the private key in hexadecimal digits.
    #[schemars(with = "Option<String>")]
    pub wallet_file: Option<Text>,
    /// What the wallet makes: `asymmetric` (default), `erc8128` or `erc8128-untagged`.
    #[schemars(with = "Option<String>")]
    pub form: Option<Text>,
    /// A file that holds the wallet's password.
    #[schemars(with = "Option<String>")]
    pub password_file: Option<Text>,
    /// A file that holds an access token.
    #[schemars(with = "Option<String>")]
    pub token_file: Option<Text>,
    /// The private key that the token is bound to (DPoP): PEM or a JWK.
    #[schemars(with = "Option<String>")]
    pub dpop_key_file: Option<Text>,
    /// How tokens are hashed for a peer that is not known yet: `bcrypt` or `sha-256`. Default: bcrypt.
    #[schemars(with = "Option<String>")]
    pub hash: Option<Text>,
    /// What introduced keys may do, permissions separated by spaces. Default: whatever we may.
    #[schemars(with = "Option<String>")]
    pub scope: Option<Text>,
}

/// `[[route]]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// `/orders/*`, `/v1/results/{id}`: literal segments, `{name}` for one segment, `*` at the end for any rest.
    #[schemars(with = "String")]
    pub path: Text,
    /// Which methods. Default: all. GET admits HEAD.
    #[serde(default)]
    #[schemars(with = "Option<Vec<String>>")]
    pub methods: Option<Vec<Text>>,
    /// Where permitted requests go, `http://host[:port]`.
    #[schemars(with = "String")]
    pub upstream: Text,
    /// Which schemes: any one of these; `a+b` for both, about one subject.
    #[serde(default)]
    #[schemars(with = "Option<Vec<String>>")]
    pub accept: Option<Spanned<Vec<Text>>>,
    /// Everybody passes and nobody is asked; instead of `accept`.
    #[serde(default)]
    #[schemars(with = "Option<bool>")]
    pub public: Option<Truth>,
    /// What is demanded of whoever was proven.
    #[serde(default)]
    pub require: Require,
    /// Whoever can prove to be anybody may pass: needed for schemes in which anybody can enrol.
    #[serde(default)]
    #[schemars(with = "Option<bool>")]
    pub anyone: Option<Truth>,
    /// How often one subject may pass, `100/min`.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub limit: Option<Text>,
    /// Also take signatures without a tag, by registered keys: for clients that cannot tag.
    #[serde(default)]
    #[schemars(with = "Option<bool>")]
    pub untagged: Option<Truth>,
    /// `rising`: an `asymmetric` nonce must be higher than the last one of its wallet. Breaks parallel calls.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub nonce: Option<Text>,
    /// A callback's use is consumed before it is forwarded. Default: callback.strict.
    #[serde(default)]
    #[schemars(with = "Option<bool>")]
    pub strict: Option<Truth>,
    /// Which requests of a session need a handshake: more than session.handshake says, never less.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub handshake: Option<Text>,
    /// Only sessions that are bound to a key of their browser pass.
    #[serde(default)]
    #[schemars(with = "Option<bool>")]
    pub key_bound: Option<Truth>,
    /// Read an API key from `_key` in the query too.
    #[serde(default)]
    #[schemars(with = "Option<bool>")]
    pub key_in_query: Option<Truth>,
    /// Headers in which a proxy in front says who sent a request, and which pass as they are: `["X-Real-IP"]`. Default: none.
    #[serde(default)]
    #[schemars(with = "Option<Vec<String>>")]
    pub pass_headers: Option<Vec<Text>>,
    /// `false`: the upstream gets no `Countersign-Assertion`. Default: `assertion.enabled`.
    #[serde(default)]
    #[schemars(with = "Option<bool>")]
    pub assertion: Option<Truth>,
}

/// `require = { permission = [..], subject = [..], claim = { .. } }`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Require {
    /// All of these permissions.
    #[schemars(with = "Option<Vec<String>>")]
    pub permission: Option<Spanned<Vec<String>>>,
    /// One of these subjects.
    #[schemars(with = "Option<Vec<String>>")]
    pub subject: Option<Spanned<Vec<String>>>,
    /// For each claim one of these values: texts, numbers, `true` and `false`. A claim is named as
    /// `realm_access.roles` or `resource_access."my.app".roles`.
    #[schemars(with = "std::collections::BTreeMap<String, Claimed>")]
    pub claim: std::collections::BTreeMap<String, toml::Value>,
}

/// What stands in `claim`.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it describes what the file may say, for `config schema`")]
enum Claimed {
    /// One of these.
    Values(Vec<ClaimValue>),
    /// Of a member.
    Members(std::collections::BTreeMap<String, Self>),
}

/// A value of a claim.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it describes what the file may say, for `config schema`")]
enum ClaimValue {
    /// Compared as it is.
    Text(String),
    /// Compared as JSON writes it.
    Number(f64),
    /// `true` or `false`.
    Truth(bool),
}
