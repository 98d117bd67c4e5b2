//! Digests, keys, sealing and comparison: the only room that touches cryptographic libraries.

mod base62;
mod digest;
mod ed25519;
pub mod ethereum;
mod random;
mod seal;
mod secret;

pub use base62::{decode_base62, encode_base62};
pub use digest::{Digest, equal, hash_parts, sha256};
pub use ed25519::{Ed25519Key, Ed25519Seed, derive_ed25519, thumbprint, verify_ed25519};
pub use random::{Random, SystemRandom};
pub use seal::{SealError, SealKey};
pub use secret::Secret;
