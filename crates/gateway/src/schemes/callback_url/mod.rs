//! `callback-url`: the URLs of ours that are credentials.

mod config;
pub(crate) mod endpoint;
pub mod minting;
pub(crate) mod urls;

pub use config::{Config, Section};
