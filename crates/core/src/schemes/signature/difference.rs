//! Where two signature bases part: a caller may send a digest of each line that it signed, and learns
//! which is the first that reads otherwise here. It learns nothing else: not the line, and no digest.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};
use sfv::{BareItem, Dictionary, FieldType as _, KeyRef, ListEntry, Parser};

use super::base::{BaseError, lines};
use super::component::Component;
use super::item::write_parameter;
use super::message::Message;
use super::signed::{Parameters, Signed};
use super::signer::{SignError, signature_params};
use crate::crypto::sha256;

/// `Countersign-Base-Digests`: a dictionary; for each signature, by its label, the list of its
/// components, each with `d`, the first 8 bytes of the SHA-256 of its line in the signature base, and
/// last `"@signature-params"` likewise. At most 4 KiB, on one line.
///
/// ```text
/// Countersign-Base-Digests: sig1=("@method";d=:GgPtr4EmaJs=: "@signature-params";d=:Xv6UqSbCnHo=:)
/// ```
pub const BASE_DIGESTS: HeaderName = HeaderName::from_static("countersign-base-digests");

const MAX_BYTES: usize = 4 * 1024;
/// Enough to tell lines apart, too few to be worth keeping.
const DIGEST: usize = 8;
const LAST: &str = "\"@signature-params\"";

/// Where the caller's signature base and ours part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// In this line, the first of which the digests differ, or which cannot be made here: a component's
    /// identifier, or `"@signature-params"`.
    At(String),
    /// In none: the key or the signature itself is another.
    Nowhere,
}

/// For the caller: it names nothing that the caller did not send.
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(component) => write!(f, "{component} is not what was signed"),
            Self::Nowhere => {
                f.write_str("what was signed is the same here: the key or the signature is another")
            }
        }
    }
}

/// The claimant's half: the value of [`BASE_DIGESTS`] for a signature over these components with
/// these parameters.
///
/// # Errors
/// [`SignError`], where the signature cannot be made either; [`SignError::Header`] beyond 4 KiB.
pub fn base_digests(
    message: &Message<'_>,
    label: &str,
    components: &[Component],
    parameters: &Parameters,
) -> Result<HeaderValue, SignError> {
    KeyRef::from_str(label).map_err(|_| SignError::Label(label.to_owned()))?;
    let last = signature_params(components, parameters)?;
    let mut text = format!("{label}=(");
    for (component, value) in lines(components, message) {
        write(&mut text, component.as_str(), &value?);
        text.push(' ');
    }
    write(&mut text, LAST, &last);
    text.push(')');
    if text.len() > MAX_BYTES {
        return Err(SignError::Header("Countersign-Base-Digests"));
    }
    HeaderValue::try_from(text).map_err(|_| SignError::Header("Countersign-Base-Digests"))
}

fn write(out: &mut String, identifier: &str, value: &str) {
    out.push_str(identifier);
    write_parameter(out, KeyRef::constant("d"), &digest(identifier, value)[..]);
}

fn digest(identifier: &str, value: &str) -> [u8; DIGEST] {
    let mut first = [0; DIGEST];
    first.copy_from_slice(&sha256(format!("{identifier}: {value}").as_bytes())[..DIGEST]);
    first
}

/// The verifier's half: where the base that `signed` has on this message differs from the one whose
/// digests the message carries. `None` if it carries none for this label, or they cannot be read, or
/// are of other components.
#[must_use]
pub fn difference(headers: &HeaderMap, signed: &Signed, message: &Message<'_>) -> Option<Difference> {
    let mut found = headers.get_all(BASE_DIGESTS).iter();
    let line = found.next().filter(|line| line.len() <= MAX_BYTES)?;
    if found.next().is_some() {
        return None;
    }
    let mut members: Dictionary = Parser::new(line.as_bytes()).parse().ok()?;
    let Some(ListEntry::InnerList(sent)) = members.swap_remove(signed.label.as_str()) else { return None };
    let own = lines(&signed.components, message).map(|(component, value)| (component.as_str(), value));
    let own = own.chain([(LAST, Ok(signed.signature_params().to_owned()))]);
    if sent.items.len() != signed.components.len() + 1 {
        return None;
    }
    let mut first = None;
    for (mut item, (identifier, value)) in sent.items.into_iter().zip(own) {
        let (name, sent) = item.params.pop()?;
        let BareItem::ByteSequence(sent) = sent else { return None };
        if name.as_str() != "d" || sent.len() != DIGEST || item.serialize() != identifier {
            return None;
        }
        // The rest is read all the same: what cannot be read has no first difference.
        if first.is_none() && !matches_line(identifier, &value, &sent) {
            first = Some(identifier.to_owned());
        }
    }
    Some(first.map_or(Difference::Nowhere, Difference::At))
}

fn matches_line(identifier: &str, value: &Result<String, BaseError>, sent: &[u8]) -> bool {
    value.as_ref().is_ok_and(|value| digest(identifier, value) == *sent)
}
