//! How a setting is declared, written, read and told, whichever it is.
//!
//! A setting is declared once, as a field of the struct that serde fills: its name, its type, its documentation line, and
//! either its default, `#[schemars(extend("default" = "30s"))]`, or in words what holds without it,
//! `#[schemars(extend("x-default" = "nobody"))]`. The JSON Schema of these structs is what everything else is made of: the
//! environment's variables, what the file leaves out, what `config show` prints, and the page that lists them all.

pub mod declared;
pub mod diagnostics;
mod document;
pub mod quantities;
mod reader;
pub mod scheme;
mod variables;
mod written;

pub use diagnostics::{ConfigError, Origin, Problem};
pub use document::{Document, Section, Setting, Sources};
pub use reader::Reader;
pub use variables::{toml_of, value_of};
pub use written::{Nothing, Text, Truth, Written};
