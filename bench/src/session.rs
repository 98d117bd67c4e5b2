//! Sessions through the gateway, beside the same requests through a route of its own that is public; sign-ins
//! beside the hash that each of them is; and memory while a flood of them comes in.

use std::fmt::Write as _;
use std::io::{BufWriter, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use countersign::Clock as _;
use countersign::crypto::{Algorithm, SealKey, Secret, SigningKey, SystemRandom};
use countersign::schemes::dpop::DpopSigner;
use countersign::schemes::session::password::Password;
use countersign::schemes::session::passwords::{PasswordCost, PasswordLimits, Passwords};
use countersign::workers::OnThisThread;
use countersign_io::SystemClock;
use http::header::{CONTENT_TYPE, SET_COOKIE};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::load::{self, Sample};
use crate::process::{GATEWAY, Place, Process, free_address, pinned};
use crate::report::{median, spread};
use crate::{Failure, machine};

/// More than pass in a second.
const MOST: u64 = 40_000;
/// Sessions that take turns; a user has no more than a hundred.
const SESSIONS: usize = 64;
const PUBLIC: &str = "https://orders.example";
/// Whose sessions take turns.
const ANN: &str = "ann@example.org";
/// Who signs in again and again, which ends the oldest of their sessions.
const BOB: &str = "bob@example.org";
const PASSWORD: &str = "correct horse battery";
/// Those who sign in at once: on its one core the gateway hashes one password, and one waits.
const CALLERS: usize = 2;
/// Those of a flood.
const FLOOD: usize = 64;

/// A path, what its row is called, whether its sessions are bound to a key, and what it is compared with.
struct Contender {
    path: &'static str,
    name: &'static str,
    bound: bool,
    against: usize,
}

const CONTENDERS: [Contender; 4] = [
    Contender { path: "/open/1", name: "cookie and token half, public route", bound: false, against: 0 },
    Contender { path: "/mine/1", name: "cookie and token half", bound: false, against: 0 },
    Contender { path: "/open/1", name: "bound to a P-256 key, public route", bound: true, against: 2 },
    Contender { path: "/mine/1", name: "bound to a P-256 key", bound: true, against: 2 },
];

/// Both halves of a session.
struct Held {
    cookie: String,
    token: String,
}

/// A gateway and what stands behind it.
struct Bench {
    folder: TempDir,
    gateway: Process,
    address: SocketAddr,
    runtime: Runtime,
    client: Client<HttpConnector, Full<Bytes>>,
    key: DpopSigner,
    sources: Arc<AtomicU32>,
    _upstream: Process,
}

/// What came of many sign-ins.
#[derive(Default)]
struct SignIns {
    begun: usize,
    refused: usize,
    took: Duration,
}

impl SignIns {
    fn rate(&self) -> f64 {
        self.begun as f64 / self.took.as_secs_f64()
    }
}

/// Measures each contender once a round, and prints Markdown.
pub(crate) fn measure(rounds: usize, seconds: u64) -> Result<(), Failure> {
    if !machine::has("wrk") {
        return Err("wrk generates the load: install it with `apt-get install wrk`".into());
    }
    let bench = Bench::start()?;
    let sessions = (0..SESSIONS).map(|_| bench.session(false)).collect::<Result<Vec<_>, _>>()?;
    let bound = [bench.session(true)?];
    let (mut samples, mut sign_ins) = (Vec::new(), Vec::new());
    for round in 0..rounds.max(1) {
        eprintln!("round {} of {rounds}", round + 1);
        let mut row = vec![None; CONTENDERS.len()];
        // Whoever was first is last in the next round.
        for turn in 0..CONTENDERS.len() {
            let index = (turn + round) % CONTENDERS.len();
            let contender = &CONTENDERS[index];
            let held = if contender.bound { &bound[..] } else { &sessions };
            let sample = bench.load(contender, held, seconds.max(1));
            row[index] = Some(sample.map_err(|error| format!("{}: {error}", contender.name))?);
        }
        samples.push(row.into_iter().flatten().collect());
        let hashes = hashes(Duration::from_secs(seconds.max(1)))?;
        sign_ins.push((hashes, bench.sign_ins(CALLERS, seconds.max(1))?.rate()));
    }
    let before = bench.gateway.resident()?;
    let flood = bench.sign_ins(FLOOD, 5 * seconds.max(1))?;
    print(&samples, &sign_ins, (before, bench.gateway.resident()?), &flood)
}

/// How many passwords one thread hashes in a second, and nothing else.
fn hashes(lasts: Duration) -> Result<f64, Failure> {
    let limits = PasswordLimits { at_once: 1, waiting: 0 };
    let seal = SealKey::new(Secret::new([7; 32]));
    let passwords =
        Passwords::new(&seal, PasswordCost::default(), limits, Arc::new(OnThisThread), &SystemRandom)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let (start, mut count) = (Instant::now(), 0);
    while start.elapsed() < lasts {
        let password = Password::typed(PASSWORD).ok_or("no password")?;
        runtime.block_on(passwords.verify(password, None))?;
        count += 1;
    }
    Ok(f64::from(count) / start.elapsed().as_secs_f64())
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
            "[server]\nlisten = \"{address}\"\npublic_url = \"{PUBLIC}\"\ntrusted_proxies = [\"127.0.0.1\"]\n\
             [store]\nurl = \"redb:{}\"\n[audit]\ndecisions = false\n[limits]\nnonces = \"1000000000/min\"\n\
             [session]\nenabled = true\n\
             [[route]]\npath = \"/open/*\"\nupstream = \"http://{upstream}\"\npublic = true\n\
             [[route]]\npath = \"/mine/*\"\nupstream = \"http://{upstream}\"\naccept = [\"session\"]\n",
            folder.path().join("store.redb").display(),
        );
        std::fs::write(folder.path().join("countersign.toml"), text)?;
        let mut command = pinned(Place::Server, folder.path().join(GATEWAY));
        command.args(["serve", "--config"]).arg(folder.path().join("countersign.toml"));
        command.env("COUNTERSIGN_LOG", "error");
        let gateway = Process::start(command, address)?;
        let (key, _) =
            SigningKey::generate(Algorithm::EcdsaP256Sha256, &SystemRandom).ok_or("no P-256 key")?;
        let bench = Self {
            folder,
            gateway,
            address,
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()?,
            client: Client::builder(TokioExecutor::new()).build_http(),
            key: DpopSigner::new(key, Arc::new(SystemRandom))?,
            sources: Arc::default(),
            _upstream,
        };
        bench.add_user(ANN)?;
        bench.add_user(BOB)?;
        Ok(bench)
    }

    fn add_user(&self, email: &str) -> Result<(), Failure> {
        use std::os::unix::fs::PermissionsExt as _;
        let file = self.folder.path().join("password");
        std::fs::write(&file, PASSWORD)?;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600))?;
        let output = Command::new(self.folder.path().join(GATEWAY))
            .args(["user", "add", "--email", email, "--name", "Somebody", "--password-file"])
            .arg(file)
            .arg("--config")
            .arg(self.folder.path().join("countersign.toml"))
            .output()?;
        match output.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned().into()),
        }
    }

    /// A sign-in, from a source that nobody has seen: guessing is slowed for each source.
    fn sign_in(&self, email: &str, proof: Option<&str>) -> Result<Request<Full<Bytes>>, Failure> {
        let body = format!("{{\"email\":\"{email}\",\"password\":\"{PASSWORD}\"}}");
        let source = std::net::Ipv4Addr::from(0x0b00_0000 + self.sources.fetch_add(1, Ordering::Relaxed));
        let request = Request::post(format!("http://{}/auth/signin", self.address))
            .header(CONTENT_TYPE, "application/json")
            .header("x-forwarded-for", source.to_string());
        let request = match proof {
            Some(proof) => request.header("dpop", proof),
            None => request,
        };
        Ok(request.body(Full::from(body))?)
    }

    fn session(&self, bound: bool) -> Result<Held, Failure> {
        let target = Uri::try_from(format!("{PUBLIC}/auth/signin"))?;
        let prove = || self.key.prove(&Method::POST, &target, None, None, SystemClock.now());
        let proof = if bound { Some(prove().ok_or("no proof")?) } else { None };
        let request = self.sign_in(ANN, proof.as_deref())?;
        self.runtime.block_on(async {
            let (parts, body) = self.client.request(request).await?.into_parts();
            let token = String::from_utf8(body.collect().await?.to_bytes().to_vec())?;
            let set = parts.headers.get(SET_COOKIE).ok_or_else(|| format!("a sign-in got {token}"))?;
            let cookie = set.to_str()?.split(';').next().unwrap_or_default().to_owned();
            Ok(Held { cookie, token })
        })
    }

    fn load(&self, contender: &Contender, held: &[Held], seconds: u64) -> Result<Sample, Failure> {
        let warm = self.script(contender, held, MOST)?;
        load::run(self.address, &warm, 1)?;
        let script = self.script(contender, held, seconds * MOST)?;
        let before = self.gateway.cpu_time()?;
        let (requests, took) = load::run(self.address, &script, seconds)?;
        let spent = self.gateway.cpu_time()?.saturating_sub(before);
        Ok(Sample {
            rate: requests / took.as_secs_f64(),
            cpu: spent.as_secs_f64() * 1e6 / requests,
            resident: self.gateway.resident()?,
        })
    }

    /// A script for wrk. Sessions take turns; a proof of a key passes once, so each is made beforehand.
    fn script(&self, contender: &Contender, held: &[Held], count: u64) -> Result<PathBuf, Failure> {
        let (list, script) = (self.folder.path().join("sent"), self.folder.path().join("sent.lua"));
        let target = Uri::try_from(format!("{PUBLIC}{}", contender.path))?;
        let mut lines = BufWriter::new(std::fs::File::create(&list)?);
        let many = if contender.bound { usize::try_from(count)? } else { held.len() };
        for one in held.iter().cycle().take(many) {
            let prove = || self.key.prove(&Method::GET, &target, Some(&one.token), None, SystemClock.now());
            let proof = if contender.bound { prove().ok_or("no proof")? } else { String::new() };
            writeln!(lines, "{}\t{}\t{proof}", one.cookie, one.token)?;
        }
        lines.flush()?;
        let over = if contender.bound { "wrk.thread:stop()" } else { "turn = 0" };
        let text = format!(
            "local requests, turn = {{}}, 0\n\
             function init(args)\n\
             \x20 for line in io.lines(\"{}\") do\n\
             \x20   local cookie, token, proof = line:match(\"(.*)\\t(.*)\\t(.*)\")\n\
             \x20   local headers = {{ Host = \"orders.example\", Cookie = cookie, Authorization = \"Bearer \" .. token }}\n\
             \x20   if proof ~= \"\" then headers.DPoP = proof end\n\
             \x20   requests[#requests + 1] = wrk.format(\"GET\", \"{}\", headers)\n\
             \x20 end\n\
             end\n\
             function request()\n\
             \x20 turn = turn + 1\n\
             \x20 local one = requests[turn]\n\
             \x20 if turn == #requests then {over} end\n\
             \x20 return one\n\
             end\n\
             function done(summary)\n\
             \x20 print(string.format(\"measured %d %d\", summary.requests, summary.duration))\n\
             end\n",
            list.display(),
            contender.path,
        );
        std::fs::write(&script, text)?;
        Ok(script)
    }

    /// So many callers sign in, again and again.
    fn sign_ins(&self, callers: usize, seconds: u64) -> Result<SignIns, Failure> {
        let start = Instant::now();
        let until = start + Duration::from_secs(seconds);
        let caller = || async move {
            let mut all = SignIns::default();
            while Instant::now() < until {
                let answer = self.client.request(self.sign_in(BOB, None)?).await?;
                match answer.status() {
                    StatusCode::OK => all.begun += 1,
                    StatusCode::TOO_MANY_REQUESTS => all.refused += 1,
                    other => return Err(Failure::from(format!("a sign-in got {other}"))),
                }
                answer.into_body().collect().await?;
            }
            Ok(all)
        };
        let mut whole = SignIns::default();
        let callers: Vec<_> = (0..callers).map(|_| caller()).collect();
        for one in self.runtime.block_on(all_of(callers)) {
            let one = one?;
            whole.begun += one.begun;
            whole.refused += one.refused;
        }
        whole.took = start.elapsed();
        Ok(whole)
    }
}

