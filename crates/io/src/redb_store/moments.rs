//! The few numbers of the file: moments in milliseconds, and how far it was written.

use countersign::time::Timestamp;
use redb::{ReadableTable, Table, TableDefinition};

use super::beside::Mark;
use super::fault::{Fault, fault};
use super::proofs::{Leap, Refused};

pub(super) const MOMENTS: TableDefinition<'_, &str, u64> = TableDefinition::new("_moments");

/// No proof made after this was accepted without a write.
const MARK: &str = "mark";
/// The latest moment that the clock had shown at the last commit.
const SHOWN: &str = "shown";
/// The word of a clean stop: when it was. The saved ledger is complete if, and only if, it is there.
const CLEAN: &str = "clean";
/// See [`Refused`].
const CUT_OFF: &str = "cut-off";
const UNDATED: &str = "undated-until";
const AHEAD_FROM: &str = "ahead-from";
const AHEAD_UNTIL: &str = "ahead-until";
/// What was given out before may have been used or ended in what is lost.
const FORGETS: &str = "forgets-before";
/// See [`Leap`].
const LEAPT_FROM: &str = "leapt-from";
const LEAPT_TO: &str = "leapt-to";
/// See [`Mark`].
const BORN: &str = "born";
const GENERATION: &str = "generation";

/// All of them, as they stand in the file.
#[derive(Default)]
pub(super) struct Moments {
    pub(super) mark: Option<Timestamp>,
    pub(super) shown: Option<Timestamp>,
    pub(super) clean: Option<Timestamp>,
    pub(super) refused: Refused,
    pub(super) forgets_before: Option<Timestamp>,
    pub(super) leap: Option<Leap>,
    pub(super) beside: Option<Mark>,
}

impl Moments {
    pub(super) fn read(table: &impl ReadableTable<&'static str, u64>) -> Result<Self, Fault> {
        let number = |name: &str| -> Result<Option<u64>, Fault> {
            Ok(table.get(name).map_err(fault)?.map(|number| number.value()))
        };
        let moment = |name: &str| Ok::<_, Fault>(number(name)?.map(Timestamp::from_millis));
        Ok(Self {
            mark: moment(MARK)?,
            shown: moment(SHOWN)?,
            clean: moment(CLEAN)?,
            refused: Refused {
                cut_off: moment(CUT_OFF)?,
                undated: moment(UNDATED)?,
                ahead: moment(AHEAD_FROM)?.zip(moment(AHEAD_UNTIL)?),
            },
            forgets_before: moment(FORGETS)?,
            leap: moment(LEAPT_FROM)?.zip(moment(LEAPT_TO)?).map(|(from, to)| Leap { from, to }),
            beside: number(BORN)?
                .zip(number(GENERATION)?)
                .map(|(born, generation)| Mark { born, generation }),
        })
    }
}

/// Writes them, inside a transaction.
pub(super) struct Writing<'t, 'w>(pub(super) &'t mut Table<'w, &'static str, u64>);

impl Writing<'_, '_> {
    fn put(&mut self, name: &'static str, number: Option<u64>) -> Result<(), Fault> {
        match number {
            Some(number) => self.0.insert(name, number).map(drop),
            None => self.0.remove(name).map(drop),
        }
        .map_err(fault)
    }

    fn put_moment(&mut self, name: &'static str, moment: Option<Timestamp>) -> Result<(), Fault> {
        self.put(name, moment.map(Timestamp::as_millis))
    }

    pub(super) fn mark(&mut self, mark: Timestamp) -> Result<(), Fault> {
        self.put_moment(MARK, Some(mark))
    }

    pub(super) fn leap(&mut self, leap: Option<Leap>) -> Result<(), Fault> {
        self.put_moment(LEAPT_FROM, leap.map(|leap| leap.from))?;
        self.put_moment(LEAPT_TO, leap.map(|leap| leap.to))
    }

    pub(super) fn clean(&mut self, at: Option<Timestamp>) -> Result<(), Fault> {
        self.put_moment(CLEAN, at)
    }

    pub(super) fn forgets_before(&mut self, moment: Option<Timestamp>) -> Result<(), Fault> {
        self.put_moment(FORGETS, moment)
    }

    pub(super) fn refused(&mut self, refused: &Refused) -> Result<(), Fault> {
        self.put_moment(CUT_OFF, refused.cut_off)?;
        self.put_moment(UNDATED, refused.undated)?;
        self.put_moment(AHEAD_FROM, refused.ahead.map(|(from, _)| from))?;
        self.put_moment(AHEAD_UNTIL, refused.ahead.map(|(_, until)| until))
    }

    pub(super) fn shown(&mut self, moment: Timestamp) -> Result<(), Fault> {
        self.put_moment(SHOWN, Some(moment))
    }

    pub(super) fn beside(&mut self, mark: Mark) -> Result<(), Fault> {
        self.put(BORN, Some(mark.born))?;
        self.put(GENERATION, Some(mark.generation))
    }
}
