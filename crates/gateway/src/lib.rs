//! The Countersign gateway: a proxy that forwards nothing without a permit, and its command line.

pub mod audit;
pub mod bearer;
mod callback_urls;
pub mod callbacks;
pub mod cli;
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
mod story;
mod terminal;

/// A request is some forty small allocations with buffers that come and go among them, for which glibc's allocator is
/// slow (docs/decisions/0032-what-a-release-is-built-with.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
