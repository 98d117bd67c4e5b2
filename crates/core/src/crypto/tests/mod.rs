//! Tests of the rooms together: keys in all their forms, and Wycheproof's vectors through our functions.

mod keys;
mod refused;
mod wycheproof;

/// Keys made by OpenSSL, and those of RFC 9421 appendix B.1.
pub(crate) mod samples;
