//! `webhook`: callers that are asked whether they sent a request.

mod config;
pub(crate) mod question;

pub use config::{Config, Section};
