//! The strict reading between the sockets and hyper.
//!
//! [`GuardedIo`] puts [`countersign_http1`]'s reading before hyper's server, and [`ConnectionState`] tells the service what it
//! found. [`UpstreamIo`] is the same for the connections to upstreams.

mod absence;
mod alarm;
mod body;
mod connection;
mod detect;
mod held;
mod hyper_io;
mod io;
mod options;
mod socket;
mod upstream;

use countersign::field_names::{Meaning, meaning};

pub use absence::until_reset;
pub use body::InFlightBody;
pub use connection::{Admitted, ConnectionState, InFlight, UpgradeDecision};
pub use detect::{Protocol, detect};
pub use io::GuardedIo;
pub use options::GuardOptions;
pub use socket::{ENCRYPTED_AND_UNSENT, Flow, Gate, Metered, OverTcp};
pub use upstream::UpstreamIo;

/// Whether a trailer of this name is refused, whichever side sends it: a server that merges trailers into the head would
/// believe it after the checks were made.
#[must_use]
pub fn refuses_trailer(name: &[u8]) -> bool {
    matches!(meaning(name), Some(Meaning::Hop | Meaning::Ours | Meaning::Forwarding))
}
