//! Forwarding: nothing reaches an upstream without a permit.

pub mod body;
pub mod broken;
mod connector;
mod forward;
pub(crate) mod framing;
pub mod headers;
mod tunnel;

pub(crate) use connector::OF_RESPONSES;
pub use forward::{Forwarder, IdempotencyKey, MayUpgrade, Upstream};
pub(crate) use forward::{await_response, begin};
pub use tunnel::Tunnel;
