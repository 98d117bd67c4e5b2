//! The schemes, a folder each: `wire` (bytes to and from a credential), `signer` (the claimant's
//! half), and the verifier in `mod`.

pub mod api_key;
pub mod asymmetric;
pub mod bearer;
pub mod callback_url;
pub mod proof;
mod proof_error;
pub mod session;
pub mod signature;
pub mod webhook;
