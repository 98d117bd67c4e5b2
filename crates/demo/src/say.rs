//! What people read: a demonstration is drawn on standard output.

use std::io::Write as _;

/// Prints a line; a reader who has gone away is no error.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
