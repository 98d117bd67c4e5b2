//! `demo`.
use super::Outcome;
use super::arguments::{DemoFlags, Shared};
pub(super) fn demo(_: &Shared, _: DemoFlags) -> Outcome {
    Err(super::Failure::said("later"))
}
