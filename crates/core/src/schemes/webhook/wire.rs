//! Bytes to and from a credential, a question, an introduction and an offer. No keys, no I/O.

use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderName};
use serde::{Deserialize, Serialize};

use super::hash::Algorithm;
use crate::crypto::{Digest, hash_parts};
/// Carries the webhook URL whose introduced key signs.
pub use crate::schemes::signature::SIGNATURE_AGENT;

/// Carries the key that is introduced.
pub const SIGNATURE_KEY: HeaderName = HeaderName::from_static("signature-key");
/// Carries how long an introduced key is to live, and what it may do.
pub const WEBHOOK_KEY: HeaderName = HeaderName::from_static("webhook-key");
pub(super) const AUTHENTICATION_INFO: HeaderName = HeaderName::from_static("authentication-info");
/// The label of our signatures, and the name of the key in [`SIGNATURE_KEY`].
pub const LABEL: &str = "cb";
/// The tag of a signature that introduces a key.
pub const INTRODUCTION_TAG: &str = "webhook-intro";
/// The tag of a signature by an introduced key.
pub const KEY_TAG: &str = "webhook-key";

/// What a receiver takes, and the whole of what it says in challenges.
pub const CHALLENGE: &str = "Webhook alg=\"sha-256 bcrypt\", keys=\"ed25519\"";
/// The same, in `Authentication-Info`.
pub const OFFER: &str = "alg=\"sha-256 bcrypt\", keys=\"ed25519\"";

/// The largest question that is read, in bytes.
pub const LONGEST_QUESTION: usize = 8 * 1024;

/// Splits what follows `Webhook ` in an `Authorization` header into URL and hash. Both forms are
/// read: `<url> <hash>`, and `url="…", hash="…"` (RFC 9110 §11.4).
///
/// # Errors
/// What is wrong with it.
pub fn split_credential(rest: &str) -> Result<(String, String), &'static str> {
    if let Some((url, hash)) = rest.split_once(' ')
        && url.contains("://")
        && !url.contains("=\"")
    {
        let hash = hash.trim_start_matches(' ');
        return match hash.contains(' ') {
            true => Err("more than a URL and a hash"),
            false => Ok((url.to_owned(), hash.to_owned())),
        };
    }
    let (mut url, mut hash) = (None, None);
    for (name, value) in parameters(rest)? {
        let place = match name.as_str() {
            "url" => &mut url,
            "hash" => &mut hash,
            _ => continue,
        };
        if place.replace(value).is_some() {
            return Err("a parameter is there twice");
        }
    }
    url.zip(hash).ok_or("neither a URL and a hash nor the parameters url and hash")
}

/// The parameters of a challenge or credential (RFC 9110 §11.2): names in lower case, values
/// unquoted.
fn parameters(text: &str) -> Result<Vec<(String, String)>, &'static str> {
    let mut found = Vec::new();
    let mut rest = text.trim_matches([' ', '\t']);
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=').ok_or("a parameter has no value")?;
        let name = name.trim_end_matches([' ', '\t']);
        if name.is_empty() || !name.bytes().all(is_token_character) {
            return Err("a parameter has no name");
        }
        let (value, after) = value(after.trim_start_matches([' ', '\t']))?;
        found.push((name.to_ascii_lowercase(), value));
        let after = after.trim_start_matches([' ', '\t']);
        rest = match after.strip_prefix(',') {
            Some(after) => after.trim_start_matches([' ', '\t', ',']),
            None if after.is_empty() => after,
            None => return Err("parameters are not separated by commas"),
        };
    }
    Ok(found)
}

/// A token or a quoted string, and what follows it.
fn value(text: &str) -> Result<(String, &str), &'static str> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.bytes().position(|byte| !is_token_character(byte)).unwrap_or(text.len());
        return if end == 0 {
            Err("a parameter has no value")
        } else {
            Ok((text[..end].to_owned(), &text[end..]))
        };
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((value, &quoted[at + 1..])),
            '\\' => value.push(characters.next().ok_or("a quoted string does not end")?.1),
            _ => value.push(character),
        }
    }
    Err("a quoted string does not end")
}

fn is_token_character(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// What a receiver asks a requester: did you send this hash to this URL?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// The hash, as it came.
    pub hash: String,
    /// The receiver's own URL, without the query.
    pub url: String,
}

impl Question {
    /// As JSON.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        // Two strings always make JSON.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads JSON; members that others add are ignored, and one that is there twice is an error.
    #[must_use]
    pub fn decode(body: &[u8]) -> Option<Self> {
        if body.len() > LONGEST_QUESTION { None } else { serde_json::from_slice(body).ok() }
    }
}

/// What a receiver takes, as a requester learns it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// Hashes by SHA-256.
    pub sha256: bool,
    /// Hashes by bcrypt.
    pub bcrypt: bool,
    /// Introduced Ed25519 keys.
    pub ed25519: bool,
}

