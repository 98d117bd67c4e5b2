//! `demo session`: a bank for a real browser, and Eve with a page of her own. What each attack sends and what is
//! answered stands on the bank's page; Eve's server tries what it was given from elsewhere.

mod bank;
mod eve;
mod loot;
mod pages;
mod peer;
mod tap;
mod tries;

use std::cell::Cell;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::crypto::{Random as _, SystemRandom};
use countersign_gateway::terminal;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::actor::as_process;
use crate::cast::{Casting, Part, Sites, Wishes};
use crate::certificates::{certify, write};
use crate::director::{must_be_free, place, until_signal};
use crate::failure::{Failure, Outcome};
use crate::places;
use crate::players::Player;
use crate::say::say;

/// Who signs in at the bank.
const ALICE: &str = "alice@example.org";

/// Where everybody is.
#[derive(Clone, Serialize, Deserialize)]
struct Places {
    /// The bank's origin, as browsers write it.
    bank: String,
    /// Eve's, of another site.
    eve: String,
    /// Eve's page under the bank's host: another origin of the same site, as a subdomain that she took over.
    neighbour: String,
    /// The bank's host, which its certificate names.
    host: String,
    /// Whether browsers speak TLS.
    tls: bool,
    /// Where browsers connect.
    listen: SocketAddr,
    /// Where they connect to reach Eve.
    eve_listen: SocketAddr,
    /// The bank's gateway, behind what notes what passes by.
    gateway: SocketAddr,
    /// The bank itself, behind its gateway.
    application: SocketAddr,
    /// Alice's password, made for this run.
    password: String,
}

/// Plays a part as this process.
pub(super) fn act(part: Part, casting: &Casting) -> Outcome {
    as_process(casting, async {
        let places = places::told(casting)?;
        match part {
            Part::Bob => bank::play(casting, places).await,
            Part::Eve => eve::play(casting, places).await,
            _ => Err(Failure::said("nobody of that name takes part in this scene")),
        }
    })
}

pub(super) fn direct(wishes: &Wishes) -> Outcome {
    let up = Cell::new(None);
    until_signal(&up, run(wishes, &up))
}

async fn run(wishes: &Wishes, up: &Cell<Option<bool>>) -> Outcome {
    let places = Places::here(&wishes.sites)?;
    for (who, address) in [("The bank", places.listen), ("Eve", places.eve_listen)] {
        must_be_free(who, address)?;
    }
    let (_temporary, folder) = place(wishes.folder.as_deref())?;
    places::hand_out(&folder, &["bob", "eve"], &places)?;
    if places.tls {
        // Her page has two names.
        let eve = [host_of(&places.eve), places.host.clone()];
        let authority = certify(&folder, &[("bob", vec![places.host.clone()]), ("eve", eve.into())])?;
        write(&folder.join("ca.pem"), &authority)?;
    }
    let (bob, eve) =
        tokio::join!(Player::start("session", "bob", &folder), Player::start("session", "eve", &folder));
    let (bob, eve) = (bob?, eve?);
    up.set(Some(true));
    match wishes.json {
        true => say(&terminal::json(&json!({
            "bank": places.bank, "eve": places.eve, "neighbour": places.neighbour,
            "email": ALICE, "password": places.password,
            "folder": folder, "pids": [bob.pid(), eve.pid()],
        }))),
        false => introduce(&places, &folder),
    }
    // A signal drops this, and both with it.
    std::future::pending::<()>().await;
    Ok(ExitCode::SUCCESS)
}

fn introduce(places: &Places, folder: &Path) {
    say("Bob's bank is open, and a gateway guards it. Open it in your browser:");
    say("");
    say(&format!("  {}/", places.bank));
    say("");
    say(&format!("Sign in as {ALICE} with the password {} (the page has filled it in).", places.password));
    say("Then let the attacks run, one after another:");
    say("");
    say("  XSS      a script that you did not write reads all it can, and carries it to Eve");
    say("  CSRF     Eve's page sends requests with your browser, of another site and of your own");
    say("  both     Eve has what the script read, and your browser sends the cookie for her");
    say("  malware  both halves are stolen; then sign in again with a key-bound session");
    say("");
    say("The page shows what was sent, what was answered, and why.");
    say(&format!("Eve waits at {}/. Configuration and store are in {}.", places.eve, folder.display()));
    if places.tls {
        say(&format!("Your browser has to trust {}.", folder.join("ca.pem").display()));
    }
    say("");
    say("Ctrl-C ends everybody.");
}

impl Places {
    /// Where it was asked for, and the rest wherever is free.
    fn here(sites: &Sites) -> Result<Self, Failure> {
        // All at once, so that no port is handed out twice.
        let held: Vec<TcpListener> =
            (0..4).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<Result<_, _>>()?;
        let free = held.iter().map(TcpListener::local_addr).collect::<Result<Vec<_>, _>>()?;
        let wanted = |port: Option<u16>, usual: u16, free: SocketAddr| match port.unwrap_or(usual) {
            0 => free,
            port => SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        };
        let (listen, eve_listen) = (wanted(sites.port, 5100, free[0]), wanted(sites.eve_port, 5101, free[1]));
        let host = sites.host.clone().unwrap_or_else(|| "localhost".to_owned());
        let eve_host = sites.eve_host.clone().unwrap_or_else(|| "127.0.0.1".to_owned());
        if host == eve_host || listen == eve_listen {
            return Err(Failure::said("Eve's page is of another site: give it another host and port"));
        }
        let scheme = if sites.tls { "https" } else { "http" };
        let mut password = [0; 12];
        SystemRandom.fill(&mut password);
        Ok(Self {
            bank: format!("{scheme}://{host}:{}", listen.port()),
            eve: format!("{scheme}://{eve_host}:{}", eve_listen.port()),
            neighbour: format!("{scheme}://{host}:{}", eve_listen.port()),
            host,
            tls: sites.tls,
            listen,
            eve_listen,
            gateway: free[2],
            application: free[3],
            password: URL_SAFE_NO_PAD.encode(password),
        })
    }
}

/// The host in an origin of ours.
fn host_of(origin: &str) -> String {
    let authority = origin.split("//").nth(1).unwrap_or_default();
    authority.rsplit_once(':').map_or(authority, |(host, _)| host).to_owned()
}
