//! One-time tokens and the hashes that announce them.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::crypto::{Digest, Random, Secret, equal, sha256};

/// The cost that our own bcrypt hashes have: a token of 256 random bits needs no stretching.
pub const OUR_COST: u32 = 4;
/// What a receiver computes at most for somebody who has proven nothing; some 250 ms.
pub const HIGHEST_COST: u32 = 12;
/// bcrypt reads no more of a password than this many bytes.
const BCRYPT_READS: usize = 72;

const SHA256_PREFIX: &str = "sha-256.";

/// A way to hash tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// SHA-256, 60 ns.
    Sha256,
    /// bcrypt, the default of peers that know nothing else.
    Bcrypt,
}

impl Algorithm {
    /// The name in challenges.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha-256",
            Self::Bcrypt => "bcrypt",
        }
    }
}

/// The hash of a token, as it travels.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenHash {
    text: String,
    form: Form,
}

#[derive(Clone, PartialEq, Eq)]
enum Form {
    Sha256(Digest),
    Bcrypt { cost: u32 },
}

/// A text that is no hash that is accepted.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum HashError {
    /// In no accepted form.
    #[error("the hash is neither sha-256.<43 base64url characters> nor bcrypt")]
    Form,
    /// bcrypt with a cost from 4 to 12 is accepted.
    #[error("bcrypt of cost {0}, and 4 to {HIGHEST_COST} are accepted")]
    Cost(u32),
}

impl TokenHash {
    /// Reads a hash: `sha-256.` and 43 base64url characters, or 60 characters of bcrypt. Nothing is
    /// computed.
    ///
    /// # Errors
    /// [`HashError`].
    pub fn parse(text: &str) -> Result<Self, HashError> {
        let form = match text.strip_prefix(SHA256_PREFIX) {
            Some(digest) => {
                let mut bytes = [0; 32];
                // Decoding is strict: no padding, and no bits that are not part of the digest.
                match URL_SAFE_NO_PAD.decode_slice(digest, &mut bytes) {
                    Ok(32) => Form::Sha256(bytes),
                    _ => return Err(HashError::Form),
                }
            }
            None => Form::Bcrypt { cost: bcrypt_cost(text)? },
        };
        Ok(Self { text: text.to_owned(), form })
    }

    /// The hash of `token`, with a salt of `random` where the algorithm takes one.
    ///
    /// # Panics
    /// Never: our cost is within bcrypt's bounds.
    #[must_use]
    pub fn of(token: &Token, algorithm: Algorithm, random: &dyn Random) -> Self {
        let token = token.0.expose();
        match algorithm {
            Algorithm::Sha256 => {
                let digest = sha256(token.as_bytes());
                let text = format!("{SHA256_PREFIX}{}", URL_SAFE_NO_PAD.encode(digest));
                Self { text, form: Form::Sha256(digest) }
            }
            Algorithm::Bcrypt => {
                let mut salt = [0; 16];
                random.fill(&mut salt);
                let hash = bcrypt::hash_with_salt(token, OUR_COST, salt).expect("a cost from 4 to 31");
                let text = hash.format_for_version(bcrypt::Version::TwoB);
                Self { text, form: Form::Bcrypt { cost: OUR_COST } }
            }
        }
    }

    /// As it travels.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        match self.form {
            Form::Sha256(_) => Algorithm::Sha256,
            Form::Bcrypt { .. } => Algorithm::Bcrypt,
        }
    }

    /// Whether it is the hash of `token`. With bcrypt this takes from a millisecond to a quarter of a
    /// second.
    #[must_use]
    pub fn matches(&self, token: &Token) -> bool {
        let token = token.0.expose();
        match &self.form {
            Form::Sha256(digest) => equal(&sha256(token.as_bytes()), digest),
            // What bcrypt does not read would not be proven.
            Form::Bcrypt { .. } => {
                token.len() <= BCRYPT_READS && bcrypt::verify(token, &self.text).unwrap_or(false)
            }
        }
    }
}

/// A hash is no secret: it travels, and says nothing about its token.
impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenHash({})", self.algorithm().as_str())
    }
}

