//! Ed25519 keys derived from a secret (RFC 8032, RFC 5869).

use aws_lc_rs::hkdf;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};

use super::Secret;

/// The 32-byte seed of an Ed25519 private key.
pub type Ed25519Seed = Secret<[u8; 32]>;

struct SeedLength;

impl hkdf::KeyType for SeedLength {
    fn len(&self) -> usize {
        32
    }
}

/// Derives an Ed25519 seed from `secret` by HKDF-SHA256 without salt, and its public key.
///
/// # Panics
/// Never for a 32-byte output: HKDF-SHA256 yields up to 8160 bytes.
#[must_use]
pub fn derive_ed25519(secret: &[u8; 32], info: &[u8]) -> (Ed25519Seed, [u8; 32]) {
    let key = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(secret);
    let mut seed = [0_u8; 32];
    key.expand(&[info], SeedLength)
        .and_then(|output| output.fill(&mut seed))
        .expect("32 bytes are within HKDF's bound");
    let pair = Ed25519KeyPair::from_seed_unchecked(&seed).expect("every 32-byte seed is a key");
    let mut public = [0_u8; 32];
    public.copy_from_slice(pair.public_key().as_ref());
    (Secret::new(seed), public)
}
