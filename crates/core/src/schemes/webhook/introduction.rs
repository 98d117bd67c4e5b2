//! Keys that a requester introduces, so that its next requests need no question.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sfv::{BareItem, Dictionary, Item, ListEntry, Parser};

use super::url::UrlRules;
use super::url::WebhookUrl;
use super::wire::{Binding, INTRODUCTION_TAG, KEY_TAG, SIGNATURE_AGENT, SIGNATURE_KEY, WEBHOOK_KEY};
use crate::crypto::{Digest, thumbprint};
use crate::denial::{Code, Denial};
use crate::principal::Permissions;
use crate::request::RequestView;
use crate::schemes::signature::{CONTENT_DIGEST, Holder, Message, Signed, covers, verify_ed25519};
use crate::store::{Id, Space, StoreError};
use crate::time::Timestamp;

/// Where introduced keys are kept. They are introduced again when they are lost.
pub const INTRODUCED: Space = Space::volatile("webhook-keys");
/// How long an introduced key lives at most.
pub const LONGEST_LIFE: Duration = Duration::from_secs(3600);

/// A key that a request introduces; the request is signed with it.
#[derive(Clone, Debug)]
pub struct Introduction {
    /// The key, Ed25519.
    pub public: [u8; 32],
    /// Its RFC 7638 thumbprint.
    pub thumbprint: String,
    /// When it is to end, in Unix seconds; 0 withdraws it.
    pub expires: u64,
    /// What it may do, where that is less than its requester may.
    pub scope: Option<String>,
    /// What the token must be bound to.
    pub binding: Digest,
}

impl Introduction {
    /// Reads the introduction that a request carries and verifies its signature, which must cover the
    /// request, the credential and the key. `None` if no signature is tagged as one.
    ///
    /// # Errors
    /// `credential_malformed` for headers that cannot be read, `signature_coverage` and
    /// `signature_invalid`.
    pub fn read(
        request: &RequestView<'_>,
        url: &WebhookUrl,
        receiver_url: &str,
    ) -> Result<Option<Self>, Denial> {
        let Some(signed) = only_one(Signed::read(request.headers, &[INTRODUCTION_TAG])?)? else {
            return Ok(None);
        };
        let public = key_of(request, &signed.label)?;
        let (expires, scope) = terms_of(request)?;
        covers(&signed, request, &["authorization", "signature-key", "webhook-key"])?;
        verify_ed25519(&signed, &Message::from(request), &public)?;
        let thumbprint = thumbprint(&public);
        let content_digest = request.single_header(&CONTENT_DIGEST)?.unwrap_or_default();
        let binding = Binding {
            webhook_url: url.as_str(),
            receiver_url,
            thumbprint: &thumbprint,
            expires,
            method: request.method.as_str(),
            target: &request.target.to_string(),
            content_digest,
            scope: scope.as_deref().unwrap_or_default(),
        };
        Ok(Some(Self { binding: binding.digest(), public, thumbprint, expires, scope }))
    }

    /// What is to be kept, and until when; `None` if it withdraws the key, or has ended already.
    #[must_use]
    pub fn entry(&self, now: Timestamp) -> Option<(Bytes, Timestamp)> {
        let until = Timestamp::from_secs(self.expires).min(now.plus(LONGEST_LIFE));
        let kept = KeptKey { public: self.public, scope: self.scope.clone() };
        (now < until).then(|| (kept.encode(), until))
    }
}

/// A signature by a key that was introduced before.
#[derive(Clone, Debug)]
pub struct KeyCall {
    /// Whose key it is said to be.
    pub url: WebhookUrl,
    /// The key's thumbprint.
    pub thumbprint: String,
    /// The signature.
    pub signed: Signed,
}

impl KeyCall {
    /// Reads the signature by an introduced key that a request carries, if it carries one.
    ///
    /// # Errors
    /// `credential_malformed`, `credential_ambiguous`, `webhook_url`.
    pub fn read(request: &RequestView<'_>, rules: &UrlRules) -> Result<Option<Self>, Denial> {
        let Some(signed) = only_one(Signed::read(request.headers, &[KEY_TAG])?)? else { return Ok(None) };
        let agents = dictionary(request, &SIGNATURE_AGENT)?;
        let agent = match agents.get(signed.label.as_str()) {
            Some(ListEntry::Item(item)) if is_webhook(item) => item.bare_item.as_string(),
            _ => None,
        };
        let Some(agent) = agent else {
            return Err(malformed("signature-agent names no webhook URL for the signature's label"));
        };
        let url = WebhookUrl::parse(agent.as_str(), rules)
            .map_err(|error| Denial::new(Code::WebhookUrl, error.to_string()))?;
        let Some(thumbprint) = signed.parameters.keyid.clone() else {
            return Err(Denial::new(Code::SignatureCoverage, "keyid is missing"));
        };
        Ok(Some(Self { url, thumbprint, signed }))
    }
}

fn is_webhook(item: &Item) -> bool {
    let kind = item.params.get("type").and_then(BareItem::as_token);
    kind.is_some_and(|kind| kind.as_str() == "webhook")
}

/// Several would be several credentials.
fn only_one(mut signed: Vec<Signed>) -> Result<Option<Signed>, Denial> {
    match signed.len() {
        0 | 1 => Ok(signed.pop()),
        _ => Err(Denial::new(Code::CredentialAmbiguous, "several signatures carry the webhook scheme's tag")),
    }
}

