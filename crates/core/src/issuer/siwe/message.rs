//! The text of EIP-4361, read line by line as its grammar says: nothing may be missing, doubled or added.

use http::Uri;

use crate::crypto::ethereum::{Address, AddressError};
use crate::time::Timestamp;

/// No message names more resources.
const MOST_RESOURCES: usize = 32;
const HEADER: &str = " wants you to sign in with your Ethereum account:";

/// A message in which somebody signs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    scheme: Option<&'a str>,
    domain: &'a str,
    address: Address,
    statement: Option<&'a str>,
    uri: &'a str,
    chain_id: u64,
    nonce: &'a str,
    issued_at: Timestamp,
    expires: Option<Timestamp>,
    not_before: Option<Timestamp>,
    request_id: Option<&'a str>,
    resources: Vec<&'a str>,
}

/// Why a text is no such message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// The first line is another.
    #[error("it does not begin with a domain that{HEADER}")]
    Header,
    /// The second line is no address.
    #[error("{0}")]
    Address(#[from] AddressError),
    /// An empty line is missing, or one is too many.
    #[error("empty lines are not where they belong")]
    EmptyLines,
    /// The statement is not of visible ASCII and spaces.
    #[error("the statement has other characters than RFC 3986 knows")]
    Statement,
    /// A field is missing or stands elsewhere.
    #[error("there is no line `{0}` in its place")]
    Missing(&'static str),
    /// A field has a value that it cannot have.
    #[error("the line `{0}` has no value that it can have")]
    Value(&'static str),
    /// Something follows that belongs nowhere.
    #[error("something follows that belongs nowhere")]
    Rest,
}

impl<'a> Message<'a> {
    /// Reads a message of version 1.
    ///
    /// # Errors
    /// [`MessageError`].
    pub fn parse(text: &'a str) -> Result<Self, MessageError> {
        let mut lines = Lines { lines: text.split('\n').peekable() };
        let first = lines.next().unwrap_or_default();
        let origin = first.strip_suffix(HEADER).ok_or(MessageError::Header)?;
        let (scheme, domain) = match origin.split_once("://") {
            Some((scheme, domain)) => (Some(scheme), domain),
            None => (None, origin),
        };
        // An authority and nothing else: no user information, no path, no second reading.
        let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte);
        if domain.is_empty() || !domain.bytes().all(is_host) || scheme.is_some_and(str::is_empty) {
            return Err(MessageError::Header);
        }
        let address = Address::parse(lines.next().unwrap_or_default())?;
        let statement = lines.statement()?;
        let uri = lines.field("URI: ")?.filter(|uri| is_uri(uri)).ok_or(MessageError::Value("URI"))?;
        if lines.field("Version: ")? != Some("1") {
            return Err(MessageError::Value("Version"));
        }
        let chain_id = lines.field("Chain ID: ")?.and_then(decimal).ok_or(MessageError::Value("Chain ID"))?;
        let is_nonce =
            |nonce: &&str| nonce.len() >= 8 && nonce.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let nonce = lines.field("Nonce: ")?.filter(is_nonce).ok_or(MessageError::Value("Nonce"))?;
        let issued_at = lines.field("Issued At: ")?.and_then(date_time);
        let issued_at = issued_at.ok_or(MessageError::Value("Issued At"))?;
        let expires = lines.moment("Expiration Time: ", "Expiration Time")?;
        let not_before = lines.moment("Not Before: ", "Not Before")?;
        let request_id = lines.optional("Request ID: ");
        if request_id.is_some_and(|id| !id.bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err(MessageError::Value("Request ID"));
        }
        let resources = lines.resources()?;
        if lines.next().is_some() {
            return Err(MessageError::Rest);
        }
        Ok(Self {
            scheme,
            domain,
            address,
            statement,
            uri,
            chain_id,
            nonce,
            issued_at,
            expires,
            not_before,
            request_id,
            resources,
        })
    }

    /// The scheme of the origin that asks, if it is named.
    #[must_use]
    pub const fn scheme(&self) -> Option<&'a str> {
        self.scheme
    }

    /// The authority that asks (RFC 3986 §3.2).
    #[must_use]
    pub const fn domain(&self) -> &'a str {
        self.domain
    }

    /// Who signs in.
    #[must_use]
    pub const fn address(&self) -> Address {
        self.address
    }

    /// What a person was told.
    #[must_use]
    pub const fn statement(&self) -> Option<&'a str> {
        self.statement
    }

    /// Where to.
    #[must_use]
    pub const fn uri(&self) -> &'a str {
        self.uri
    }

    /// The chain that the account is on (EIP-155); the key is the same on all.
    #[must_use]
    pub const fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// At least 8 letters and digits.
    #[must_use]
    pub const fn nonce(&self) -> &'a str {
        self.nonce
    }

    /// When it was made.
    #[must_use]
    pub const fn issued_at(&self) -> Timestamp {
        self.issued_at
    }

    /// From when on it is no longer good.
    #[must_use]
    pub const fn expires(&self) -> Option<Timestamp> {
        self.expires
    }

    /// From when on it is good.
    #[must_use]
    pub const fn not_before(&self) -> Option<Timestamp> {
        self.not_before
    }

    /// What the asker calls it.
    #[must_use]
    pub const fn request_id(&self) -> Option<&'a str> {
        self.request_id
    }

    /// What it is about besides, as URIs.
    #[must_use]
    pub fn resources(&self) -> &[&'a str] {
        &self.resources
    }
}