impl Offer {
    /// What the headers of an answer say of the webhook scheme: its challenge, or, on success,
    /// `Authentication-Info`.
    #[must_use]
    pub fn read(headers: &HeaderMap) -> Option<Self> {
        let informed = || {
            lines(headers, &AUTHENTICATION_INFO)
                .filter_map(|line| parameters(line).ok())
                .find(|found| found.iter().any(|(name, _)| name == "alg"))
        };
        Self::challenged(headers).or_else(|| informed().map(|parameters| Self::of(&parameters)))
    }

    /// What the challenge says, if there is one: the receiver, and not the application behind it, has
    /// refused the request.
    #[must_use]
    pub fn challenged(headers: &HeaderMap) -> Option<Self> {
        let challenge = lines(headers, &WWW_AUTHENTICATE).find_map(webhook_challenge);
        challenge.map(|parameters| Self::of(&parameters))
    }

    fn of(parameters: &[(String, String)]) -> Self {
        let says = |parameter: &str, word: &str| {
            let mut values = parameters.iter().filter(|(name, _)| name == parameter);
            values.any(|(_, value)| value.split_ascii_whitespace().any(|found| found == word))
        };
        Self {
            sha256: says("alg", Algorithm::Sha256.as_str()),
            bcrypt: says("alg", Algorithm::Bcrypt.as_str()),
            ed25519: says("keys", "ed25519"),
        }
    }
}

fn lines<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok())
}

/// The parameters of the `Webhook` challenge among those of one line.
fn webhook_challenge(line: &str) -> Option<Vec<(String, String)>> {
    // A challenge begins where a word is followed by a space and not by `=`.
    let mut found: Option<String> = None;
    for part in split_outside_quotes(line) {
        let part = part.trim_matches([' ', '\t']);
        let (word, after) = part.split_once([' ', '\t']).unwrap_or((part, ""));
        let begins = !word.contains('=') && !after.trim_start_matches([' ', '\t']).starts_with('=');
        match (&mut found, begins) {
            (None, true) if word.eq_ignore_ascii_case("webhook") => found = Some(after.to_owned()),
            (Some(_), true) => break,
            (Some(text), false) => {
                text.push_str(", ");
                text.push_str(part);
            }
            (None, _) => {}
        }
    }
    parameters(&found?).ok()
}

