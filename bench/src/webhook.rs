//! Webhook authentication end to end, beside the same exchanges done by bare hyper services.
//!
//! Caller, receiver and webhook endpoint are three services on loopback in one process, so both sides of a
//! ratio pay for the same sockets. A call is made, proven, checked and answered; nothing is cached but
//! connections.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::future::Future;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use countersign::crypto::ethereum::{decode_hex, encode_hex};
use countersign::crypto::{Ed25519Key, Random as _, SystemRandom, sha256, verify_ed25519};
use countersign::schemes::webhook::signer::Requester;
use countersign::schemes::webhook::{Algorithm, Callers, UrlRules, WebhookUrl, WebhookVerifier};
use countersign::{Gate, MemoryStore, PublicUrl, Requirement, Rule};
use countersign_io::SystemClock;
use countersign_io::egress::{EgressPolicy, GuardedClient};
use countersign_io::workers::Pool;
use countersign_tower::{GateLayer, ProveLayer, ProvenBody, WebhookEndpoint};
use http::header::AUTHORIZATION;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tower_layer::Layer as _;

use crate::{Failure, machine};

/// Callers at once: as many questions as a receiver asks one target at once.
const CALLERS: usize = 4;
const LAB: UrlRules = UrlRules { ports: Vec::new(), http_on_loopback: true };

type Outgoing = Client<HttpConnector, Full<Bytes>>;
type Proven = Client<HttpConnector, ProvenBody<Empty<Bytes>>>;
type Store = Arc<MemoryStore<SystemClock>>;

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Contender {
    BareOneShot,
    Sha256,
    Bcrypt,
    BareSigned,
    Key,
}

const CONTENDERS: [Contender; 5] =
    [Contender::BareOneShot, Contender::Sha256, Contender::Bcrypt, Contender::BareSigned, Contender::Key];

impl Contender {
    const fn name(self) -> &'static str {
        match self {
            Self::BareOneShot => "bare hyper: call, question by JSON, SHA-256",
            Self::Sha256 => "webhook, SHA-256, a question a call",
            Self::Bcrypt => "webhook, bcrypt of cost 4, a question a call",
            Self::BareSigned => "bare hyper: call, Ed25519 signed and verified over 300 bytes",
            Self::Key => "webhook, introduced key",
        }
    }
}

/// One contender in one round.
struct Sample {
    rate: f64,
    median: Duration,
    slowest: Duration,
}

/// Measures in rounds and prints Markdown.
pub(crate) fn measure(rounds: usize, seconds: u64) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let bare = Bare::start().await?;
        let sha256 =
            |requester: Requester<Store>| requester.hashing_first_by(Algorithm::Sha256).without_keys();
        let asked = Ours::start(sha256, false).await?;
        // It hears of no other hash, so it goes on as it began.
        let stretched = Ours::start(Requester::without_keys, true).await?;
        let signed = Ours::start(|requester| requester, false).await?;
        let mut samples: Vec<Vec<Sample>> = Vec::new();
        for round in 0..rounds {
            eprintln!("round {} of {rounds}", round + 1);
            let mut row = Vec::new();
            for contender in CONTENDERS {
                let lasts = Duration::from_secs(seconds);
                let bare = bare.clone();
                row.push(match contender {
                    Contender::BareOneShot => load(lasts, move || bare.one_shot()).await?,
                    Contender::BareSigned => load(lasts, move || bare.signed()).await?,
                    Contender::Sha256 => asked.load(lasts).await?,
                    Contender::Bcrypt => stretched.load(lasts).await?,
                    Contender::Key => signed.load(lasts).await?,
                });
            }
            samples.push(row);
        }
        print(&samples)
    })
}

