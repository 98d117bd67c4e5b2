//! The schemes, a folder each: `wire` (bytes to and from a credential), `signer` (the claimant's
//! half), and the verifier in `mod`.
//!
//! Whoever adds one writes its folder, a line below, and a line in `principal/scheme.rs`; `ping`, which is for tests, is
//! the example. There is more to write only where a scheme has more: reasons of its own to refuse (`denial.rs`, and a
//! page each), an authority of its own that names subjects (`principal/subject.rs`), a grammar in `Authorization`
//! (`authorization.rs`, `requirement.rs`), secrets that must not go on even where no route reads them (`copies.rs`), a
//! proof that programs make from a key alone (`proof`).

pub mod api_key;
pub mod asymmetric;
pub mod bearer;
pub mod callback_url;
#[cfg(any(test, feature = "testing"))]
pub mod ping;
pub mod proof;
mod proof_error;
pub mod session;
pub mod signature;
pub mod webhook;
