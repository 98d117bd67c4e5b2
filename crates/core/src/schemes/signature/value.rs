//! What a component is worth on a message (RFC 9421 §2.1 and §2.2).

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use sfv::{Dictionary, FieldType as _, Item, List, ListEntry, Parser};

use super::base::BaseError;
use super::component::{Component, Derived, Form, Name};
use super::identifier::write_item;
use crate::request::{RequestView, query_parameters};

/// A request as signatures see it.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    /// The method, as sent.
    pub method: &'a Method,
    /// The target, with scheme and authority; path and query as sent.
    pub target: &'a Uri,
    /// The header fields.
    pub headers: &'a HeaderMap,
}

impl<'a> From<&RequestView<'a>> for Message<'a> {
    fn from(request: &RequestView<'a>) -> Self {
        Self { method: request.method, target: request.target, headers: request.headers }
    }
}

impl Message<'_> {
    /// Appends the value of `component` to `out`.
    ///
    /// # Errors
    /// [`BaseError`]; then `out` may hold a part of it.
    pub(super) fn write(&self, component: &Component, out: &mut String) -> Result<(), BaseError> {
        if component.of_request || component.of_trailers {
            return Err(BaseError::NotOnRequest(component.to_string()));
        }
        let start = out.len();
        match (&component.name, &component.form) {
            (Name::Field(name), form) => self.write_field(component, name, form, out)?,
            (Name::Derived(_), Form::Parameter(name)) => self.write_parameter(component, name, out)?,
            (Name::Derived(derived), _) => self.write_derived(*derived, out),
        }
        // A line break would let one component pass for two; anything but ASCII has several readings.
        let readable = |byte: u8| byte == b'\t' || (b' '..=b'~').contains(&byte);
        if out.as_bytes()[start..].iter().copied().all(readable) {
            Ok(())
        } else {
            Err(BaseError::NotText(component.to_string()))
        }
    }

    fn write_derived(&self, derived: Derived, out: &mut String) {
        let target = self.target;
        match derived {
            Derived::Method => out.push_str(self.method.as_str()),
            Derived::TargetUri => {
                if let (Some(scheme), Some(authority)) = (target.scheme_str(), target.authority()) {
                    out.push_str(scheme);
                    out.push_str("://");
                    out.push_str(authority.as_str());
                }
                self.write_request_target(out);
            }
            Derived::Authority => self.write_authority(out),
            Derived::Scheme => push_lower(out, target.scheme_str().unwrap_or_default()),
            Derived::RequestTarget => self.write_request_target(out),
            Derived::Path => out.push_str(self.path()),
            Derived::Query => {
                out.push('?');
                out.push_str(target.query().unwrap_or_default());
            }
            // Its name is its form's, and is written elsewhere.
            Derived::QueryParam => {}
        }
    }

    fn path(&self) -> &str {
        match self.target.path() {
            "" => "/",
            path => path,
        }
    }

    /// Origin form, the only one that reaches a verifier (RFC 9421 §2.2.5).
    fn write_request_target(&self, out: &mut String) {
        out.push_str(self.path());
        if let Some(query) = self.target.query() {
            out.push('?');
            out.push_str(query);
        }
    }

    /// Lower case, without the scheme's own port (RFC 9421 §2.2.3).
    fn write_authority(&self, out: &mut String) {
        push_lower(out, self.target.host().unwrap_or_default());
        let usual = match self.target.scheme_str() {
            Some("http") => Some(80),
            Some("https") => Some(443),
            _ => None,
        };
        if let Some(port) = self.target.port()
            && Some(port.as_u16()) != usual
        {
            out.push(':');
            out.push_str(port.as_str());
        }
    }

    fn write_field(
        &self,
        component: &Component,
        name: &HeaderName,
        form: &Form,
        out: &mut String,
    ) -> Result<(), BaseError> {
        let mut lines = self.headers.get_all(name).iter().peekable();
        if lines.peek().is_none() {
            return Err(BaseError::Missing(component.to_string()));
        }
        match form {
            Form::Bytes => {
                for (index, line) in lines.enumerate() {
                    out.push_str(if index == 0 { "" } else { ", " });
                    write_item(out, trimmed(line));
                }
                Ok(())
            }
            Form::Structured => {
                let joined = joined(component, lines)?;
                let written = restructured(name, &joined);
                out.push_str(&written.ok_or_else(|| BaseError::NotStructured(component.to_string()))?);
                Ok(())
            }
            Form::Key(key) => {
                let joined = joined(component, lines)?;
                let fields: Dictionary = Parser::new(&joined)
                    .parse()
                    .map_err(|_| BaseError::NotStructured(component.to_string()))?;
                let member = fields.get(key.as_str());
                write_member(out, member.ok_or_else(|| BaseError::Missing(component.to_string()))?);
                Ok(())
            }
            Form::Plain | Form::Parameter(_) => write_lines(component, lines, out),
        }
    }

    /// RFC 9421 §2.2.8. Names and values are decoded and encoded again, byte by byte: what is not
    /// UTF-8 stays distinct, where the standard's replacement characters would make it all alike.
    fn write_parameter(&self, component: &Component, name: &str, out: &mut String) -> Result<(), BaseError> {
        let mut found = query_parameters(self.target.query()).filter(|(key, _)| encoded_anew(key) == name);
        let (_, value) = found.next().ok_or_else(|| BaseError::Missing(component.to_string()))?;
        if found.next().is_some() {
            return Err(BaseError::Repeated(component.to_string()));
        }
        out.push_str(&encoded_anew(value));
        Ok(())
    }
}

