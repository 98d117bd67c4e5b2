//! Forwarding: nothing reaches an upstream without a permit.

pub mod body;
pub(crate) mod broken;
mod connector;
mod forward;
pub(crate) mod framing;
pub mod headers;
mod tunnel;

pub(crate) use connector::OF_RESPONSES;
pub use forward::{Forwarder, Upstream};
pub(crate) use forward::{IdempotencyKey, MayUpgrade};
pub(crate) use forward::{await_response, begin};
pub(crate) use tunnel::Tunnel;
