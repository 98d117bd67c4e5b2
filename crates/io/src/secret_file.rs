//! Files that hold secrets: read only if nobody else can read them. And those that hold keys for everybody.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use countersign::crypto::{Random, SealKey, Secret};
use zeroize::Zeroizing;

/// Why a secret file was not used.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// It cannot be opened, read or written.
    #[error("{file}: {error}")]
    Io {
        /// Which.
        file: String,
        /// Why.
        error: io::Error,
    },
    /// Others may read it.
    #[error(
        "{file} can be read by others (mode {mode:o}): run `chmod 600 {file}`, or let root own it with a group of ours and \
         mode 640"
    )]
    Mode {
        /// Which.
        file: String,
        /// Its permission bits.
        mode: u32,
    },
    /// It does not hold what it should.
    #[error("{file} {wrong}")]
    Content {
        /// Which.
        file: String,
        /// What is wrong.
        wrong: &'static str,
    },
}

/// The largest file that is taken for a secret.
const LARGEST: usize = 64 * 1024;

/// Reads a file that nobody else can read. A line break at the end of text is the editor's, and no part of the
/// secret; bytes that are no text are a secret as they are.
///
/// # Errors
/// [`SecretFileError`].
pub fn read_secret(path: &Path) -> Result<Secret<Vec<u8>>, SecretFileError> {
    let file = path.display().to_string();
    let io = |error| SecretFileError::Io { file: file.clone(), error };
    let opened = File::open(path).map_err(io)?;
    // Judged on the open file, so that it cannot be exchanged in between.
    let metadata = opened.metadata().map_err(io)?;
    let ours = |group| rustix::process::getegid().as_raw() == group || in_group(group);
    if !is_kept(metadata.mode(), metadata.uid(), || ours(metadata.gid())) {
        return Err(SecretFileError::Mode { file, mode: metadata.mode() & 0o777 });
    }
    // Large enough from the start: a buffer that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(LARGEST + 1));
    opened.take(LARGEST as u64 + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() > LARGEST {
        return Err(SecretFileError::Content { file, wrong: "is larger than 64 KiB: that is no secret" });
    }
    Ok(Secret::new(without_line_break(&bytes).to_vec()))
}

/// Reads a file that is no secret and has no more than `most` bytes.
///
/// # Errors
/// Which file, and why not.
pub fn read_file(path: &Path, most: usize) -> Result<Vec<u8>, String> {
    let said = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| said(&error))?;
    file.take(most as u64 + 1).read_to_end(&mut bytes).map_err(|error| said(&error))?;
    match bytes.len() <= most {
        true => Ok(bytes),
        false => Err(said(&format!("it is larger than {} KiB", most / 1024))),
    }
}

/// Whether nobody else can read a file: mode 0600 and less, or, as Kubernetes and service managers mount it,
/// 0640 and less where root owns it and `ours` says that its group is one of ours. PostgreSQL has the same rule.
fn is_kept(mode: u32, owner: u32, ours: impl FnOnce() -> bool) -> bool {
    mode & 0o077 == 0 || (owner == 0 && mode & 0o037 == 0 && ours())
}

fn in_group(group: u32) -> bool {
    rustix::process::getgroups().is_ok_and(|groups| groups.iter().any(|ours| ours.as_raw() == group))
}

/// `secret` without the line break that ends it, where all before it is text.
fn without_line_break(secret: &[u8]) -> &[u8] {
    let Some(text) = secret.strip_suffix(b"\n") else { return secret };
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    // Of random bytes that end so, none are ever text: 31 of them are with a chance of about one in 10^12.
    let is_text = std::str::from_utf8(text).is_ok_and(|text| {
        !text.chars().any(|character| character.is_control() && !matches!(character, '\n' | '\r' | '\t'))
    });
    if is_text { text } else { secret }
}

/// A sealing key for a store that ends with the process.
pub fn passing_seal_key(random: &dyn Random) -> SealKey {
    let mut key = Zeroizing::new([0_u8; 32]);
    random.fill(&mut *key);
    SealKey::new(Secret::new(*key))
}

