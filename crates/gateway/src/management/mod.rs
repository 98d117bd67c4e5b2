//! The operator's side: keys, decisions, explanations, health and metrics.

mod admin;
mod api;
pub mod client;
pub(crate) mod keys;
mod raw_request;
mod socket;

pub use admin::{AdminToken, admin};
pub use api::router;
pub use socket::{SocketError, bind, serve};