struct Lines<'a> {
    lines: std::iter::Peekable<std::str::Split<'a, char>>,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<&'a str> {
        self.lines.next()
    }

    /// An empty line, then the statement and an empty line, or another empty line at once.
    fn statement(&mut self) -> Result<Option<&'a str>, MessageError> {
        if self.next() != Some("") {
            return Err(MessageError::EmptyLines);
        }
        let statement = match self.next() {
            Some("") => return Ok(None),
            Some(statement) => statement,
            None => return Err(MessageError::EmptyLines),
        };
        // `reserved`, `unreserved` and the space, as the grammar says.
        let is_allowed =
            |byte: u8| byte.is_ascii_alphanumeric() || b" -._~:/?#[]@!$&'()*+,;=".contains(&byte);
        if !statement.bytes().all(is_allowed) {
            return Err(MessageError::Statement);
        }
        if self.next() == Some("") { Ok(Some(statement)) } else { Err(MessageError::EmptyLines) }
    }

    /// A field that must be the next line.
    fn field(&mut self, name: &'static str) -> Result<Option<&'a str>, MessageError> {
        let missing = MessageError::Missing(name.trim_end());
        self.next().and_then(|line| line.strip_prefix(name)).ok_or(missing).map(Some)
    }

    /// A field that may be the next line.
    fn optional(&mut self, name: &str) -> Option<&'a str> {
        let value = self.lines.peek()?.strip_prefix(name)?;
        self.lines.next();
        Some(value)
    }

    fn moment(&mut self, line: &str, name: &'static str) -> Result<Option<Timestamp>, MessageError> {
        let value = self.optional(line);
        value.map(|text| date_time(text).ok_or(MessageError::Value(name))).transpose()
    }

    fn resources(&mut self) -> Result<Vec<&'a str>, MessageError> {
        let mut resources = Vec::new();
        if self.lines.peek() != Some(&"Resources:") {
            return Ok(resources);
        }
        self.lines.next();
        while let Some(resource) = self.optional("- ") {
            if !is_uri(resource) || resources.len() == MOST_RESOURCES {
                return Err(MessageError::Value("Resources"));
            }
            resources.push(resource);
        }
        Ok(resources)
    }
}

/// A URI with a scheme (RFC 3986 §3), of the characters that one can have.
fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let in_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    let in_rest = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte);
    let is_web = scheme == "http" || scheme == "https";
    scheme.bytes().next().is_some_and(|first| first.is_ascii_alphabetic())
        && scheme.bytes().all(in_scheme)
        && rest.bytes().all(in_rest)
        && (!is_web
            || (rest.starts_with("//") && text.parse::<Uri>().is_ok_and(|uri| uri.authority().is_some())))
}

/// Digits without a sign; one number has one spelling.
fn decimal(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let once = text == "0" || !text.starts_with('0');
    if digits && once { text.parse().ok() } else { None }
}

/// RFC 3339 §5.6: what other readers take besides is not read.
fn date_time(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let shape = b"dddd-dd-ddTdd:dd:dd";
    let fits = |(byte, wanted): (&u8, &u8)| match wanted {
        b'd' => byte.is_ascii_digit(),
        b'T' => matches!(byte, b'T' | b't'),
        other => byte == other,
    };
    let (head, zone) = bytes.split_at_checked(shape.len())?;
    if !head.iter().zip(shape).all(fits) {
        return None;
    }
    let zone = match zone {
        [b'.', rest @ ..] => {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if digits == 0 || digits > 9 {
                return None;
            }
            &rest[digits..]
        }
        rest => rest,
    };
    let is_offset = |zone: &[u8]| match zone {
        [b'Z' | b'z'] => true,
        [b'+' | b'-', a, b, b':', c, d] => [a, b, c, d].into_iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if is_offset(zone) { Timestamp::parse_rfc3339(text) } else { None }
}