fn split_outside_quotes(line: &str) -> Vec<&str> {
    let (mut parts, mut from, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, byte) in line.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => {
                parts.push(&line[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&line[from..]);
    parts
}

/// What a token is bound to when it introduces a key. All of it is text.
#[derive(Clone, Debug)]
pub struct Binding<'a> {
    /// The requester's webhook URL.
    pub webhook_url: &'a str,
    /// The receiver's URL, as in the question.
    pub receiver_url: &'a str,
    /// The key's RFC 7638 thumbprint.
    pub thumbprint: &'a str,
    /// When the key is to end, in Unix seconds.
    pub expires: u64,
    /// The request's method.
    pub method: &'a str,
    /// The request's target, with scheme, authority and query.
    pub target: &'a str,
    /// The request's `Content-Digest`; empty without a body.
    pub content_digest: &'a str,
    /// What the key may do; empty for whatever the requester may.
    pub scope: &'a str,
}

impl Binding<'_> {
    /// SHA-256 over the length-prefixed parts.
    #[must_use]
    pub fn digest(&self) -> Digest {
        hash_parts(&[
            b"cik/1",
            self.webhook_url.as_bytes(),
            self.receiver_url.as_bytes(),
            self.thumbprint.as_bytes(),
            b"ed25519",
            self.expires.to_string().as_bytes(),
            self.method.as_bytes(),
            self.target.as_bytes(),
            self.content_digest.as_bytes(),
            self.scope.as_bytes(),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn both_forms_of_a_credential_are_read() {
        let expected = ("https://alice.example/w".to_owned(), "$2b$04$a/b".to_owned());
        for text in [
            "https://alice.example/w $2b$04$a/b",
            "https://alice.example/w   $2b$04$a/b",
            "url=\"https://alice.example/w\", hash=\"$2b$04$a/b\"",
            "URL = \"https://alice.example/w\" , Hash=\"$2b$04$a\\/b\"",
            "hash=\"$2b$04$a/b\",realm=x,url=\"https://alice.example/w\"",
        ] {
            assert_eq!(split_credential(text), Ok(expected.clone()), "{text}");
        }
    }

    #[test]
    fn a_credential_that_is_not_whole_is_refused() {
        for text in [
            "",
            "https://alice.example/w",
            "https://alice.example/w h more",
            "url=\"https://alice.example/w\"",
            "url=\"a\", url=\"b\", hash=\"c\"",
            "url=\"a\", hash=\"c\", hash=\"d\"",
            "url=\"a\" hash=\"c\"",
            "url=\"a\", hash=\"c",
            "url=, hash=c",
            "=a, hash=c",
            "url=\"a\\",
        ] {
            assert!(split_credential(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_question_is_the_seeds_json() {
        let question = Question { hash: "h".into(), url: "https://bob.example/a".into() };
        assert_eq!(question.encode(), br#"{"hash":"h","url":"https://bob.example/a"}"#);
        assert_eq!(Question::decode(&question.encode()), Some(question.clone()));
        let more = br#"{"url": "https://bob.example/a", "at": 1, "hash": "h"}"#;
        assert_eq!(Question::decode(more), Some(question));
        for bad in [
            &b""[..],
            b"[]",
            br#"{"hash":"h"}"#,
            br#"{"hash":1,"url":"u"}"#,
            br#"{"hash":"h","hash":"i","url":"u"}"#,
            br#"{"hash":"h","url":"u"} x"#,
        ] {
            assert_eq!(Question::decode(bad), None);
        }
        let long = Question { hash: "h".repeat(LONGEST_QUESTION), url: String::new() };
        assert_eq!(Question::decode(&long.encode()), None);
    }

    #[test]
    fn an_offer_is_found_among_other_challenges() {
        let read = |name: &'static str, values: &[&'static str]| {
            let name = HeaderName::from_static(name);
            let lines = values.iter().map(|value| (name.clone(), HeaderValue::from_static(value)));
            Offer::read(&lines.collect())
        };
        let all = Some(Offer { sha256: true, bcrypt: true, ed25519: true });
        assert_eq!(read("www-authenticate", &[CHALLENGE]), all);
        assert_eq!(read("authentication-info", &[OFFER]), all);
        let joined =
            "Bearer realm=\"a, Webhook b\", Webhook alg=\"sha-256 bcrypt\", keys=\"ed25519\", Basic realm=x";
        assert_eq!(read("www-authenticate", &[joined]), all);
        assert_eq!(read("www-authenticate", &["Bearer realm=\"api-key\"", CHALLENGE]), all);
        let bcrypt = Some(Offer { bcrypt: true, ..Offer::default() });
        assert_eq!(read("www-authenticate", &["webhook alg=bcrypt"]), bcrypt);
        assert_eq!(read("www-authenticate", &["Webhook"]), Some(Offer::default()));
        for other in ["Bearer realm=\"Webhook alg=x\"", "Basic Webhook=1", "", "Webhook alg"] {
            assert_eq!(read("www-authenticate", &[other]), None, "{other}");
        }
        assert_eq!(read("authentication-info", &["nextnonce=\"x\""]), None);
    }

    #[test]
    fn the_constants_say_one_thing() {
        assert_eq!(CHALLENGE, format!("Webhook {OFFER}"));
    }

    #[test]
    fn every_part_of_a_binding_counts() {
        let binding = Binding {
            webhook_url: "https://alice.example/w",
            receiver_url: "https://bob.example/o",
            thumbprint: "t",
            expires: 1,
            method: "POST",
            target: "https://bob.example/o?q",
            content_digest: "",
            scope: "",
        };
        let digests = [
            binding.digest(),
            Binding { webhook_url: "x", ..binding.clone() }.digest(),
            Binding { receiver_url: "x", ..binding.clone() }.digest(),
            Binding { thumbprint: "x", ..binding.clone() }.digest(),
            Binding { expires: 2, ..binding.clone() }.digest(),
            Binding { method: "GET", ..binding.clone() }.digest(),
            Binding { target: "x", ..binding.clone() }.digest(),
            Binding { content_digest: "x", ..binding.clone() }.digest(),
            Binding { scope: "x", ..binding }.digest(),
        ];
        for (at, digest) in digests.iter().enumerate() {
            assert!(!digests[..at].contains(digest));
        }
    }

    proptest::proptest! {
        #[test]
        fn no_header_makes_reading_panic(text in "(Webhook|Bearer|url=|hash=|[a-z]{1,3}|\"|\\\\|,| |=|\\PC){0,24}") {
            let _ = split_credential(&text);
            let _ = Question::decode(text.as_bytes());
            if let Ok(value) = HeaderValue::from_str(&text) {
                let _ = Offer::read(&[(http::header::WWW_AUTHENTICATE, value)].into_iter().collect());
            }
        }

        #[test]
        fn what_is_quoted_is_read_back(url in "[ -~]{1,20}", hash in "[ -~]{1,20}") {
            let quote = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
            let text = format!("url=\"{}\", hash=\"{}\"", quote(&url), quote(&hash));
            proptest::prop_assert_eq!(split_credential(&text), Ok((url, hash)));
        }
    }
}
