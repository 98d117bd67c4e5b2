//! Begun.

pub mod http1;
