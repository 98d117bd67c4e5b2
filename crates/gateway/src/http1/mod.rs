//! A strict reading of HTTP/1 between the socket and hyper.
//!
//! hyper repairs what it can: it drops a Content-Length beside a Transfer-Encoding, folds equal lengths into
//! one, and takes LF for CRLF. Whoever stands before or behind us may repair otherwise, and where two parsers
//! disagree about where a request ends, one of them sees a request that nobody proved. So a message that can
//! be read in two ways is read in none (RFC 9112, 11.2).
//!
//! [`Scanner`] is the reading, without I/O. [`GuardedIo`] puts it before hyper's server, and
//! [`ConnectionState`] tells the service what it found. [`ResponseScanner`] and [`UpstreamIo`] are the same
//! for the connections to upstreams.

mod absence;
mod alarm;
mod body;
mod chunked;
mod connection;
mod detect;
mod extension;
mod fields;
mod framing;
#[cfg(test)]
mod framing_tests;
mod guard;
mod held;
mod hyper_io;
mod options;
mod response;
#[cfg(test)]
mod response_tests;
mod section;
mod socket;
mod target;
mod upstream;
mod violation;

pub use body::InFlightBody;
pub use connection::{Admitted, ConnectionState, InFlight, UpgradeDecision};
pub use detect::{Protocol, detect};
pub use framing::{BodyFraming, Facts, Limits, Scanner, Step};
pub(crate) use framing::{MAX_METHOD_BYTES, METHOD_TOO_LONG};
pub use guard::GuardedIo;
pub use options::GuardOptions;
pub use response::{Asked, Follows, ResponseScanner, ResponseStep};
pub use socket::{ENCRYPTED_AND_UNSENT, Flow, Gate, Metered, OverTcp};
pub use upstream::UpstreamIo;
pub use violation::{Violation, ViolationKind};
