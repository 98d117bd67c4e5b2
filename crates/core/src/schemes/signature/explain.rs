//! The signature base as it was built here, for the operator: what could be a secret is cut out.

use std::borrow::Cow;
use std::fmt;

use super::base::{BaseError, lines};
use super::component::{Component, Derived, Form, Name};
use super::message::Message;
use super::signed::Signed;
use crate::denial::Denial;
use crate::redaction::redact_path;

/// Shown instead of a value that is a secret by its name.
const HIDDEN: &str = "[redacted]";
/// Shown instead of a part of a value that looks like a token.
const CUT: &str = "…";
/// A token has at least so many characters in a row.
const LONG: usize = 32;

/// How much of a signature base an operator is shown, in bytes.
const LONGEST_BASE: usize = 2048;

/// A signature base, line by line, that may be shown to an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// A line for each component, and last the parameters.
    pub lines: Vec<Line>,
}

/// One line of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The component's identifier, as it stands in the base.
    pub component: String,
    /// Its value as it may be shown, or why it has none: then there is no base.
    pub value: Result<String, BaseError>,
    /// Whether the value is shown otherwise than it was signed.
    pub redacted: bool,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, line) in self.lines.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { "\n" })?;
            match &line.value {
                Ok(value) => write!(f, "{}: {value}", line.component)?,
                Err(error) => write!(f, "{}  <- {error}", line.component)?,
            }
        }
        Ok(())
    }
}

/// Renders the base that `signed` has on this message. Values of fields and parameters whose names
/// speak of secrets are hidden whole; of others, what looks like a token or an API key.
#[must_use]
pub fn explain(signed: &Signed, message: &Message<'_>) -> Explanation {
    let mut shown = Vec::with_capacity(signed.components.len() + 1);
    let mut push = |component: &str, value: Result<String, BaseError>, by: &dyn Fn(&str) -> String| {
        let redacted = value.as_ref().map(|value| by(value));
        let changed = matches!((&value, &redacted), (Ok(value), Ok(redacted)) if value != redacted);
        let value = redacted.map_err(Clone::clone);
        shown.push(Line { component: cut(component), value, redacted: changed });
    };
    for (component, value) in lines(&signed.components, message) {
        push(component.as_str(), value, &|value| redact(component, value));
    }
    // A key may have been pasted where its name belongs.
    push("\"@signature-params\"", Ok(signed.signature_params().to_owned()), &cut);
    Explanation { lines: shown }
}

fn redact(component: &Component, value: &str) -> String {
    match (&component.name, &component.form) {
        (Name::Field(name), _) if is_public(name.as_str()) => value.to_owned(),
        // In base64 nobody sees what to cut out.
        (Name::Field(_), Form::Bytes) => HIDDEN.to_owned(),
        (Name::Field(name), _) if is_secret(name.as_str()) => HIDDEN.to_owned(),
        (_, Form::Key(name) | Form::Parameter(name)) if is_secret(name) => HIDDEN.to_owned(),
        (Name::Derived(Derived::TargetUri | Derived::RequestTarget | Derived::Query), _) => {
            redact_target(value)
        }
        _ => cut(value),
    }
}

/// The path cut, and of each query parameter the value.
fn redact_target(target: &str) -> String {
    let Some((path, query)) = target.split_once('?') else { return cut(target) };
    let parameters = query.split('&').map(|parameter| match parameter.split_once('=') {
        Some((name, _)) if is_secret(name) => Cow::Owned(format!("{}={HIDDEN}", cut(name))),
        Some((name, value)) => Cow::Owned(format!("{}={}", cut(name), cut(value))),
        None => Cow::Owned(cut(parameter)),
    });
    format!("{}?{}", cut(path), parameters.collect::<Vec<_>>().join("&"))
}

/// Fields whose values are known to hold no secret, though they look or sound like it.
fn is_public(name: &str) -> bool {
    matches!(
        name,
        "content-digest"
            | "repr-digest"
            | "content-type"
            | "content-length"
            | "date"
            | "signature-key"
            | "signature-agent"
            | "webhook-key"
    )
}

/// Names that speak of secrets.
fn is_secret(name: &str) -> bool {
    const WORDS: [&str; 15] = [
        "auth",
        "cookie",
        "token",
        "secret",
        "key",
        "passw",
        "pwd",
        "credential",
        "session",
        "handshake",
        "signature",
        "dpop",
        "jwt",
        "code",
        "assertion",
    ];
    let name = name.to_ascii_lowercase();
    WORDS.iter().any(|word| name.contains(word))
}

/// Cuts out API keys, and runs of characters that are too long and too mixed for words.
fn cut(text: &str) -> String {
    let text = redact_path(text);
    let mut shown = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let run = rest.bytes().position(|byte| !is_of_token(byte)).unwrap_or(rest.len());
        let (token, after) = rest.split_at(run);
        let mixed = token.bytes().any(|byte| byte.is_ascii_uppercase())
            && token.bytes().any(|byte| byte.is_ascii_lowercase());
        shown.push_str(if run >= LONG && mixed { CUT } else { token });
        let other = after.chars().next();
        shown.extend(other);
        rest = &after[other.map_or(0, char::len_utf8)..];
    }
    shown
}

/// The characters of base64 in both alphabets, of JWTs, and of escapes.
const fn is_of_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'+' | b'=' | b'%')
}

/// A denial that also shows the operator the signature base as it was built here.
pub(super) fn with_base(denial: &Denial, signed: &Signed, message: &Message<'_>) -> Denial {
    let base = shortened(explain(signed, message).to_string());
    Denial::new(denial.code(), format!("{}; the base as it is here:\n{base}", denial.cause()))
}

fn shortened(mut text: String) -> String {
    if text.len() > LONGEST_BASE {
        let mut end = LONGEST_BASE;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
    text
}
