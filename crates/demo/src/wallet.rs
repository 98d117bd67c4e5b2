//! `demo wallet`: somebody with an Ethereum key signs in without a page and without being asked, and calls an API
//! with a token and a signature. Eve takes the token, a whole request and the sign-in, and gets nothing; where a
//! token alone is enough, she gets everything.

mod alice;
mod bob;
mod drawing;
mod eve;

use std::cell::Cell;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::ExitCode;

use bytes::Bytes;
use countersign::crypto::SystemRandom;
use countersign::crypto::ethereum::{EthereumKey, encode_hex};
use countersign::{ChosenBy, Fetch as _, FetchRequest};
use countersign_gateway::terminal;
use countersign_io::egress::GuardedClient;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::actor::as_process;
use crate::cast::{Casting, Part, Wishes};
use crate::certificates::write;
use crate::director::{place, until_signal};
use crate::drawing::Canvas;
use crate::failure::{Failure, Outcome};
use crate::front::PATIENCE;
use crate::orders::{Headers, Order, Report, Seen};
use crate::places;
use crate::players::Player;
use crate::say::say;

/// Where everybody is, and whom Bob lists.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Places {
    /// Bob's gateway, which issues tokens and guards his API.
    gateway: SocketAddr,
    /// His API.
    application: SocketAddr,
    /// Alice's account.
    wallet: String,
}

/// Who needs a token and a signature there.
const ORDERS: &str = "/orders/1";
/// For comparison: who needs a token and nothing else there.
const PLAIN: &str = "/plain/orders/1";
/// Where tokens are got.
const TOKEN: &str = countersign::issuer::metadata::TOKEN;

/// What is tried, and what must come of it.
struct Scene {
    /// For programs.
    name: &'static str,
    title: &'static str,
    /// What to know beforehand.
    before: &'static str,
    /// What it means that it ended so.
    after: &'static str,
    caller: &'static str,
    status: u16,
    code: Option<&'static str>,
}

const SCENES: [Scene; 8] = [
    Scene {
        name: "alice-signs-in",
        title: "Alice's program gets tokens",
        before: "It asks for a nonce, signs a message with its Ethereum key (EIP-4361), and shows it for tokens.",
        after: "No page, no password, no prompt: the signature is the proof. The token's subject is her address.",
        caller: "Alice",
        status: 200,
        code: None,
    },
    Scene {
        name: "alice-calls",
        title: "Alice calls Bob's API",
        before: "With the token, and a signature over this very request by the key that the token names.",
        after: "The signature says who; the token says what Bob's operator keeps of her: her country, and what she may.",
        caller: "Alice",
        status: 200,
        code: None,
    },
    Scene {
        name: "eve-shows-the-token",
        title: "Eve got hold of the token, and shows it",
        before: "Say, from a log of some proxy. It has not expired.",
        after: "The token authorizes; it does not authenticate. The signature is missing.",
        caller: "Eve",
        status: 401,
        code: Some("credential_missing"),
    },
    Scene {
        name: "eve-signs-herself",
        title: "Eve shows the token, and signs with a wallet of her own",
        before: "Her signature is sound, and so is the token.",
        after: "They are about two different people.",
        caller: "Eve",
        status: 401,
        code: Some("subject_mismatch"),
    },
    Scene {
        name: "eve-repeats",
        title: "Eve got hold of Alice's whole request, and repeats it",
        before: "Token, signature and all, byte for byte.",
        after: "A signature passes once.",
        caller: "Eve",
        status: 401,
        code: Some("signature_replayed"),
    },
    Scene {
        name: "eve-changes",
        title: "Eve changes Alice's request a little",
        before: "The same headers for another order.",
        after: "Alice has not signed that.",
        caller: "Eve",
        status: 401,
        code: Some("signature_invalid"),
    },
    Scene {
        name: "eve-signs-in-again",
        title: "Eve got hold of Alice's sign-in, and repeats it",
        before: "The message and its signature, to get tokens of her own.",
        after: "Its nonce has been used.",
        caller: "Eve",
        status: 400,
        code: Some("invalid_grant"),
    },
    Scene {
        name: "eve-where-a-token-is-enough",
        title: "For comparison: Eve shows the token where a token alone is enough",
        before: "Bob has one more route, which accepts `bearer` and asks for no signature: conventional OAuth.",
        after: "Whoever has such a token is Alice, until it expires. That is what the signature is for.",
        caller: "Eve",
        status: 200,
        code: None,
    },
];

