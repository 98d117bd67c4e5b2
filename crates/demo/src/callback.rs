//! `demo callback`: our API has tasks done by a service, which loses all its callback URLs to Eve. What each of
//! the three kinds of callback lost is read from the API's database afterwards.

mod api;
mod eve;
mod service;
mod table;

use std::cell::Cell;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bytes::Bytes;
use countersign::{ChosenBy, Fetch as _, FetchRequest};
use countersign_gateway::terminal;
use countersign_io::egress::GuardedClient;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::actor::as_process;
use crate::cast::{Casting, Part, Wishes};
use crate::director::{place, until_signal};
use crate::failure::{Failure, Outcome};
use crate::front::PATIENCE;
use crate::orders::{Attempt, Kept, Order, Report, Task};
use crate::places;
use crate::players::Player;
use crate::say::say;

/// Where everybody listens.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Places {
    /// Our API, as the service calls it.
    gateway: SocketAddr,
    /// What is behind its gateway.
    application: SocketAddr,
    /// The service.
    service: SocketAddr,
}

/// A kind of callback, and what Eve must not get with it.
struct Kind {
    /// As it stands in paths.
    name: &'static str,
    /// What people call it.
    title: &'static str,
    /// The results that she rewrites.
    lost: &'static [u32],
}

/// The seed's three, in its order.
const KINDS: [Kind; 3] = [
    Kind { name: "none", title: "no token", lost: &[1, 2, 3, 4, 5] },
    Kind { name: "static", title: "static token", lost: &[1, 2, 3, 4] },
    Kind { name: "jwt", title: "JWT", lost: &[2] },
];
/// The results, and what is to be known of each when Eve comes.
const RESULTS: [(u32, &str); 5] = [
    (1, "delivered before the breach"),
    (2, "still in the service's queue"),
    (3, "never given to this service"),
    (4, "its time was over"),
    (5, "of another user"),
];
/// So long lives the callback whose time is over when Eve comes.
const SHORT: Duration = Duration::from_secs(1);

/// Plays a part as this process.
pub(super) fn act(part: Part, casting: &Casting) -> Outcome {
    as_process(casting, async {
        let places = places::told(casting)?;
        match part {
            Part::Api => api::play(casting, places).await,
            Part::Service => service::play(casting, places).await,
            Part::Eve => eve::play(casting).await,
            _ => Err(Failure::said("nobody of that name takes part in this scene")),
        }
    })
}

pub(super) fn direct(wishes: &Wishes) -> Outcome {
    let played = Cell::new(None);
    until_signal(&played, run(wishes, &played))
}

