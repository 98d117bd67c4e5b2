//! Message signatures (RFC 9421) with Ed25519, and digests of bodies (RFC 9530): reading, judging,
//! verifying and making them.
//!
//! [`Signed::read`] finds the signatures that are ours, [`covers`] and [`fresh`] judge what they
//! promise, [`verify_ed25519`] whether they hold, and [`sign`] makes them.

mod base;
mod component;
mod digest;
mod erc8128;
mod fields;
mod identifier;
mod input;
mod profile;
mod signer;
#[cfg(test)]
mod tests;
mod value;
mod verify;

pub use base::{BaseError, signature_base};
pub use component::{Component, ComponentError, Derived, Form, Name};
pub use digest::{CONTENT_DIGEST, ContentDigest};
pub use erc8128::{ERC8128, sign_erc8128, verify_erc8128};
pub use input::{Parameters, SIGNATURE, SIGNATURE_INPUT, Signed};
pub use profile::{Fresh, covers, fresh};
pub use signer::{SignError, cover_floor, sign};
pub use value::Message;
pub use verify::verify_ed25519;
