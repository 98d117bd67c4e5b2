//! Ed25519 (RFC 8032): keys that sign, strict verification, derivation from a secret (RFC 5869), and
//! the name of a public key (RFC 7638).

use std::fmt;

use aws_lc_rs::hkdf;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Random, Secret, sha256};

/// The 32-byte seed of an Ed25519 private key.
pub type Ed25519Seed = Secret<[u8; 32]>;

/// An Ed25519 private key, ready to sign.
pub struct Ed25519Key {
    seed: Ed25519Seed,
    pair: Ed25519KeyPair,
    public: [u8; 32],
}

impl Ed25519Key {
    /// The key of this seed.
    ///
    /// # Panics
    /// Never: every 32 bytes are the seed of a key.
    #[must_use]
    pub fn from_seed(seed: Ed25519Seed) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose()).expect("every 32-byte seed is a key");
        let mut public = [0_u8; 32];
        public.copy_from_slice(pair.public_key().as_ref());
        Self { seed, pair, public }
    }

    /// A new key.
    #[must_use]
    pub fn generate(random: &dyn Random) -> Self {
        let mut seed = zeroize::Zeroizing::new([0_u8; 32]);
        random.fill(&mut *seed);
        Self::from_seed(Secret::new(*seed))
    }

    /// The seed, for whoever keeps the key.
    #[must_use]
    pub const fn seed(&self) -> &Ed25519Seed {
        &self.seed
    }

    /// The public key, 32 bytes as RFC 8032 encodes it.
    #[must_use]
    pub const fn public(&self) -> [u8; 32] {
        self.public
    }

    /// The signature of `message`: 64 bytes, the same every time.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let mut signature = [0_u8; 64];
        signature.copy_from_slice(self.pair.sign(message).as_ref());
        signature
    }
}

/// The public key and nothing else.
impl fmt::Debug for Ed25519Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ed25519Key({})", thumbprint(&self.public))
    }
}

/// Derives an Ed25519 seed from `secret` by HKDF-SHA256 without salt, and its public key.
///
/// # Panics
/// Never for a 32-byte output: HKDF-SHA256 yields up to 8160 bytes.
#[must_use]
pub fn derive_ed25519(secret: &[u8; 32], info: &[u8]) -> (Ed25519Seed, [u8; 32]) {
    let mut seed = [0_u8; 32];
    derive(&[], secret, info, &mut seed).expect("32 bytes are within HKDF's bound");
    let key = Ed25519Key::from_seed(Secret::new(seed));
    (key.seed, key.public)
}

/// HKDF-SHA256 (RFC 5869). `None` beyond 8160 bytes.
pub(super) fn derive(salt: &[u8], secret: &[u8], info: &[u8], out: &mut [u8]) -> Option<()> {
    let key = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(secret);
    key.expand(&[info], Length(out.len())).and_then(|output| output.fill(out)).ok()
}

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// Whether `signature` is one of `message` by the holder of `public` (RFC 8032 §5.1.7, S below the
/// group's order). Public keys of small order and encodings that are not canonical verify nothing:
/// under the former one signature fits many messages, under the latter one key has two names.
#[must_use]
pub fn verify_ed25519(public: &[u8; 32], message: &[u8], signature: &[u8]) -> bool {
    !is_weak(public) && UnparsedPublicKey::new(&ED25519, public).verify(message, signature).is_ok()
}

