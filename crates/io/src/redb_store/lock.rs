//! The lock beside the file, for as long as a process works on it.
//!
//! redb locks the file itself, and lets go of it whenever it is dropped: between two attempts to open it again the
//! file would be anybody's. What another process accepted meanwhile is not in our ledger, and would pass once more.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};

use crate::OpenError;

/// Takes it: the same name, and `.lock` behind it. It is given back when it is dropped, and by any end of the process.
/// The file stays: whoever removed it could not know that nobody holds it.
pub(super) fn lock(store: &Path) -> Result<File, OpenError> {
    let mut path = store.as_os_str().to_owned();
    path.push(".lock");
    let path = PathBuf::from(path);
    let failed = |error: io::Error| OpenError::File { path: path.clone(), reason: error.to_string() };
    let opened = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = opened.map_err(failed)?;
    // Somebody may have run a command as root: the gateway's own user has to open it, too.
    if let Ok(owner) = std::fs::metadata(store) {
        let _ = fchown(&file, Some(owner.uid()), Some(owner.gid()));
    }
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(OpenError::AlreadyOpen(store.to_owned())),
        // Some network file systems know no locks: redb works without there, too.
        Err(TryLockError::Error(error)) if error.kind() != io::ErrorKind::Unsupported => Err(failed(error)),
        _ => Ok(file),
    }
}
