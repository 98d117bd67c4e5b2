//! Countersign: who sent this request, and may it pass? Nothing that leaks is enough.
//!
//! This crate opens no socket and no file and reads no clock: requests go in, decisions come out.

pub mod crypto;
pub mod store;
pub mod time;
