//! The command line: what is asked, and what is printed.

mod arguments;
mod call;
mod callback;
mod configuration;
mod decode;
mod demo;
mod dev;
mod explain;
mod init;
mod key;
mod key_add;
mod log;
mod management;
mod raw;
mod serve;
mod shared;
mod sign;
mod store;
mod subject;
mod user;
mod verify;

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use countersign_gateway::config::{Loaded, Overrides, load};
use countersign_gateway::settings::ConfigError;
use countersign_gateway::terminal::escape;

use arguments::{Arguments, Command, SettingFlags};
use shared::Shared;

/// A request is some forty small allocations with buffers that come and go among them, for which glibc's allocator is
/// slow (docs/decisions/0032-what-a-release-is-built-with.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A mistake in use, or something that stands in the way: shown, and exit code 2.
#[derive(Debug)]
enum Failure {
    /// What is wrong with the configuration.
    Config(ConfigError),
    /// Anything else, in a sentence.
    Said(String),
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Said(error.to_string())
    }
}

impl Failure {
    fn said(what: impl Into<String>) -> Self {
        Self::Said(what.into())
    }
}

type Outcome = Result<ExitCode, Failure>;

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(code) => code,
        Err(failure) => {
            let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            match failure {
                Failure::Config(error) => complain(error.render(colour).trim_end()),
                Failure::Said(what) => complain(&format!("countersign: {what}")),
            }
            ExitCode::from(2)
        }
    }
}

fn run(arguments: Arguments) -> Outcome {
    let shared = arguments.shared;
    match arguments.command {
        Command::Serve(flags) => serve::serve(&shared, flags),
        Command::Dev(flags) => dev::dev(&flags),
        Command::Init(flags) => init::init(&shared, &flags),
        Command::Key(command) => current_thread(key::key(&shared, command)),
        Command::Callback(command) => current_thread(callback::callback(&shared, command)),
        Command::Subject(command) => current_thread(subject::subject(&shared, command)),
        Command::User(command) => current_thread(user::user(&shared, command)),
        Command::Issuer(command) => current_thread(subject::issuer(&shared, command)),
        Command::Store(command) => current_thread(store::store(&shared, command)),
        Command::Call(flags) => current_thread(call::call(&shared, flags)),
        Command::Sign(flags) => current_thread(sign::sign(&shared, flags)),
        Command::Verify(flags) => verify::verify(&shared, &flags),
        Command::Decode(flags) => decode::decode(&shared, flags),
        Command::Demo(flags) => demo::demo(&shared, flags),
        Command::Explain(flags) => current_thread(explain::explain(&shared, flags)),
        Command::Config(command) => configuration::config(&shared, command),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "countersign", &mut script);
            print_bytes(&script)
        }
        Command::Man { folder } => man(folder.as_deref()),
    }
}

fn man(folder: Option<&std::path::Path>) -> Outcome {
    match folder {
        Some(folder) => {
            std::fs::create_dir_all(folder)?;
            clap_mangen::generate_to(Arguments::command(), folder)?;
            Ok(ExitCode::SUCCESS)
        }
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Arguments::command()).render(&mut page)?;
            print_bytes(&page)
        }
    }
}

/// The configuration that the command line names.
fn load_configuration(shared: &Shared, overrides: &Overrides) -> Result<Loaded, Failure> {
    load(&shared.config, overrides).map_err(Failure::Config)
}

/// What the environment says.
fn environment() -> Result<Overrides, Failure> {
    let mut variables = Vec::new();
    for (name, value) in std::env::vars_os() {
        let Ok(name) = name.into_string() else { continue };
        if name.starts_with("COUNTERSIGN_") {
            let value = value.into_string().map_err(|_| Failure::Said(format!("{name} is not UTF-8")))?;
            variables.push((name, value));
        }
    }
    Overrides::from_environment(variables).map_err(|problem| {
        let help = problem.help.map(|help| format!("\n  {help}")).unwrap_or_default();
        Failure::Said(format!("{}{help}", problem.message))
    })
}

/// What the environment and the flags say; a flag counts more.
fn overrides(flags: SettingFlags) -> Result<Overrides, Failure> {
    let mut overrides = environment()?;
    overrides.flag("server.listen", "--listen", flags.listen);
    overrides.flag("server.admin_listen", "--admin-listen", flags.admin_listen);
    overrides.flag("server.public_url", "--public-url", flags.public_url);
    overrides.flag("store.url", "--store", flags.store);
    Ok(overrides)
}

fn current_thread<F: Future<Output = Outcome>>(work: F) -> Outcome {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

/// Prints a line; a reader who has gone away is no error.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn complain(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn print_bytes(bytes: &[u8]) -> Outcome {
    let _ = std::io::stdout().write_all(bytes);
    Ok(ExitCode::SUCCESS)
}
