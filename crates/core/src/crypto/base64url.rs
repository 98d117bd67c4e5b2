//! The alphabet of base64url (RFC 4648 §5).

/// Whether a byte is one of its 64 characters. Without a branch: tokens are long, and every request brings one.
pub(crate) const fn is_of_base64url(byte: u8) -> bool {
    let is_letter = (byte | 0x20).wrapping_sub(b'a') < 26;
    let is_digit = byte.wrapping_sub(b'0') < 10;
    is_letter | is_digit | (byte == b'-') | (byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64url_is_64_characters() {
        let of_it = (0..=255_u8).filter(|byte| is_of_base64url(*byte));
        let expected = (0..=255_u8).filter(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte));
        assert!(of_it.eq(expected));
    }
}
