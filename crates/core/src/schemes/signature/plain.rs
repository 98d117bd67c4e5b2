//! The short way to read a signature: one of ours alone, in the form that RFC 9651 §4.1 writes. Whatever
//! is not of that form is left to the whole reading, which also says what is wrong with it.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderName;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, DATE};
use memchr::memchr;

use super::component::{Component, DERIVED, Derived, Form, Name};
use super::digest::CONTENT_DIGEST;
use super::fields::MAX_COMPONENTS;
use super::identifier::field_name;
use super::signed::{Parameters, Signed};
use crate::time::Timestamp;

/// Fields that are covered so often that their identifiers are not made anew.
fn usual_field(identifier: &str) -> Option<(&'static str, HeaderName)> {
    Some(match identifier {
        "\"content-digest\"" => ("\"content-digest\"", CONTENT_DIGEST),
        "\"content-type\"" => ("\"content-type\"", CONTENT_TYPE),
        "\"content-length\"" => ("\"content-length\"", CONTENT_LENGTH),
        "\"date\"" => ("\"date\"", DATE),
        "\"authorization\"" => ("\"authorization\"", AUTHORIZATION),
        _ => return None,
    })
}

/// Reads the one line of either header. `None` says nothing: the other way is to be taken.
pub(super) fn read(input: &str, signature: &str, is_ours: &dyn Fn(&Parameters) -> bool) -> Option<Signed> {
    // In strings nothing is escaped then. Not `all`: without a way out, many bytes are looked at in one step.
    let simple = |byte| (b' '..=b'~').contains(&byte) && byte != b'\\';
    if !input.bytes().fold(true, |so_far, byte| so_far & simple(byte)) {
        return None;
    }
    let (label, text) = parted(input, b'=')?;
    let encoded = signature.strip_prefix(label)?.strip_prefix("=:")?.strip_suffix(':')?;
    let first = *label.as_bytes().first()?;
    if !(first.is_ascii_lowercase() || first == b'*') || !label.bytes().all(is_of_key) {
        return None;
    }
    let (components, mut rest) = read_components(text.strip_prefix('(')?)?;
    let mut parameters = Parameters::default();
    while !rest.is_empty() {
        rest = read_parameter(&mut parameters, rest.strip_prefix(';')?)?;
    }
    // Another's signature may be anything.
    if parameters.tag.is_none() || !is_ours(&parameters) {
        return None;
    }
    let signature = STANDARD.decode(encoded).ok()?;
    Some(Signed { label: label.to_owned(), components, parameters, signature, text: text.to_owned() })
}

/// Up to the closing parenthesis; and what follows it.
fn read_components(mut rest: &str) -> Option<(Vec<Component>, &str)> {
    let mut components = Vec::with_capacity(8);
    if let Some(rest) = rest.strip_prefix(')') {
        return Some((components, rest));
    }
    loop {
        let length = parted(rest.strip_prefix('"')?, b'"')?.0.len();
        let (identifier, after) = rest.split_at(length + 2);
        components.push(component(identifier)?);
        rest = match after.as_bytes().first()? {
            b' ' if components.len() < MAX_COMPONENTS => &after[1..],
            b')' => return Some((components, &after[1..])),
            // Parameters, or no list.
            _ => return None,
        };
    }
}

/// Of an identifier in its quotes, without parameters.
fn component(identifier: &str) -> Option<Component> {
    let plain =
        |name, text| Component { name, form: Form::Plain, of_request: false, of_trailers: false, text };
    if let Some((derived, text)) = DERIVED.iter().find(|known| known.1 == identifier) {
        // It has a parameter.
        let alone = *derived != Derived::QueryParam;
        return alone.then(|| plain(Name::Derived(*derived), Cow::Borrowed(*text)));
    }
    if let Some((text, name)) = usual_field(identifier) {
        return Some(plain(Name::Field(name), Cow::Borrowed(text)));
    }
    let name = field_name(&identifier[1..identifier.len() - 1])?;
    Some(plain(Name::Field(name), Cow::Owned(identifier.to_owned())))
}

/// One of those that are known, for the first time; and what follows it.
fn read_parameter<'a>(parameters: &mut Parameters, text: &'a str) -> Option<&'a str> {
    let (name, value) = parted(text, b'=')?;
    let moment = match name {
        "created" => Some(&mut parameters.created),
        "expires" => Some(&mut parameters.expires),
        _ => None,
    };
    if let Some(slot) = moment {
        let digits = value.bytes().take(16).take_while(u8::is_ascii_digit);
        let (length, seconds) = digits
            .fold((0, 0), |(length, so_far), digit| (length + 1, 10 * so_far + u64::from(digit - b'0')));
        // Fifteen digits at most, and zeros before them are not written (RFC 9651 §3.3.1).
        let canonical = (1..=15).contains(&length) && (length == 1 || !value.starts_with('0'));
        let first = canonical && slot.replace(Timestamp::from_secs(seconds)).is_none();
        return first.then(|| &value[length..]);
    }
    let slot = match name {
        "nonce" => &mut parameters.nonce,
        "alg" => &mut parameters.alg,
        "keyid" => &mut parameters.keyid,
        "tag" => &mut parameters.tag,
        _ => return None,
    };
    let (string, rest) = parted(value.strip_prefix('"')?, b'"')?;
    slot.replace(string.to_owned()).is_none().then_some(rest)
}

/// What is before the first `separator`, which is ASCII, and what is behind it.
fn parted(text: &str, separator: u8) -> Option<(&str, &str)> {
    let end = memchr(separator, text.as_bytes())?;
    Some((&text[..end], &text[end + 1..]))
}

/// RFC 9651 §3.1.2.
const fn is_of_key(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-' | b'.' | b'*')
}
