//! One atomic operation, evaluated inside a write transaction.

use bytes::Bytes;
use countersign::store::Envelope;
use countersign::time::Timestamp;
use redb::{ReadableTable as _, Table};

use super::cache::Key;
use super::fault::{Fault, fault};
use super::file::Slot;

/// An operation on one entry.
pub(super) struct Operation {
    pub(super) key: Key,
    pub(super) change: Change,
}

/// What to do, and on which condition.
pub(super) enum Change {
    Insert { value: Bytes, until: Option<Timestamp> },
    Replace { old: Bytes, new: Bytes, until: Option<Timestamp> },
    Take { expected: Option<Bytes> },
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Done,
    NotDone,
    Taken(Bytes),
}

impl Answer {
    pub(super) fn is_done(&self) -> bool {
        *self == Self::Done
    }
}

/// An answer, and what the entry is from now on if it was changed.
pub(super) struct Outcome {
    pub(super) answer: Answer,
    pub(super) written: Option<Option<Envelope>>,
}

impl Outcome {
    const NOT_DONE: Self = Self { answer: Answer::NotDone, written: None };
}

impl Change {
    /// Evaluates the condition on what `table` holds now, and carries the change out.
    pub(super) fn carry_out(
        self,
        slot: Slot<'_>,
        table: &mut Table<'_, Slot<'static>, &'static [u8]>,
        now: Timestamp,
    ) -> Result<Outcome, Fault> {
        let current = match table.get(slot).map_err(fault)? {
            Some(bytes) => Some(Envelope::decode(&Bytes::copy_from_slice(bytes.value()))?),
            None => None,
        };
        let current = current.filter(|entry| entry.lives(now)).map(|entry| entry.value);
        let (value, until) = match self {
            Self::Insert { value, until } if current.is_none() => (value, until),
            Self::Replace { old, new, until } if current.as_ref() == Some(&old) => (new, until),
            Self::Take { expected } => {
                let matches = |value: &Bytes| expected.is_none_or(|expected| expected == *value);
                let Some(value) = current.filter(matches) else {
                    return Ok(Outcome::NOT_DONE);
                };
                table.remove(slot).map_err(fault)?;
                return Ok(Outcome { answer: Answer::Taken(value), written: Some(None) });
            }
            Self::Insert { .. } | Self::Replace { .. } => return Ok(Outcome::NOT_DONE),
        };
        let bytes = Envelope::encode(&value, until);
        table.insert(slot, bytes.as_slice()).map_err(fault)?;
        // Decoded from our own copy, so that the cache never holds on to a caller's larger buffer.
        let written = Envelope::decode(&Bytes::from(bytes))?;
        Ok(Outcome { answer: Answer::Done, written: Some(Some(written)) })
    }
}
