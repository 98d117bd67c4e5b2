//! Ethereum's keys and names: addresses (EIP-55), personal messages (EIP-191), signatures that say who
//! made them, and key files (Web3 Secret Storage, version 3).
//!
//! Keccak-256 here is the original submission's padding, not FIPS 202's SHA3-256: Ethereum froze it
//! before the standard changed it.

mod address;
mod hex;
mod key;
mod keystore;
mod signature;
#[cfg(test)]
mod tests;

use sha3::Digest as _;

pub use address::{Address, AddressError};
pub use hex::{decode_hex, encode_hex};
pub use key::{EthereumKey, KeyError};
pub use keystore::{
    Keystore, KeystoreError, LONGEST_WALLET, MOST_ITERATIONS, MOST_MEMORY, MOST_WORK, Wallet,
};
pub use signature::{RecoverableSignature, recover};

/// Keccak-256 of `bytes`.
#[must_use]
pub fn keccak256(bytes: &[u8]) -> [u8; 32] {
    sha3::Keccak256::digest(bytes).into()
}

/// What is signed for a personal message (EIP-191, version `0x45`): Keccak-256 of
/// `\x19Ethereum Signed Message:\n`, the message's length in bytes as decimal digits, and the message.
///
/// The prefix keeps a signed message from being a signed transaction.
#[must_use]
pub fn personal_message_hash(message: &[u8]) -> [u8; 32] {
    let mut hasher = sha3::Keccak256::new();
    hasher.update(b"\x19Ethereum Signed Message:\n");
    hasher.update(message.len().to_string().as_bytes());
    hasher.update(message);
    hasher.finalize().into()
}
