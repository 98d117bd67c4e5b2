//! JSON Web Tokens (RFC 7519) in the compact form of RFC 7515: read strictly, verified by a key that
//! knows its own algorithms, and signed.
//!
//! A token's header chooses nothing that its key does not allow: its `alg` must be one of the key's, `crit` is
//! refused, and `jku`, `x5u` and `x5c` are not read.

mod claims;
mod header;
mod json;
mod key;
mod sign;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use header::Header;

pub use claims::Claims;
pub use json::{Json, Members};
pub use key::{JwtAlgorithm, JwtKey};
pub use sign::{JwtHeader, sign};

/// Why something is no token that this key signed. It holds nothing of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwtError {
    /// Longer than is read here.
    #[error("the token is longer than is read here")]
    TooLong,
    /// Not three base64url parts, or a header that is no JSON object with each member once.
    #[error("this is no token: {0}")]
    Malformed(&'static str),
    /// RFC 7515 §4.1.11: it has extensions that must be understood, and none are.
    #[error("the token's header has `crit`")]
    Critical,
    /// The header names another algorithm than the key's, or none.
    #[error("the token's algorithm is not its key's")]
    Algorithm,
    /// Another key signed it, or another text.
    #[error("the token's signature is not by this key")]
    Signature,
    /// What was signed is no JSON object with each member once.
    #[error("the token's claims are no JSON object in which each name is there once")]
    Claims,
}

/// A token in its three parts: its header read, nothing believed.
#[derive(Clone)]
pub struct Jwt<'a> {
    header: Header<'a>,
    signed: &'a str,
    payload: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Jwt<'a> {
    /// Splits a token of at most `longest` bytes and reads its header. `buffer` holds what its parts say.
    ///
    /// # Errors
    /// [`JwtError::TooLong`], [`JwtError::Malformed`], [`JwtError::Critical`].
    pub fn parse(token: &'a str, longest: usize, buffer: &'a mut Vec<u8>) -> Result<Self, JwtError> {
        if token.len() > longest {
            return Err(JwtError::TooLong);
        }
        let parts = JwtError::Malformed("it has not three parts");
        let (signed, signature) = token.rsplit_once('.').ok_or(parts)?;
        let (header, payload) = signed.split_once('.').ok_or(parts)?;
        if payload.contains('.') || header.is_empty() || payload.is_empty() {
            return Err(parts);
        }
        // One after the other in one buffer, which is made once.
        buffer.clear();
        buffer.reserve(token.len());
        let mut ends = [0; 2];
        for (part, end) in [header, payload].into_iter().zip(&mut ends) {
            decode(part, buffer)?;
            *end = buffer.len();
        }
        decode(signature, buffer)?;
        let (signed_bytes, signature) = buffer.split_at(ends[1]);
        let (header, payload) = signed_bytes.split_at(ends[0]);
        Ok(Self { header: Header::read(header)?, signed, payload, signature })
    }

    /// The key that it says signed it.
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        self.header.key_id.as_deref()
    }

    /// The algorithm that it says it was signed with, as written.
    #[must_use]
    pub fn algorithm(&self) -> &str {
        &self.header.algorithm
    }

    /// Whether its type is `expected`, `at+jwt` for example.
    #[must_use]
    pub fn is_type(&self, expected: &str) -> bool {
        self.header.typ.as_deref().is_some_and(|typ| is_same_type(typ, expected))
    }

    /// Whether it states a type at all.
    #[must_use]
    pub fn has_type(&self) -> bool {
        self.header.typ.is_some()
    }

    /// The key that it brings along, as JSON: only a proof of possession may (RFC 9449 §4.2).
    #[must_use]
    pub const fn own_key(&self) -> Option<&Json<'a>> {
        self.header.own_key.as_ref()
    }

    /// Its claims, if `key` signed it.
    ///
    /// # Errors
    /// [`JwtError::Algorithm`], [`JwtError::Signature`], [`JwtError::Claims`].
    pub fn verify(&self, key: &JwtKey) -> Result<Claims<'a>, JwtError> {
        self.check_signature(key)?;
        self.unverified_claims()
    }

    /// Whether `key` signed it: for whoever has read its claims to find the key, and need not read them
    /// twice.
    ///
    /// # Errors
    /// [`JwtError::Algorithm`], [`JwtError::Signature`].
    pub fn check_signature(&self, key: &JwtKey) -> Result<(), JwtError> {
        // Before any computing: an HMAC under a public key, `none`, and the like.
        let algorithm = JwtAlgorithm::from_name(&self.header.algorithm);
        let algorithm = algorithm.filter(|algorithm| key.allows(*algorithm)).ok_or(JwtError::Algorithm)?;
        if key.verify(algorithm, self.signed.as_bytes(), self.signature) {
            Ok(())
        } else {
            Err(JwtError::Signature)
        }
    }

    /// Its claims, which nobody has signed as far as is known: to find out whose key to look for, and for
    /// showing.
    ///
    /// # Errors
    /// [`JwtError::Claims`].
    pub fn unverified_claims(&self) -> Result<Claims<'a>, JwtError> {
        Claims::parse(self.payload)
    }
}

/// Whether two types are one: compared as media types are, case aside and with or without `application/`
/// (RFC 7515 §4.1.9).
#[must_use]
pub fn is_same_type(one: &str, other: &str) -> bool {
    essence(one).eq_ignore_ascii_case(essence(other))
}

fn essence(typ: &str) -> &str {
    match typ.split_once('/') {
        Some((kind, rest)) if kind.eq_ignore_ascii_case("application") => rest,
        _ => typ,
    }
}

fn decode(part: &str, into: &mut Vec<u8>) -> Result<(), JwtError> {
    let malformed = |_| JwtError::Malformed("a part is not base64url");
    URL_SAFE_NO_PAD.decode_vec(part, into).map_err(malformed)
}

/// Nothing that would let the token be put together again.
impl fmt::Debug for Jwt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Jwt({}, [redacted])", self.header.algorithm.chars().take(20).collect::<String>())
    }
}

#[cfg(test)]
mod tests;