fn push_lower(out: &mut String, text: &str) {
    out.extend(text.chars().map(|character| character.to_ascii_lowercase()));
}

/// The line without the white space around it.
fn trimmed(line: &HeaderValue) -> &[u8] {
    let mut bytes = line.as_bytes();
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

fn write_lines<'a>(
    component: &Component,
    lines: impl Iterator<Item = &'a HeaderValue>,
    out: &mut String,
) -> Result<(), BaseError> {
    for (index, line) in lines.enumerate() {
        let line =
            std::str::from_utf8(trimmed(line)).map_err(|_| BaseError::NotText(component.to_string()))?;
        out.push_str(if index == 0 { "" } else { ", " });
        out.push_str(line);
    }
    Ok(())
}

fn joined<'a>(
    component: &Component,
    lines: impl Iterator<Item = &'a HeaderValue>,
) -> Result<String, BaseError> {
    let mut joined = String::new();
    write_lines(component, lines, &mut joined)?;
    Ok(joined)
}

/// A dictionary's member, serialised: the text of a list with that one entry.
fn write_member(out: &mut String, member: &ListEntry) {
    let mut list = sfv::ListSerializer::with_buffer(out);
    list.members([member]);
    let _ = list.finish();
}

/// A structured field as RFC 9651 writes it; `None` if it is not known to be one, or cannot be read.
fn restructured(name: &HeaderName, text: &str) -> Option<String> {
    match name.as_str() {
        "accept-signature"
        | "cache-control"
        | "cdn-cache-control"
        | "content-digest"
        | "no-vary-search"
        | "priority"
        | "repr-digest"
        | "signature"
        | "signature-agent"
        | "signature-input"
        | "signature-key"
        | "want-content-digest"
        | "want-repr-digest"
        | "webhook-key" => Parser::new(text).parse::<Dictionary>().ok()?.serialize(),
        "accept" | "accept-ch" | "accept-encoding" | "accept-language" | "allow" | "cache-status"
        | "client-cert-chain" | "content-encoding" | "content-language" | "proxy-status" | "te"
        | "trailer" | "transfer-encoding" | "vary" => Parser::new(text).parse::<List>().ok()?.serialize(),
        "age"
        | "client-cert"
        | "content-length"
        | "content-type"
        | "idempotency-key"
        | "max-forwards"
        | "origin-agent-cluster"
        | "retry-after" => Some(Parser::new(text).parse::<Item>().ok()?.serialize()),
        _ => None,
    }
}

/// Decodes `application/x-www-form-urlencoded`, and percent-encodes again what needs it.
fn encoded_anew(text: &str) -> String {
    let hex = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut out = String::with_capacity(text.len());
    let mut bytes = text.as_bytes();
    while let [first, rest @ ..] = bytes {
        let mut byte = if *first == b'+' { b' ' } else { *first };
        bytes = rest;
        if let (b'%', [high, low, after @ ..]) = (byte, rest)
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            byte = (high << 4) | low;
            bytes = after;
        }
        if byte.is_ascii_alphanumeric() || b"*-._".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for digit in [byte >> 4, byte & 15] {
                out.push(char::from(b"0123456789ABCDEF"[usize::from(digit)]));
            }
        }
    }
    out
}
