//! Signed requests through the gateway, beside the same requests through a route of its own that is public.
//!
//! A nonce passes once, so every request is signed beforehand and sent once.

use std::io::{BufWriter, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use countersign::Clock as _;
use countersign::crypto::{Ed25519Key, Secret, SigningKey, SystemRandom, VerifyingKey};
use countersign::schemes::signature::{RequestSigner, SIGNATURE, SIGNATURE_INPUT};
use countersign::schemes::webhook::signer::OutgoingBody;
use countersign_io::SystemClock;
use http::{HeaderMap, Method, Uri};
use tempfile::TempDir;

use crate::load::{self, Sample};
use crate::process::{GATEWAY, Place, Process, free_address, pinned};
use crate::{Failure, machine, report};

/// More than pass in a second.
const MOST: u64 = 50_000;
const PUBLIC: &str = "https://orders.example";
const SECRET: [u8; 32] = [7; 32];

/// A path, what its row is called, and who signs.
struct Contender {
    path: &'static str,
    name: &'static str,
    signer: RequestSigner,
}

/// A gateway and what stands behind it.
struct Bench {
    folder: TempDir,
    gateway: Process,
    address: SocketAddr,
    _upstream: Process,
}

/// Measures each contender once a round, and prints Markdown.
pub(crate) fn measure(rounds: usize, seconds: u64) -> Result<(), Failure> {
    if !machine::has("wrk") {
        return Err("wrk generates the load: install it with `apt-get install wrk`".into());
    }
    let bench = Bench::start()?;
    let contenders = bench.contenders()?;
    let samples = load::rounds(rounds, contenders.len(), |index| {
        let contender = &contenders[index];
        bench.load(contender, seconds.max(1)).map_err(|error| format!("{}: {error}", contender.name).into())
    })?;
    let names: Vec<&str> = contenders.iter().map(|contender| contender.name).collect();
    let text = format!("{}.\n\n{}", machine::machine(), report::beside(&names, &samples)?);
    Ok(std::io::stdout().write_all(text.as_bytes())?)
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
        let text = format!(
            "[server]\nlisten = \"{address}\"\npublic_url = \"{PUBLIC}\"\n\
             [store]\nurl = \"redb:{}\"\n[audit]\ndecisions = false\n[limits]\nnonces = \"1000000000/min\"\n\
             [[route]]\npath = \"/open/*\"\nupstream = \"http://{upstream}\"\npublic = true\n\
             [[route]]\npath = \"/signed/*\"\nupstream = \"http://{upstream}\"\naccept = [\"signature\"]\n",
            folder.path().join("store.redb").display(),
        );
        std::fs::write(folder.path().join("countersign.toml"), text)?;
        let mut command = pinned(Place::Server, folder.path().join(GATEWAY));
        command.args(["serve", "--config"]).arg(folder.path().join("countersign.toml"));
        command.env("COUNTERSIGN_LOG", "warn");
        let gateway = Process::start(command, address)?;
        Ok(Self { folder, gateway, address, _upstream })
    }

    fn contenders(&self) -> Result<[Contender; 3], Failure> {
        let ed25519 = || Ed25519Key::from_seed(Secret::new(SECRET));
        let jwk = VerifyingKey::from_ed25519(ed25519().public())?.to_jwk().ok_or("no JWK")?;
        let public = self.registered("--public", jwk.as_bytes())?;
        let shared = self.registered("--hmac-secret-file", &SECRET)?;
        let signer = |key: SigningKey, id: &str| RequestSigner::new(key, id, Arc::new(SystemRandom));
        let hmac = || SigningKey::from_hmac_secret(&Secret::new(SECRET.to_vec()));
        Ok([
            Contender {
                path: "/open/1",
                name: "the same requests, public route",
                signer: signer(hmac()?, &shared),
            },
            Contender { path: "/signed/1", name: "HMAC-SHA256", signer: signer(hmac()?, &shared) },
            Contender { path: "/signed/1", name: "Ed25519", signer: signer(ed25519().into(), &public) },
        ])
    }

    /// The name under which the gateway knows a key from now on.
    fn registered(&self, flag: &str, key: &[u8]) -> Result<String, Failure> {
        use std::os::unix::fs::PermissionsExt as _;
        let file = self.folder.path().join("key");
        std::fs::write(&file, key)?;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600))?;
        let output = Command::new(self.folder.path().join(GATEWAY))
            .args(["key", "add", flag])
            .arg(file)
            .args(["--label", "bench", "--json", "--config"])
            .arg(self.folder.path().join("countersign.toml"))
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let id = text.split_once("\"id\":\"").and_then(|(_, rest)| rest.split_once('"'));
        let (id, _) = id.ok_or_else(|| format!("{text}{}", String::from_utf8_lossy(&output.stderr)))?;
        Ok(id.to_owned())
    }

    fn load(&self, contender: &Contender, seconds: u64) -> Result<Sample, Failure> {
        let warm = self.script(contender, MOST)?;
        load::run(self.address, &warm, 1)?;
        let script = self.script(contender, seconds * MOST)?;
        let before = self.gateway.cpu_time()?;
        let (requests, took) = load::run(self.address, &script, seconds)?;
        let spent = self.gateway.cpu_time()?.saturating_sub(before);
        Ok(Sample {
            rate: requests / took.as_secs_f64(),
            cpu: spent.as_secs_f64() * 1e6 / requests,
            resident: self.gateway.resident()?,
        })
    }

    /// Signs so many requests, and writes a script for wrk that sends each of them once.
    fn script(&self, contender: &Contender, count: u64) -> Result<PathBuf, Failure> {
        let (list, script) = (self.folder.path().join("signed"), self.folder.path().join("signed.lua"));
        let target = Uri::try_from(format!("{PUBLIC}{}", contender.path))?;
        let now = SystemClock.now();
        let mut lines = BufWriter::new(std::fs::File::create(&list)?);
        for _ in 0..count {
            let mut headers = HeaderMap::new();
            contender.signer.sign_request(&Method::GET, &target, &mut headers, OutgoingBody::Absent, now)?;
            let [input, signature] = [SIGNATURE_INPUT, SIGNATURE].map(|name| headers[name].to_str());
            writeln!(lines, "{}\t{}", input?, signature?)?;
        }
        lines.flush()?;
        std::fs::write(&script, walking(&list, contender.path))?;
        Ok(script)
    }
}

/// A script that sends the requests of a list in their order. At its end wrk stops: a request that is sent
/// again is refused, and refusals fail the measurement.
fn walking(list: &Path, path: &str) -> String {
    format!(
        "local requests, turn = {{}}, 0\n\
         function init(args)\n\
         \x20 for line in io.lines(\"{}\") do\n\
         \x20   local input, signature = line:match(\"(.*)\\t(.*)\")\n\
         \x20   requests[#requests + 1] = wrk.format(\"GET\", \"{path}\",\n\
         \x20     {{ Host = \"orders.example\", [\"Signature-Input\"] = input, Signature = signature }})\n\
         \x20 end\n\
         end\n\
         function request()\n\
         \x20 turn = turn + 1\n\
         \x20 if turn == #requests then wrk.thread:stop() end\n\
         \x20 return requests[turn]\n\
         end\n\
         function done(summary)\n\
         \x20 print(string.format(\"measured %d %d\", summary.requests, summary.duration))\n\
         end\n",
        list.display()
    )
}
