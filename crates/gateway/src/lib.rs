//! The Countersign gateway: a proxy that forwards nothing without a permit, and its command line.

pub mod config;
pub mod routes;
