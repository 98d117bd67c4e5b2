//! Tokens through the gateway: access tokens beside its own public route and beside HAProxy's `jwt_verify`, the
//! assertion that upstreams get, callback URLs, and tokens issued.
//!
//! What passes once is made beforehand and sent once; access tokens are more than the verifier remembers, so that each
//! is verified anew.

use std::io::{BufWriter, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use countersign::Clock as _;
use countersign::crypto::jwt::{JwtHeader, sign};
use countersign::crypto::{Algorithm, Secret, SigningKey};
use countersign_io::SystemClock;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::load::{self, Sample};
use crate::process::{GATEWAY, Place, Process, free_address, pinned};
use crate::{Failure, machine, report};

const PUBLIC: &str = "https://orders.example";
const ISSUER: &str = "https://login.example/realms/shop";
/// What HMACs are under; text, for HAProxy writes it into its configuration.
const SECRET: &[u8; 32] = b"thirty-two bytes that are shared";
/// More than the verifier remembers.
const DISTINCT: u64 = 20_000;
/// More than are used up in a second.
const A_SECOND: u64 = 15_000;

/// Who answers, what is asked, and what its row is called.
struct Contender {
    name: &'static str,
    at: SocketAddr,
    kind: Kind,
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
    folder: TempDir,
    gateway: (Process, SocketAddr),
    /// One for each algorithm.
    haproxies: Vec<(Process, SocketAddr, Algorithm)>,
    _upstream: Process,
}

/// Measures each contender once a round, and prints Markdown.
pub(crate) fn measure(rounds: usize, seconds: u64) -> Result<(), Failure> {
    if !machine::has("wrk") {
        return Err("wrk generates the load: install it with `apt-get install wrk`".into());
    }
    let bench = Bench::start()?;
    let contenders = bench.contenders();
    let samples = load::rounds(rounds, contenders.len(), |index| {
        let contender = &contenders[index];
        bench.load(contender, seconds.max(1)).map_err(|error| format!("{}: {error}", contender.name).into())
    })?;
    let names: Vec<&str> = contenders.iter().map(|contender| contender.name).collect();
    let text =
        format!("{}; {}.\n\n{}", machine::machine(), machine::versions(), report::beside(&names, &samples)?);
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
        let folder = tempfile::Builder::new().prefix("countersign-bench-").tempdir()?;
        let this = std::env::current_exe()?;
        std::os::unix::fs::symlink(&this, folder.path().join(GATEWAY))?;
        let (upstream, address) = (free_address()?, free_address()?);
        let mut command = pinned(Place::Upstream, this);
        command.args(["upstream", &upstream.to_string()]);
        let _upstream = Process::start(command, upstream)?;
        let file = folder.path().join("countersign.toml");
        std::fs::write(&file, configuration(folder.path(), address, upstream)?)?;
        let mut command = pinned(Place::Server, folder.path().join(GATEWAY));
        command.args(["serve", "--config"]).arg(file).env("COUNTERSIGN_LOG", "warn");
        let gateway = (Process::start(command, address)?, address);
        let mut haproxies = Vec::new();
        if machine::has("haproxy") {
            for algorithm in [Algorithm::HmacSha256, Algorithm::EcdsaP256Sha256] {
                let address = free_address()?;
                let file = folder.path().join(format!("haproxy-{}.cfg", algorithm.as_str()));
                std::fs::write(&file, haproxy(folder.path(), algorithm, address, upstream)?)?;
                let mut command = pinned(Place::Server, machine::server("haproxy"));
                command.arg("-db").arg("-f").arg(file);
                haproxies.push((Process::start(command, address)?, address, algorithm));
            }
        }
        Ok(Self { folder, gateway, haproxies, _upstream })
    }

    fn contenders(&self) -> Vec<Contender> {
        let (hs256, es256, eddsa) = (Algorithm::HmacSha256, Algorithm::EcdsaP256Sha256, Algorithm::Ed25519);
        let ours = |name, kind| Contender { name, at: self.gateway.1, kind };
        let mut contenders = vec![
            ours("the same requests, public route", Kind::Access(hs256, "open", false)),
            ours("HS256", Kind::Access(hs256, "hs256", false)),
            ours("ES256", Kind::Access(es256, "keys", false)),
            ours("EdDSA", Kind::Access(eddsa, "keys", false)),
            ours("HS256, with an assertion", Kind::Access(hs256, "asserted", false)),
            ours("HS256, with an assertion, a new URL each", Kind::Access(hs256, "asserted", true)),
            ours("callback URLs, public route", Kind::Callback("open")),
            ours("callback URLs", Kind::Callback("results")),
            ours("tokens issued to a client by its signature", Kind::Issued),
        ];
        for (_, address, algorithm) in &self.haproxies {
            let name = if *algorithm == hs256 { "HAProxy, HS256" } else { "HAProxy, ES256" };
            contenders.push(Contender { name, at: *address, kind: Kind::Access(*algorithm, "open", false) });
        }
        contenders
    }

    fn load(&self, contender: &Contender, seconds: u64) -> Result<Sample, Failure> {
        let mut haproxies = self.haproxies.iter();
        let found = haproxies.find(|(_, address, _)| *address == contender.at);
        let process = found.map_or(&self.gateway.0, |(process, ..)| process);
        let warm = self.script(contender.kind, 1)?;
        load::run(contender.at, &warm, 1)?;
        let script = self.script(contender.kind, seconds)?;
        let before = process.cpu_time()?;
        let (requests, took) = load::run(contender.at, &script, seconds)?;
        let spent = process.cpu_time()?.saturating_sub(before);
        Ok(Sample {
            rate: requests / took.as_secs_f64(),
            cpu: spent.as_secs_f64() * 1e6 / requests,
            resident: process.resident()?,
        })
    }

    /// Writes requests for so many seconds, one a line: method, path, `Authorization`, body.
    fn script(&self, kind: Kind, seconds: u64) -> Result<PathBuf, Failure> {
        let (list, script) = (self.folder.path().join("requests"), self.folder.path().join("requests.lua"));
        let mut lines = BufWriter::new(std::fs::File::create(&list)?);
        let now = SystemClock.now();
        let unique = now.as_millis();
        let count = if matches!(kind, Kind::Access(..)) { DISTINCT } else { seconds * A_SECOND };
        let signer = match kind {
            Kind::Access(algorithm, ..) => key(algorithm)?,
            Kind::Callback(_) => key(Algorithm::HmacSha256)?,
            Kind::Issued => key(Algorithm::Ed25519)?,
        };
        for number in 0..count {
            let jti = format!("{unique}-{number}");
            let made = |typ, claims: &Value| {
                let header = JwtHeader { typ: Some(typ), ..JwtHeader::default() };
                sign(&signer, &header, claims).ok_or("no token")
            };
            match kind {
                Kind::Access(algorithm, route, fresh) => {
                    let claims = json!({
                        "iss": issuer(algorithm), "sub": "248289761001", "aud": "orders", "client_id": "s6BhdRkqt3",
                        "iat": now.as_secs(), "nbf": now.as_secs(), "exp": now.as_secs() + 3600, "jti": jti,
                        "scope": "orders:read orders:write", "country": "CH",
                    });
                    let token = made("at+jwt", &claims)?;
                    let path = if fresh { format!("/{route}/{number}") } else { format!("/{route}/1") };
                    writeln!(lines, "GET\t{path}\tBearer {token}\t")?;
                }
                Kind::Callback(route) => {
                    let claims = json!({
                        "iss": PUBLIC, "aud": format!("{PUBLIC}/callbacks"), "exp": now.as_secs() + 600, "jti": jti,
                        "_id": "u1", "path": "/results/{res_id}/{token}", "res_id": "42",
                    });
                    writeln!(
                        lines,
                        "POST\t/{route}/42/{}\t-\t{{\"result\":42}}",
                        made("callback+jwt", &claims)?
                    )?;
                }
                Kind::Issued => {
                    let claims = json!({
                        "iss": "shop", "sub": "shop", "aud": PUBLIC, "jti": jti, "iat": now.as_secs(),
                        "exp": now.as_secs() + 300,
                    });
                    let by = "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";
                    let assertion = made("JWT", &claims)?;
                    writeln!(
                        lines,
                        "POST\t/oauth/token\t-\tgrant_type=client_credentials&{by}&client_assertion={assertion}"
                    )?;
                }
            }
        }
        lines.flush()?;
        std::fs::write(&script, walking(&list, matches!(kind, Kind::Access(..))))?;
        Ok(script)
    }
}

