//! `Want-Content-Digest` and `Want-Repr-Digest` (RFC 9530 §4): which digest the other side prefers.

use http::{HeaderMap, HeaderName};
use sfv::{BareItem, Dictionary, ListEntry, Parser};

/// `Want-Content-Digest`, RFC 9530 §4.
pub const WANT_CONTENT_DIGEST: HeaderName = HeaderName::from_static("want-content-digest");
/// `Want-Repr-Digest`, RFC 9530 §4.
pub const WANT_REPR_DIGEST: HeaderName = HeaderName::from_static("want-repr-digest");

const MAX_BYTES: usize = 4 * 1024;

/// A digest that RFC 9530 §5 calls active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigestAlgorithm {
    /// `sha-256`
    Sha256,
    /// `sha-512`
    Sha512,
}

impl DigestAlgorithm {
    /// The name in the registry.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha-256",
            Self::Sha512 => "sha-512",
        }
    }
}

/// The digest that `field` ([`WANT_CONTENT_DIGEST`] or [`WANT_REPR_DIGEST`]) prefers: a preference is 1
/// to 10, the most preferred is 10, and 0 is not acceptable. Of two alike, SHA-256.
///
/// `None` if the field is not there, cannot be read, or accepts none that is made here; a sender may
/// then do as it would without the field.
#[must_use]
pub fn wanted_digest(headers: &HeaderMap, field: &HeaderName) -> Option<DigestAlgorithm> {
    let mut best = None;
    let lines = || headers.get_all(field).iter();
    if lines().map(http::HeaderValue::len).sum::<usize>() > MAX_BYTES {
        return None;
    }
    let joined: Vec<_> = lines().map(http::HeaderValue::as_bytes).collect();
    let members: Dictionary = Parser::new(&joined.join(&b", "[..])).parse().ok()?;
    for algorithm in [DigestAlgorithm::Sha256, DigestAlgorithm::Sha512] {
        let Some(ListEntry::Item(item)) = members.get(algorithm.as_str()) else { continue };
        let BareItem::Integer(preference) = item.bare_item else { continue };
        let preference = i64::from(preference);
        if (1..=10).contains(&preference) && best.is_none_or(|(most, _)| preference > most) {
            best = Some((preference, algorithm));
        }
    }
    best.map(|(_, algorithm)| algorithm)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(lines: &[&str]) -> Option<DigestAlgorithm> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(WANT_REPR_DIGEST, line.parse().unwrap());
        }
        wanted_digest(&headers, &WANT_REPR_DIGEST)
    }

    #[test]
    fn the_most_preferred_digest_that_is_made_here_is_chosen() {
        // RFC 9530 §4 and appendix B.
        assert_eq!(wanted(&["sha-256=1"]), Some(DigestAlgorithm::Sha256));
        assert_eq!(wanted(&["sha-512=3, sha-256=10, unixsum=0"]), Some(DigestAlgorithm::Sha256));
        assert_eq!(wanted(&["sha-256=3, sha-512=10"]), Some(DigestAlgorithm::Sha512));
        assert_eq!(wanted(&["sha-512=5", "sha-256=5"]), Some(DigestAlgorithm::Sha256));
    }

    #[test]
    fn what_is_not_acceptable_or_cannot_be_read_is_not_chosen() {
        for line in ["", "sha-256=0", "sha-256=11", "sha-256=-1", "sha-256", "sha-512=(1)", "md5=10", "("] {
            assert_eq!(wanted(&[line]), None, "{line}");
        }
        assert_eq!(wanted(&[]), None);
        assert_eq!(wanted(&["sha-256=1", &" ".repeat(MAX_BYTES)]), None);
    }
}