/// Makes a sealing key in `path`, unless one is there. `true`: it was made.
///
/// # Errors
/// [`SecretFileError`].
pub fn make_seal_key(path: &Path, random: &dyn Random) -> Result<bool, SecretFileError> {
    let mut key = Zeroizing::new([0; 32]);
    random.fill(&mut *key);
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(&*key).and_then(|()| file.sync_all()));
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(SecretFileError::Io { file: path.display().to_string(), error }),
    }
}

/// The sealing key in `path`.
///
/// # Errors
/// [`SecretFileError`].
pub fn seal_key(path: &Path) -> Result<SealKey, SecretFileError> {
    let bytes = read_secret(path)?;
    let wrong = "does not hold exactly 32 bytes: a sealing key is made with `head -c 32 /dev/urandom`";
    let wrong = |_| SecretFileError::Content { file: path.display().to_string(), wrong };
    let key: [u8; 32] = bytes.expose().as_slice().try_into().map_err(wrong)?;
    Ok(SealKey::new(Secret::new(key)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign::crypto::SystemRandom;
    use std::os::unix::fs::PermissionsExt as _;

    fn written(bytes: &[u8], mode: u32) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        (folder, path)
    }

    #[test]
    fn a_sealing_key_is_made_once_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seal.key");
        assert!(seal_key(&path).is_err());
        assert!(make_seal_key(&path, &SystemRandom).unwrap());
        let key = seal_key(&path).unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        let sealed = key.seal(&SystemRandom, "p", b"id", b"x");
        assert!(!make_seal_key(&path, &SystemRandom).unwrap());
        let again = seal_key(&path).unwrap();
        assert_eq!(again.open("p", b"id", &sealed).unwrap().expose(), b"x");
    }

    #[test]
    fn a_key_that_others_can_read_or_of_another_length_is_not_used() {
        let (_folder, path) = written(&[1; 32], 0o644);
        let error = seal_key(&path).err().unwrap();
        assert!(matches!(error, SecretFileError::Mode { mode: 0o644, .. }), "{error}");
        for wrong in [31, 33] {
            let (_folder, path) = written(&vec![1; wrong], 0o600);
            assert!(matches!(seal_key(&path), Err(SecretFileError::Content { .. })));
        }
    }

    #[test]
    fn a_file_is_kept_by_its_mode_or_by_root_and_a_group_of_ours() {
        for (mode, owner, ours, kept) in [
            (0o600, 1000, false, true),
            (0o400, 1000, false, true),
            (0o440, 0, true, true),
            (0o640, 0, true, true),
            (0o440, 0, false, false),
            (0o440, 1000, true, false),
            (0o660, 0, true, false),
            (0o650, 0, true, false),
            (0o644, 0, true, false),
            (0o441, 0, true, false),
            (0o604, 0, true, false),
        ] {
            assert_eq!(is_kept(mode, owner, || ours), kept, "{mode:o} of {owner}, group ours: {ours}");
        }
    }

    #[test]
    fn a_final_line_break_is_no_part_of_text_and_a_part_of_bytes() {
        let random = [0x9f, 0x00, 0xff, 0x0a];
        for (file, secret) in [
            (&b"a secret\n"[..], &b"a secret"[..]),
            (b"a secret\r\n", b"a secret"),
            (b"a secret", b"a secret"),
            (b"one\n\n", b"one\n"),
            ("gr\u{fc}n\n".as_bytes(), "gr\u{fc}n".as_bytes()),
            (b"\n", b""),
            (&random, &random),
            (b"\x01text\n", b"\x01text\n"),
        ] {
            let (_folder, path) = written(file, 0o600);
            assert_eq!(read_secret(&path).unwrap().expose(), secret, "{file:?}");
        }
    }

    #[test]
    fn a_file_that_is_too_large_is_no_secret_and_is_not_cut() {
        let (_folder, path) = written(&vec![b'x'; 64 * 1024], 0o600);
        assert_eq!(read_secret(&path).unwrap().expose().len(), 64 * 1024);
        let (_folder, path) = written(&vec![b'x'; 64 * 1024 + 1], 0o600);
        assert!(matches!(read_secret(&path), Err(SecretFileError::Content { .. })));
    }
}