fn print(samples: &[Vec<Sample>]) -> Result<(), Failure> {
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let of = |number: usize, value: fn(&Sample) -> f64| {
        median(samples.iter().map(|row| value(&row[number])).collect())
    };
    let mut text = format!("{}\n\n{CALLERS} callers at once.\n\n", machine::machine());
    text.push_str("| | calls a second | p50, ms | p99, ms |\n|---|--:|--:|--:|\n");
    for (number, contender) in CONTENDERS.iter().enumerate() {
        writeln!(
            text,
            "| {} | {:.0} | {:.2} | {:.2} |",
            contender.name(),
            of(number, |sample| sample.rate),
            of(number, |sample| sample.median.as_secs_f64() * 1e3),
            of(number, |sample| sample.slowest.as_secs_f64() * 1e3),
        )?;
    }
    text.push_str(
        "\n| ratio of calls a second, within a round | median | lowest to highest |\n|---|--:|--:|\n",
    );
    for (ours, limit, what) in [
        (1, 0, "SHA-256 / bare question"),
        (2, 0, "bcrypt / bare question"),
        (4, 3, "introduced key / bare signed call"),
    ] {
        let mut ratios: Vec<f64> = samples.iter().map(|row| row[ours].rate / row[limit].rate).collect();
        ratios.sort_by(f64::total_cmp);
        let (lowest, highest) = (ratios[0], ratios[ratios.len() - 1]);
        writeln!(text, "| {what} | {:.2} | {lowest:.2} to {highest:.2} |", median(ratios.clone()))?;
    }
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

/// Calls as fast as so many callers can, for so long; then how fast, and how long one took.
async fn load<C, F>(lasts: Duration, call: C) -> Result<Sample, Failure>
where
    C: Fn() -> F + Clone + Send + 'static,
    F: Future<Output = Result<(), String>> + Send + 'static,
{
    // For the connections, and so that the source has proven itself.
    call().await?;
    call().await?;
    let start = Instant::now();
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..CALLERS {
        let call = call.clone();
        callers.spawn(async move {
            let mut took = Vec::new();
            while start.elapsed() < lasts {
                let began = Instant::now();
                call().await?;
                took.push(began.elapsed());
            }
            Ok::<_, String>(took)
        });
    }
    let mut took = Vec::new();
    while let Some(done) = callers.join_next().await {
        took.extend(done??);
    }
    let elapsed = start.elapsed();
    took.sort();
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize];
    Ok(Sample { rate: took.len() as f64 / elapsed.as_secs_f64(), median: at(0.5), slowest: at(0.99) })
}

fn connector() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector
}

/// Serves `service` on a port of its own.
async fn serve<S, B>(service: S) -> Result<SocketAddr, Failure>
where
    S: hyper::service::Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: std::error::Error + Send + Sync,
    B: http_body::Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    serve_at(SocketAddr::from(([127, 0, 0, 1], 0)), service).await
}

async fn serve_at<S, B>(address: SocketAddr, service: S) -> Result<SocketAddr, Failure>
where
    S: hyper::service::Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: std::error::Error + Send + Sync,
    B: http_body::Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            let service = service.clone();
            tokio::spawn(async move {
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    Ok(address)
}

fn hello() -> Response<Full<Bytes>> {
    Response::new(Full::new(Bytes::from_static(b"Hello, world\n")))
}

/// The same exchanges with nothing but hyper and the primitives: the limit.
#[derive(Clone)]
struct Bare {
    client: Outgoing,
    tokens: Arc<Mutex<HashMap<String, String>>>,
    receiver: SocketAddr,
    endpoint: SocketAddr,
    verifier: SocketAddr,
    key: Arc<Ed25519Key>,
}

impl Bare {
    async fn start() -> Result<Self, Failure> {
        let client: Outgoing = Client::builder(TokioExecutor::new()).build(connector());
        let tokens: Arc<Mutex<HashMap<String, String>>> = Arc::default();
        let waiting = tokens.clone();
        let endpoint = serve(service_fn(move |request: Request<Incoming>| {
            let waiting = waiting.clone();
            async move {
                let body = request
                    .into_body()
                    .collect()
                    .await
                    .map(http_body_util::Collected::to_bytes)
                    .unwrap_or_default();
                let hash = body.split(|byte| *byte == b'"').nth(3).unwrap_or_default();
                let hash = String::from_utf8_lossy(hash).into_owned();
                let token = waiting.lock().ok().and_then(|mut waiting| waiting.remove(&hash));
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(token.unwrap_or_default()))))
            }
        }))
        .await?;
        let asking = client.clone();
        let receiver = serve(service_fn(move |request: Request<Incoming>| {
            let asking = asking.clone();
            async move { Ok::<_, Infallible>(receive(&asking, &request).await) }
        }))
        .await?;
        let key = Arc::new(Ed25519Key::generate(&SystemRandom));
        let public = key.public();
        let verifier = serve(service_fn(move |request: Request<Incoming>| async move {
            let signature = request.headers().get("signature").and_then(|value| value.to_str().ok());
            let signature = signature.and_then(decode_hex::<64>).unwrap_or([0; 64]);
            let good = verify_ed25519(&public, &[b'x'; 300], &signature);
            Ok::<_, Infallible>(if good { hello() } else { refused() })
        }))
        .await?;
        Ok(Self { client, tokens, receiver, endpoint, verifier, key })
    }

    fn one_shot(&self) -> impl Future<Output = Result<(), String>> + Send + use<> {
        let bare = self.clone();
        async move {
            let mut random = [0; 32];
            SystemRandom.fill(&mut random);
            let token = encode_hex(&random);
            let hash = encode_hex(&sha256(token.as_bytes()));
            if let Ok(mut tokens) = bare.tokens.lock() {
                tokens.insert(hash.clone(), token);
            }
            let credential = format!("Webhook http://{}/ {hash}", bare.endpoint);
            let request =
                Request::get(format!("http://{}/orders", bare.receiver)).header(AUTHORIZATION, credential);
            finish(bare.client.request(request.body(Full::default()).map_err(text)?).await).await
        }
    }

    fn signed(&self) -> impl Future<Output = Result<(), String>> + Send + use<> {
        let bare = self.clone();
        async move {
            let signature = encode_hex(&bare.key.sign(&[b'x'; 300]));
            let request =
                Request::get(format!("http://{}/orders", bare.verifier)).header("signature", signature);
            finish(bare.client.request(request.body(Full::default()).map_err(text)?).await).await
        }
    }
}

