//! What callers connect to.

mod connection;
mod cors;
mod delivery;
pub(crate) mod options;
mod peer;
mod rest;
mod service;
mod session;
mod source;
pub mod tls;

pub use connection::{Listener, serve};