/// The y coordinates of the eight points of small order; four of them belong to two points each
/// that differ in the sign of x, which is the topmost bit.
const SMALL_ORDER: [[u8; 32]; 5] = [
    // Order 4: y = 0.
    [0; 32],
    // Order 1: y = 1.
    [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    // Order 2: y = -1.
    [
        0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
    ],
    // Order 8, twice.
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
        0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a,
        0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
];

/// Whether no key has this spelling: of small order, or not the canonical one.
pub(super) fn is_weak(public: &[u8; 32]) -> bool {
    let mut y = *public;
    y[31] &= 0x7f;
    // The field's prime is 2^255 - 19: from there on, a y is a second way to write a smaller one.
    // AWS-LC's assembly refuses those itself; its portable code does not.
    let beyond_prime = y[31] == 0x7f && y[1..31].iter().all(|byte| *byte == 0xff) && y[0] >= 0xed;
    beyond_prime || SMALL_ORDER.contains(&y)
}

/// The RFC 7638 thumbprint of a public key as RFC 8037 writes it: SHA-256, 43 base64url characters.
#[must_use]
pub fn thumbprint(public: &[u8; 32]) -> String {
    let x = URL_SAFE_NO_PAD.encode(public);
    let key = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    URL_SAFE_NO_PAD.encode(sha256(key.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SystemRandom;

    /// The encodings of small-order points, and the ways to write them that are not canonical.
    fn weak_keys() -> Vec<[u8; 32]> {
        let mut keys = SMALL_ORDER.to_vec();
        for low in 0xed..=0xff {
            let mut beyond = [0xff; 32];
            beyond[0] = low;
            beyond[31] = 0x7f;
            keys.push(beyond);
        }
        let negative = keys.iter().map(|key| {
            let mut key = *key;
            key[31] |= 0x80;
            key
        });
        keys.extend(negative.collect::<Vec<_>>());
        keys
    }

    #[test]
    fn what_a_key_signs_verifies_under_that_key_alone() {
        let key = Ed25519Key::generate(&SystemRandom);
        let other = Ed25519Key::generate(&SystemRandom);
        let signature = key.sign(b"message");
        assert!(verify_ed25519(&key.public(), b"message", &signature));
        assert!(!verify_ed25519(&key.public(), b"massage", &signature));
        assert!(!verify_ed25519(&other.public(), b"message", &signature));
        assert!(!verify_ed25519(&key.public(), b"message", &signature[..63]));
        assert!(!verify_ed25519(&key.public(), b"message", &[&signature[..], &[0]].concat()));
        assert!(!verify_ed25519(&key.public(), b"message", b""));
        assert_eq!(Ed25519Key::from_seed(key.seed().clone()).public(), key.public());
    }

    /// With S = 0 and R of small order, a key of small order "signs" every second to eighth message.
    #[test]
    fn keys_of_small_order_and_other_spellings_verify_nothing() {
        let mut forged = 0;
        for public in weak_keys() {
            for point in weak_keys() {
                let mut signature = [0_u8; 64];
                signature[..32].copy_from_slice(&point);
                for message in 0..16_u8 {
                    let primitive = UnparsedPublicKey::new(&ED25519, public);
                    forged += usize::from(primitive.verify(&[message], &signature).is_ok());
                    assert!(!verify_ed25519(&public, &[message], &signature));
                }
            }
        }
        assert!(forged > 0, "the primitive refuses them itself: the check may go");
    }

    #[test]
    fn a_key_has_one_spelling() {
        let spelled = |low: u8| {
            let mut public = [0xff; 32];
            (public[0], public[31]) = (low, 0x7f);
            public
        };
        assert!((0xed..=0xff).all(|low| is_weak(&spelled(low))));
        assert!(!is_weak(&spelled(0xeb)), "the prime less two is the largest y of a key");
        assert!(!is_weak(&Ed25519Key::generate(&SystemRandom).public()));
    }

    #[test]
    fn a_signature_has_one_spelling() {
        let key = Ed25519Key::generate(&SystemRandom);
        let mut signature = key.sign(b"message");
        // Adds the group's order to S.
        let order = [
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ];
        let mut carry = 0_u16;
        for (byte, addend) in signature[32..].iter_mut().zip(order) {
            carry += u16::from(*byte) + addend;
            *byte = carry.to_le_bytes()[0];
            carry >>= 8;
        }
        assert!(!verify_ed25519(&key.public(), b"message", &signature));
    }

    #[test]
    fn the_thumbprint_is_that_of_rfc_8037() {
        // Its key is the first of RFC 8032 §7.1.
        let x = URL_SAFE_NO_PAD.decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
        let public: [u8; 32] = x.try_into().unwrap();
        assert_eq!(thumbprint(&public), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn a_key_prints_its_public_name_alone() {
        let key = Ed25519Key::generate(&SystemRandom);
        assert_eq!(format!("{key:?}"), format!("Ed25519Key({})", thumbprint(&key.public())));
    }
}
