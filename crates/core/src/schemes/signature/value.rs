//! What a component is worth on a message (RFC 9421 §2.1 and §2.2).

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use sfv::{Dictionary, ListEntry, Parser};

use super::base::BaseError;
use super::component::{Component, Derived, Form, Name};
use super::item::write_item;
use super::message::{Message, Start};
use super::rewrite::{encoded_anew, restructured};
use crate::request::query_parameters;

impl Message<'_> {
    /// Appends the value of `component` to `out`.
    ///
    /// # Errors
    /// [`BaseError`]; then `out` may hold a part of it.
    pub(super) fn write(&self, component: &Component, out: &mut String) -> Result<(), BaseError> {
        let not_given = || BaseError::NotGiven(component.to_string());
        let part = if component.of_request { self.answered().ok_or_else(not_given)? } else { self };
        let start = out.len();
        match (&component.name, &component.form) {
            (Name::Field(name), form) => {
                let fields = if component.of_trailers { part.trailers } else { Some(part.headers) };
                write_field(fields.ok_or_else(not_given)?, component, name, form, out)?;
            }
            (Name::Derived(derived), form) => match (part.start, form) {
                (Start::Response { status, .. }, _) if *derived == Derived::Status => {
                    out.push_str(status.as_str());
                }
                (Start::Request { target, .. }, Form::Parameter(name)) => {
                    write_parameter(target, component, name, out)?;
                }
                (Start::Request { method, target }, _) => {
                    Target(target).write(*derived, method, out).ok_or_else(not_given)?;
                }
                (Start::Response { .. }, _) => return Err(not_given()),
            },
        }
        // A line break would let one component pass for two; anything but ASCII has several readings.
        let readable = |byte: u8| byte == b'\t' || (b' '..=b'~').contains(&byte);
        // Not `all`: without a way out in between, many bytes are looked at in one step.
        if out.as_bytes()[start..].iter().fold(true, |so_far, &byte| so_far & readable(byte)) {
            Ok(())
        } else {
            Err(BaseError::NotText(component.to_string()))
        }
    }
}

impl Message<'_> {
    /// How many bytes are parsed to find the value of `component`: of a field or query of which it is a
    /// part; nothing for what is taken as it is.
    pub(super) fn parsed_for(&self, component: &Component) -> usize {
        let part = if component.of_request { self.answered().unwrap_or(self) } else { self };
        match (&component.name, &component.form) {
            (Name::Field(name), Form::Structured | Form::Key(_)) => {
                let fields = if component.of_trailers { part.trailers } else { Some(part.headers) };
                let lines = fields.map(|fields| fields.get_all(name).iter().map(HeaderValue::len).sum());
                lines.unwrap_or(0)
            }
            (Name::Derived(_), Form::Parameter(_)) => match part.start {
                Start::Request { target, .. } => target.query().map_or(0, str::len),
                Start::Response { .. } => 0,
            },
            _ => 0,
        }
    }
}

/// A request's target (RFC 9421 §2.2.2 to §2.2.7).
struct Target<'a>(&'a Uri);

impl Target<'_> {
    /// `None`: requests have no such part.
    fn write(&self, derived: Derived, method: &Method, out: &mut String) -> Option<()> {
        match derived {
            Derived::Method => out.push_str(method.as_str()),
            Derived::TargetUri => {
                if let (Some(scheme), Some(authority)) = (self.0.scheme_str(), self.0.authority()) {
                    out.push_str(scheme);
                    out.push_str("://");
                    out.push_str(authority.as_str());
                }
                self.write_origin_form(out);
            }
            Derived::Authority => self.write_authority(out),
            Derived::Scheme => push_lower(out, self.0.scheme_str().unwrap_or_default()),
            Derived::RequestTarget => self.write_origin_form(out),
            Derived::Path => out.push_str(self.path()),
            Derived::Query => {
                out.push('?');
                out.push_str(self.0.query().unwrap_or_default());
            }
            // A parameter has a name, and is written elsewhere.
            Derived::QueryParam | Derived::Status => return None,
        }
        Some(())
    }

    fn path(&self) -> &str {
        match self.0.path() {
            "" => "/",
            path => path,
        }
    }

    /// The only form of a target that reaches a verifier (RFC 9421 §2.2.5).
    fn write_origin_form(&self, out: &mut String) {
        out.push_str(self.path());
        if let Some(query) = self.0.query() {
            out.push('?');
            out.push_str(query);
        }
    }

    /// Lower case, without the scheme's own port (RFC 9421 §2.2.3).
    fn write_authority(&self, out: &mut String) {
        push_lower(out, self.0.host().unwrap_or_default());
        let usual = match self.0.scheme_str() {
            Some("http") => Some(80),
            Some("https") => Some(443),
            _ => None,
        };
        if let Some(port) = self.0.port()
            && Some(port.as_u16()) != usual
        {
            out.push(':');
            out.push_str(port.as_str());
        }
    }
}

fn write_field(
    fields: &HeaderMap,
    component: &Component,
    name: &HeaderName,
    form: &Form,
    out: &mut String,
) -> Result<(), BaseError> {
    let mut lines = fields.get_all(name).iter().peekable();
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
            let fields: Dictionary =
                Parser::new(&joined).parse().map_err(|_| BaseError::NotStructured(component.to_string()))?;
            let member = fields.get(key.as_str());
            write_member(out, member.ok_or_else(|| BaseError::Missing(component.to_string()))?);
            Ok(())
        }
        Form::Plain | Form::Parameter(_) => write_lines(component, lines, out),
    }
}

/// RFC 9421 §2.2.8. Names and values are decoded and encoded again, byte by byte: what is not
/// UTF-8 stays distinct, where the standard's replacement characters would make it all alike.
fn write_parameter(
    target: &Uri,
    component: &Component,
    name: &str,
    out: &mut String,
) -> Result<(), BaseError> {
    let mut found = query_parameters(target.query()).filter(|(key, _)| encoded_anew(key) == name);
    let (_, value) = found.next().ok_or_else(|| BaseError::Missing(component.to_string()))?;
    if found.next().is_some() {
        return Err(BaseError::Repeated(component.to_string()));
    }
    out.push_str(&encoded_anew(value));
    Ok(())
}
fn push_lower(out: &mut String, text: &str) {
    let start = out.len();
    out.push_str(text);
    out[start..].make_ascii_lowercase();
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
