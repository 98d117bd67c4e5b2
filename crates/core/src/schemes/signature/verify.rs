//! Whether a signature holds (RFC 9421 §3.2).

use super::base::signature_base;
use super::message::Message;
use super::signed::Signed;
use crate::crypto::{self, Algorithm, VerifyingKey};
use crate::denial::{Code, Denial};

/// Whether `signed` is a signature of `message` by the holder of `key`.
/// The key decides the algorithm; an `alg` that says otherwise is refused (RFC 9421 §3.2.6).
///
/// # Errors
/// `signature_invalid`, whatever the reason.
pub fn verify(signed: &Signed, message: &Message<'_>, key: &VerifyingKey) -> Result<(), Denial> {
    holds(signed, message, key.algorithm(), |base| key.verify(base, &signed.signature))
}

/// [`verify`] for an Ed25519 key that is used once, and so is not worth being prepared.
///
/// # Errors
/// `signature_invalid`, whatever the reason.
pub fn verify_ed25519(signed: &Signed, message: &Message<'_>, public: &[u8; 32]) -> Result<(), Denial> {
    holds(signed, message, Algorithm::Ed25519, |base| crypto::verify_ed25519(public, base, &signed.signature))
}

fn holds(
    signed: &Signed,
    message: &Message<'_>,
    algorithm: Algorithm,
    verifies: impl FnOnce(&[u8]) -> bool,
) -> Result<(), Denial> {
    if signed.parameters.alg.as_deref().is_some_and(|alg| alg != algorithm.as_str()) {
        let cause = format!("alg names another algorithm than the key's, {algorithm}");
        return Err(Denial::new(Code::SignatureInvalid, cause));
    }
    let base = signature_base(&signed.components, signed.signature_params(), message)?;
    if verifies(base.as_bytes()) {
        Ok(())
    } else {
        Err(Denial::new(Code::SignatureInvalid, format!("{} does not verify under its key", signed.label)))
    }
}
