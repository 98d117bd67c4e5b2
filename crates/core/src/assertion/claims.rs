//! What an assertion says, as it is written.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::statement::Statement;
use super::{LARGEST_CLAIMS, LIFE};
use crate::crypto::sha256;
use crate::principal::{Permissions, Subject};
use crate::public_url::PublicUrl;
use crate::time::Timestamp;

/// The claims of an assertion. Without its times it is what two requests share whose assertion is the same.
#[derive(Serialize)]
pub(super) struct Written<'a> {
    #[serde(serialize_with = "displayed")]
    iss: Issuer<'a>,
    aud: &'a str,
    sub: &'a Subject,
    scheme: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    permissions: Option<&'a BTreeSet<Arc<str>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claims: Option<&'a BTreeMap<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claims_left_out: Option<bool>,
    htm: &'a str,
    #[serde(serialize_with = "displayed")]
    htu: &'a Uri,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<Cow<'static, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<u64>,
}

impl<'a> Written<'a> {
    pub(super) fn new(statement: &Statement<'a>) -> Self {
        let principal = statement.principal;
        let permissions = match &principal.permissions {
            Permissions::Unstated => None,
            Permissions::Only(granted) => Some(granted),
        };
        let fits = || serde_json::to_vec(&principal.claims).is_ok_and(|json| json.len() <= LARGEST_CLAIMS);
        let stated = !principal.claims.is_empty();
        let claims = Some(&principal.claims).filter(|_| stated && fits());
        Self {
            iss: Issuer(statement.gateway),
            aud: statement.audience,
            sub: &principal.subject,
            scheme: match &principal.schemes[..] {
                [scheme] => Cow::Borrowed(scheme.as_str()),
                _ => Cow::Owned(principal.scheme_names()),
            },
            permissions,
            claims,
            claims_left_out: (stated && claims.is_none()).then_some(true),
            htm: statement.method.as_str(),
            htu: statement.target,
            digest: statement.body.map(digest_of),
            iat: None,
            exp: None,
        }
    }

    /// The same, made at `now`.
    pub(super) fn at(self, now: Timestamp) -> Self {
        Self { iat: Some(now.as_secs()), exp: Some(now.plus(LIFE).as_secs()), ..self }
    }
}

/// The value of `iss` for the gateway at this URL.
pub(super) struct Issuer<'a>(pub(super) &'a PublicUrl);

impl fmt::Display for Issuer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/assertion", self.0)
    }
}

fn displayed<S: Serializer>(value: &impl fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// A body's digest as the member of a `Content-Digest` (RFC 9530 §2).
pub(super) fn digest_of(body: &[u8]) -> Cow<'static, str> {
    /// Of nothing, which most requests have for a body.
    const EMPTY: &str = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:";
    if body.is_empty() {
        return Cow::Borrowed(EMPTY);
    }
    Cow::Owned(format!("sha-256=:{}:", STANDARD.encode(sha256(body))))
}
