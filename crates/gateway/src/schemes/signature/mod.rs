//! Requests signed one by one.

mod config;

pub use config::{Config, Section};
