//! How a setting is written, read and told, whichever it is.

pub mod diagnostics;
pub mod quantities;

pub use diagnostics::{ConfigError, Origin, Problem};
