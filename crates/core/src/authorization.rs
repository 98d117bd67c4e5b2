//! The `Authorization` header is shared by several schemes; whole grammars tell its values apart.

use http::header::AUTHORIZATION;

use crate::crypto::is_of_base64url;
use crate::denial::Denial;
use crate::principal::Scheme;
use crate::request::RequestView;

/// Whose credential the `Authorization` header holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authorization<'a> {
    /// The header is not there.
    Absent,
    /// `Bearer cs_…`: an API key, well-formed or not.
    ApiKey(&'a str),
    /// `Bearer` and 43 base64url characters: the token half of a session.
    SessionHalf(&'a str),
    /// `Bearer` and three base64url parts: a JWT.
    Token(&'a str),
    /// `DPoP` and three base64url parts: a JWT that is bound to a key.
    DpopToken(&'a str),
    /// `Webhook` and whatever follows.
    Webhook(&'a str),
    /// `Bearer` or `DPoP` with a value that is none of ours.
    LeftOver,
    /// Another scheme: not ours to read.
    Foreign,
}

impl<'a> Authorization<'a> {
    /// Reads the header of a request.
    ///
    /// # Errors
    /// `credential_ambiguous` if there are two, `credential_malformed` if it is not visible ASCII.
    pub fn of(request: &'a RequestView<'_>) -> Result<Self, Denial> {
        Ok(request.single_header(&AUTHORIZATION)?.map_or(Self::Absent, Self::parse))
    }

    /// Reads a header's value.
    #[must_use]
    pub fn parse(value: &'a str) -> Self {
        // RFC 9110 has spaces between the two; who splits at a tab as well must not find what we did not.
        let (scheme, rest) = value.split_once([' ', '\t']).unwrap_or((value, ""));
        let rest = rest.trim_matches([' ', '\t']);
        if scheme.eq_ignore_ascii_case("bearer") {
            if rest.starts_with("cs_") {
                Self::ApiKey(rest)
            } else if rest.len() == 43 && is_base64url(rest) {
                Self::SessionHalf(rest)
            } else if is_token(rest) {
                Self::Token(rest)
            } else {
                Self::LeftOver
            }
        } else if scheme.eq_ignore_ascii_case("dpop") {
            if is_token(rest) { Self::DpopToken(rest) } else { Self::LeftOver }
        } else if scheme.eq_ignore_ascii_case("webhook") {
            Self::Webhook(rest)
        } else {
            Self::Foreign
        }
    }

    /// The scheme that reads the value where a route names it; `None` for what none of ours does.
    #[must_use]
    pub const fn scheme(self) -> Option<Scheme> {
        match self {
            Self::ApiKey(_) => Some(Scheme::ApiKey),
            Self::SessionHalf(_) => Some(Scheme::Session),
            Self::Token(_) | Self::DpopToken(_) | Self::LeftOver => Some(Scheme::Bearer),
            Self::Webhook(_) => Some(Scheme::Webhook),
            Self::Absent | Self::Foreign => None,
        }
    }
}

fn is_token(text: &str) -> bool {
    let mut parts = text.split('.');
    let is_part = |part: Option<&str>| part.is_some_and(|part| !part.is_empty() && is_base64url(part));
    is_part(parts.next()) && is_part(parts.next()) && is_part(parts.next()) && parts.next().is_none()
}

/// To its end, whatever comes: without a branch for each byte.
fn is_base64url(text: &str) -> bool {
    text.bytes().fold(true, |all, byte| all & is_of_base64url(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_grammars_tell_the_values_apart() {
        let half = "a".repeat(43);
        assert_eq!(Authorization::parse("Bearer cs_x"), Authorization::ApiKey("cs_x"));
        assert_eq!(Authorization::parse("bearer  cs_x"), Authorization::ApiKey("cs_x"));
        assert_eq!(Authorization::parse(&format!("Bearer {half}")), Authorization::SessionHalf(&half));
        assert_eq!(Authorization::parse("BEARER a.b-_.c"), Authorization::Token("a.b-_.c"));
        assert_eq!(Authorization::parse("DPoP a.b.c"), Authorization::DpopToken("a.b.c"));
        assert_eq!(Authorization::parse("Webhook u h"), Authorization::Webhook("u h"));
        for left_over in
            ["Bearer", "Bearer a.b", "Bearer a.b.c.d", "Bearer a..c", "DPoP cs_x", "Bearer a=.b.c"]
        {
            assert_eq!(Authorization::parse(left_over), Authorization::LeftOver, "{left_over}");
        }
        assert_eq!(Authorization::parse("Basic YTpi"), Authorization::Foreign);
    }

    #[test]
    fn a_tab_behind_the_scheme_hides_no_credential_of_ours() {
        let half = "a".repeat(43);
        for between in ["\t", "\t ", " \t", "\t\t"] {
            let read =
                |scheme: &str, rest: &str| Authorization::parse(&format!("{scheme}{between}{rest}")).scheme();
            assert_eq!(read("Bearer", "cs_x"), Some(Scheme::ApiKey), "{between:?}");
            assert_eq!(read("Bearer", &half), Some(Scheme::Session), "{between:?}");
            assert_eq!(read("bearer", "a.b.c"), Some(Scheme::Bearer), "{between:?}");
            assert_eq!(read("DPoP", "a.b.c"), Some(Scheme::Bearer), "{between:?}");
            assert_eq!(read("Webhook", "u h"), Some(Scheme::Webhook), "{between:?}");
        }
    }

    proptest::proptest! {
        /// Of the Bearer grammars at most one takes a value, and what it takes is a part of that value.
        #[test]
        fn no_value_makes_it_panic_and_each_belongs_to_one_grammar(
            value in "(Bearer|bearer|DPoP|Webhook|Basic)? {0,2}(cs_[0-9A-Za-z_]{0,8}|[a.=-]{0,9}|[A-Za-z0-9_-]{43}|\\PC{0,12})",
        ) {
            let read = Authorization::parse(&value);
            let rest = match read {
                Authorization::ApiKey(rest)
                | Authorization::SessionHalf(rest)
                | Authorization::Token(rest)
                | Authorization::DpopToken(rest)
                | Authorization::Webhook(rest) => rest,
                Authorization::LeftOver | Authorization::Foreign | Authorization::Absent => "",
            };
            proptest::prop_assert!(value.contains(rest));
            proptest::prop_assert_ne!(read, Authorization::Absent);
            let (key, half) = (rest.starts_with("cs_"), rest.len() == 43 && is_base64url(rest));
            let expected = match read {
                Authorization::ApiKey(_) => key,
                Authorization::SessionHalf(_) => !key && half,
                Authorization::Token(_) => !key && !half && is_token(rest),
                Authorization::DpopToken(_) => is_token(rest),
                _ => true,
            };
            proptest::prop_assert!(expected, "{value:?} was read as {read:?}");
            proptest::prop_assert_eq!(read.scheme().is_none(), read == Authorization::Foreign);
        }
    }
}
