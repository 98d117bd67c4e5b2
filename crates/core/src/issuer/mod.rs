//! Tokens that we issue: what `bearer` and `callback-url` verify.

pub mod keyring;
