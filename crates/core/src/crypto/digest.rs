//! SHA-256, and hashing of several parts that cannot be confused with each other.

use sha2::Digest as _;

/// A SHA-256 digest.
pub type Digest = [u8; 32];

/// SHA-256 of `bytes` (RFC 6234).
#[must_use]
pub fn sha256(bytes: &[u8]) -> Digest {
    sha2::Sha256::digest(bytes).into()
}

/// SHA-256 over length-prefixed parts: for each its length as a big-endian `u32`, then its bytes,
/// so that `("ab", "c")` and `("a", "bc")` differ.
#[must_use]
pub fn hash_parts(parts: &[&[u8]]) -> Digest {
    let mut hasher = sha2::Sha256::new();
    for part in parts {
        let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
        hasher.update(length.to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// Compares two secrets in a time that depends on their lengths alone.
#[must_use]
pub fn equal(left: &[u8], right: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(left, right).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moving_a_byte_between_parts_changes_the_hash() {
        assert_ne!(hash_parts(&[b"ab", b"c"]), hash_parts(&[b"a", b"bc"]));
        assert_ne!(hash_parts(&[b"ab"]), hash_parts(&[b"ab", b""]));
    }

    #[test]
    fn equal_means_the_same_length_and_bytes() {
        assert!(equal(b"abc", b"abc"));
        assert!(!equal(b"abc", b"abd"));
        assert!(!equal(b"abc", b"abcd"));
    }
}
