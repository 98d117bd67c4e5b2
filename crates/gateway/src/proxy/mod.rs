//! Forwarding: nothing reaches an upstream without a permit.

pub(crate) mod body;
pub(crate) mod broken;
mod connector;
mod forward;
pub(crate) mod framing;
pub(crate) mod headers;
mod tunnel;

pub(crate) use connector::OF_RESPONSES;
pub(crate) use forward::{Forwarder, IdempotencyKey, MayUpgrade, Upstream};
pub(crate) use forward::{await_response, begin};
pub(crate) use tunnel::Tunnel;
