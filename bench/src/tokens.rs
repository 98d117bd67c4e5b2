//! Tokens through the gateway: access tokens beside its own public route and beside HAProxy's `jwt_verify`, the
//! assertion that upstreams get, callback URLs, and tokens issued.
//!
//! What passes once is made beforehand and sent once; access tokens are more than the verifier remembers, so that each
//! is verified anew.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use countersign::Clock as _;
use countersign::crypto::jwt::{JwtHeader, sign};
use countersign::crypto::{Algorithm, Secret, SigningKey};
use countersign_io::SystemClock;
use serde_json::{Value, json};

use crate::gateway::{Gateway, PUBLIC, secret_file};
use crate::load::{self, Sample};
use crate::process::{Place, Process, free_address, pinned};
use crate::report::Row;
use crate::script::{Script, Turns};
use crate::{Failure, machine, report};

const ISSUER: &str = "https://login.example/realms/shop";
/// What HMACs are under; text without spaces, for it stands in the configuration of HAProxy.
const SECRET: &[u8; 32] = b"thirty-two-bytes-that-are-shared";
/// More than the verifier remembers.
const DISTINCT: u64 = 20_000;
/// More than are used up in a second.
const A_SECOND: u64 = 15_000;

/// Who answers, what is asked, and its row in the table.
struct Contender {
    /// The number of another proxy, instead of the gateway.
    proxy: Option<usize>,
    kind: Kind,
    row: Row,
}

