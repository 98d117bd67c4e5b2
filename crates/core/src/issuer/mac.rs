//! Marks on what we handed out, so that what we did not is known without a look into the store.

use crate::crypto::{Secret, Signer as _, SigningKey, equal};

/// How long a mark is, in bytes.
pub(super) const MARK: usize = 16;

/// Makes marks under a secret that every gateway on one store has.
pub(super) struct Marks(SigningKey);

impl Marks {
    /// # Panics
    /// Never: 32 bytes are enough for a secret.
    pub(super) fn new(secret: &Secret<[u8; 32]>) -> Self {
        let secret = Secret::new(secret.expose().to_vec());
        Self(SigningKey::from_hmac_secret(&secret).expect("32 bytes are a secret"))
    }

    /// The mark on `text` for `purpose`: half of an HMAC-SHA256.
    pub(super) fn mark(&self, purpose: &'static [u8], text: &[u8]) -> [u8; MARK] {
        let whole = self.0.sign(&[purpose, text].concat()).unwrap_or_default();
        let mut mark = [0; MARK];
        // An HMAC-SHA256 has 32 bytes, and never fails.
        mark.copy_from_slice(&whole[..MARK]);
        mark
    }

    /// Whether `mark` is ours.
    pub(super) fn is_ours(&self, purpose: &'static [u8], text: &[u8], mark: &[u8]) -> bool {
        equal(&self.mark(purpose, text), mark)
    }
}
