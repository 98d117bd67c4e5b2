#![doc = include_str!("../README.md")]

mod chunked;
mod extension;
mod fields;
mod framing;
mod limits;
mod response;
mod section;
mod target;
mod violation;

pub use framing::{BodyFraming, Facts, MAX_METHOD_BYTES, METHOD_TOO_LONG, Scanner, Step};
pub use limits::Limits;
pub use response::{Asked, Follows, ResponseScanner, ResponseStep};
pub use violation::{Violation, ViolationKind};
