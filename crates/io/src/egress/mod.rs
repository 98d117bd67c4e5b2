//! The guarded outgoing client: everything that dials out goes through here. A URL is read in one way, its
//! name looked up once, every answer judged, and what was judged is what is dialled.

mod address;
mod client;
mod connection;
mod dialer;
mod exchange;
mod idle;
mod network;
mod policy;
mod resolve;
mod target;
mod tls;

pub use client::GuardedClient;
pub use connection::Connection;
pub use dialer::Dialer;
pub use idle::IDLE_TIMEOUT;
pub use network::{Network, NetworkError};
pub use policy::EgressPolicy;
pub use resolve::{Answers, Resolve, SystemResolver};
pub use tls::{RootsError, read_roots};
