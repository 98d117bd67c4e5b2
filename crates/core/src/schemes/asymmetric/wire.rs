//! The header, the query parameters and the message that is signed: bytes to and from a credential.

use std::fmt;

use http::{HeaderName, Method};
use serde::Serialize;

use super::members;

use crate::crypto::ethereum::{Address, RecoverableSignature, decode_hex, encode_hex};
use crate::denial::{Code, Denial};
use crate::request::{RequestView, query_parameters, query_without};
use crate::time::Timestamp;

/// The header that carries the credential as JSON.
pub const ASYMMETRIC_AUTHENTICATION: HeaderName = HeaderName::from_static("asymmetricauthentication");
/// The parameter, and its value, that say that the query carries the credential.
pub const MARKER: (&str, &str) = ("scheme", "AsymmetricAuthentication");
/// [`MARKER`] as it stands in a query.
const MARKED: &str = "scheme=AsymmetricAuthentication";
/// The parameters of a credential in the query.
pub const PARAMETERS: &[&str] = &["scheme", "nonce", "publicKey", "signature", "timestamp"];
/// How long the header may be, in bytes; an ordinary one has about 270.
const LONGEST_HEADER: usize = 1024;

/// What a request carries for this scheme: read, not yet believed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Credential {
    /// Who claims to have sent it.
    pub address: Address,
    /// The signature of [`message`].
    pub signature: RecoverableSignature,
    /// Milliseconds since the Unix epoch; no two requests of an address have the same.
    pub nonce: Timestamp,
    /// When the claimant made it. Nothing signs this.
    pub timestamp: Timestamp,
}

/// Not the signature, which until it is spent is as good as the request.
impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, nonce, timestamp, .. } = self;
        write!(f, "Credential({address}, nonce {}, timestamp {timestamp})", nonce.as_millis())
    }
}

/// The members of the header's JSON object, in the order in which the seed's client writes them.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Members {
    public_key: String,
    signature: String,
    timestamp: String,
    nonce: u64,
}

impl Credential {
    /// Reads the credential of a request, in the header or in the query.
    ///
    /// # Errors
    /// `credential_ambiguous` if it is in both, or a part of it is there twice; `credential_malformed`
    /// if it cannot be read, or the request cannot be signed without doubt ([`message`]).
    pub fn read(request: &RequestView<'_>) -> Result<Option<Self>, Denial> {
        let header = request.single_header(&ASYMMETRIC_AUTHENTICATION)?;
        let in_query = is_in_query(request.target.query());
        let credential = match (header, in_query) {
            (None, false) => return Ok(None),
            (Some(_), true) => {
                let cause = "AsymmetricAuthentication is in the header and in the query";
                return Err(Denial::new(Code::CredentialAmbiguous, cause));
            }
            (Some(header), false) => Self::from_header(header)?,
            (None, true) => Self::from_query(request)?,
        };
        if let Some(part) = divided(request.method, request.target.path(), request.target.query()) {
            return Err(malformed(format!("the {part} has a vertical line")));
        }
        // Its message would be the one of the path with escapes, as it is decoded.
        if !request.target.path().is_ascii() {
            return Err(malformed("the path has characters that must be escaped".to_owned()));
        }
        Ok(Some(credential))
    }

    /// Reads the header's value.
    ///
    /// # Errors
    /// `credential_malformed`.
    pub fn from_header(value: &str) -> Result<Self, Denial> {
        if value.len() > LONGEST_HEADER {
            return Err(malformed(format!("the header has {} bytes, at most {LONGEST_HEADER}", value.len())));
        }
        let members = members::read(value).map_err(malformed)?;
        Self::from_parts(&members.public_key, &members.signature, &members.timestamp, members.nonce)
    }

    fn from_query(request: &RequestView<'_>) -> Result<Self, Denial> {
        // In one go: whoever sends a long query makes us read it once.
        let mut found = [None; PARAMETERS.len()];
        for (name, value) in query_parameters(request.target.query()) {
            if let Some(place) = PARAMETERS.iter().position(|known| *known == name)
                && found[place].replace(value).is_some()
            {
                let cause = format!("the parameter {name} is there twice");
                return Err(Denial::new(Code::CredentialAmbiguous, cause));
            }
        }
        let parameter = |name: &str| {
            let place = PARAMETERS.iter().position(|known| *known == name);
            let value = place.and_then(|place| found[place]);
            value.ok_or_else(|| malformed(format!("the query has no {name}")))
        };
        let nonce = members::decimal(parameter("nonce")?);
        let nonce = nonce.ok_or_else(|| malformed("the nonce is no decimal number".to_owned()))?;
        let timestamp = parameter("timestamp")?.replace("%3A", ":").replace("%3a", ":").replace("%2B", "+");
        Self::from_parts(parameter("publicKey")?, parameter("signature")?, &timestamp, nonce)
    }

