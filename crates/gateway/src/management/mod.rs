//! The operator's side: keys, decisions, explanations, health and metrics.

mod admin;
mod answer;
mod api;
mod callbacks;
pub mod client;
pub(crate) mod keys;
pub(crate) mod raw_request;
pub(crate) mod registered;
mod socket;
mod store;
pub(crate) mod subjects;
pub(crate) mod users;

pub use admin::{AdminToken, admin};
pub use api::router;
pub use socket::{SocketError, bind, serve};

/// Whether bytes read as a request on file: for fuzzing.
#[doc(hidden)]
#[must_use]
pub fn reads_as_request(bytes: &[u8]) -> bool {
    raw_request::parse(bytes).is_ok()
}
