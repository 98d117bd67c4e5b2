//! One who takes part, as a process of its own: an application, what ends TLS, and, for Alice and Bob, a
//! gateway between them.

use std::io::BufRead as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use bytes::Bytes;
use countersign_gateway::management::Management;
use http::Method;
use rustix::process::{Signal, getpid, kill_process};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::apps::{self, Eve};
use crate::cast::{Casting, Part};
use crate::failure::{Failure, Outcome};
use crate::front::{self, Log, loopback_client};
use crate::gateway::gateway;
use crate::orders::{Order, Report};
use crate::say::say;
use crate::stage::Stage;
use crate::{certificates, configuration};

pub(super) fn act(part: Part, casting: &Casting) -> Outcome {
    as_process(casting, play(part, casting))
}

/// Plays a part as this process, and tells a director why it cannot.
pub(super) fn as_process(casting: &Casting, play: impl Future<Output = Outcome>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    match runtime.block_on(play) {
        Err(failure) if casting.directed => {
            report(&Report::Failed(failure.to_string()));
            Ok(ExitCode::from(2))
        }
        other => other,
    }
}

async fn play(part: Part, casting: &Casting) -> Outcome {
    let folder = &casting.folder;
    let stage = stage(folder)?;
    match part {
        Part::Alice => {
            let application = front::listen(stage.alice.application).await?;
            let bound = gateway(casting, &configuration::of_alice(&stage)).await?;
            let log = front::open(folder, stage.alice.front, Some(stage.alice.gateway)).await?;
            apps::alice(application, &stage);
            take_orders(casting, Role { log, does: Does::Alice { to_eve: stage.alice_to_eve } });
            bound.run().await;
        }
        Part::Bob => {
            let application = front::listen(stage.bob.application).await?;
            let bound = gateway(casting, &configuration::of_bob(&stage)).await?;
            let log = front::open(folder, stage.bob.front, Some(stage.bob.gateway)).await?;
            apps::bob(application);
            take_orders(casting, Role { log, does: Does::Bob(Management::here(bound.opened().clone())) });
            bound.run().await;
        }
        Part::Eve => {
            let application = front::listen(stage.eve.application).await?;
            let log = front::open(folder, stage.eve.front, None).await?;
            let eve = Eve::new(folder, &stage).await?;
            eve.serve(application);
            take_orders(casting, Role { log, does: Does::Eve(eve) });
            until_told().await?;
        }
        Part::Authority => certificates::make(folder, &Stage::of_containers())?,
        Part::Api | Part::Service => {}
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
fn take_orders(casting: &Casting, role: Role) {
    let role = Arc::new(role);
    follow_orders(casting, move |order| {
        let role = role.clone();
        async move { role.follow(order).await }
    });
}

/// The same, by whatever follows an order.
pub(super) fn follow_orders<F, Following>(casting: &Casting, follow: F)
where
    F: Fn(Order) -> Following + Send + Sync + 'static,
    Following: Future<Output = Report> + Send,
{
    if !casting.directed {
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
