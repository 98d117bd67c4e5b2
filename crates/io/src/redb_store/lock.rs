//! The lock beside the file, for as long as a process works on it.
//!
//! redb locks the file itself, and lets go of it whenever it is dropped: between two attempts to open it again the
//! file would be anybody's. What another process accepted meanwhile is not in our ledger, and would pass once more.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::OpenError;

/// Takes it: the same name, and `.lock` behind it. It is given back when it is dropped, and by any end of the process.
/// The file stays: whoever removed it could not know that nobody holds it.
pub(super) fn lock(store: &Path) -> Result<File, OpenError> {
    let mut path = store.as_os_str().to_owned();
    path.push(".lock");
    let path = PathBuf::from(path);
    let failed = |error: io::Error| OpenError::File { path: path.clone(), reason: error.to_string() };
    let file = open(&path, store).map_err(failed)?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(OpenError::AlreadyOpen(store.to_owned())),
        // Some network file systems know no locks: redb works without there, too.
        Err(TryLockError::Error(error)) if error.kind() != io::ErrorKind::Unsupported => Err(failed(error)),
        _ => Ok(file),
    }
}

/// Opens it, or makes it. The folder may be another user's than ours, where somebody runs a command as root: what is
/// there under this name, a link above all, is whatever that user chose. So no link is followed, and only what was
/// made here is given away.
fn open(path: &Path, store: &Path) -> io::Result<File> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            OpenOptions::new().write(true).custom_flags(NO_LINK).open(path)
        }
        made => {
            let file = made?;
            // The gateway's own user has to open it, too.
            if let Ok(owner) = std::fs::metadata(store) {
                let _ = fchown(&file, Some(owner.uid()), Some(owner.gid()));
            }
            Ok(file)
        }
    }
}

/// Opens no link.
pub(super) const NO_LINK: i32 = OFlags::NOFOLLOW.bits().cast_signed();

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{chown, symlink};

    use countersign::testing::NOW;

    use super::*;
    use crate::redb_store::file;

    const SOMEBODY: u32 = 12_345;

    fn owner(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().uid()
    }

    #[test]
    fn no_file_beside_the_store_is_opened_made_or_emptied_through_a_link() {
        for name in ["store.redb.lock", "store.redb.mark.new"] {
            for is_there in [false, true] {
                let folder = tempfile::tempdir().unwrap();
                let [store, victim, link] =
                    ["store.redb", "victim", name].map(|name| folder.path().join(name));
                if is_there {
                    std::fs::write(&victim, "theirs").unwrap();
                }
                symlink(&victim, &link).unwrap();
                let opened = file::open(&store, NOW, false).map(|_| ());
                match name {
                    "store.redb.lock" => assert!(matches!(opened, Err(OpenError::File { .. })), "{opened:?}"),
                    _ => assert!(opened.is_ok() && !link.exists(), "{opened:?}"),
                }
                let left = std::fs::read_to_string(&victim).ok();
                assert_eq!(left.as_deref(), is_there.then_some("theirs"), "{name}");
            }
        }
    }

    #[test]
    fn no_store_is_made_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let [store, victim] = ["store.redb", "victim"].map(|name| folder.path().join(name));
        symlink(&victim, &store).unwrap();
        let opened = file::open(&store, NOW, false).map(|_| ());
        assert!(matches!(opened, Err(OpenError::File { .. })), "{opened:?}");
        assert!(!victim.exists());
    }

    /// Only root gives files away: for anybody else, this says that they stay what they were.
    #[test]
    fn a_lock_that_was_made_is_the_stores_owners_and_one_that_was_there_stays_whose_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let [store, theirs, path] =
            ["store.redb", "theirs", "store.redb.lock"].map(|name| folder.path().join(name));
        std::fs::write(&store, "").unwrap();
        let _ = chown(&store, Some(SOMEBODY), None);
        drop(lock(&store).unwrap());
        assert_eq!(owner(&path), owner(&store));
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&theirs, "").unwrap();
        let before = owner(&theirs);
        std::fs::hard_link(&theirs, &path).unwrap();
        drop(lock(&store).unwrap());
        assert_eq!(owner(&theirs), before);
    }

    #[test]
    fn a_store_has_one_lock_and_one_mark_whatever_it_is_called() {
        let folder = tempfile::tempdir().unwrap();
        let [store, link, elsewhere] =
            ["store.redb", "link.redb", "elsewhere"].map(|name| folder.path().join(name));
        let opened = file::open(&store, NOW, false).unwrap();
        assert_eq!(opened.path, store.canonicalize().unwrap());
        // Between two attempts to open the file, the lock alone keeps others out.
        drop(opened.database);
        symlink(&store, &link).unwrap();
        symlink(folder.path(), &elsewhere).unwrap();
        for name in [&link, &elsewhere.join("store.redb"), &elsewhere.join("link.redb")] {
            let opened = file::open(name, NOW, false).map(|_| ());
            assert!(matches!(opened, Err(OpenError::AlreadyOpen(_))), "{}: {opened:?}", name.display());
        }
        drop(opened.lock);
        assert!(file::open(&link, NOW, false).is_ok(), "by the mark that is there");
        assert!(!folder.path().join("link.redb.mark").exists());
    }
}
