//! `countersign`: API authentication in which nothing that leaks is enough.

use std::process::ExitCode;

fn main() -> ExitCode {
    countersign_cli::main()
}
