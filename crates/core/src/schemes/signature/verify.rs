//! Whether a signature holds (RFC 9421 §3.2, §3.3.6).

use super::base::signature_base;
use super::input::Signed;
use super::value::Message;
use crate::crypto;
use crate::denial::{Code, Denial};

/// Whether `signed` is a signature of `message` by the holder of the Ed25519 key `public`.
/// The key decides the algorithm; an `alg` that says otherwise is refused (RFC 9421 §3.2.6).
///
/// # Errors
/// `signature_invalid`, whatever the reason.
pub fn verify_ed25519(signed: &Signed, message: &Message<'_>, public: &[u8; 32]) -> Result<(), Denial> {
    if signed.parameters.alg.as_deref().is_some_and(|alg| alg != "ed25519") {
        return Err(Denial::new(
            Code::SignatureInvalid,
            "alg names another algorithm than the key's, ed25519",
        ));
    }
    let base = signature_base(&signed.components, signed.signature_params(), message)?;
    if crypto::verify_ed25519(public, base.as_bytes(), &signed.signature) {
        Ok(())
    } else {
        Err(Denial::new(Code::SignatureInvalid, format!("{} does not verify under its key", signed.label)))
    }
}