/// What the requests carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// An access token by this algorithm, at a route of this name; the same URL again and again, or a new one each.
    Access(Algorithm, &'static str, bool),
    /// A callback URL, at a route of this name.
    Callback(&'static str),
    /// A client's assertion, for a token.
    Issued,
}

struct Bench {
    gateway: Gateway,
    /// One for each algorithm.
    haproxies: Vec<(Process, SocketAddr, Algorithm)>,
}

/// Measures each contender once a round, and prints Markdown.
pub(crate) fn measure(rounds: usize, seconds: u64) -> Result<(), Failure> {
    let bench = Bench::start()?;
    let contenders = bench.contenders();
    let samples = load::rounds(rounds, contenders.len(), |index| {
        let contender = &contenders[index];
        bench
            .load(contender, seconds.max(1))
            .map_err(|error| format!("{}: {error}", contender.row.name).into())
    })?;
    let rows: Vec<Row> = contenders.iter().map(|contender| contender.row).collect();
    let text =
        format!("{}; {}.\n\n{}", machine::machine(), machine::versions(), report::beside(&rows, &samples)?);
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

fn key(algorithm: Algorithm) -> Result<SigningKey, Failure> {
    if algorithm == Algorithm::HmacSha256 {
        return Ok(SigningKey::from_hmac_secret(&Secret::new(SECRET.to_vec()))?);
    }
    Ok(SigningKey::from_pem(&sample(algorithm, "private")?, Some(algorithm))?)
}

/// A PEM of `vectors/keys.json`.
fn sample(algorithm: Algorithm, half: &str) -> Result<String, Failure> {
    let samples: Value = serde_json::from_str(include_str!("../../vectors/keys.json"))?;
    let mut keys = samples["keys"].as_array().into_iter().flatten();
    let found = keys.find(|key| key["algorithm"] == algorithm.as_str());
    let pem = found.and_then(|key| key[half][0].as_str()).ok_or("no such key among the vectors")?;
    Ok(pem.to_owned())
}

impl Bench {
    fn start() -> Result<Self, Failure> {
        let gateway = Gateway::start(configuration)?;
        let mut haproxies = Vec::new();
        if machine::has("haproxy") {
            for algorithm in [Algorithm::HmacSha256, Algorithm::EcdsaP256Sha256] {
                let (folder, address) = (gateway.folder.path(), free_address()?);
                let file = folder.join(format!("haproxy-{}.cfg", algorithm.as_str()));
                std::fs::write(&file, haproxy(folder, algorithm, address, gateway.upstream)?)?;
                let mut command = pinned(Place::Server, machine::server("haproxy"));
                command.arg("-db").arg("-f").arg(file);
                haproxies.push((Process::start(command, address)?, address, algorithm));
            }
        }
        Ok(Self { gateway, haproxies })
    }

    fn contenders(&self) -> Vec<Contender> {
        let (hs256, es256, eddsa) = (Algorithm::HmacSha256, Algorithm::EcdsaP256Sha256, Algorithm::Ed25519);
        let ours = |name, kind, against| Contender { proxy: None, kind, row: Row { name, against } };
        let mut contenders = vec![
            ours("access tokens, public route", Kind::Access(hs256, "open", false), 0),
            ours("HS256", Kind::Access(hs256, "hs256", false), 0),
            ours("ES256", Kind::Access(es256, "keys", false), 0),
            ours("EdDSA", Kind::Access(eddsa, "keys", false), 0),
            ours("HS256, with an assertion", Kind::Access(hs256, "asserted", false), 1),
            ours("HS256, with an assertion, a new URL each", Kind::Access(hs256, "asserted", true), 1),
            ours("callback URLs, public route", Kind::Callback("open"), 6),
            ours("callback URLs", Kind::Callback("results"), 6),
            ours("tokens issued to a client by its signature", Kind::Issued, 8),
        ];
        for (number, (.., algorithm)) in self.haproxies.iter().enumerate() {
            let (name, against) =
                if *algorithm == hs256 { ("HAProxy, HS256", 1) } else { ("HAProxy, ES256", 2) };
            let kind = Kind::Access(*algorithm, "open", false);
            contenders.push(Contender { proxy: Some(number), kind, row: Row { name, against } });
        }
        contenders
    }

    fn load(&self, contender: &Contender, seconds: u64) -> Result<Sample, Failure> {
        let process = match contender.proxy.map(|number| &self.haproxies[number]) {
            Some((process, address, _)) => (process, *address),
            None => (&self.gateway.process, self.gateway.address),
        };
        let turns = if matches!(contender.kind, Kind::Access(..)) { Turns::Endless } else { Turns::Once };
        self.gateway
            .load_another(process, turns, seconds, |script, seconds| contender.kind.write(script, seconds))
    }
}

impl Kind {
    /// Writes requests for so many seconds.
    fn write(self, script: &mut Script, seconds: u64) -> Result<(), Failure> {
        let now = SystemClock.now();
        let unique = now.as_millis();
        let (signer, count) = match self {
            Self::Access(algorithm, ..) => (key(algorithm)?, DISTINCT),
            Self::Callback(_) => (key(Algorithm::HmacSha256)?, seconds * A_SECOND),
            Self::Issued => (key(Algorithm::Ed25519)?, seconds * A_SECOND),
        };
        for number in 0..count {
            let jti = format!("{unique}-{number}");
            let made = |typ, claims: &Value| {
                let header = JwtHeader { typ: Some(typ), ..JwtHeader::default() };
                sign(&signer, &header, claims).ok_or("no token")
            };
            match self {
                Self::Access(algorithm, route, fresh) => {
                    let claims = json!({
                        "iss": issuer(algorithm), "sub": "248289761001", "aud": "orders", "client_id": "s6BhdRkqt3",
                        "iat": now.as_secs(), "nbf": now.as_secs(), "exp": now.as_secs() + 3600, "jti": jti,
                        "scope": "orders:read orders:write", "country": "CH",
                    });
                    let token = format!("Bearer {}", made("at+jwt", &claims)?);
                    let path = if fresh { format!("/{route}/{number}") } else { format!("/{route}/1") };
                    script.add("GET", &path, &[("Authorization", &token)], "")?;
                }
                Self::Callback(route) => {
                    let claims = json!({
                        "iss": PUBLIC, "aud": format!("{PUBLIC}/callbacks"), "exp": now.as_secs() + 600, "jti": jti,
                        "_id": "u1", "path": "/results/{res_id}/{token}", "res_id": "42",
                    });
                    let path = format!("/{route}/42/{}", made("callback+jwt", &claims)?);
                    script.add("POST", &path, &[("Content-Type", "application/json")], "{\"result\":42}")?;
                }
                Self::Issued => {
                    let claims = json!({
                        "iss": "shop", "sub": "shop", "aud": PUBLIC, "jti": jti, "iat": now.as_secs(),
                        "exp": now.as_secs() + 300,
                    });
                    let by = "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";
                    let assertion = made("JWT", &claims)?;
                    let body = format!("grant_type=client_credentials&{by}&client_assertion={assertion}");
                    let form = [("Content-Type", "application/x-www-form-urlencoded")];
                    script.add("POST", "/oauth/token", &form, &body)?;
                }
            }
        }
        Ok(())
    }
}

/// Each algorithm has an issuer, for an issuer has public keys or a secret.
fn issuer(algorithm: Algorithm) -> String {
    if algorithm == Algorithm::HmacSha256 { format!("{ISSUER}/shared") } else { ISSUER.to_owned() }
}

fn configuration(folder: &Path, upstream: &str) -> Result<String, Failure> {
    let jwk = |algorithm| key(algorithm)?.verifying_key().to_jwk().ok_or_else(|| Failure::from("no JWK"));
    let keys = [jwk(Algorithm::EcdsaP256Sha256)?, jwk(Algorithm::Ed25519)?];
    std::fs::write(folder.join("keys.jwks"), format!("{{\"keys\":[{}]}}", keys.join(",")))?;
    std::fs::write(folder.join("shop.jwk"), &keys[1])?;
    let secret = secret_file(folder, "secret", SECRET)?;
    let route =
        |path: &str, more: &str| format!("[[route]]\npath = \"{path}\"\nupstream = \"{upstream}\"\n{more}\n");
    let bearer = "accept = [\"bearer\"]\nrequire = { permission = [\"orders:read\"] }";
    Ok([
        format!("[callback]\nsecret_file = \"{}\"\n", secret.display()),
        format!(
            "[issuer]\nenabled = true\naudience = \"orders\"\n\
             clients = [{{ id = \"shop\", public_key_file = \"{}\", scopes = [\"orders:read\"] }}]\n",
            folder.join("shop.jwk").display()
        ),
        format!(
            "[[bearer.issuer]]\nissuer = \"{}\"\naudience = \"orders\"\nhmac_secret_file = \"{}\"\n",
            issuer(Algorithm::HmacSha256),
            secret.display()
        ),
        format!(
            "[[bearer.issuer]]\nissuer = \"{ISSUER}\"\naudience = \"orders\"\njwks_file = \"{}\"\n",
            folder.join("keys.jwks").display()
        ),
        route("/open/*", "public = true"),
        route("/hs256/*", &format!("{bearer}\nassertion = false")),
        route("/keys/*", &format!("{bearer}\nassertion = false")),
        route("/asserted/*", bearer),
        route("/results/{res_id}/{token}", "accept = [\"callback-url\"]\nassertion = false"),
    ]
    .concat())
}

/// What HAProxy's manual says of `jwt_verify`: the algorithm, the issuer, the audience, the end, the signature.
fn haproxy(
    folder: &Path,
    algorithm: Algorithm,
    address: SocketAddr,
    upstream: SocketAddr,
) -> Result<String, Failure> {
    let (name, key) = if algorithm == Algorithm::HmacSha256 {
        ("HS256", String::from_utf8_lossy(SECRET).into_owned())
    } else {
        let file = folder.join("public.pem");
        std::fs::write(&file, sample(algorithm, "public")?)?;
        ("ES256", file.display().to_string())
    };
    Ok(format!(
        "global\n  nbthread 1\n  maxconn 4096\n\
         defaults\n  mode http\n  timeout client 30s\n  timeout server 30s\n  timeout connect 5s\n\
         frontend front\n  bind {address}\n\
         \x20 http-request set-var(txn.bearer) http_auth_bearer\n\
         \x20 http-request set-var(txn.alg) var(txn.bearer),jwt_header_query('$.alg')\n\
         \x20 http-request set-var(txn.exp) var(txn.bearer),jwt_payload_query('$.exp','int')\n\
         \x20 http-request set-var(txn.now) date()\n\
         \x20 http-request deny deny_status 401 unless {{ var(txn.alg) -m str {name} }}\n\
         \x20 http-request deny deny_status 401 unless {{ var(txn.bearer),jwt_payload_query('$.iss') -m str {} }}\n\
         \x20 http-request deny deny_status 401 unless {{ var(txn.bearer),jwt_payload_query('$.aud') -m str orders }}\n\
         \x20 http-request deny deny_status 401 if {{ var(txn.exp),sub(txn.now) -m int lt 0 }}\n\
         \x20 http-request deny deny_status 401 unless {{ var(txn.bearer),jwt_verify(txn.alg,\"{key}\") -m int 1 }}\n\
         \x20 http-request del-header authorization\n\
         \x20 default_backend behind\n\
         backend behind\n  http-reuse always\n  server upstream {upstream}\n",
        issuer(algorithm),
    ))
}