async fn run(wishes: &Wishes, played: &Cell<Option<bool>>) -> Outcome {
    let (_temporary, folder) = place(wishes.folder.as_deref())?;
    let places = Places::here()?;
    places::hand_out(&folder, &["api", "service", "eve"], &places)?;
    let (api, service, eve) = tokio::join!(
        Player::start("callback", "api", &folder),
        Player::start("callback", "service", &folder),
        Player::start("callback", "eve", &folder)
    );
    let (mut api, mut service, mut eve) = (api?, service?, eve?);
    if !wishes.json {
        let pids = [api.pid(), service.pid(), eve.pid()];
        table::stage(&places, &folder, pids);
    }
    let told = play(&mut api, &mut service, &mut eve).await?;
    let good = told.is_good();
    played.set(Some(good));
    for kind in &KINDS {
        if wishes.json {
            say(&terminal::json(&told.of(kind)));
        }
    }
    match wishes.json {
        true => say(&json!({ "scene": "end", "as_expected": good }).to_string()),
        false => table::show(&told, good),
    }
    if wishes.keep {
        say(&match wishes.json {
            true => {
                terminal::json(&json!({ "kept": true, "api": places.gateway, "service": places.service }))
            }
            false => "All three stay up. Ctrl-C ends them.".to_owned(),
        });
        std::future::pending::<()>().await;
    }
    for player in [&api, &service, &eve] {
        player.dismiss();
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// What came of it, as everybody noted it.
struct Told {
    /// How many callback URLs Eve took.
    stolen: usize,
    attempts: Vec<Attempt>,
    /// What the database held then.
    results: Vec<Kept>,
    /// What the service could still deliver afterwards.
    finished: Vec<Attempt>,
}

impl Told {
    /// The results of a kind that are Eve's now.
    fn lost(&self, kind: &Kind) -> Vec<u32> {
        let of_kind = self.results.iter().filter(|kept| kept.kind == kind.name);
        of_kind.filter(|kept| kept.text == eve::FORGED).map(|kept| kept.result).collect()
    }

    /// What Eve was answered when she tried one: with its own URL, if she had that.
    fn attempt(&self, kind: &Kind, result: u32) -> Option<&Attempt> {
        let tried = || self.attempts.iter().filter(|one| one.kind == kind.name && one.result == result);
        tried().find(|one| one.url_of == result).or_else(|| tried().next())
    }

    fn is_good(&self) -> bool {
        KINDS.iter().all(|kind| self.lost(kind) == kind.lost)
    }

    fn of(&self, kind: &Kind) -> Value {
        let lost = self.lost(kind);
        let of_kind = |all: &[Attempt]| -> Vec<Value> {
            all.iter().filter(|attempt| attempt.kind == kind.name).map(|attempt| json!(attempt)).collect()
        };
        json!({
            "scene": kind.name,
            "results": RESULTS.len(),
            "lost": lost,
            "attempts": of_kind(&self.attempts),
            "finished": of_kind(&self.finished),
            "as_expected": lost == kind.lost,
        })
    }
}

async fn play(api: &mut Player, service: &mut Player, eve: &mut Player) -> Result<Told, Failure> {
    api.ask(&Order::Submit).await?;
    // The processor does what is light at once.
    let start = Instant::now();
    while results(api).await?.iter().filter(|kept| kept.text == service::DONE).count() < KINDS.len() {
        if start.elapsed() > PATIENCE {
            return Err(Failure::said("the service delivered nothing"));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(SHORT * 2).await;
    let Report::Tasks(stolen) = service.ask(&Order::Breach).await? else {
        return Err(Failure::said("the service has no database"));
    };
    let count = stolen.len();
    let tried = attempts(eve.ask(&Order::Rewrite(stolen)).await?)?;
    let results = results(api).await?;
    let finished = attempts(service.ask(&Order::Finish).await?)?;
    Ok(Told { stolen: count, attempts: tried, finished, results })
}

async fn results(api: &mut Player) -> Result<Vec<Kept>, Failure> {
    match api.ask(&Order::Results).await? {
        Report::Results(results) => Ok(results),
        other => Err(Failure::said(format!("{other:?}"))),
    }
}

fn attempts(report: Report) -> Result<Vec<Attempt>, Failure> {
    match report {
        Report::Attempts(attempts) => Ok(attempts),
        other => Err(Failure::said(format!("{other:?}"))),
    }
}

impl Places {
    /// Wherever is free on this machine.
    fn here() -> std::io::Result<Self> {
        // All at once, so that no port is handed out twice.
        let held: Vec<TcpListener> =
            (0..3).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<Result<_, _>>()?;
        let free = held.iter().map(TcpListener::local_addr).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { gateway: free[0], application: free[1], service: free[2] })
    }
}

/// `POST url`, with JSON; the status, and the code of a refusal.
async fn post(client: &GuardedClient, url: &str, body: &Value) -> Option<(u16, Option<String>)> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let request = FetchRequest {
        method: Method::POST,
        url: url.parse().ok()?,
        headers,
        body: Bytes::from(body.to_string()),
        chosen_by: ChosenBy::Configuration,
        timeout: PATIENCE,
        max_bytes: 64 * 1024,
        repeatable: false,
    };
    let answer = client.fetch(request).await.ok()?;
    let problem: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    Some((answer.status.as_u16(), problem["code"].as_str().map(str::to_owned)))
}

/// The kind of callback that a URL is: the first segment of its path.
fn kind_of(url: &str) -> String {
    url.split('/').nth(3).unwrap_or_default().to_owned()
}

/// Tries to write a result with a task's URL, and notes what was answered.
async fn attempt(client: &GuardedClient, task: &Task, result: u32, text: &str) -> Attempt {
    let own = format!("/results/{}", task.result);
    let url = task.callback_url.replacen(&own, &format!("/results/{result}"), 1);
    let answered = post(client, &url, &json!({ "text": text })).await;
    let (status, code) = answered.unwrap_or((0, Some("no answer".to_owned())));
    Attempt { kind: kind_of(&url), url_of: task.result, result, status, code }
}
