//! `call`: a request to any API, with a proof of who sends it.

mod answerer;
pub(super) mod flags;
pub(super) mod message;
pub(super) mod proof;
mod sent;
pub(super) mod shown;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use countersign::{
    ChosenBy, Clock as _, Code, Fetch as _, FetchError, FetchRequest, FetchResponse, Timestamp,
};
use countersign_gateway::settings::quantities::parse_duration;
use countersign_gateway::terminal::escape;
use countersign_io::SystemClock;
use countersign_io::egress::{EgressPolicy, GuardedClient, read_roots};
use http::StatusCode;
use http::header::{CONTENT_TYPE, RETRY_AFTER};

use crate::failure::{Failure, Outcome};
use crate::global_flags::GlobalFlags;
use flags::{NO_WEBHOOK, ProofFlags};
use message::Message;
use proof::Proof;
use sent::Sent;
use shown::Screen;

#[derive(Debug, Args)]
pub(super) struct CallFlags {
    /// What is called: https, or plain http on this machine.
    #[arg(value_name = "URL")]
    url: String,
    /// The method. Default: GET, and POST with a body.
    #[arg(short = 'X', long = "request", value_name = "METHOD")]
    method: Option<String>,
    /// A header, `Name: value`; several times for several.
    #[arg(short = 'H', long = "header", value_name = "HEADER")]
    headers: Vec<String>,
    /// The body; @FILE for a file's bytes, @- for standard input.
    ///
    /// Without a header that says otherwise its Content-Type is application/json if it is a JSON object
    /// or array, else application/x-www-form-urlencoded.
    #[arg(short = 'd', long = "data", value_name = "BODY")]
    body: Option<String>,
    /// Print the status and the headers of the answer too.
    #[arg(short, long)]
    include: bool,
    /// Tell on standard error what is sent, how it is proven, and who asks about it.
    #[arg(short, long)]
    verbose: bool,
    /// Trust the authorities in this PEM file too.
    #[arg(long, value_name = "FILE")]
    cacert: Option<PathBuf>,
    /// How long a call may take, as in 30s.
    #[arg(long, value_name = "DURATION", default_value = "30s")]
    timeout: String,
    /// Call so many times, one after another.
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=1000))]
    repeat: u32,
    #[command(flatten)]
    proof: ProofFlags,
    /// Answer at this address, plain HTTP, while the call lasts.
    #[arg(long, value_name = "ADDRESS", requires = "webhook", conflicts_with_all = NO_WEBHOOK)]
    listen: Option<std::net::SocketAddr>,
}

/// As much of an answer as is kept in memory.
const LONGEST_ANSWER: usize = 64 * 1024 * 1024;
/// How long we wait at a receiver's request before a second try.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

pub(super) async fn call(global: &GlobalFlags, flags: CallFlags) -> Outcome {
    let screen = Screen::new(global.json, flags.include, flags.verbose);
    let timeout = parse_duration(&flags.timeout).map_err(Failure::Said)?;
    let message = Message::read(&flags)?;
    let client = client(&flags, &message)?;
    let proof = Proof::prepare(global, &flags.proof, flags.listen, &message, screen).await?;
    let mut worst = ExitCode::SUCCESS;
    for _ in 0..flags.repeat {
        let (answer, sent, retried) = exchange(&client, &proof, &message, timeout, screen).await?;
        screen.answer(&answer, &sent, retried);
        if answer.status.as_u16() >= 400 {
            worst = ExitCode::from(1);
        }
    }
    Ok(worst)
}

/// Sends the request; and once more, proven anew, if the answer says how it may pass.
async fn exchange(
    client: &GuardedClient,
    proof: &Proof,
    message: &Message,
    timeout: Duration,
    screen: Screen,
) -> Result<(FetchResponse, Sent, bool), Failure> {
    let mut retried = false;
    loop {
        let sent = proof.prove(message, now()).await?;
        screen.request(message, &sent);
        let request = FetchRequest {
            method: message.method.clone(),
            url: message.url.clone(),
            headers: sent.headers.clone(),
            body: message.body.clone().unwrap_or_default(),
            // Whoever types a URL has chosen its host.
            chosen_by: ChosenBy::Configuration,
            timeout,
            max_bytes: LONGEST_ANSWER,
            // A proof is for one use.
            repeatable: false,
        };
        let answer = client.fetch(request).await.map_err(|error| no_answer(&error))?;
        screen.status(&answer);
        let learnt = proof.learn(&sent, &answer, now());
        match too_early(&sent, &answer) {
            _ if retried => return Ok((answer, sent, retried)),
            _ if learnt => screen.again("the receiver said what it takes"),
            Some(wait) => {
                tokio::time::sleep(wait).await;
                screen.again("the receiver had forgotten what came before");
            }
            None => return Ok((answer, sent, retried)),
        }
        retried = true;
    }
}

/// How long to wait, if the receiver started anew and takes no proof of before: one that is made later
/// passes.
fn too_early(sent: &Sent, answer: &FetchResponse) -> Option<Duration> {
    let text = |name| answer.headers.get(name).and_then(|value| value.to_str().ok());
    if !sent.by.is_dated() || answer.status != StatusCode::UNAUTHORIZED {
        return None;
    }
    text(CONTENT_TYPE).filter(|kind| *kind == "application/problem+json")?;
    let problem: serde_json::Value = serde_json::from_slice(&answer.body).ok()?;
    if problem["code"] != Code::ProofPredatesBoot.as_str() {
        return None;
    }
    let wait = Duration::from_secs(text(RETRY_AFTER)?.parse().ok()?);
    (wait <= LONGEST_WAIT).then_some(wait)
}

/// Time is data: read here, and handed on.
fn now() -> Timestamp {
    SystemClock.now()
}

/// Dials the URL that was typed, wherever it leads, and nothing else.
fn client(flags: &CallFlags, message: &Message) -> Result<GuardedClient, Failure> {
    let plain = message.url.scheme_str() == Some("http");
    let extra_roots = match &flags.cacert {
        Some(file) => read_roots(file)
            .map_err(|error| Failure::said(format!("--cacert {}: {error}", file.display())))?,
        None => Vec::new(),
    };
    let everywhere = ["0.0.0.0/0", "::/0"].map(str::parse);
    let client = GuardedClient::new(EgressPolicy {
        ports: vec![message.url.port_u16().unwrap_or(443)],
        extra_roots,
        allow_private: everywhere.into_iter().collect::<Result<_, _>>()?,
        allow_http_loopback: plain,
        own_listeners: flags.listen.into_iter().collect(),
    });
    // A request that meets the end of a kept connection is lost, and this is for few requests.
    Ok(client.keeping(Duration::ZERO))
}

fn no_answer(error: &FetchError) -> Failure {
    Failure::said(match error {
        FetchError::Forbidden(why) if why.contains("plain http") => {
            format!("{}: use https; plain http is for this machine alone", escape(why))
        }
        other => format!("no answer: {}", escape(&other.to_string())),
    })
}
