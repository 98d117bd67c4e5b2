//! `callback-url`: the URLs of ours that are credentials.

pub mod config;
pub(crate) mod endpoint;
pub mod minting;
pub(crate) mod urls;
