//! Where audit lines go: whole lines, to a file or to standard output.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::terminal;

pub(super) enum Sink {
    File {
        file: BufWriter<File>,
        /// Pipes and devices have no disk to be on.
        is_regular: bool,
        /// The last line may have broken off: another must not continue it.
        is_torn: bool,
    },
    Standard(io::Stdout),
}

impl Sink {
    pub(super) fn open(path: Option<&PathBuf>) -> io::Result<Self> {
        let Some(path) = path else {
            #[expect(
                clippy::disallowed_methods,
                reason = "where the audit log goes unless a file is named"
            )]
            return Ok(Self::Standard(io::stdout()));
        };
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        let is_regular = file.metadata()?.is_file();
        // A crash may have cut off the last line.
        let is_torn = is_regular && !ends_with_line(path)?;
        Ok(Self::File { file: BufWriter::with_capacity(64 * 1024, file), is_regular, is_torn })
    }

    /// Leaves a line for the next flush. A line is written as a whole, so that the buffer holds whole
    /// lines and a crash between two writes tears none.
    pub(super) fn write(&mut self, line: &impl Serialize) -> io::Result<()> {
        let line = terminal::json(line) + "\n";
        match self {
            Self::File { file, is_torn, .. } => {
                if std::mem::take(is_torn) {
                    file.write_all(b"\n")?;
                }
                file.write_all(line.as_bytes())
            }
            Self::Standard(out) => out.lock().write_all(line.as_bytes()),
        }
    }

    /// Writes a line at once. One that cannot be written is not kept for later: what it would say
    /// will have been refused.
    pub(super) fn write_durably(&mut self, line: &impl Serialize) -> io::Result<()> {
        self.flush(false)?;
        if let Self::File { file, is_torn, .. } = self {
            let start = if *is_torn { "\n" } else { "" };
            let line = format!("{start}{}\n", terminal::json(line));
            *is_torn = true;
            file.get_mut().write_all(line.as_bytes())?;
            *is_torn = false;
        } else {
            self.write(line)?;
        }
        self.flush(true)
    }

    pub(super) fn flush(&mut self, durably: bool) -> io::Result<()> {
        match self {
            Self::File { file, is_regular, .. } => {
                file.flush()?;
                if durably && *is_regular { file.get_ref().sync_data() } else { Ok(()) }
            }
            Self::Standard(out) => out.flush(),
        }
    }
}

fn ends_with_line(path: &Path) -> io::Result<bool> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        // One that may be written and not read is an audit log too.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(true),
        Err(error) => return Err(error),
    };
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn lines(path: &Path) -> Vec<Value> {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    #[test]
    fn a_line_that_broke_off_is_not_continued() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        std::fs::write(&path, "{\"a\":1}\n{\"b\":").unwrap();
        let mut sink = Sink::open(Some(&path)).unwrap();
        sink.write_durably(&json!({ "c": 3 })).unwrap();
        drop(sink);
        std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{").unwrap();
        let mut sink = Sink::open(Some(&path)).unwrap();
        sink.write(&json!({ "d": 4 })).unwrap();
        sink.write(&json!({ "e": 5 })).unwrap();
        sink.flush(false).unwrap();
        assert_eq!(
            lines(&path),
            [json!({ "a": 1 }), json!({ "c": 3 }), json!({ "d": 4 }), json!({ "e": 5 })]
        );
    }

    #[test]
    fn a_line_that_was_refused_is_not_written_later() {
        let mut sink = Sink::open(Some(&PathBuf::from("/dev/full"))).unwrap();
        assert!(sink.write_durably(&json!({ "refused": true })).is_err());
        let Sink::File { file, .. } = &sink else { panic!("a file") };
        assert_eq!(file.buffer(), b"");
    }
}
