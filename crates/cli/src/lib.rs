//! The command line: what is asked, and what is printed.

mod arguments;
mod call;
mod callback;
mod configuration;
mod decode;
mod demo;
mod dev;
mod explain;
mod failure;
mod global_flags;
mod init;
mod issuer;
mod key;
mod key_add;
mod log;
mod management;
mod manual;
mod raw;
mod say;
mod serve;
mod settings;
mod sign;
mod store;
mod subject;
mod user;
mod verify;

use std::process::ExitCode;

use clap::Parser as _;

use arguments::{Arguments, Command};
use failure::{Failure, Outcome};
use say::{complain, complains_in_colour};

/// A request is some forty small allocations with buffers that come and go among them, for which glibc's allocator is
/// slow (docs/decisions/0032-what-a-release-is-built-with.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(code) => code,
        Err(failure) => {
            match failure {
                Failure::Config(error) => complain(error.render(complains_in_colour()).trim_end()),
                Failure::Said(what) => complain(&format!("countersign: {what}")),
            }
            ExitCode::from(2)
        }
    }
}

fn run(arguments: Arguments) -> Outcome {
    let global = arguments.global;
    match arguments.command {
        Command::Serve(flags) => serve::serve(&global, flags),
        Command::Dev(flags) => dev::dev(&flags),
        Command::Init(flags) => init::init(&global, &flags),
        Command::Key(command) => current_thread(key::key(&global, command)),
        Command::Callback(command) => current_thread(callback::callback(&global, command)),
        Command::Subject(command) => current_thread(subject::subject(&global, command)),
        Command::User(command) => current_thread(user::user(&global, command)),
        Command::Issuer(command) => current_thread(issuer::issuer(&global, command)),
        Command::Store(command) => current_thread(store::store(&global, command)),
        Command::Call(flags) => current_thread(call::call(&global, flags)),
        Command::Sign(flags) => current_thread(sign::sign(&global, flags)),
        Command::Verify(flags) => current_thread(verify::verify(&global, &flags)),
        Command::Decode(flags) => decode::decode(&global, flags),
        Command::Demo(flags) => demo::demo(&global, flags),
        Command::Explain(flags) => current_thread(explain::explain(&global, flags)),
        Command::Config(command) => configuration::config(&global, command),
        Command::Completions { shell } => manual::completions(shell),
        Command::Man { folder } => manual::man(folder.as_deref()),
    }
}

fn current_thread<F: Future<Output = Outcome>>(work: F) -> Outcome {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}
