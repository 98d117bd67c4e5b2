//! One who takes part, as a process of its own: an application, what ends TLS, and, for Alice and Bob, a
//! gateway between them.

use std::io::BufRead as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use bytes::Bytes;
use countersign::crypto::SystemRandom;
use http::Method;
use rustix::process::{Signal, getpid, kill_process};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::super::arguments::Part;
use super::super::serve::log_to_standard_error;
use super::super::{Failure, Outcome, environment, say};
use super::apps::{self, Eve};
use super::front::{self, Log, loopback_client};
use super::orders::{Order, Report};
use super::stage::Stage;
use super::{certificates, configuration};
use countersign_gateway::config::load;
use countersign_gateway::management::Management;
use countersign_gateway::run::Bound;
use countersign_gateway::seal::make_seal_key;

pub(super) fn act(part: Part, folder: &Path, directed: bool) -> Outcome {
    as_process(directed, play(part, folder, directed))
}

/// Plays a part as this process, and tells a director why it cannot.
pub(super) fn as_process(directed: bool, play: impl Future<Output = Outcome>) -> Outcome {
    log_to_standard_error();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    match runtime.block_on(play) {
        Err(failure) if directed => {
            report(&Report::Failed(match failure {
                Failure::Said(why) => why,
                Failure::Config(error) => error.render(false),
            }));
            Ok(ExitCode::from(2))
        }
        other => other,
    }
}

async fn play(part: Part, folder: &Path, directed: bool) -> Outcome {
    let stage = stage(folder)?;
    match part {
        Part::Alice => {
            let application = front::listen(stage.alice.application).await?;
            let bound = gateway(folder, &configuration::of_alice(&stage)).await?;
            let log = front::open(folder, stage.alice.front, Some(stage.alice.gateway)).await?;
            apps::alice(application, &stage);
            take_orders(directed, Role { log, does: Does::Alice { to_eve: stage.alice_to_eve } });
            bound.run().await;
        }
        Part::Bob => {
            let application = front::listen(stage.bob.application).await?;
            let bound = gateway(folder, &configuration::of_bob(&stage)).await?;
            let log = front::open(folder, stage.bob.front, Some(stage.bob.gateway)).await?;
            apps::bob(application);
            take_orders(directed, Role { log, does: Does::Bob(Management::here(bound.gateway().clone())) });
            bound.run().await;
        }
        Part::Eve => {
            let application = front::listen(stage.eve.application).await?;
            let log = front::open(folder, stage.eve.front, None).await?;
            let eve = Eve::new(folder, &stage).await?;
            eve.serve(application);
            take_orders(directed, Role { log, does: Does::Eve(eve) });
            until_told().await?;
        }
        Part::Authority | Part::Api | Part::Service => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// What the director wrote down, or the places of containers.
fn stage(folder: &Path) -> Result<Stage, Failure> {
    match std::fs::read(folder.join("stage.json")) {
        Ok(text) => Ok(serde_json::from_slice(&text)?),
        Err(_) => Ok(Stage::of_containers()),
    }
}

pub(super) async fn gateway(folder: &Path, configuration: &str) -> Result<Bound, Failure> {
    let file = folder.join("countersign.toml");
    certificates::write(&file, configuration)?;
    // With a Redis store nobody else makes it.
    make_seal_key(&folder.join("seal.key"), &SystemRandom)?;
    let overrides = environment()?;
    let loaded = load(&file, &overrides).map_err(Failure::Config)?;
    Ok(Bound::new(&file, loaded, overrides, false).await?)
}

/// Waits for a signal that ends this process.
pub(super) async fn until_told() -> Result<(), Failure> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} }
    Ok(())
}

/// What one can be told to do.
struct Role {
    log: Log,
    does: Does,
}

enum Does {
    Alice { to_eve: SocketAddr },
    Bob(Management),
    Eve(Eve),
}

/// Does what standard input says, and ends with it: nobody is left behind by a director who was killed.
fn take_orders(directed: bool, role: Role) {
    let role = Arc::new(role);
    follow_orders(directed, move |order| {
        let role = role.clone();
        async move { role.follow(order).await }
    });
}

/// The same, by whatever follows an order.
pub(super) fn follow_orders<F, Following>(directed: bool, follow: F)
where
    F: Fn(Order) -> Following + Send + Sync + 'static,
    Following: Future<Output = Report> + Send,
{
    if !directed {
        return;
    }
    let (sender, mut orders) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    tokio::spawn(async move {
        report(&Report::Ready);
        while let Some(line) = orders.recv().await {
            report(&match serde_json::from_str(&line) {
                Ok(order) => follow(order).await,
                Err(error) => Report::Failed(error.to_string()),
            });
        }
        let _ = kill_process(getpid(), Signal::TERM);
    });
}

impl Role {
    async fn follow(&self, order: Order) -> Report {
        let status = |status: Option<u16>| match status {
            Some(status) => Report::Status(status),
            None => Report::Failed("there was no answer".to_owned()),
        };
        match (order, &self.does) {
            (Order::Seen, _) => Report::Seen(self.log.take()),
            (Order::CallEve, Does::Alice { to_eve }) => {
                status(apps::plain(&loopback_client(), *to_eve).await)
            }
            (Order::Explain(id), Does::Bob(management)) => {
                let path = format!("/v1/decisions/{id}");
                match management.call(Method::GET, &path, Bytes::new()).await {
                    Ok(decision) => Report::Decision(decision),
                    Err(error) => Report::Failed(error.to_string()),
                }
            }
            (Order::Forge(url), Does::Eve(eve)) => status(eve.forge(&url).await),
            (Order::Send(headers), Does::Eve(eve)) => status(eve.send(headers).await),
            (order, _) => Report::Failed(format!("{order:?} is not for me")),
        }
    }
}

fn report(report: &Report) {
    // It was made of what is text already.
    say(&serde_json::to_string(report).unwrap_or_default());
}
