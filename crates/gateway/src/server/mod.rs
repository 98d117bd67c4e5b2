//! What callers connect to.

mod connection;
mod cors;
mod delivery;
mod lent;
pub(crate) mod options;
mod peer;
mod rest;
mod service;
mod source;
pub mod tls;

pub use connection::{Listener, serve};
pub use peer::Doors;