/// `Signature-Key: cb=hwk;kty="OKP";crv="Ed25519";x="…"`
fn key_of(request: &RequestView<'_>, label: &str) -> Result<[u8; 32], Denial> {
    let keys = dictionary(request, &SIGNATURE_KEY)?;
    let Some(ListEntry::Item(item)) = keys.get(label) else {
        return Err(malformed("signature-key has no key for the signature's label"));
    };
    let says = |name: &str, value: &str| {
        let found = item.params.get(name).and_then(BareItem::as_string);
        found.is_some_and(|found| found.as_str() == value)
    };
    let is_header_key = item.bare_item.as_token().is_some_and(|kind| kind.as_str() == "hwk");
    if !is_header_key || !says("kty", "OKP") || !says("crv", "Ed25519") {
        return Err(malformed("signature-key holds no Ed25519 key"));
    }
    let mut public = [0; 32];
    match item.params.get("x").and_then(BareItem::as_string) {
        Some(x) if matches!(URL_SAFE_NO_PAD.decode_slice(x.as_str(), &mut public), Ok(32)) => Ok(public),
        _ => Err(malformed("the x of signature-key is not 32 bytes")),
    }
}

/// `Webhook-Key: exp=<unix>[, scope="…"]`
fn terms_of(request: &RequestView<'_>) -> Result<(u64, Option<String>), Denial> {
    let terms = dictionary(request, &WEBHOOK_KEY)?;
    let value = |name: &str| match terms.get(name) {
        Some(ListEntry::Item(item)) => Some(&item.bare_item),
        _ => None,
    };
    let expires =
        value("exp").and_then(BareItem::as_integer).and_then(|exp| u64::try_from(i64::from(exp)).ok());
    let expires = expires.ok_or_else(|| malformed("the exp of webhook-key is no time"))?;
    let scope = match terms.get("scope") {
        None => None,
        Some(_) => {
            let scope = value("scope").and_then(BareItem::as_string);
            Some(scope.ok_or_else(|| malformed("the scope of webhook-key is no string"))?.as_str().to_owned())
        }
    };
    Ok((expires, scope))
}

fn dictionary(request: &RequestView<'_>, name: &http::HeaderName) -> Result<Dictionary, Denial> {
    let Some(value) = request.single_header(name)? else {
        return Err(malformed(format!("{name} is missing")));
    };
    Parser::new(value).parse().map_err(|_| malformed(format!("{name} is no dictionary")))
}

fn malformed(cause: impl Into<std::borrow::Cow<'static, str>>) -> Denial {
    Denial::new(Code::CredentialMalformed, cause)
}

/// What is kept of an introduced key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptKey {
    /// The key.
    pub public: [u8; 32],
    /// What it may do.
    pub scope: Option<String>,
}

impl Holder for KeptKey {
    fn signed(&self, signed: &Signed, message: &Message<'_>) -> Result<(), Denial> {
        verify_ed25519(signed, message, &self.public)
    }
}

impl KeptKey {
    const VERSION: u8 = 1;

    /// Where the key that the API at `url` introduced is kept.
    #[must_use]
    pub fn place(url: &WebhookUrl, thumbprint: &str) -> Id {
        Id::of(&[b"webhook-key", url.as_str().as_bytes(), thumbprint.as_bytes()])
    }

    /// The bytes that are kept: a version byte, then postcard.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        // Bytes and a string always make postcard.
        postcard::to_extend(self, vec![Self::VERSION]).unwrap_or_default().into()
    }

    /// Reads what [`KeptKey::encode`] wrote.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let corrupt = || StoreError::Corrupt(String::from("an introduced key of another version"));
        let [Self::VERSION, rest @ ..] = bytes else { return Err(corrupt()) };
        postcard::from_bytes(rest).map_err(|_| corrupt())
    }

    /// Of what the requester may do, what this key may.
    #[must_use]
    pub fn limit(&self, granted: Permissions) -> Permissions {
        let Some(scope) = &self.scope else { return granted };
        let scope = scope.split_ascii_whitespace().map(Arc::from).collect();
        match granted {
            // A scope limits; it grants nothing by itself.
            Permissions::Unstated => Permissions::Only(std::collections::BTreeSet::new()),
            granted @ Permissions::Only(_) => granted.meet(Permissions::Only(scope)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_key_is_read_back() {
        let kept = KeptKey { public: [7; 32], scope: Some("orders:read".into()) };
        assert_eq!(KeptKey::decode(&kept.encode()).unwrap(), kept);
        let mut another_version = kept.encode().to_vec();
        another_version[0] = 2;
        assert!(KeptKey::decode(b"").is_err() && KeptKey::decode(&another_version).is_err());
    }

    #[test]
    fn a_scope_limits_and_never_grants() {
        let only = |names: &[&str]| Permissions::Only(names.iter().map(|name| Arc::from(*name)).collect());
        let kept = |scope: Option<&str>| KeptKey { public: [0; 32], scope: scope.map(str::to_owned) };
        assert_eq!(kept(None).limit(only(&["a", "b"])), only(&["a", "b"]));
        assert_eq!(kept(Some("b c")).limit(only(&["a", "b"])), only(&["b"]));
        assert_eq!(kept(Some("a")).limit(Permissions::Unstated), only(&[]));
    }

    #[test]
    fn a_key_lives_an_hour_at_most_and_zero_withdraws_it() {
        let now = Timestamp::from_secs(1_000_000);
        let until = |expires| {
            let introduction = Introduction {
                public: [0; 32],
                thumbprint: String::new(),
                expires,
                scope: None,
                binding: [0; 32],
            };
            introduction.entry(now).map(|(_, until)| until)
        };
        assert_eq!(until(1_000_060), Some(Timestamp::from_secs(1_000_060)));
        assert_eq!(until(999_999_999_999_999), Some(Timestamp::from_secs(1_003_600)));
        assert_eq!(until(1_000_000), None);
        assert_eq!(until(0), None);
    }
}
