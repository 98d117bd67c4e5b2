//! What callers connect to.

mod connection;
mod service;
mod session;
pub mod tls;

pub use connection::{Listener, serve};
