//! What end-to-end tests stand in: a gateway as a process on real sockets, upstreams and peers beside it, and
//! HTTP as bytes to talk to it with.
//!
//! Every process that is started here is ended by its own pid when its handle is dropped.

#![allow(missing_docs, reason = "it is not published: its names say what they are to those who read tests")]

pub mod callbacks;
mod echo;
mod gateway;
pub mod http2;
pub mod keep_alive;
mod message;
pub mod oauth;
pub mod peer;
mod process;
pub mod raw;
mod redis;
pub mod sealed;
pub mod signed;
pub mod store;
pub mod tls;
pub mod webhook;

pub use echo::{Echo, Seen};
pub use gateway::{Gateway, countersign, program};
pub use message::{Request, Response, exchange};
pub use process::{Process, eventually, free_address, has, installed, root, wait_for};
pub use redis::Redis;
