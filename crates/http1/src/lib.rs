//! HTTP/1 read in one way or not at all: bytes in, what they mean out. No I/O, no clock, no runtime.
//!
//! Most parsers repair what they can: they drop a Content-Length beside a Transfer-Encoding, fold equal lengths into
//! one, and take LF for CRLF. Whoever stands before or behind may repair otherwise, and where two parsers disagree about
//! where a request ends, one of them sees a request that nobody proved. So a message that can be read in two ways is read
//! in none (RFC 9112, 11.2).
//!
//! [`Scanner`] reads the requests of a connection and [`ResponseScanner`] the responses, one after another. Both are
//! shown a window of bytes and say how far a step of it goes; they keep positions and no bytes.
//!
//! ```
//! use countersign_http1::{BodyFraming, Limits, Scanner, Step};
//!
//! let mut scanner = Scanner::new(Limits::default());
//! let request = b"POST /orders HTTP/1.1\r\nHost: api.example\r\nContent-Length: 2\r\n\r\n{}";
//! let Step::Head { length, facts } = scanner.step(request).unwrap() else { panic!("it is whole") };
//! assert_eq!(facts.body, BodyFraming::Length(2));
//! assert_eq!(scanner.step(&request[length..]), Ok(Step::Body { length: 2, ends: true }));
//!
//! let smuggling = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n";
//! let violation = Scanner::new(Limits::default()).step(smuggling).unwrap_err();
//! assert_eq!(violation.reason, "Content-Length beside Transfer-Encoding");
//! ```

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