async fn receive(client: &Outgoing, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let credential = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let mut words = credential.unwrap_or_default().split(' ').skip(1);
    let (Some(url), Some(hash)) = (words.next(), words.next()) else { return refused() };
    let question = format!("{{\"hash\":\"{hash}\",\"url\":\"http://receiver.example/orders\"}}");
    let Ok(question) = Request::builder().method(Method::POST).uri(url).body(Full::from(question)) else {
        return refused();
    };
    let Ok(answer) = client.request(question).await else { return refused() };
    let Ok(token) = answer.into_body().collect().await else { return refused() };
    if encode_hex(&sha256(&token.to_bytes())) == hash { hello() } else { refused() }
}

fn refused() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::UNAUTHORIZED;
    response
}

/// A requester and a receiver of ours, with the tower layers that an application uses.
#[derive(Clone)]
struct Ours {
    proofs: ProveLayer<Requester<Store>>,
    client: Proven,
    receiver: SocketAddr,
}

impl Ours {
    /// `quiet`: a receiver that does not say what else it takes.
    async fn start(
        set_up: impl FnOnce(Requester<Store>) -> Requester<Store>,
        quiet: bool,
    ) -> Result<Self, Failure> {
        let (store, pool) = (Arc::new(MemoryStore::new(SystemClock)), Arc::new(Pool::default()));
        let at = free()?;
        let url = WebhookUrl::parse(&format!("http://{at}/"), &LAB)?;
        let requester = set_up(Requester::new(url.clone(), store, Arc::new(SystemRandom), pool.clone()));
        let endpoint = TowerToHyperService::new(WebhookEndpoint::new(requester.tokens().clone()));
        serve_at(at, endpoint).await?;
        let receiver = receiver(&url, pool, quiet).await?;
        let client = Client::builder(TokioExecutor::new()).build(connector());
        let proofs = ProveLayer::new(Arc::new(requester), Arc::new(SystemClock));
        Ok(Self { proofs, client, receiver })
    }

    async fn load(&self, lasts: Duration) -> Result<Sample, Failure> {
        let ours = self.clone();
        load(lasts, move || ours.call()).await
    }

    fn call(&self) -> impl Future<Output = Result<(), String>> + Send + use<> {
        let Self { proofs, client, receiver } = self.clone();
        async move {
            let request =
                Request::get(format!("http://{receiver}/orders")).body(Empty::new()).map_err(text)?;
            let mut client = client;
            finish(proofs.send(&mut client, request).await).await
        }
    }
}

/// A port that is known before there is a service that answers there.
fn free() -> std::io::Result<SocketAddr> {
    std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()
}

async fn receiver(caller: &WebhookUrl, pool: Arc<Pool>, quiet: bool) -> Result<SocketAddr, Failure> {
    let store = Arc::new(MemoryStore::new(SystemClock));
    let mut callers = Callers::default();
    callers.add(caller.as_str(), None, &LAB)?;
    let verifier = WebhookVerifier {
        store: store.clone(),
        fetch: GuardedClient::new(EgressPolicy { allow_http_loopback: true, ..EgressPolicy::default() }),
        workers: pool,
        budget: Arc::default(),
        callers: Arc::new(callers),
        rules: LAB,
        max_signed_body: 1024 * 1024,
    };
    let rule = Rule::requiring("orders", Requirement::parse(["webhook"])?).verifier(verifier).build()?;
    let gate = Arc::new(Gate::new(store, Arc::new(SystemClock), &SystemRandom));
    let at = free()?;
    let guard = GateLayer::new(gate, rule, PublicUrl::parse(&format!("http://{at}"))?);
    let service = tower::service_fn(async |_: Request<countersign_tower::GateBody<Incoming>>| {
        Ok::<_, Infallible>(hello())
    });
    let service = TowerToHyperService::new(guard.layer(service));
    let answer = service_fn(move |request: Request<Incoming>| {
        let answer = hyper::service::Service::call(&service, request);
        async move {
            let mut response = answer.await?;
            if quiet {
                response.headers_mut().remove("authentication-info");
            }
            Ok::<_, Infallible>(response)
        }
    });
    serve_at(at, answer).await
}

async fn finish<B, E>(answer: Result<Response<B>, E>) -> Result<(), String>
where
    B: http_body::Body,
    B::Error: std::fmt::Display,
    E: std::fmt::Display,
{
    let answer = answer.map_err(text)?;
    let status = answer.status();
    answer.into_body().collect().await.map_err(text)?;
    if status == StatusCode::OK { Ok(()) } else { Err(format!("a call was answered {status}")) }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
