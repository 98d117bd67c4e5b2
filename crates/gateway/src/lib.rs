//! The Countersign gateway: a proxy that forwards nothing without a permit. A library that prints nothing: what people
//! read is the command line's.
//!
//! What is public is for whoever runs a gateway. [`config`] and [`settings`] read what is written, [`open`] makes of it
//! what can decide, and [`run`] binds and serves it. [`management`] is how a running gateway is asked, [`schemes`] has
//! what callbacks are made with, [`audit`] and [`decisions`] what is kept, [`story`] and [`terminal`] the words for it.
//! [`proxy`] is public to show that nothing is forwarded without a permit; [`guard`] and [`router`] are tested and fuzzed
//! from outside.

#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod audit;
pub mod config;
pub mod decisions;
mod egress;
mod endpoint;
pub mod guard;
mod http2;
mod life;
pub mod management;
mod metrics;
pub mod open;
mod outbound;
pub mod proxy;
mod recorder;
mod reload;
pub mod router;
pub mod run;
mod runtime;
pub mod schemes;
mod server;
pub mod settings;
mod shared;
pub mod story;
pub mod terminal;

pub use server::tls;
