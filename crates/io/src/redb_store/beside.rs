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
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&next)?;
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
            self.file = Some(OpenOptions::new().write(true).open(&self.path)?);
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