/// `$2b$NN$`, 22 characters of salt, 31 of hash; `$2a$` and `$2y$` mean the same today.
fn bcrypt_cost(text: &str) -> Result<u32, HashError> {
    let rest = ["$2b$", "$2a$", "$2y$"].iter().find_map(|version| text.strip_prefix(version));
    let (cost, rest) = rest.and_then(|rest| rest.split_once('$')).ok_or(HashError::Form)?;
    let of_bcrypt = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'/';
    if cost.len() != 2 || rest.len() != 53 || !rest.bytes().all(of_bcrypt) {
        return Err(HashError::Form);
    }
    let cost = cost.bytes().all(|byte| byte.is_ascii_digit()).then(|| cost.parse().ok()).flatten();
    match cost.ok_or(HashError::Form)? {
        cost @ OUR_COST..=HIGHEST_COST => Ok(cost),
        cost => Err(HashError::Cost(cost)),
    }
}

/// A one-time token: 43 base64url characters, or, for an introduction, 22, a dot and 43.
#[derive(Clone, Debug)]
pub struct Token(Secret<String>);

impl Token {
    /// A new one: 256 random bits.
    #[must_use]
    pub fn generate(random: &dyn Random) -> Self {
        let mut bytes = [0; 32];
        random.fill(&mut bytes);
        Self(Secret::new(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// A new one that is bound to an introduction: 128 random bits, a dot, the binding's digest.
    #[must_use]
    pub fn bound_to(binding: &Digest, random: &dyn Random) -> Self {
        let mut bytes = [0; 16];
        random.fill(&mut bytes);
        let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(bytes), URL_SAFE_NO_PAD.encode(binding));
        Self(Secret::new(text))
    }

    /// Reads what a webhook URL answered: the token is the whole of it. `None` for anything that
    /// somebody might have predicted: an echo, a health page, nothing.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(body).ok()?;
        let base64url = |text: &str| {
            text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        };
        let good = match text.split_once('.') {
            None => text.len() == 43 && base64url(text),
            Some((random, binding)) => {
                random.len() == 22 && base64url(random) && binding.len() == 43 && base64url(binding)
            }
        };
        good.then(|| Self(Secret::new(text.to_owned())))
    }

    /// Whether it has the form of an introduction.
    #[must_use]
    pub fn is_bound(&self) -> bool {
        self.0.expose().contains('.')
    }

    /// Whether it is bound to this introduction.
    #[must_use]
    pub fn is_bound_to(&self, binding: &Digest) -> bool {
        let expected = URL_SAFE_NO_PAD.encode(binding);
        let bound = self.0.expose().split_once('.');
        bound.is_some_and(|(_, found)| equal(found.as_bytes(), expected.as_bytes()))
    }

    /// The text, for the one answer that it is meant for.
    #[must_use]
    pub fn reveal(&self) -> &str {
        self.0.expose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SystemRandom;

    #[test]
    fn a_token_matches_its_hash_and_no_other() {
        for algorithm in [Algorithm::Sha256, Algorithm::Bcrypt] {
            let (token, other) = (Token::generate(&SystemRandom), Token::generate(&SystemRandom));
            let hash = TokenHash::of(&token, algorithm, &SystemRandom);
            let read = TokenHash::parse(hash.as_str()).unwrap();
            assert_eq!(read.algorithm(), algorithm);
            assert!(read.matches(&token) && !read.matches(&other));
        }
    }

    #[test]
    fn hashes_that_others_made_are_read() {
        // python3 -c 'import bcrypt; print(bcrypt.hashpw(b"a"*43, bcrypt.gensalt(4)))'
        let token = Token::parse(&[b'a'; 43]).unwrap();
        let hash = "$2b$04$Y8FP2QNi3xUqr3cIc1e/S.43dPA1/8ng2kg4cYJ.WioUZozIoW3cy";
        for version in ["$2b$", "$2a$", "$2y$"] {
            assert!(TokenHash::parse(&hash.replace("$2b$", version)).unwrap().matches(&token));
        }
        // printf '%043d' 0 | tr 0 a | openssl dgst -sha256 -binary | basenc --base64url
        let hash = "sha-256.ZtNPunH49FD35FWYhT5Tv8I7vRKQJ8uxMaL0_9eHjNA";
        assert!(TokenHash::parse(hash).unwrap().matches(&token));
    }

    #[test]
    fn hashes_in_other_forms_are_refused_before_any_work() {
        let rest = "Y8FP2QNi3xUqr3cIc1e/S.43dPA1/8ng2kg4cYJ.WioUZozIoW3cy";
        for text in [
            "",
            "abc",
            "sha-256.",
            "sha-256.AAAA",
            &format!("sha-256.{}", "A".repeat(44)),
            &format!("sha-256.{}=", "A".repeat(43)),
            &format!("sha-256.{}B", "A".repeat(42)),
            &format!("sha-256.{}+", "A".repeat(42)),
            &format!("SHA-256.{}", "A".repeat(43)),
            &format!("sha-512.{}", "A".repeat(86)),
            &format!("$2x$04${rest}"),
            &format!("$2$04${rest}"),
            &format!("$2b$4${rest}"),
            &format!("$2b$+4${rest}"),
            &format!("$2b$004${rest}"),
            &format!("$2b$04${rest}A"),
            &format!("$2b$04${}", &rest[1..]),
            &format!("$2b$04${}!", &rest[1..]),
            "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA",
        ] {
            assert_eq!(TokenHash::parse(text), Err(HashError::Form), "{text}");
        }
        for cost in [0, 3, 13, 31, 99] {
            let text = format!("$2b${cost:02}${rest}");
            assert_eq!(TokenHash::parse(&text), Err(HashError::Cost(cost)));
        }
    }

    #[test]
    fn only_what_nobody_could_predict_is_a_token() {
        let plain = "a".repeat(43);
        let bound = format!("{}.{}", "b".repeat(22), "c".repeat(43));
        assert!(!Token::parse(plain.as_bytes()).unwrap().is_bound());
        assert!(Token::parse(bound.as_bytes()).unwrap().is_bound());
        for body in [
            "",
            "OK",
            "{\"status\":\"ok\"}",
            &"a".repeat(42),
            &"a".repeat(44),
            &"a".repeat(73),
            &format!("{plain}\n"),
            &format!("\"{plain}\""),
            &format!(" {plain}"),
            &format!("{}+", "a".repeat(42)),
            &format!("{}.{}", "b".repeat(21), "c".repeat(44)),
            &format!("{bound}.a"),
            &format!("{}.{}", "b".repeat(22), "c".repeat(42)),
            &format!("{}!.{}", "b".repeat(21), "c".repeat(43)),
            &format!("{}.{}!", "b".repeat(22), "c".repeat(42)),
        ] {
            assert!(Token::parse(body.as_bytes()).is_none(), "{body}");
        }
        assert!(Token::parse(&[0xff; 43]).is_none());
    }

    #[test]
    fn a_bound_token_is_bound_to_one_introduction_and_fits_bcrypt() {
        let token = Token::bound_to(&[7; 32], &SystemRandom);
        assert_eq!(token.reveal().len(), 66);
        assert!(token.is_bound() && token.is_bound_to(&[7; 32]) && !token.is_bound_to(&[8; 32]));
        assert!(!Token::generate(&SystemRandom).is_bound_to(&[7; 32]));
        let hash = TokenHash::of(&token, Algorithm::Bcrypt, &SystemRandom);
        assert!(hash.matches(&token));
    }

    #[test]
    fn bcrypt_matches_nothing_longer_than_it_reads() {
        let long = Token(Secret::new("a".repeat(73)));
        let hash = TokenHash::of(&Token(Secret::new("a".repeat(72))), Algorithm::Bcrypt, &SystemRandom);
        assert!(!hash.matches(&long));
    }

    #[test]
    fn neither_token_nor_hash_prints_what_it_holds() {
        let token = Token::generate(&SystemRandom);
        let hash = TokenHash::of(&token, Algorithm::Sha256, &SystemRandom);
        let printed = format!("{token:?} {hash:?}");
        assert!(!printed.contains(token.reveal()) && !printed.contains(hash.as_str()));
    }
}
