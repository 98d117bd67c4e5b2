//! The Countersign gateway: a proxy that forwards nothing without a permit. A library that prints nothing.

pub mod audit;
pub mod bearer;
mod callback_urls;
pub mod callbacks;
pub mod config;
pub mod decisions;
pub mod egress;
pub mod endpoints;
pub mod guard;
pub mod http2;
pub mod issuer;
pub mod management;
pub mod metrics;
pub mod open;
pub mod outbound;
pub mod proofs;
pub mod proxy;
pub mod reload;
pub mod routes;
pub mod run;
pub mod seal;
pub mod server;
pub mod session;
pub mod state;
pub mod story;
pub mod terminal;
