//! `webhook`: callers that are asked whether they sent a request.

pub(crate) mod question;
