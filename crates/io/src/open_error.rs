//! Why a store could not be opened.

use std::path::PathBuf;

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process, such as a running gateway, has the file open.
    #[error("another process has {} open", .0.display())]
    AlreadyOpen(PathBuf),
    /// The file cannot be opened, read or written.
    #[error("cannot open {}: {reason}", path.display())]
    File {
        /// The store's file.
        path: PathBuf,
        /// What the system or the database said.
        reason: String,
    },
    /// The file is not as it was written, or is no store.
    #[error(
        "{} is damaged, or is no store ({reason}): put a backup in its place and start with `countersign serve --restored`; docs/reference/store.md says what to look at then",
        path.display()
    )]
    Damaged {
        /// The store's file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// The file was put back from a copy: what was revoked and used since then is not in it.
    #[error(
        "{} is older than what this machine wrote: {why}. If it was put back from a copy, start once with `countersign serve --restored`; docs/reference/store.md says what that ends, and what nobody can know",
        path.display()
    )]
    Older {
        /// The store's file.
        path: PathBuf,
        /// By what it is known.
        why: String,
    },
    /// `--restored` is for a store in a file.
    #[error("--restored is for a store in a file (redb:<path>), and this one is {0}")]
    NotRestored(String),
    /// The Redis at that address did not answer, or refused us.
    #[error("cannot use {address}: {reason}")]
    Redis {
        /// Host, port and database, without credentials.
        address: String,
        /// What went wrong.
        reason: String,
    },
}
