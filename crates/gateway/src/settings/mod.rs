//! How a setting is written, read and told, whichever it is.

pub mod diagnostics;
pub mod quantities;

/// A string whose place in the file is known.
pub type Text = toml::Spanned<String>;
/// `true` or `false`, the same.
pub type Truth = toml::Spanned<bool>;

pub use diagnostics::{ConfigError, Origin, Problem};
