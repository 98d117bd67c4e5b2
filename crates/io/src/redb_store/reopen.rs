//! A file that could not be read or written is opened again, as soon as it can be.
//!
//! After one failed write redb answers nothing but errors until it is opened anew: a disk that was full for a
//! moment would close the gate until somebody restarts it. Meanwhile every answer is an error at once.

use std::time::{Duration, Instant};

use super::beside::Written;
use super::{Shared, file};
use crate::OpenError;

/// How long after a failure the file is opened again at first, and how long at most after several.
const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(2);
/// Whoever fails again so soon after it was opened waits as long as before.
const STEADY: Duration = Duration::from_secs(30);

/// Where the attempts stand.
#[derive(Default)]
pub(super) struct Reopening {
    /// The last attempt, and how long to wait after it.
    attempted: Option<(Instant, Duration)>,
    /// The file is damaged: nothing that we could try helps.
    is_hopeless: bool,
    mark_has_failed: bool,
}

impl Reopening {
    /// Whether it is the first time that the mark could not be written.
    pub(super) fn is_first_failure_of_the_mark(&mut self) -> bool {
        !std::mem::replace(&mut self.mark_has_failed, true)
    }

    /// Opens the file again, if it has been given up and it is time, and notes how far it is.
    pub(super) fn try_if_due(&mut self, shared: &Shared, written: &mut Written) {
        if !shared.trouble.is_there() || self.is_hopeless {
            return;
        }
        let wait = match self.attempted {
            Some((at, _)) if at.elapsed() > STEADY => FIRST,
            Some((_, wait)) => wait,
            None => FIRST,
        };
        match self.attempted {
            Some((at, _)) if at.elapsed() < wait => return,
            _ => {}
        }
        let begun = Instant::now();
        shared.drop_database();
        let opened = file::open_again(&shared.path, &mut written.beside, written.mark, shared.later());
        // A large file takes its time to be read: most of ours is not for that.
        self.attempted = Some((Instant::now(), (wait * 2).min(LONGEST).max(begun.elapsed() * 3)));
        match opened {
            Ok((database, mark)) => {
                // A commit whose outcome nobody knew may have come to be.
                shared.cache.clear();
                shared.put_database(database);
                shared.trouble.end(&shared.path);
                written.mark = mark;
            }
            Err(error) => {
                // The system may say yes the next time; a file that is not what it was stays so.
                if !matches!(error, OpenError::File { .. } | OpenError::AlreadyOpen(_)) {
                    self.is_hopeless = true;
                    tracing::error!(%error, "the store does not come back by itself");
                }
                shared.trouble.goes_on(error.to_string());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use countersign::store::Ledger;
    use countersign::testing::NOW;

    use super::*;
    use crate::redb_store::beside::Mark;
    use crate::redb_store::file::Opened;

    #[test]
    fn only_the_file_that_was_written_is_opened_again_and_none_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.redb");
        let Opened { database, mut beside, mark, lock, .. } = file::open(&path, NOW, false).unwrap();
        drop(database);
        let opened = file::open(&path, NOW, false).map(|_| ());
        assert!(matches!(opened, Err(OpenError::AlreadyOpen(_))), "between two attempts: {opened:?}");
        let further = Mark { generation: mark.generation + 1, ..mark };
        let foreign = Mark { born: mark.born + 1, ..mark };
        for wrong in [further, foreign] {
            let opened = file::open_again(&path, &mut beside, wrong, NOW).map(|(_, mark)| mark);
            assert!(matches!(opened, Err(OpenError::Older { .. })), "{opened:?}");
        }
        let (database, next) = file::open_again(&path, &mut beside, mark, NOW).unwrap();
        assert_eq!(next, further);
        assert_eq!(beside.read().unwrap(), Some(next));
        // Another process had it meanwhile, and stopped well: its ledger is not ours.
        let after = Mark { generation: next.generation + 1, ..next };
        file::save(&database, &Ledger::default(), NOW, NOW, after).unwrap();
        drop(database);
        let opened = file::open_again(&path, &mut beside, next, NOW).map(|(_, mark)| mark);
        assert!(matches!(opened, Err(OpenError::Older { .. })), "{opened:?}");
        drop(lock);
        assert!(file::open(&path, NOW, false).is_ok(), "the next process");
        std::fs::remove_file(&path).unwrap();
        let opened = file::open_again(&path, &mut beside, mark, NOW).map(|(_, mark)| mark);
        assert!(matches!(opened, Err(OpenError::File { .. })), "{opened:?}");
        assert!(!path.exists());
    }
}
