//! The token in a callback URL's path: what it says, and its two forms. No keys, no I/O.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroize as _;

use crate::crypto::jwt::{Claims, Json};
use crate::crypto::{Digest, Random, Secret, decode_base62, encode_base62, hash_parts, sha256};
use crate::time::Timestamp;

/// The type of a callback's JWT (RFC 7519 §5.1).
pub const TYPE: &str = "callback+jwt";
/// A longer segment is no token of ours.
pub const LONGEST_TOKEN: usize = 8 * 1024;
/// The longest user, resource and identifier, in bytes.
pub const LONGEST_NAME: usize = 200;

const STATIC: usize = 43;
const ID: usize = 22;

/// The name of a callback, for lists, revocation and the audit log: 22 letters and digits, 128 bits. It
/// opens nothing.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CallbackId(String);

impl CallbackId {
    /// A new name.
    #[must_use]
    pub fn generate(random: &dyn Random) -> Self {
        let mut bytes = [0; 16];
        random.fill(&mut bytes);
        Self::from_bytes(&bytes)
    }

    fn from_bytes(bytes: &[u8; 16]) -> Self {
        Self(encode_base62::<ID>(bytes).into_iter().map(char::from).collect())
    }

    /// Reads a name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_name = text.len() == ID && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        is_name.then(|| Self(text.to_owned()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CallbackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CallbackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<CallbackId> for String {
    fn from(id: CallbackId) -> Self {
        id.0
    }
}

impl TryFrom<String> for CallbackId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("a callback's id is 22 letters and digits")
    }
}

/// A static token: 32 random bytes as 43 letters and digits, good until it ends or is revoked.
#[derive(Clone, Debug)]
pub struct StaticToken(Secret<[u8; 32]>);

impl StaticToken {
    /// A new token.
    #[must_use]
    pub fn generate(random: &dyn Random) -> Self {
        let mut bytes = [0; 32];
        random.fill(&mut bytes);
        Self(Secret::new(bytes))
    }

    /// Reads a token.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != STATIC {
            return None;
        }
        decode_base62::<32>(text.as_bytes()).map(|bytes| Self(Secret::new(bytes)))
    }

    /// The token as it stands in a path.
    #[must_use]
    pub fn reveal(&self) -> Secret<String> {
        let mut text = encode_base62::<STATIC>(self.0.expose());
        let revealed = Secret::new(text.into_iter().map(char::from).collect());
        text.zeroize();
        revealed
    }

    /// Its name, which whoever holds it can compute, and nobody the other way round.
    #[must_use]
    pub fn id(&self) -> CallbackId {
        let mut name = [0; 16];
        name.copy_from_slice(&hash_parts(&[b"callback static id", self.0.expose()])[..16]);
        CallbackId::from_bytes(&name)
    }

    /// What is kept of it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        sha256(self.0.expose())
    }
}

/// What stands in a callback URL's `{token}`: read, not yet believed.
#[derive(Clone, Debug)]
pub enum Token {
    /// A JWT.
    Signed(Secret<String>),
    /// A static token.
    Static(StaticToken),
}

impl Token {
    /// Reads a segment of a path, byte for byte: what is escaped is no token. A JWT is read when its key is
    /// at hand.
    ///
    /// # Errors
    /// It is neither, in words that hold nothing of it.
    pub fn parse(segment: &str) -> Result<Self, &'static str> {
        if segment.len() > LONGEST_TOKEN {
            return Err("the token is longer than 8 KiB");
        }
        if let Some(token) = StaticToken::parse(segment) {
            return Ok(Self::Static(token));
        }
        let is_of_jwt = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let dots = segment.bytes().filter(|byte| *byte == b'.').count();
        match dots == 2 && segment.bytes().all(is_of_jwt) {
            true => Ok(Self::Signed(Secret::new(segment.to_owned()))),
            false => Err("the segment is neither a JWT nor a static token"),
        }
    }
}

/// What a callback's JWT says (RFC 7519, and the seed's own three).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallbackClaims {
    /// `iss`: our public URL.
    pub issuer: String,
    /// `aud`: what callbacks of this issuer are for.
    pub audience: String,
    /// `exp`, in whole seconds on the wire.
    pub expires: Timestamp,
    /// `jti`: the callback's name.
    pub id: String,
    /// `_id`: the application's user.
    pub user: String,
    /// `path`: the route's template.
    pub route: String,
    /// `res_id`: the raw segment that names the resource, where the route has one.
    pub resource: Option<String>,
    /// `htm`: the methods; one as a string, several as a list, none for POST.
    pub methods: Vec<String>,
    /// `max_bytes`: the longest body.
    pub max_bytes: Option<u64>,
    /// `uses`: how often it may be used.
    pub uses: u32,
}

/// The claims as JSON.
#[derive(Serialize)]
struct Written<'a> {
    iss: &'a str,
    aud: &'a str,
    exp: u64,
    jti: &'a str,
    _id: &'a str,
    path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    res_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    htm: Option<OneOrMore<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_bytes: Option<u64>,
    #[serde(skip_serializing_if = "is_one")]
    uses: u32,
}

