//! A strict reading of HTTP/1 between the socket and hyper.

mod chunked;
mod fields;
mod framing;
mod section;
mod target;
mod violation;

pub use framing::{BodyFraming, Facts, Limits, Scanner, Step};
pub use violation::{Violation, ViolationKind};
