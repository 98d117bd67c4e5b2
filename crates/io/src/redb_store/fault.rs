//! What can be wrong with the file, told apart by what helps.

use std::path::Path;

use countersign::store::StoreError;

use crate::OpenError;

/// Why something could not be read or written.
#[derive(Debug)]
pub(super) enum Fault {
    /// The system said no: a full disk, a lost volume. The same file may do again later.
    System(String),
    /// The file is not as it was written.
    Damage(String),
    /// One entry cannot be read by this version; all else can.
    Entry(StoreError),
}

/// What redb said, as a fault of the file.
pub(super) fn fault(error: impl Into<redb::Error>) -> Fault {
    match error.into() {
        // redb makes errors of this type itself, too, about what it finds in the file.
        redb::Error::Io(error) if error.raw_os_error().is_none() => Fault::Damage(error.to_string()),
        error @ (redb::Error::Io(_) | redb::Error::PreviousIo | redb::Error::DatabaseClosed) => {
            Fault::System(error.to_string())
        }
        error => Fault::Damage(error.to_string()),
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Entry(error)
    }
}

impl Fault {
    /// As an answer to whoever wanted to open the file.
    pub(super) fn opening(self, path: &Path) -> OpenError {
        let path = path.to_owned();
        match self {
            Self::System(reason) => OpenError::File { path, reason },
            Self::Damage(reason) => OpenError::Damaged { path, reason },
            Self::Entry(error) => OpenError::Damaged { path, reason: error.to_string() },
        }
    }
}
