//! Keys by number: the same one each time, and nobody's.

use crate::crypto::{Ed25519Key, SealKey, Secret, SigningKey, VerifyingKey};

/// The Ed25519 key whose seed is this byte, 32 times.
#[must_use]
pub fn ed25519(seed: u8) -> SigningKey {
    Ed25519Key::from_seed(Secret::new([seed; 32])).into()
}

/// What verifies the signatures of [`ed25519`].
#[must_use]
pub fn public_key(seed: u8) -> VerifyingKey {
    ed25519(seed).verifying_key().clone()
}

/// A sealing key of this byte, 32 times.
#[must_use]
pub fn seal_key(byte: u8) -> SealKey {
    SealKey::new(Secret::new([byte; 32]))
}
