//! Requests signed one by one.

pub mod config;
