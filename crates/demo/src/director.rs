//! Sets the stage, starts everybody, has the scenes played, and ends everybody, whatever happens.

use std::cell::Cell;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use countersign_gateway::terminal;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::cast::Wishes;
use crate::certificates;
use crate::company::Company;
use crate::drawing::Canvas;
use crate::failure::{Failure, Outcome};
use crate::players::Player;
use crate::say::say;
use crate::stage::{ALICE, EVE, Stage};
use crate::webhook;

pub(super) fn direct(wishes: &Wishes) -> Outcome {
    let played = Cell::new(None);
    until_signal(&played, run(wishes, &played))
}

/// Has a demonstration played, unless a signal ends it. `played` says what came of the scenes, once they have
/// been played.
pub(super) fn until_signal(
    played: &Cell<Option<bool>>,
    demonstration: impl Future<Output = Outcome>,
) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let [mut interrupt, mut terminate, mut hang_up] = [
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        ];
        tokio::select! {
            outcome = demonstration => return outcome,
            // What is dropped with the other branch ends its processes and removes its folder.
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hang_up.recv() => {}
        }
        Ok(if played.get() == Some(true) { ExitCode::SUCCESS } else { ExitCode::from(1) })
    })
}

async fn run(wishes: &Wishes, played: &Cell<Option<bool>>) -> Outcome {
    for (who, address) in [("Alice", ALICE), ("Eve", EVE)] {
        must_be_free(who, address)?;
    }
    let (_temporary, folder) = place(wishes.folder.as_deref())?;
    let stage = Stage::here()?;
    certificates::make(&folder, &stage)?;
    for name in ["alice", "bob", "eve"] {
        certificates::write(&folder.join(name).join("stage.json"), &serde_json::to_string_pretty(&stage)?)?;
    }
    let (alice, bob, eve) = tokio::join!(
        Player::start("webhook", "alice", &folder),
        Player::start("webhook", "bob", &folder),
        Player::start("webhook", "eve", &folder)
    );
    let mut company = Company { alice: alice?, bob: bob?, eve: eve? };
    let canvas = Canvas::new(wishes.json);
    canvas.stage(&stage, &folder, &company);
    let good = webhook::play(&mut company, &stage, canvas).await?;
    played.set(Some(good));
    if wishes.keep {
        stay(wishes, good, &company).await;
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// The folder that was named, or a temporary one, which is removed with the first of the two.
pub(super) fn place(folder: Option<&Path>) -> Result<(Option<tempfile::TempDir>, PathBuf), Failure> {
    match folder {
        None => {
            let temporary = tempfile::Builder::new().prefix("countersign-demo-").tempdir()?;
            let path = temporary.path().to_owned();
            Ok((Some(temporary), path))
        }
        Some(folder) => {
            std::fs::create_dir_all(folder).map_err(|error| certificates::at(folder, &error))?;
            Ok((None, folder.canonicalize()?))
        }
    }
}

/// A port that the seed has given away.
pub(super) fn must_be_free(who: &str, address: SocketAddr) -> Result<(), Failure> {
    // The runtime's listener, for it may take a port whose last connections have just ended.
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    let bound = socket.bind(address).and_then(|()| socket.listen(1));
    bound.map(drop).map_err(|error| {
        let port = address.port();
        Failure::said(format!(
            "{who} answers on {address} in this demonstration, and cannot listen there: {error}\n  Another \
             program has port {port}: see `lsof -i :{port}` (on a Mac it may be AirPlay Receiver), stop it, and \
             try again."
        ))
    })
}

/// Stays up until a signal comes, which ends the branch that waits here.
async fn stay(wishes: &Wishes, good: bool, company: &Company) {
    if wishes.json {
        let pids = [&company.alice, &company.bob, &company.eve].map(Player::pid);
        let kept = json!({ "kept": true, "alice": ALICE, "eve": EVE, "pids": pids, "as_expected": good });
        say(&terminal::json(&kept));
    } else {
        say("All three stay up. Try the seed's own two lines in another terminal:");
        say("");
        say(&format!("  curl http://{ALICE}/example"));
        say(&format!("  curl http://{EVE}/example"));
        say("");
        say("Ctrl-C ends them.");
    }
    std::future::pending::<()>().await;
}
