//! What callers connect to.

mod connection;
mod service;
pub mod tls;

pub use connection::{Listener, serve};
