//! Files that hold secrets: read only if nobody else can read them.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use countersign::crypto::{Random, SealKey, Secret};
use zeroize::Zeroize as _;

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
    #[error("{file} can be read by others (mode {mode:o}): run `chmod 600 {file}`")]
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

/// Reads a file whose mode is 0600 or stricter, at most 64 KiB of it.
pub fn read_secret(path: &Path) -> Result<Secret<Vec<u8>>, SecretFileError> {
    let file = path.display().to_string();
    let io = |error| SecretFileError::Io { file: file.clone(), error };
    let opened = File::open(path).map_err(io)?;
    // Judged on the open file, so that it cannot be exchanged in between.
    let mode = opened.metadata().map_err(io)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(SecretFileError::Mode { file, mode });
    }
    let mut bytes = Vec::new();
    opened.take(64 * 1024).read_to_end(&mut bytes).map_err(io)?;
    Ok(Secret::new(bytes))
}

/// A sealing key for a store that ends with the process.
pub fn passing_seal_key(random: &dyn Random) -> SealKey {
    let mut key = zeroize::Zeroizing::new([0_u8; 32]);
    random.fill(&mut *key);
    SealKey::new(Secret::new(*key))
}

/// The sealing key in `path`. With `make`, one is made when the file is not there.
pub fn seal_key(path: &Path, make: bool, random: &dyn Random) -> Result<SealKey, SecretFileError> {
    let file = path.display().to_string();
    if make && !path.exists() {
        let mut key = [0_u8; 32];
        random.fill(&mut key);
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .and_then(|mut file| file.write_all(&key).and_then(|()| file.sync_all()));
        key.zeroize();
        match written {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(SecretFileError::Io { file, error });
            }
            _ => {}
        }
    }
    let bytes = read_secret(path)?;
    let key: [u8; 32] = bytes
        .expose()
        .as_slice()
        .try_into()
        .map_err(|_| SecretFileError::Content { file, wrong: "does not hold exactly 32 bytes" })?;
    Ok(SealKey::new(Secret::new(key)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign::crypto::SystemRandom;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_sealing_key_is_made_once_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seal.key");
        assert!(seal_key(&path, false, &SystemRandom).is_err());
        let key = seal_key(&path, true, &SystemRandom).unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        let sealed = key.seal(&SystemRandom, "p", b"id", b"x");
        let again = seal_key(&path, true, &SystemRandom).unwrap();
        assert_eq!(again.open("p", b"id", &sealed).unwrap().expose(), b"x");
    }

    #[test]
    fn a_key_that_others_can_read_or_of_another_length_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seal.key");
        std::fs::write(&path, [1; 32]).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = seal_key(&path, true, &SystemRandom).err().unwrap();
        assert!(matches!(error, SecretFileError::Mode { mode: 0o644, .. }), "{error}");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, [1; 31]).unwrap();
        assert!(matches!(seal_key(&path, true, &SystemRandom), Err(SecretFileError::Content { .. })));
    }
}
