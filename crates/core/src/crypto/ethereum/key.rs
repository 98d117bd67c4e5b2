//! An account's private key, ready to sign personal messages.

use std::fmt;

use secp256k1::ecdsa::RecoverableSignature as Parsed;
use secp256k1::{Message, SecretKey};
use zeroize::Zeroizing;

use super::hex::decode_hex;
use super::{Address, RecoverableSignature, personal_message_hash};
use crate::crypto::{Random, Secret};

/// The private key of an Ethereum account; wiped when it is dropped.
pub struct EthereumKey {
    secret: Secret<[u8; 32]>,
    address: Address,
}

/// Why something is not a private key. None repeats what was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not 64 hexadecimal digits.
    #[error("a private key is 64 hexadecimal digits, 0x before them or not")]
    Form,
    /// Zero, or not below the group's order.
    #[error("no account has this private key")]
    Range,
}

impl EthereumKey {
    /// The key of these 32 bytes, big-endian.
    ///
    /// # Errors
    /// [`KeyError::Range`].
    pub fn from_bytes(secret: Secret<[u8; 32]>) -> Result<Self, KeyError> {
        let address = with_key(&secret, |key| {
            let public = key.public_key().serialize_uncompressed();
            public.last_chunk::<64>().map(Address::of_public_key)
        });
        Ok(Self { address: address.flatten().ok_or(KeyError::Range)?, secret })
    }

    /// Reads 64 hexadecimal digits, with or without `0x` before and white space around them.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn from_hex(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        let digits = text.strip_prefix("0x").unwrap_or(text);
        let bytes = decode_hex::<32>(digits).map(Zeroizing::new).ok_or(KeyError::Form)?;
        Self::from_bytes(Secret::new(*bytes))
    }

    /// A new key.
    #[must_use]
    pub fn generate(random: &dyn Random) -> Self {
        loop {
            let mut bytes = Zeroizing::new([0; 32]);
            random.fill(&mut *bytes);
            // All but one in 2^128 are keys.
            if let Ok(key) = Self::from_bytes(Secret::new(*bytes)) {
                return key;
            }
        }
    }

    /// The account's name.
    #[must_use]
    pub const fn address(&self) -> Address {
        self.address
    }

    /// The 32 bytes, for whoever keeps the key.
    #[must_use]
    pub const fn secret(&self) -> &Secret<[u8; 32]> {
        &self.secret
    }

    /// The signature of a personal message (EIP-191), `v` being 27 or 28: the same every time
    /// (RFC 6979), and with a low `s`.
    ///
    /// # Panics
    /// Never: what is held here was seen to be a key.
    #[must_use]
    pub fn sign_personal_message(&self, message: &[u8]) -> RecoverableSignature {
        let hash = Message::from_digest(personal_message_hash(message));
        let signed = with_key(&self.secret, |key| Parsed::sign_ecdsa_recoverable(hash, key));
        let (parity, r_and_s) = signed.expect("the secret is a key").serialize_compact();
        let mut signature = [0; 65];
        signature[..64].copy_from_slice(&r_and_s);
        signature[64] = 27 + parity.to_u8();
        signature
    }
}

/// Lends the library its own kind of key, and wipes that; `None` if the secret is no key.
fn with_key<T>(secret: &Secret<[u8; 32]>, lend: impl FnOnce(&SecretKey) -> T) -> Option<T> {
    let mut key = SecretKey::from_secret_bytes(*secret.expose()).ok()?;
    let result = lend(&key);
    key.non_secure_erase();
    Some(result)
}

/// The address and nothing else.
impl fmt::Debug for EthereumKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EthereumKey({})", self.address)
    }
}
