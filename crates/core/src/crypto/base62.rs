//! Base 62 (`0-9A-Za-z`): big-endian integers, left-padded to a fixed number of characters.

use zeroize::Zeroize as _;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Writes the big-endian integer `bytes` as exactly `LENGTH` characters, left-padded with `0`.
/// What does not fit in `LENGTH` characters is cut off at the left; callers choose lengths that fit.
#[must_use]
pub fn encode_base62<const LENGTH: usize>(bytes: &[u8]) -> [u8; LENGTH] {
    let mut number: [u8; 32] = [0; 32];
    let used = bytes.len().min(32);
    number[32 - used..].copy_from_slice(&bytes[bytes.len() - used..]);
    let mut text = [b'0'; LENGTH];
    for place in text.iter_mut().rev() {
        let mut remainder = 0_u32;
        for byte in &mut number {
            let value = (remainder << 8) | u32::from(*byte);
            *byte = (value / 62) as u8;
            remainder = value % 62;
        }
        *place = ALPHABET[remainder as usize];
    }
    text
}

/// As many characters as fit into 64 bits: 62^10 < 2^64.
const CHUNK: usize = 10;

/// Reads base 62 text into a big-endian integer of exactly `LENGTH` bytes, at most 32.
/// `None` for a foreign character or a number that needs more bytes.
#[must_use]
pub fn decode_base62<const LENGTH: usize>(text: &[u8]) -> Option<[u8; LENGTH]> {
    // Least significant first; ten characters at a time, for a byte at a time is a microsecond.
    let mut limbs = [0_u64; 4];
    for chunk in text.chunks(CHUNK) {
        let (mut value, mut scale) = (0_u64, 1_u64);
        for character in chunk {
            let digit = match character {
                b'0'..=b'9' => character - b'0',
                b'A'..=b'Z' => character - b'A' + 10,
                b'a'..=b'z' => character - b'a' + 36,
                _ => return None,
            };
            (value, scale) = (value * 62 + u64::from(digit), scale * 62);
        }
        let mut carry = u128::from(value);
        for limb in &mut limbs {
            let sum = u128::from(*limb) * u128::from(scale) + carry;
            *limb = sum as u64;
            carry = sum >> 64;
        }
        if carry != 0 {
            return None;
        }
    }
    let mut number = [0_u8; 32];
    for (place, limb) in number.rchunks_exact_mut(8).zip(limbs) {
        place.copy_from_slice(&limb.to_be_bytes());
    }
    limbs.zeroize();
    let (excess, wanted) = number.split_at(32_usize.checked_sub(LENGTH)?);
    let decoded = wanted.try_into().ok().filter(|_| excess.iter().all(|byte| *byte == 0));
    number.zeroize();
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_256_bit_number_fits_in_43_characters_and_the_next_is_refused() {
        let text = encode_base62::<43>(&[0xff; 32]);
        assert_eq!(decode_base62::<32>(&text), Some([0xff; 32]));
        assert_eq!(decode_base62::<32>(&[b'z'; 43]), None);
    }

    #[test]
    fn known_values() {
        assert_eq!(&encode_base62::<6>(&61_u32.to_be_bytes()), b"00000z");
        assert_eq!(&encode_base62::<6>(&62_u32.to_be_bytes()), b"000010");
        assert_eq!(decode_base62::<4>(b"000010"), Some([0, 0, 0, 62]));
        assert_eq!(decode_base62::<4>(b"00-010"), None);
        assert_eq!(decode_base62::<1>(b"00047"), Some([255]));
        assert_eq!(decode_base62::<1>(b"00048"), None);
        assert_eq!(decode_base62::<33>(b"0"), None);
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read_back(bytes: [u8; 32]) {
            proptest::prop_assert_eq!(decode_base62::<32>(&encode_base62::<43>(&bytes)), Some(bytes));
        }
    }
}
