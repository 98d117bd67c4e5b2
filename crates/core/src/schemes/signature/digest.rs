//! `Content-Digest` and `Repr-Digest` (RFC 9530 §2, §3): what binds a body to a signed head.

use http::{HeaderMap, HeaderName, HeaderValue};
use sfv::visitor::{
    DictionaryVisitor, EntryVisitor, Ignored, InnerListVisitor, ItemVisitor, ParameterVisitor,
};
use sfv::{BareItemFromInput, KeyRef, Parser};
use sha2::Digest as _;

use super::item::write_item;
use super::want_digest::DigestAlgorithm;
use crate::crypto::{equal, sha256};
use crate::denial::{Code, Denial};

/// `Content-Digest`, RFC 9530 §2.
pub const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");

/// `Repr-Digest`, RFC 9530 §3. Of a whole representation that is not encoded, it is the body's.
pub const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");

/// The digests of a body that a message announces, by the algorithms that RFC 9530 calls active.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContentDigest {
    sha256: Option<[u8; 32]>,
    sha512: Option<[u8; 64]>,
}

impl ContentDigest {
    /// The field's value for a body: its SHA-256.
    ///
    /// # Panics
    /// Never: base64 is visible ASCII.
    #[must_use]
    pub fn of_sha256(body: &[u8]) -> HeaderValue {
        Self::of(DigestAlgorithm::Sha256, body)
    }

    /// The field's value for a body, by either algorithm.
    ///
    /// # Panics
    /// Never: base64 is visible ASCII.
    #[must_use]
    pub fn of(algorithm: DigestAlgorithm, body: &[u8]) -> HeaderValue {
        let mut text = String::with_capacity(100);
        text.push_str(algorithm.as_str());
        text.push('=');
        match algorithm {
            DigestAlgorithm::Sha256 => write_item(&mut text, &sha256(body)[..]),
            DigestAlgorithm::Sha512 => write_item(&mut text, &sha2::Sha512::digest(body)[..]),
        }
        HeaderValue::try_from(text).expect("base64 is visible ASCII")
    }

    /// Reads `Content-Digest`, its lines combined; `None` if there is none. Algorithms that are neither
    /// sha-256 nor sha-512 are passed over, but one of the two must be there.
    ///
    /// # Errors
    /// `content_digest` if it is no dictionary of byte sequences, if sha-256 or sha-512 has another
    /// length than its own or is there twice, or if neither is there.
    pub fn read(headers: &HeaderMap) -> Result<Option<Self>, Denial> {
        Self::read_field(headers, &CONTENT_DIGEST)
    }

    /// The same of another field of this form: [`REPR_DIGEST`].
    ///
    /// # Errors
    /// As [`ContentDigest::read`].
    pub fn read_field(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Self>, Denial> {
        let mut lines = headers.get_all(name).iter().peekable();
        if lines.peek().is_none() {
            return Ok(None);
        }
        let mut reading = Reading::default();
        for line in lines {
            let parsed = Parser::new(line.as_bytes()).parse_dictionary_with_visitor(&mut reading);
            parsed.map_err(|error| denial(format!("{name}: {error}")))?;
        }
        if reading.0 == Self::default() {
            return Err(denial(format!("{name} has neither sha-256 nor sha-512")));
        }
        Ok(Some(reading.0))
    }

    /// Whether this is the body that was announced: every digest must be its own.
    ///
    /// # Errors
    /// `content_digest`.
    pub fn matches(&self, body: &[u8]) -> Result<(), Denial> {
        if self.sha256.is_some_and(|announced| !equal(&announced, &sha256(body))) {
            return Err(denial("the body has another SHA-256 than Content-Digest says"));
        }
        if self.sha512.is_some_and(|announced| !equal(&announced, &sha2::Sha512::digest(body))) {
            return Err(denial("the body has another SHA-512 than Content-Digest says"));
        }
        Ok(())
    }
}

fn denial(cause: impl Into<std::borrow::Cow<'static, str>>) -> Denial {
    Denial::new(Code::ContentDigest, cause)
}

/// Why a digest cannot be read.
#[derive(Debug, thiserror::Error)]
enum Flaw {
    #[error("a digest is not a byte sequence")]
    Kind,
    #[error("a digest has another length than its algorithm's")]
    Length,
    #[error("an algorithm is there twice")]
    Twice,
}

/// The field, read so far.
#[derive(Default)]
struct Reading(ContentDigest);

impl<'de> DictionaryVisitor<'de> for &mut Reading {
    type Out = ();
    type Error = Flaw;

