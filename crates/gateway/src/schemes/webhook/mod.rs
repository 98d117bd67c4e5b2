//! `webhook`: callers that are asked whether they sent a request.

pub mod config;
pub(crate) mod question;
