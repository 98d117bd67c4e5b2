//! The Countersign gateway: a proxy that forwards nothing without a permit, and its command line.

pub mod audit;
pub mod config;
pub mod decisions;
pub mod http1;
pub mod metrics;
pub mod proxy;
pub mod routes;
pub mod seal;
pub mod server;
pub mod state;
