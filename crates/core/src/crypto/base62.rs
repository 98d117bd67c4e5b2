//! Base 62 (`0-9A-Za-z`): big-endian integers, left-padded to a fixed number of characters.

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

/// Reads base 62 text into a big-endian integer of exactly `LENGTH` bytes.
/// `None` for a foreign character or a number that needs more bytes.
#[must_use]
pub fn decode_base62<const LENGTH: usize>(text: &[u8]) -> Option<[u8; LENGTH]> {
    let mut number = [0_u8; LENGTH];
    for character in text {
        let mut carry = u32::from(match character {
            b'0'..=b'9' => character - b'0',
            b'A'..=b'Z' => character - b'A' + 10,
            b'a'..=b'z' => character - b'a' + 36,
            _ => return None,
        });
        for byte in number.iter_mut().rev() {
            let value = u32::from(*byte) * 62 + carry;
            *byte = value as u8;
            carry = value >> 8;
        }
        if carry != 0 {
            return None;
        }
    }
    Some(number)
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
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read_back(bytes: [u8; 32]) {
            proptest::prop_assert_eq!(decode_base62::<32>(&encode_base62::<43>(&bytes)), Some(bytes));
        }
    }
}
