//! `Countersign-Assertion`: what the gateway tells the API behind it about a request, in a form that the API
//! can check: a JWT of a minute's life, bound to the request that it rides on.
//!
//! An [`Asserter`] makes assertions, an [`AssertionVerifier`] checks them. Both name a request's URL in the
//! same way, so that they cannot drift apart.

mod asserter;
mod claims;
mod keys;
mod recent;
mod statement;
mod verifier;

use std::time::Duration;

use http::HeaderName;

pub use asserter::Asserter;
pub use keys::{AssertionKeys, JwksError, PATH};
pub use statement::Statement;
pub use verifier::{Assertion, AssertionVerifier};

/// The header that carries an assertion.
pub const ASSERTION: HeaderName = HeaderName::from_static("countersign-assertion");
/// An assertion's `typ`.
pub const TYPE: &str = "countersign-assertion+jwt";
/// From an assertion's `iat` to its `exp`.
pub const LIFE: Duration = Duration::from_secs(60);
/// The longest assertion that is made, and that is read, in bytes.
pub const LONGEST: usize = 32 * 1024;
/// The most JSON that the principal's claims may take up in an assertion, in bytes.
pub const LARGEST_CLAIMS: usize = 4 * 1024;

#[cfg(test)]
mod tests;
