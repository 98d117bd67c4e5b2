//! What is printed. A reader who has gone away is no error.

use std::io::{IsTerminal as _, Write as _};

/// A line on standard output.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// A line on standard error.
pub(crate) fn complain(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Bytes as they are, on standard output.
pub(crate) fn say_bytes(bytes: &[u8]) {
    let _ = std::io::stdout().write_all(bytes);
}

/// Whether standard error takes colours.
pub(crate) fn complains_in_colour() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}
