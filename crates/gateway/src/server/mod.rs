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

pub(crate) use connection::{Listener, serve};
