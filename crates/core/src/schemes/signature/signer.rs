//! The signing half: makes a signature of a message, and puts it on (RFC 9421 §3.1).

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use sfv::{Dictionary, Integer, KeyRef, Parser, StringRef};

use super::base::{BaseError, signature_base};
use super::component::{Component, Derived};
use super::digest::CONTENT_DIGEST;
use super::input::{SIGNATURE, SIGNATURE_INPUT};
use super::item::{write_item, write_parameter};
use super::message::Message;
use super::signed::Parameters;
use crate::crypto::Signer;
use crate::time::Timestamp;

/// Why a message was not signed; its headers are as before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// What is to be covered is not there, or cannot be signed.
    #[error(transparent)]
    Base(#[from] BaseError),
    /// Lower-case letters, digits, `_-.*`, starting with a letter or `*`.
    #[error("{0:?} is not a label")]
    Label(String),
    /// The message already has a signature of this label.
    #[error("the message has a signature {0} already")]
    LabelTaken(String),
    /// A header that is there already cannot be read.
    #[error("the {0} that is there already is no dictionary")]
    Header(&'static str),
    /// A parameter that is no printable ASCII, or a moment beyond the year 30 million.
    #[error("{0} cannot be written as a structured field")]
    Parameter(&'static str),
    /// The key could not be used.
    #[error("the key did not sign")]
    Key,
}

/// A signature that was made and is not on any message yet.
pub struct NewSignature {
    label: String,
    /// The member of `Signature-Input`.
    input: String,
    /// The member of `Signature`.
    signature: String,
}

/// What [`covers`](super::covers) asks of a request with these headers: method, scheme, authority,
/// path and query, `content-type` where there is one, and `content-digest` where there is one or
/// `has_body` says that there must be.
#[must_use]
pub fn cover_floor(headers: &HeaderMap, has_body: bool) -> Vec<Component> {
    let parts = [Derived::Method, Derived::Scheme, Derived::Authority, Derived::Path, Derived::Query];
    let mut components: Vec<_> = parts.into_iter().map(Component::derived).collect();
    if headers.contains_key(CONTENT_TYPE) {
        components.push(Component::field(CONTENT_TYPE));
    }
    if has_body || headers.contains_key(CONTENT_DIGEST) {
        components.push(Component::field(CONTENT_DIGEST));
    }
    components
}

/// Signs a request: adds a member `label` to `Signature-Input` and one to `Signature`, beside those
/// that are there. The parameters are taken as they are; `alg` may be left out, for the key has it.
///
/// # Errors
/// [`SignError`]; then the headers are untouched.
pub fn sign(
    headers: &mut HeaderMap,
    method: &Method,
    target: &Uri,
    label: &str,
    components: &[Component],
    parameters: &Parameters,
    key: &dyn Signer,
) -> Result<(), SignError> {
    let message = Message::request(method, target, headers);
    NewSignature::make(&message, label, components, parameters, key)?.put_on(headers)
}

/// Signs a response, as [`sign`] a request. `request` is the one that it answers, if components
/// with `;req` are to be covered.
///
/// # Errors
/// [`SignError`]; then the headers are untouched.
pub fn sign_response(
    headers: &mut HeaderMap,
    status: StatusCode,
    request: Option<&Message<'_>>,
    label: &str,
    components: &[Component],
    parameters: &Parameters,
    key: &dyn Signer,
) -> Result<(), SignError> {
    let message = Message::response(status, headers, request);
    NewSignature::make(&message, label, components, parameters, key)?.put_on(headers)
}

impl NewSignature {
    /// Makes a signature of a message of any kind, trailers included.
    ///
    /// # Errors
    /// [`SignError`].
    pub fn make(
        message: &Message<'_>,
        label: &str,
        components: &[Component],
        parameters: &Parameters,
        key: &dyn Signer,
    ) -> Result<Self, SignError> {
        KeyRef::from_str(label).map_err(|_| SignError::Label(label.to_owned()))?;
        let input = signature_params(components, parameters)?;
        let base = signature_base(components, &input, message)?;
        let bytes = key.sign(base.as_bytes()).ok_or(SignError::Key)?;
        let mut signature = String::with_capacity(4 + bytes.len() * 4 / 3);
        write_item(&mut signature, &bytes[..]);
        Ok(Self { label: label.to_owned(), input, signature })
    }

    /// Adds it to header or trailer fields, beside the signatures that are there.
    ///
    /// # Errors
    /// [`SignError::LabelTaken`] and [`SignError::Header`]; then the fields are untouched.
    pub fn put_on(&self, fields: &mut HeaderMap) -> Result<(), SignError> {
        let inputs = present(fields, &SIGNATURE_INPUT, "Signature-Input", &self.label)?;
        let signatures = present(fields, &SIGNATURE, "Signature", &self.label)?;
        let input = with_member(inputs, &self.label, &self.input);
        let input = input.ok_or(SignError::Header("Signature-Input"))?;
        let signature = with_member(signatures, &self.label, &self.signature);
        let signature = signature.ok_or(SignError::Header("Signature"))?;
        fields.insert(SIGNATURE_INPUT, input);
        fields.insert(SIGNATURE, signature);
        Ok(())
    }
}

/// What a header holds already, on one line.
fn present(
    headers: &HeaderMap,
    name: &HeaderName,
    shown: &'static str,
    label: &str,
) -> Result<String, SignError> {
    let mut joined = String::new();
    for line in headers.get_all(name) {
        let line = line.to_str().map_err(|_| SignError::Header(shown))?.trim_matches([' ', '\t']);
        if !joined.is_empty() && !line.is_empty() {
            joined.push_str(", ");
        }
        joined.push_str(line);
    }
    let members: Dictionary = Parser::new(&joined).parse().map_err(|_| SignError::Header(shown))?;
    if members.contains_key(label) {
        return Err(SignError::LabelTaken(label.to_owned()));
    }
    Ok(joined)
}

fn with_member(mut joined: String, label: &str, value: &str) -> Option<HeaderValue> {
    if !joined.is_empty() {
        joined.push_str(", ");
    }
    joined.push_str(label);
    joined.push('=');
    joined.push_str(value);
    HeaderValue::try_from(joined).ok()
}

/// The value of `@signature-params` (RFC 9421 §2.3). Any order will do there; this one is that of libraries
/// which write the parameters anew before they verify, instead of taking them as they came.
pub(super) fn signature_params(
    components: &[Component],
    parameters: &Parameters,
) -> Result<String, SignError> {
    let mut text = String::with_capacity(160 + 20 * components.len());
    text.push('(');
    for (index, component) in components.iter().enumerate() {
        text.push_str(if index == 0 { "" } else { " " });
        text.push_str(component.as_str());
    }
    text.push(')');
    write_moment(&mut text, "created", parameters.created)?;
    write_moment(&mut text, "expires", parameters.expires)?;
    write_text(&mut text, "nonce", parameters.nonce.as_deref())?;
    write_text(&mut text, "alg", parameters.alg.as_deref())?;
    write_text(&mut text, "keyid", parameters.keyid.as_deref())?;
    write_text(&mut text, "tag", parameters.tag.as_deref())?;
    Ok(text)
}

fn write_moment(out: &mut String, name: &'static str, moment: Option<Timestamp>) -> Result<(), SignError> {
    let Some(moment) = moment else { return Ok(()) };
    let seconds = Integer::try_from(moment.as_secs()).map_err(|_| SignError::Parameter(name))?;
    write_parameter(out, KeyRef::constant(name), seconds);
    Ok(())
}

fn write_text(out: &mut String, name: &'static str, text: Option<&str>) -> Result<(), SignError> {
    let Some(text) = text else { return Ok(()) };
    let text = StringRef::from_str(text).map_err(|_| SignError::Parameter(name))?;
    write_parameter(out, KeyRef::constant(name), text);
    Ok(())
}
