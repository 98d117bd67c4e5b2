//! What callers connect to.

mod connection;
mod cors;
mod delivery;
mod service;
mod session;
pub mod tls;

pub use connection::{Listener, serve};
