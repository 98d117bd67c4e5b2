//! Digests, keys, sealing and comparison: the only room that touches cryptographic libraries.

mod algorithm;
mod base62;
mod base64url;
mod der;
mod digest;
mod ed25519;
pub mod ethereum;
mod jwk;
pub mod jwt;
mod key_error;
mod pem;
mod private_key;
mod public_form;
mod public_key;
mod random;
mod seal;
mod secret;
#[cfg(test)]
mod tests;

pub use algorithm::Algorithm;
pub use base62::{decode_base62, encode_base62};
pub(crate) use base64url::is_of_base64url;
pub use digest::{Digest, equal, hash_parts, sha256};
pub use ed25519::{Ed25519Key, Ed25519Seed, derive_ed25519, thumbprint, verify_ed25519};
pub use key_error::KeyError;
pub use private_key::{Signer, SigningKey};
pub use public_key::VerifyingKey;
pub use random::{Random, SystemRandom};
pub use seal::{SealError, SealKey};
pub use secret::Secret;
#[cfg(test)]
pub(crate) use tests::samples;
