//! Sealing at rest: XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha), bound to an identifier and a purpose.

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

use super::ed25519::derive;
use super::{Random, Secret};

const NONCE: usize = 24;
const VERSION: u8 = 1;

/// The key that seals private keys and shared secrets in a store. 32 bytes, kept in a file of mode 0600.
#[derive(Clone)]
pub struct SealKey(Secret<[u8; 32]>);

/// What was sealed does not open: another key, another identifier or purpose, or changed bytes.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the sealed value does not open with this sealing key, identifier and purpose")]
pub struct SealError;

impl SealKey {
    /// Takes the key in.
    #[must_use]
    pub const fn new(key: Secret<[u8; 32]>) -> Self {
        Self(key)
    }

    /// Seals `plaintext` so that it opens only under the same `id` and `purpose`.
    /// The result is a version byte, 24 bytes of nonce, and the ciphertext with its 16-byte tag.
    ///
    /// # Panics
    /// Never: the cipher refuses only messages of more than 256 GiB.
    #[must_use]
    pub fn seal(&self, random: &dyn Random, purpose: &str, id: &[u8], plaintext: &[u8]) -> Vec<u8> {
        let mut nonce = [0_u8; NONCE];
        random.fill(&mut nonce);
        let payload = Payload { msg: plaintext, aad: &binding(purpose, id) };
        let ciphertext = self
            .cipher()
            .encrypt(XNonce::from_slice(&nonce), payload)
            .expect("a message below the cipher's bound");
        let mut sealed = Vec::with_capacity(1 + NONCE + ciphertext.len());
        sealed.push(VERSION);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&ciphertext);
        sealed
    }

    /// Opens what [`SealKey::seal`] sealed.
    ///
    /// # Errors
    /// [`SealError`] whatever the reason; there is nothing to learn from the difference.
    pub fn open(&self, purpose: &str, id: &[u8], sealed: &[u8]) -> Result<Secret<Vec<u8>>, SealError> {
        let [VERSION, rest @ ..] = sealed else { return Err(SealError) };
        let (nonce, ciphertext) = rest.split_at_checked(NONCE).ok_or(SealError)?;
        let payload = Payload { msg: ciphertext, aad: &binding(purpose, id) };
        self.cipher().decrypt(XNonce::from_slice(nonce), payload).map(Secret::new).map_err(|_| SealError)
    }

    /// Another secret, for `purpose` alone: whoever has this key has it too, and nobody learns this key
    /// from it.
    ///
    /// # Panics
    /// Never: 32 bytes are within HKDF's bound.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> Secret<[u8; 32]> {
        let mut derived = [0; 32];
        let info = format!("countersign/derive/1/{purpose}");
        derive(&[], self.0.expose(), info.as_bytes(), &mut derived).expect("32 bytes are within the bound");
        Secret::new(derived)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.0.expose().into())
    }
}

fn binding(purpose: &str, id: &[u8]) -> [u8; 32] {
    super::hash_parts(&[b"countersign/seal/1", purpose.as_bytes(), id])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SystemRandom;

    fn key(byte: u8) -> SealKey {
        SealKey::new(Secret::new([byte; 32]))
    }

    #[test]
    fn a_sealed_value_opens_under_its_own_key_purpose_and_id_alone() {
        let sealed = key(1).seal(&SystemRandom, "hmac", b"id", b"secret");
        assert_eq!(key(1).open("hmac", b"id", &sealed).unwrap().expose(), b"secret");
        assert_eq!(key(2).open("hmac", b"id", &sealed).unwrap_err(), SealError);
        assert_eq!(key(1).open("jwk", b"id", &sealed).unwrap_err(), SealError);
        assert_eq!(key(1).open("hmac", b"other", &sealed).unwrap_err(), SealError);
        assert_eq!(key(1).open("hmac", b"id", &sealed[..20]).unwrap_err(), SealError);
        assert_eq!(key(1).open("hmac", b"id", b"").unwrap_err(), SealError);
    }

    #[test]
    fn a_derived_secret_is_its_purposes_alone() {
        let derived = |byte, purpose| *key(byte).derive(purpose).expose();
        assert_eq!(derived(1, "a"), derived(1, "a"));
        assert_ne!(derived(1, "a"), derived(1, "b"));
        assert_ne!(derived(1, "a"), derived(2, "a"));
        assert_ne!(derived(1, "a"), [1; 32]);
    }

    #[test]
    fn one_changed_bit_anywhere_closes_it() {
        let sealed = key(1).seal(&SystemRandom, "hmac", b"id", b"secret");
        for position in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[position] ^= 1;
            assert_eq!(key(1).open("hmac", b"id", &changed).unwrap_err(), SealError);
        }
    }
}