#[derive(Serialize)]
#[serde(untagged)]
enum OneOrMore<'a> {
    One(&'a str),
    More(&'a [String]),
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over references")]
const fn is_one(uses: &u32) -> bool {
    *uses == 1
}

impl Serialize for CallbackClaims {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let htm = match &self.methods[..] {
            [] => None,
            [one] => Some(OneOrMore::One(one)),
            more => Some(OneOrMore::More(more)),
        };
        let written = Written {
            iss: &self.issuer,
            aud: &self.audience,
            exp: self.expires.as_secs(),
            jti: &self.id,
            _id: &self.user,
            path: &self.route,
            res_id: self.resource.as_deref(),
            htm,
            max_bytes: self.max_bytes,
            uses: self.uses,
        };
        written.serialize(serializer)
    }
}

impl CallbackClaims {
    /// Reads the claims of a token that its key has signed. Its audience is judged on the way, for it may be
    /// one of several.
    ///
    /// # Errors
    /// The name of a claim that is missing or of another type, or `aud` if it is for others.
    pub fn read(claims: &Claims<'_>, audience: &str) -> Result<Self, ClaimError> {
        let missing = |name| ClaimError::Missing(name);
        let text = |name| match claims.text(name) {
            Ok(Some(text)) => Ok(text.to_owned()),
            _ => Err(missing(name)),
        };
        let named =
            |name| text(name).and_then(|text| if is_name(&text) { Ok(text) } else { Err(missing(name)) });
        let number = |name| match claims.get(name) {
            None => Ok(None),
            Some(value) => value.as_u64().map(Some).ok_or(missing(name)),
        };
        let issuer = text("iss")?;
        match claims.is_for(audience) {
            Ok(true) => {}
            Ok(false) if claims.get("aud").is_some() => return Err(ClaimError::Audience),
            Ok(false) | Err(_) => return Err(missing("aud")),
        }
        let expires = claims.moment("exp").ok().flatten().ok_or(missing("exp"))?;
        let methods = match claims.get("htm") {
            None => Vec::new(),
            Some(Json::List(several)) if !several.is_empty() => several
                .iter()
                .map(|one| one.as_str().map(str::to_owned).ok_or(missing("htm")))
                .collect::<Result<_, _>>()?,
            Some(_) => vec![text("htm")?],
        };
        let uses = number("uses")?.unwrap_or(1);
        Ok(Self {
            issuer,
            audience: audience.to_owned(),
            expires,
            id: named("jti")?,
            user: named("_id")?,
            route: text("path")?,
            resource: claims.get("res_id").map(|_| text("res_id")).transpose()?,
            methods,
            max_bytes: number("max_bytes")?,
            uses: u32::try_from(uses).ok().filter(|uses| *uses > 0).ok_or(missing("uses"))?,
        })
    }
}

/// What is wrong with a token's claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimError {
    /// This one is missing, or of another type.
    Missing(&'static str),
    /// It is for others.
    Audience,
}

/// Whether a user or an identifier can be written into a header: visible ASCII, 1 to 200 bytes.
#[must_use]
pub fn is_name(text: &str) -> bool {
    (1..=LONGEST_NAME).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SystemRandom;
    use proptest::prelude::*;

    #[test]
    fn a_static_token_is_neither_a_key_nor_a_jwt_and_does_not_print() {
        let token = StaticToken::generate(&SystemRandom);
        let text = token.reveal();
        assert!(
            matches!(Token::parse(text.expose()), Ok(Token::Static(read)) if read.digest() == token.digest())
        );
        assert!(text.expose().bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_eq!(format!("{token:?}"), "StaticToken([redacted])");
        assert!(!format!("{:?}", Token::parse("eyJ.eyJ.c2ln")).contains("eyJ"));
        assert_eq!(token.id().as_str().len(), 22);
        for other in
            ["", "a.b", "a.b.c.d", "a.b.c/", "a.%62.c", "cs_0123456789AB_x", &"z".repeat(43), &"a".repeat(42)]
        {
            assert!(Token::parse(other).is_err(), "{other}");
        }
    }

    #[test]
    fn what_is_longer_than_8_kib_is_not_read() {
        let parts = "a".repeat(LONGEST_TOKEN - 4);
        assert!(Token::parse(&format!("{parts}.b.c")).is_ok());
        assert!(Token::parse(&format!("{parts}a.b.c")).is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            user in "[!-~]{1,20}",
            route in "\\PC{0,30}",
            resource in proptest::option::of("\\PC{0,20}"),
            methods in proptest::collection::vec("[A-Z]{3,6}", 0..3),
            max_bytes: Option<u64>,
            uses in 1..u32::MAX,
            exp in 0..4_000_000_000_u64,
        ) {
            let claims = CallbackClaims {
                issuer: "https://a.example".into(),
                audience: "https://a.example/callbacks".into(),
                expires: Timestamp::from_secs(exp),
                id: CallbackId::generate(&SystemRandom).into(),
                user, route, resource, methods, max_bytes, uses,
            };
            let json = serde_json::to_vec(&claims).unwrap();
            let read = CallbackClaims::read(&Claims::parse(&json).unwrap(), &claims.audience);
            prop_assert_eq!(read, Ok(claims));
        }

        #[test]
        fn what_is_a_token_is_what_would_be_written(text in "[0-9A-Za-z]{43}", noise in "\\PC{0,60}") {
            for text in [text, noise] {
                match Token::parse(&text) {
                    Ok(Token::Static(token)) => {
                        let revealed = token.reveal();
                        prop_assert_eq!(revealed.expose(), &text);
                    }
                    Ok(Token::Signed(token)) => prop_assert_eq!(token.expose(), &text),
                    Err(_) => {}
                }
            }
        }
    }
}
