//! Measures the gateway beside what it can be compared with, on this machine, now.
//!
//! Figures drift from hour to hour and from machine to machine, so everything is measured in rounds, each
//! contender once a round, and ratios are taken within a round. Nothing is asserted. Ratios are of the `dist` profile, which
//! packages are built with; the report says which one it was.
//!
//! ```text
//! cargo run --profile dist -p countersign-bench -- [--rounds 12] [--seconds 3] [--quick] [MEASUREMENT]
//! ```

mod contender;
mod gateway;
mod keys;
mod load;
mod machine;
mod memory;
mod process;
mod report;
mod script;
mod serve;
mod session;
mod signature;
mod tokens;
mod webhook;

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Anything that stands in the way of a measurement.
type Failure = Box<dyn std::error::Error>;

/// Measures the gateway beside a bare hyper proxy, nginx and HAProxy; prints Markdown.
#[derive(Parser)]
struct Arguments {
    /// How often each contender is measured.
    #[arg(long, default_value_t = 12)]
    rounds: usize,
    /// How long each time, in whole seconds.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// One short round with fewer keys: shows that it runs, measures nothing.
    #[arg(long)]
    quick: bool,
    #[command(subcommand)]
    role: Option<Role>,
}

/// Another measurement, or what this program is started as by itself.
#[derive(Subcommand)]
enum Role {
    /// Measures webhook authentication beside the same exchanges by bare hyper services.
    Webhook,
    /// Measures signed requests through the gateway beside the same requests through a public route.
    Signature,
    /// Measures sessions through the gateway beside the same requests through a public route, and sign-ins.
    Session,
    /// Measures tokens through the gateway: access tokens, beside HAProxy's, callback URLs, and issuing.
    #[command(name = "bearer")]
    Tokens,
    /// Answers every request with a few bytes.
    #[command(hide = true)]
    Upstream { listen: SocketAddr },
    /// Passes every request on, and asks nobody anything.
    #[command(hide = true)]
    Proxy { listen: SocketAddr, upstream: SocketAddr },
}

fn main() -> ExitCode {
    // Under its own name this program is the gateway of the same build: nothing else is compiled, and
    // nothing else is measured.
    let name = std::env::args_os().next().unwrap_or_default();
    if Path::new(&name).file_name().is_some_and(|name| name == process::GATEWAY) {
        return countersign_cli::main();
    }
    let arguments = Arguments::parse();
    let done = match arguments.role {
        Some(Role::Webhook) => webhook::measure(arguments.rounds, arguments.seconds),
        Some(Role::Signature) => signature::measure(arguments.rounds, arguments.seconds),
        Some(Role::Session) => session::measure(arguments.rounds, arguments.seconds),
        Some(Role::Tokens) => tokens::measure(arguments.rounds, arguments.seconds),
        Some(Role::Upstream { listen }) => serve::upstream(listen),
        Some(Role::Proxy { listen, upstream }) => serve::proxy(listen, upstream),
        None => measure(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("countersign-bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &Arguments) -> Result<(), Failure> {
    let plan = report::Plan::new(arguments.rounds, arguments.seconds, arguments.quick);
    let bench = contender::Bench::set_up(&plan)?;
    let mut rounds = Vec::new();
    for round in 0..plan.rounds {
        eprintln!("round {} of {}", round + 1, plan.rounds);
        rounds.push(bench.round(round, plan.seconds)?);
    }
    eprintln!("memory");
    let memory = memory::measure(&bench, plan.connections)?;
    report::print(&plan, &bench, &rounds, &memory)
}
