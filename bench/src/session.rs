//! Sessions through the gateway, beside the same requests through a route of its own that is public; sign-ins
//! beside the hash that each of them is; and memory while a flood of them comes in.

use std::ffi::OsStr;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use countersign::Clock as _;
use countersign::crypto::{Algorithm, SealKey, Secret, SigningKey, SystemRandom};
use countersign::dpop::DpopSigner;
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
use tokio::runtime::Runtime;

use crate::gateway::{Gateway, PUBLIC, secret_file};
use crate::load::{self, Sample};
use crate::report::{Row, median, spread};
use crate::script::{Script, Turns};
use crate::{Failure, machine, report};

/// More than pass in a second.
const MOST: u64 = 40_000;
/// Sessions that take turns; a user has no more than a hundred.
const SESSIONS: usize = 64;
/// Whose sessions take turns.
const ANN: &str = "ann@example.org";
/// Who signs in again and again, which ends the oldest of their sessions.
const BOB: &str = "bob@example.org";
const PASSWORD: &str = "correct horse battery";
/// Those who sign in at once: on its one core the gateway hashes one password, and one waits.
const CALLERS: usize = 2;
/// Those of a flood.
const FLOOD: usize = 64;

/// A path, whether its sessions are bound to a key, and its row in the table.
struct Contender {
    path: &'static str,
    bound: bool,
    row: Row,
}

const CONTENDERS: [Contender; 4] = [
    Contender {
        path: "/open/1",
        bound: false,
        row: Row { name: "cookie and token half, public route", against: 0 },
    },
    Contender { path: "/mine/1", bound: false, row: Row { name: "cookie and token half", against: 0 } },
    Contender {
        path: "/open/1",
        bound: true,
        row: Row { name: "bound to a P-256 key, public route", against: 2 },
    },
    Contender { path: "/mine/1", bound: true, row: Row { name: "bound to a P-256 key", against: 2 } },
];

/// Both halves of a session.
struct Held {
    cookie: String,
    token: String,
}

/// A gateway, and those who sign in.
struct Bench {
    gateway: Gateway,
    runtime: Runtime,
    client: Client<HttpConnector, Full<Bytes>>,
    key: DpopSigner,
    sources: Arc<AtomicU32>,
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

/// Measures each contender once a round, then sign-ins as often, and prints Markdown.
pub(crate) fn measure(rounds: usize, seconds: u64) -> Result<(), Failure> {
    let seconds = seconds.max(1);
    let bench = Bench::start()?;
    let sessions = (0..SESSIONS).map(|_| bench.session(false)).collect::<Result<Vec<_>, _>>()?;
    let bound = [bench.session(true)?];
    let samples = load::rounds(rounds, CONTENDERS.len(), |index| {
        let contender = &CONTENDERS[index];
        let held = if contender.bound { &bound[..] } else { &sessions };
        let sample = bench.load(contender, held, seconds);
        sample.map_err(|error| format!("{}: {error}", contender.row.name).into())
    })?;
    let mut sign_ins = Vec::new();
    for _ in 0..rounds.max(1) {
        let hashes = hashes(Duration::from_secs(seconds))?;
        sign_ins.push((hashes, bench.sign_ins(CALLERS, seconds)?.rate()));
    }
    let before = bench.gateway.process.resident()?;
    let flood = bench.sign_ins(FLOOD, 5 * seconds)?;
    let after = bench.gateway.process.resident()?;
    let text = format!(
        "{}.\n\n{}{}",
        machine::machine(),
        report::beside(&CONTENDERS.map(|contender| contender.row), &samples)?,
        of_sign_ins(&sign_ins, (before, after), &flood),
    );
    Ok(std::io::stdout().write_all(text.as_bytes())?)
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
        let gateway = Gateway::start(|_, upstream| {
            Ok(format!(
                "trusted_proxies = [\"127.0.0.1\"]\n\
                 [limits]\nnonces = \"1000000000/min\"\n[session]\nenabled = true\n\
                 [[route]]\npath = \"/open/*\"\nupstream = \"{upstream}\"\npublic = true\n\
                 [[route]]\npath = \"/mine/*\"\nupstream = \"{upstream}\"\naccept = [\"session\"]\nassertion = false\n"
            ))
        })?;
        let password = secret_file(gateway.folder.path(), "password", PASSWORD.as_bytes())?;
        for email in [ANN, BOB] {
            let arguments = ["user", "add", "--name", "Somebody", "--email", email, "--password-file"];
            gateway.run(&[&arguments.map(OsStr::new)[..], &[password.as_os_str()]].concat())?;
        }
        let (key, _) =
            SigningKey::generate(Algorithm::EcdsaP256Sha256, &SystemRandom).ok_or("no P-256 key")?;
        Ok(Self {
            gateway,
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()?,
            client: Client::builder(TokioExecutor::new()).build_http(),
            key: DpopSigner::new(key, Arc::new(SystemRandom))?,
            sources: Arc::default(),
        })
    }

    /// A sign-in, from a source that nobody has seen: guessing is slowed for each source.
    fn sign_in(&self, email: &str, proof: Option<&str>) -> Result<Request<Full<Bytes>>, Failure> {
        let body = format!("{{\"email\":\"{email}\",\"password\":\"{PASSWORD}\"}}");
        let source = std::net::Ipv4Addr::from(0x0b00_0000 + self.sources.fetch_add(1, Ordering::Relaxed));
        let request = Request::post(format!("http://{}/auth/signin", self.gateway.address))
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
        let turns = if contender.bound { Turns::Once } else { Turns::Endless };
        self.gateway.load(turns, seconds, |script, seconds| self.write(script, contender, held, seconds))
    }

    /// Sessions take turns; a proof of a key passes once, so each is made beforehand.
    fn write(
        &self,
        script: &mut Script,
        contender: &Contender,
        held: &[Held],
        seconds: u64,
    ) -> Result<(), Failure> {
        let target = Uri::try_from(format!("{PUBLIC}{}", contender.path))?;
        let many = if contender.bound { usize::try_from(seconds * MOST)? } else { held.len() };
        for one in held.iter().cycle().take(many) {
            let prove = || self.key.prove(&Method::GET, &target, Some(&one.token), None, SystemClock.now());
            let proof = if contender.bound { Some(prove().ok_or("no proof")?) } else { None };
            let authorization = format!("Bearer {}", one.token);
            let mut headers = vec![("Cookie", &*one.cookie), ("Authorization", &*authorization)];
            headers.extend(proof.as_deref().map(|proof| ("DPoP", proof)));
            script.add("GET", contender.path, &headers, "")?;
        }
        Ok(())
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

fn of_sign_ins(sign_ins: &[(f64, f64)], (before, after): (u64, u64), flood: &SignIns) -> String {
    let all = |value: fn(&(f64, f64)) -> f64| sign_ins.iter().map(value).collect::<Vec<_>>();
    format!(
        "\nSign-ins, {CALLERS} callers, the gateway on one core: {:.1} a second, where one thread hashes {:.1} \
         passwords; ratio {}.\n\nA flood of {FLOOD} callers for {:.0} s: {:.1} sign-ins a second, {} turned away \
         with 429; memory {:.1} MiB before, {:.1} MiB after.\n",
        median(all(|one| one.1)),
        median(all(|one| one.0)),
        spread(all(|one| one.1 / one.0)),
        flood.took.as_secs_f64(),
        flood.rate(),
        flood.refused,
        before as f64 / 1024.0,
        after as f64 / 1024.0,
    )
}