    fn from_parts(public_key: &str, signature: &str, timestamp: &str, nonce: u64) -> Result<Self, Denial> {
        let address =
            Address::parse(public_key).map_err(|error| malformed(format!("the public key: {error}")))?;
        let signature = signature.strip_prefix("0x").and_then(decode_hex::<65>);
        let signature = signature
            .ok_or_else(|| malformed("the signature is not 0x and 130 hexadecimal digits".to_owned()))?;
        let timestamp = members::moment(timestamp)
            .ok_or_else(|| malformed("the timestamp is no moment as RFC 3339 writes it".to_owned()))?;
        if i64::try_from(nonce).is_err() {
            return Err(malformed("the nonce is 2^63 or more".to_owned()));
        }
        Ok(Self { address, signature, nonce: Timestamp::from_millis(nonce), timestamp })
    }

    /// The header's value.
    #[must_use]
    pub fn to_header(&self) -> String {
        let members = Members {
            public_key: self.address.checksummed(),
            signature: format!("0x{}", encode_hex(&self.signature)),
            timestamp: self.timestamp.to_string(),
            nonce: self.nonce.as_millis(),
        };
        serde_json::to_string(&members).unwrap_or_default()
    }

    /// The query's parameters.
    #[must_use]
    pub fn to_query(&self) -> String {
        let (nonce, address) = (self.nonce.as_millis(), self.address.checksummed());
        let signature = encode_hex(&self.signature);
        let timestamp = self.timestamp.to_string().replace(':', "%3A");
        let (marker, scheme) = MARKER;
        format!(
            "{marker}={scheme}&nonce={nonce}&publicKey={address}&signature=0x{signature}&timestamp={timestamp}"
        )
    }
}

/// Whether a query says that it carries the credential.
#[must_use]
pub fn is_in_query(query: Option<&str>) -> bool {
    // Not parameter by parameter: most queries are of others, and anybody can send a long one.
    let query = query.unwrap_or_default();
    query.match_indices(MARKED).any(|(start, marked)| {
        let (before, after) = (&query[..start], &query[start + marked.len()..]);
        (before.is_empty() || before.ends_with('&')) && (after.is_empty() || after.starts_with('&'))
    })
}

/// What is signed, as a personal message (EIP-191): `{nonce}|{METHOD}|{path}{query}|{body}`, each as the
/// bytes that were sent. The query has its question mark, and leaves out the credential's own parameters
/// where it carries the credential.
///
/// Nothing escapes the vertical lines: method, path and query must not have any ([`divided`]), or one
/// message would be that of two requests. The body may, for it comes last.
#[must_use]
pub fn message(nonce: Timestamp, method: &Method, path: &str, query: Option<&str>, body: &[u8]) -> Vec<u8> {
    let query = if is_in_query(query) { query_without(query, PARAMETERS) } else { query.map(Into::into) };
    let mut message = format!("{}|{method}|{}", nonce.as_millis(), if path.is_empty() { "/" } else { path });
    if let Some(query) = query {
        message.push('?');
        message.push_str(&query);
    }
    message.push('|');
    let mut message = message.into_bytes();
    message.extend_from_slice(body);
    message
}

/// A path as it is decoded, which the seed's package signs and verifies; `None` if it has no escapes. `Err`: what
/// its escapes stand for could be sent otherwise, or be the path of another request as it is sent; then the message
/// with it would be that of two requests.
///
/// Just spaces, controls and characters beyond ASCII are escaped, in UTF-8 with capitals: escaping the decoded path
/// gives back the very path that came, so that no two share one. And none is a path as it is sent, for that has
/// none of these.
///
/// # Errors
/// The path as it is decoded, for words alone.
pub fn decoded_path(path: &str) -> Result<Option<String>, String> {
    if !path.contains('%') {
        return Ok(None);
    }
    let bytes: Vec<u8> = percent_encoding::percent_decode_str(path).collect();
    let decoded = String::from_utf8(bytes).map_err(|_| path.to_owned())?;
    let is_only_this = percent_encoding::utf8_percent_encode(&decoded, ESCAPED).to_string() == path;
    if is_only_this { Ok(Some(decoded)) } else { Err(decoded) }
}

/// What is escaped in a path beside characters beyond ASCII.
const ESCAPED: &percent_encoding::AsciiSet = &percent_encoding::CONTROLS.add(b' ');

/// The part of a request's head that has a vertical line, which would move the borders of [`message`].
#[must_use]
pub fn divided(method: &Method, path: &str, query: Option<&str>) -> Option<&'static str> {
    let parts = [("method", method.as_str()), ("path", path), ("query", query.unwrap_or_default())];
    parts.into_iter().find(|(_, text)| text.contains('|')).map(|(name, _)| name)
}

fn malformed(cause: String) -> Denial {
    Denial::new(Code::CredentialMalformed, cause)
}
