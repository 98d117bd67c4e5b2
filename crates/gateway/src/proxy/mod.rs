//! Forwarding: nothing reaches an upstream without a permit.

pub mod body;
mod connector;
mod forward;
pub mod headers;
mod tunnel;

pub use forward::{Forwarder, MayUpgrade, Upstream};
pub use tunnel::Tunnel;