/// All of them at once, in this thread.
async fn all_of<T>(futures: Vec<impl Future<Output = T>>) -> Vec<T> {
    let mut running: Vec<_> = futures.into_iter().map(|future| (Some(Box::pin(future)), None)).collect();
    std::future::poll_fn(move |context| {
        for (future, done) in &mut running {
            if let Some(running) = future
                && let std::task::Poll::Ready(value) = running.as_mut().poll(context)
            {
                (*future, *done) = (None, Some(value));
            }
        }
        match running.iter().all(|(future, _)| future.is_none()) {
            true => std::task::Poll::Ready(running.iter_mut().filter_map(|(_, done)| done.take()).collect()),
            false => std::task::Poll::Pending,
        }
    })
    .await
}

fn print(
    samples: &[Vec<Sample>],
    sign_ins: &[(f64, f64)],
    (before, after): (u64, u64),
    flood: &SignIns,
) -> Result<(), Failure> {
    let of = |index: usize, value: fn(&Sample) -> f64| -> Vec<f64> {
        samples.iter().map(|round| value(&round[index])).collect()
    };
    let mut text = format!("{}.\n\n", machine::machine());
    writeln!(text, "| | requests a second | CPU µs a request | CPU µs added |\n|---|--:|--:|--:|")?;
    for (index, contender) in CONTENDERS.iter().enumerate() {
        let added = samples.iter().map(|round| round[index].cpu - round[contender.against].cpu).collect();
        writeln!(
            text,
            "| {} | {:.0} | {:.1} | {} |",
            contender.name,
            median(of(index, |sample| sample.rate)),
            median(of(index, |sample| sample.cpu)),
            if index == contender.against { String::new() } else { spread(added) },
        )?;
    }
    let all = |value: fn(&(f64, f64)) -> f64| sign_ins.iter().map(value).collect::<Vec<_>>();
    writeln!(
        text,
        "\nSign-ins, {CALLERS} callers, the gateway on one core: {:.1} a second, where one thread hashes {:.1} \
         passwords; ratio {}.\n\nA flood of {FLOOD} callers for {:.0} s: {:.1} sign-ins a second, {} turned away \
         with 429; memory {:.1} MiB before, {:.1} MiB after.",
        median(all(|one| one.1)),
        median(all(|one| one.0)),
        spread(all(|one| one.1 / one.0)),
        flood.took.as_secs_f64(),
        flood.rate(),
        flood.refused,
        before as f64 / 1024.0,
        after as f64 / 1024.0,
    )?;
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}
