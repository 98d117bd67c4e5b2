//! The Countersign gateway: a proxy that forwards nothing without a permit. A library that prints nothing: what people
//! read is the command line's.

#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod audit;
pub mod config;
pub mod decisions;
pub mod egress;
pub mod endpoint;
pub mod guard;
pub mod http2;
pub mod life;
pub mod management;
pub mod metrics;
pub mod open;
pub mod outbound;
pub mod proxy;
pub mod recorder;
pub mod reload;
pub mod router;
pub mod run;
pub mod runtime;
pub mod schemes;
pub mod seal;
pub mod server;
pub mod settings;
pub mod shared;
pub mod story;
pub mod terminal;
