//! The mark beside the file: how far this machine has written it. A file that is not as far has been put back
//! from a copy, and what was revoked and used since then is not in it.
//!
//! Every commit that changes something counts the file's generation up, and the mark follows it: first the file,
//! durably, then the mark. So whatever is killed when, the file is never behind its own mark. The first of all is
//! the one exception: there the mark is made first, at generation 0, so that a file which has a generation always
//! has had a mark.
//!
//! The mark is some 80 bytes that are overwritten in their place (one sector, which a disk writes whole), without
//! waiting for the disk: a kill loses nothing of it, a power cut what the system had not yet written by itself. It
//! then says less than it could, and never too much.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use countersign::time::Timestamp;

use super::lock::NO_LINK;
use crate::OpenError;

/// Which file, and how far it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// When the first mark was made, in milliseconds: the file and its mark say the same.
    pub(super) born: u64,
    /// How many commits it has seen, the first at 1.
    pub(super) generation: u64,
}

impl Mark {
    const HEAD: &str = "countersign store mark 1";

    fn text(self) -> String {
        format!("{}\nborn {:020}\ngeneration {:020}\n", Self::HEAD, self.born, self.generation)
    }

    fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(Self::HEAD)?.strip_prefix("\nborn ")?;
        let (born, generation) = rest.strip_suffix('\n')?.split_once("\ngeneration ")?;
        let mark = Self { born: born.parse().ok()?, generation: generation.parse().ok()? };
        // Of one length always, or overwriting it in its place would leave something of the last.
        (mark.text() == text).then_some(mark)
    }
}

/// What lies on the disk, as the writer has left it.
pub(super) struct Written {
    pub(super) beside: Beside,
    /// What the file says after the last commit.
    pub(super) mark: Mark,
    /// What the clock had shown by then.
    pub(super) shown: Timestamp,
    /// Keeps others out, on a file of its own.
    pub(super) lock: File,
}

/// The mark of a store's file.
pub(super) struct Beside {
    path: PathBuf,
    file: Option<File>,
}

impl Beside {
    /// The mark of the store in `store`: the same name, and `.mark` behind it.
    pub(super) fn of(store: &Path) -> Self {
        let mut path = store.as_os_str().to_owned();
        path.push(".mark");
        Self { path: path.into(), file: None }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What it says; `None` where there is none.
    ///
    /// # Errors
    /// It cannot be read, or is no mark.
    pub(super) fn read(&self) -> io::Result<Option<Mark>> {
        let text = match std::fs::read_to_string(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read?,
        };
        let nothing = || io::Error::new(io::ErrorKind::InvalidData, "it is no mark of a store");
        Mark::parse(&text).ok_or_else(nothing).map(Some)
    }

    /// Makes it anew, durably.
    pub(super) fn make(&mut self, mark: Mark) -> io::Result<()> {
        let mut next = self.path.clone().into_os_string();
        next.push(".new");
        // What was left of an attempt, or a link that somebody else has put there.
        match std::fs::remove_file(&next) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&next)?;
        file.write_all(mark.text().as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&next, &self.path)?;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
        self.file = Some(file);
        Ok(())
    }

    /// Follows a commit.
    pub(super) fn write(&mut self, mark: Mark) -> io::Result<()> {
        if self.file.is_none() {
            self.file = Some(OpenOptions::new().write(true).custom_flags(NO_LINK).open(&self.path)?);
        }
        match &self.file {
            Some(file) => file.write_all_at(mark.text().as_bytes(), 0),
            None => Ok(()),
        }
    }

    /// Waits for the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.as_ref().map_or(Ok(()), File::sync_data)
    }
}

/// How far a file was written, and whether that is as far as this machine had written it.
pub(super) struct Age<'a> {
    pub(super) path: &'a Path,
    /// Nothing was ever written to it: new, or emptied.
    pub(super) is_fresh: bool,
    pub(super) file: Option<Mark>,
    pub(super) now: Timestamp,
}

impl Age<'_> {
    /// What the file goes on from, and whether what was accepted since is lost.
    pub(super) fn judge(&self, beside: &mut Beside, restored: bool) -> Result<(Mark, bool), OpenError> {
        let older = |why: String| OpenError::Older { path: self.path.to_owned(), why };
        let at = beside.path().display().to_string();
        let failed =
            |error: std::io::Error| OpenError::File { path: at.clone().into(), reason: error.to_string() };
        let read = beside.read();
        if restored {
            // One that cannot be read says nothing; the file then speaks for itself.
            let known = [self.file, read.ok().flatten()];
            let first = Mark { born: self.now.as_millis(), generation: 0 };
            let born = known.into_iter().flatten().next_back().unwrap_or(first).born;
            let generation = known.into_iter().flatten().map(|mark| mark.generation).max().unwrap_or(0);
            return Ok((Mark { born, generation }, true));
        }
        match (self.file, read) {
            (_, Err(error)) => Err(older(format!("the mark beside it, {at}, cannot be read: {error}"))),
            // New here, or from before there were marks.
            (None, Ok(None)) => {
                let first = Mark { born: self.now.as_millis(), generation: 0 };
                beside.make(first).map_err(failed)?;
                Ok((first, false))
            }
            (None, Ok(Some(mark))) if mark.generation == 0 => Ok((mark, false)),
            // Its file was deleted or emptied: proofs that it had accepted are not in this one.
            (None, Ok(Some(mark))) if self.is_fresh => Ok((mark, true)),
            (None, Ok(Some(_))) => Err(older(format!("{at} says that it was written since"))),
            (Some(_), Ok(None)) => Err(older(format!("the mark beside it, {at}, is missing"))),
            (Some(file), Ok(Some(mark))) if file.born != mark.born => {
                Err(older(format!("{at} belongs to another store")))
            }
            (Some(file), Ok(Some(mark))) if file.generation < mark.generation => Err(older(format!(
                "it has seen {} writes, and {at} says that this machine made {}",
                file.generation, mark.generation
            ))),
            (Some(file), Ok(Some(_))) => Ok((file, false)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_back_overwritten_in_its_place_and_anything_else_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let mut beside = Beside::of(&folder.path().join("store.redb"));
        assert_eq!(beside.read().unwrap(), None);
        let first = Mark { born: 1_800_000_000_000, generation: 0 };
        beside.make(first).unwrap();
        assert_eq!(beside.read().unwrap(), Some(first));
        for generation in [1, u64::MAX, 12] {
            let mark = Mark { generation, ..first };
            beside.write(mark).unwrap();
            assert_eq!(beside.read().unwrap(), Some(mark));
        }
        let text = Mark { generation: 12, ..first }.text();
        for wrong in
            ["", "countersign store mark 1\n", &text[1..], &text[..text.len() - 1], &(text.clone() + "\n")]
        {
            std::fs::write(beside.path(), wrong).unwrap();
            assert_eq!(beside.read().unwrap_err().kind(), io::ErrorKind::InvalidData, "{wrong:?}");
        }
    }
}