/// Each algorithm has an issuer, for an issuer has public keys or a secret.
fn issuer(algorithm: Algorithm) -> String {
    if algorithm == Algorithm::HmacSha256 { format!("{ISSUER}/shared") } else { ISSUER.to_owned() }
}

fn configuration(folder: &Path, address: SocketAddr, upstream: SocketAddr) -> Result<String, Failure> {
    use std::os::unix::fs::PermissionsExt as _;
    let jwk = |algorithm| key(algorithm)?.verifying_key().to_jwk().ok_or_else(|| Failure::from("no JWK"));
    let keys = [jwk(Algorithm::EcdsaP256Sha256)?, jwk(Algorithm::Ed25519)?];
    std::fs::write(folder.join("keys.jwks"), format!("{{\"keys\":[{}]}}", keys.join(",")))?;
    std::fs::write(folder.join("shop.jwk"), &keys[1])?;
    std::fs::write(folder.join("secret"), SECRET)?;
    std::fs::set_permissions(folder.join("secret"), std::fs::Permissions::from_mode(0o600))?;
    let route = |path: &str, more: &str| {
        format!("[[route]]\npath = \"{path}\"\nupstream = \"http://{upstream}\"\n{more}\n")
    };
    let bearer = "accept = [\"bearer\"]\nrequire = { permission = [\"orders:read\"] }";
    Ok([
        format!("[server]\nlisten = \"{address}\"\npublic_url = \"{PUBLIC}\"\n"),
        format!(
            "[store]\nurl = \"redb:{}\"\n[audit]\ndecisions = false\n",
            folder.join("store.redb").display()
        ),
        "[assertion]\nenabled = false\n".to_owned(),
        format!("[callback]\nsecret_file = \"{}\"\n", folder.join("secret").display()),
        format!(
            "[issuer]\nenabled = true\naudience = \"orders\"\n\
             clients = [{{ id = \"shop\", public_key_file = \"{}\", scopes = [\"orders:read\"] }}]\n",
            folder.join("shop.jwk").display()
        ),
        format!(
            "[[bearer.issuer]]\nissuer = \"{}\"\naudience = \"orders\"\nhmac_secret_file = \"{}\"\n",
            issuer(Algorithm::HmacSha256),
            folder.join("secret").display()
        ),
        format!(
            "[[bearer.issuer]]\nissuer = \"{ISSUER}\"\naudience = \"orders\"\njwks_file = \"{}\"\n",
            folder.join("keys.jwks").display()
        ),
        route("/open/*", "public = true"),
        route("/hs256/*", bearer),
        route("/keys/*", bearer),
        route("/asserted/*", &format!("{bearer}\nassertion = true")),
        route("/results/{res_id}/{token}", "accept = [\"callback-url\"]"),
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

/// A script that sends the requests of a list in their order: again and again, or each once and then no more.
fn walking(list: &Path, again: bool) -> String {
    let at_the_end = if again {
        "if turn > #requests then turn = 1 end"
    } else {
        "if turn == #requests then wrk.thread:stop() end"
    };
    format!(
        "local requests, turn = {{}}, 0\n\
         function init(args)\n\
         \x20 for line in io.lines(\"{}\") do\n\
         \x20   local method, path, authorization, body = line:match(\"(.-)\\t(.-)\\t(.-)\\t(.*)\")\n\
         \x20   local headers = {{ Host = \"orders.example\" }}\n\
         \x20   if authorization ~= \"-\" then headers[\"Authorization\"] = authorization end\n\
         \x20   if body == \"\" then body = nil else headers[\"Content-Type\"] = \"application/x-www-form-urlencoded\" end\n\
         \x20   requests[#requests + 1] = wrk.format(method, path, headers, body)\n\
         \x20 end\n\
         end\n\
         function request()\n\
         \x20 turn = turn + 1\n\
         \x20 {at_the_end}\n\
         \x20 return requests[turn]\n\
         end\n\
         function done(summary)\n\
         \x20 print(string.format(\"measured %d %d\", summary.requests, summary.duration))\n\
         end\n",
        list.display()
    )
}
