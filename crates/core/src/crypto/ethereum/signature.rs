//! Who signed: the address that a signature and the hash it is of lead to (SEC 1 §4.1.6).

use secp256k1::Message;
use secp256k1::ecdsa::{RecoverableSignature as Parsed, RecoveryId};

use super::Address;

/// A signature as Ethereum writes it: `r`, `s` (32 bytes each), and `v`, which says which of two keys.
pub type RecoverableSignature = [u8; 65];

/// Half of the group's order, big-endian (SEC 2 §2.4.1: the order is this twice and one).
const HALF_ORDER: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x5d,
    0x57, 0x6e, 0x73, 0x57, 0xa4, 0x50, 0x1d, 0xdf, 0xe9, 0x2f, 0x46, 0x68, 0x1b, 0x20, 0xa0,
];

/// The address whose key made `signature` of `hash`; `None` if no key did. `v` is 27 or 28, or 0 or 1
/// as some hardware writes it.
///
/// Every hash and nearly every signature lead to some address: who calls this compares it with the one
/// that was claimed. An `s` above half the order is refused (EIP-2): it would be a second signature of
/// the same thing, made without the key.
#[must_use]
pub fn recover(hash: &[u8; 32], signature: &RecoverableSignature) -> Option<Address> {
    let (r_and_s, v) = (&signature[..64], signature[64]);
    let parity = match v {
        0 | 27 => RecoveryId::Zero,
        1 | 28 => RecoveryId::One,
        _ => return None,
    };
    if r_and_s[32..] > HALF_ORDER[..] {
        return None;
    }
    let parsed = Parsed::from_compact(r_and_s, parity).ok()?;
    let public = parsed.recover_ecdsa(Message::from_digest(*hash)).ok()?.serialize_uncompressed();
    // The first byte says that it is uncompressed.
    let coordinates = public.last_chunk::<64>()?;
    Some(Address::of_public_key(coordinates))
}