/// Plays a part as this process.
pub(super) fn act(part: Part, casting: &Casting) -> Outcome {
    as_process(casting, async {
        let places = places::told(casting)?;
        match part {
            Part::Alice => alice::play(casting, places).await,
            Part::Bob => bob::play(casting, places).await,
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
    let key = EthereumKey::generate(&SystemRandom);
    let places = Places::here(&key)?;
    places::hand_out(&folder, &["alice", "bob", "eve"], &places)?;
    write(&folder.join("alice").join(alice::WALLET), &encode_hex(key.secret().expose()))?;
    let (alice, bob, eve) = tokio::join!(
        Player::start("wallet", "alice", &folder),
        Player::start("wallet", "bob", &folder),
        Player::start("wallet", "eve", &folder)
    );
    let (mut alice, mut bob, mut eve) = (alice?, bob?, eve?);
    let canvas = Canvas::new(wishes.json);
    if !wishes.json {
        drawing::stage(&places, &folder, [alice.pid(), bob.pid(), eve.pid()]);
    }
    let good = play(&places, &mut alice, &mut bob, &mut eve, canvas, wishes.json).await?;
    played.set(Some(good));
    drawing::end(wishes.json, good);
    if wishes.keep {
        say(&match wishes.json {
            true => terminal::json(&json!({ "kept": true, "bob": places.gateway, "as_expected": good })),
            false => "All three stay up. Ctrl-C ends them.".to_owned(),
        });
        std::future::pending::<()>().await;
    }
    for player in [&alice, &bob, &eve] {
        player.dismiss();
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// What came of a scene.
struct Told {
    /// What was sent, and what was answered; the last one is what the scene is about.
    exchanges: Vec<Seen>,
    /// What Bob noted.
    decision: Value,
}

impl Told {
    fn last(&self) -> Option<&Seen> {
        self.exchanges.last()
    }

    /// The code of a refusal, in our words or in OAuth's.
    fn code(&self) -> Option<String> {
        let body: Value = serde_json::from_str(&self.last()?.answer).ok()?;
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        text("code").or_else(|| text("error"))
    }

    fn is_good(&self, scene: &Scene) -> bool {
        let (status, code) = (self.last().map(|seen| seen.status), self.code());
        status == Some(scene.status) && code.as_deref() == scene.code
    }
}

/// Plays all scenes; true if each ended as it must.
async fn play(
    places: &Places,
    alice: &mut Player,
    bob: &mut Player,
    eve: &mut Player,
    canvas: Canvas,
    json: bool,
) -> Result<bool, Failure> {
    let mut good = true;
    let (mut sign_in, mut call) = (None, None);
    for (number, scene) in SCENES.iter().enumerate() {
        if !json {
            canvas.headline(number + 1, scene.title, scene.before).await;
        }
        let stolen =
            |seen: &Option<Seen>| seen.clone().ok_or_else(|| Failure::said("there is nothing to steal"));
        let report = match scene.name {
            "alice-signs-in" => alice.ask(&Order::SignIn).await?,
            "alice-calls" => alice.ask(&Order::CallBob).await?,
            "eve-shows-the-token" => eve.ask(&Order::Repeat(with_token(stolen(&call)?))).await?,
            "eve-signs-herself" => eve.ask(&Order::SignOver(with_token(stolen(&call)?))).await?,
            "eve-repeats" => eve.ask(&Order::Repeat(stolen(&call)?)).await?,
            "eve-changes" => {
                let other = Seen { path: url(places, "/orders/2"), ..stolen(&call)? };
                eve.ask(&Order::Repeat(other)).await?
            }
            "eve-signs-in-again" => eve.ask(&Order::Repeat(stolen(&sign_in)?)).await?,
            _ => {
                let plain = Seen { path: url(places, PLAIN), ..with_token(stolen(&call)?) };
                eve.ask(&Order::Repeat(plain)).await?
            }
        };
        let Report::Seen(exchanges) = report else { return Err(Failure::said(format!("{report:?}"))) };
        let told = Told { decision: noted(bob, exchanges.last()).await?, exchanges };
        match scene.name {
            "alice-signs-in" => sign_in = told.last().cloned(),
            "alice-calls" => call = told.last().cloned(),
            _ => {}
        }
        let is_good = told.is_good(scene);
        good &= is_good;
        match json {
            true => say(&terminal::json(&drawing::as_json(scene, &told, is_good))),
            false => drawing::scene(canvas, scene, &told, is_good).await,
        }
    }
    Ok(good)
}

/// Of a request the token and no signature.
fn with_token(seen: Seen) -> Seen {
    let headers = seen.headers.into_iter().filter(|(name, _)| name == "authorization").collect();
    Seen { headers, ..seen }
}

/// What Bob noted about a request, by the number in his answer.
async fn noted(bob: &mut Player, seen: Option<&Seen>) -> Result<Value, Failure> {
    let id = seen.and_then(|seen| seen.answer_headers.get("countersign-decision"));
    let Some(id) = id else { return Ok(Value::Null) };
    match bob.ask(&Order::Explain(id.clone())).await? {
        Report::Decision(decision) => Ok(decision),
        _ => Ok(Value::Null),
    }
}

fn url(places: &Places, path: &str) -> String {
    format!("http://{}{path}", places.gateway)
}

impl Places {
    /// Wherever is free on this machine.
    fn here(key: &EthereumKey) -> std::io::Result<Self> {
        // Both at once, so that no port is handed out twice.
        let held: Vec<TcpListener> =
            (0..2).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<Result<_, _>>()?;
        let free = held.iter().map(TcpListener::local_addr).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { gateway: free[0], application: free[1], wallet: key.address().checksummed() })
    }
}

/// Sends a request, and notes what was answered. `path` is the whole URL.
async fn send(client: &GuardedClient, mut seen: Seen) -> Result<Seen, Failure> {
    let mut headers = HeaderMap::new();
    for (name, value) in &seen.headers {
        headers.insert(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
    }
    let request = FetchRequest {
        method: seen.method.parse()?,
        url: seen.path.parse()?,
        headers,
        body: Bytes::from(seen.body.clone()),
        chosen_by: ChosenBy::Configuration,
        timeout: PATIENCE,
        max_bytes: 64 * 1024,
        repeatable: false,
    };
    let answer = client.fetch(request).await?;
    seen.status = answer.status.as_u16();
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    seen.answer_headers =
        answer.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect::<Headers>();
    seen.answer = String::from_utf8_lossy(&answer.body).into_owned();
    Ok(seen)
}

/// A request that is to be sent.
fn request(method: &str, url: String, headers: Headers, body: String) -> Seen {
    let answer_headers = Headers::new();
    Seen {
        method: method.to_owned(),
        path: url,
        headers,
        body,
        status: 0,
        answer_headers,
        answer: String::new(),
    }
}