    fn entry(&mut self, algorithm: &'de KeyRef) -> Result<impl EntryVisitor<'de>, Flaw> {
        Ok(Member { digest: &mut self.0, algorithm: algorithm.as_str() })
    }

    fn finish(self) -> Result<(), Flaw> {
        Ok(())
    }
}

struct Member<'a, 'de> {
    digest: &'a mut ContentDigest,
    algorithm: &'de str,
}

impl<'de> EntryVisitor<'de> for Member<'_, 'de> {
    type Error = Flaw;

    fn item(self) -> Result<impl ItemVisitor<'de>, Flaw> {
        Ok(self)
    }

    fn inner_list(self) -> Result<impl InnerListVisitor<'de>, Flaw> {
        Err::<Ignored, _>(Flaw::Kind)
    }
}

impl<'de> ItemVisitor<'de> for Member<'_, 'de> {
    type Out = ();
    type Error = Flaw;

    fn bare_item(self, item: BareItemFromInput<'de>) -> Result<impl ParameterVisitor<'de, Out = ()>, Flaw> {
        let BareItemFromInput::ByteSequence(bytes) = item else { return Err(Flaw::Kind) };
        match self.algorithm {
            "sha-256" => set(&mut self.digest.sha256, &bytes)?,
            "sha-512" => set(&mut self.digest.sha512, &bytes)?,
            _ => {}
        }
        Ok(Ignored)
    }
}

fn set<const LENGTH: usize>(slot: &mut Option<[u8; LENGTH]>, bytes: &[u8]) -> Result<(), Flaw> {
    let announced = bytes.try_into().map_err(|_| Flaw::Length)?;
    if slot.replace(announced).is_some() { Err(Flaw::Twice) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9530 appendix B and RFC 9421 appendix B.2.
    const EMPTY: &str = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:";
    const HELLO: &str = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:";
    const WORLD: &str =
        "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:";

    fn read(lines: &[&str]) -> Result<Option<ContentDigest>, Code> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(CONTENT_DIGEST, line.parse().unwrap());
        }
        ContentDigest::read(&headers).map_err(|denial| denial.code())
    }

    fn judged(lines: &[&str], body: &[u8]) -> Result<(), Code> {
        read(lines)?.expect("a digest").matches(body).map_err(|denial| denial.code())
    }

    #[test]
    fn the_examples_of_the_standards_match() {
        assert_eq!(ContentDigest::of_sha256(b""), EMPTY);
        assert_eq!(ContentDigest::of(DigestAlgorithm::Sha512, b"{\"hello\": \"world\"}"), WORLD);
        assert_eq!(ContentDigest::of_sha256(b"{\"hello\": \"world\"}\n"), HELLO);
        assert_eq!(judged(&[EMPTY], b""), Ok(()));
        assert_eq!(judged(&[HELLO], b"{\"hello\": \"world\"}\n"), Ok(()));
        assert_eq!(judged(&[WORLD], b"{\"hello\": \"world\"}"), Ok(()));
    }

    #[test]
    fn another_body_does_not_match() {
        assert_eq!(judged(&[EMPTY], b"x"), Err(Code::ContentDigest));
        assert_eq!(judged(&[WORLD], b"{\"hello\": \"World\"}"), Err(Code::ContentDigest));
    }

    #[test]
    fn every_digest_counts() {
        assert_eq!(judged(&[EMPTY, WORLD], b""), Err(Code::ContentDigest));
        assert_eq!(judged(&[EMPTY, WORLD], b"{\"hello\": \"world\"}"), Err(Code::ContentDigest));
        assert_eq!(judged(&[EMPTY, "md5=:AQ==:, new=:AQ==:"], b""), Ok(()));
    }

    #[test]
    fn what_cannot_be_checked_is_refused() {
        for line in [
            "md5=:AQ==:",
            "",
            "sha-256=:AQ==:",
            "sha-512=:AQ==:",
            "sha-256=AQ",
            "sha-256",
            "new=1",
            "sha-256=()",
            ":",
        ] {
            assert_eq!(read(&[line]), Err(Code::ContentDigest), "{line}");
        }
        assert_eq!(read(&[EMPTY, EMPTY]), Err(Code::ContentDigest));
        assert_eq!(read(&[]), Ok(None));
    }

    proptest::proptest! {
        #[test]
        fn no_header_makes_reading_panic(text in "\\PC{0,30}", digest in "sha-(256|512)=:[A-Za-z0-9+/=]{0,90}:?") {
            for text in [text, digest] {
                if let Ok(value) = HeaderValue::from_bytes(text.as_bytes()) {
                    let _ = ContentDigest::read(&HeaderMap::from_iter([(CONTENT_DIGEST, value)]));
                }
            }
        }
    }
}
