//! What a signature covers, by name: component identifiers (RFC 9421 §2), read and written.

use std::borrow::Cow;
use std::fmt;

use http::HeaderName;
use sfv::visitor::{ItemVisitor, ParameterVisitor};
use sfv::{BareItemFromInput, ItemSerializer, KeyRef, Parser, StringRef};

/// A part of a message that is no field (RFC 9421 §2.2). Of a response's, none yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Derived {
    /// `@method`
    Method,
    /// `@target-uri`
    TargetUri,
    /// `@authority`
    Authority,
    /// `@scheme`
    Scheme,
    /// `@request-target`
    RequestTarget,
    /// `@path`
    Path,
    /// `@query`
    Query,
    /// `@query-param`, which parameter being said by [`Form::Parameter`].
    QueryParam,
}

/// Each with its identifier, quoted as it is when it has no parameters.
const DERIVED: [(Derived, &str); 8] = [
    (Derived::Method, "\"@method\""),
    (Derived::TargetUri, "\"@target-uri\""),
    (Derived::Authority, "\"@authority\""),
    (Derived::Scheme, "\"@scheme\""),
    (Derived::RequestTarget, "\"@request-target\""),
    (Derived::Path, "\"@path\""),
    (Derived::Query, "\"@query\""),
    (Derived::QueryParam, "\"@query-param\""),
];

/// What a component is taken from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// A part of the message that is no field.
    Derived(Derived),
    /// A field.
    Field(HeaderName),
}

/// How a component's value is made (RFC 9421 §2.1.1 to §2.1.3, §2.2.8).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Form {
    /// As sent, lines joined.
    #[default]
    Plain,
    /// `;sf`: a structured field, serialised anew.
    Structured,
    /// `;key="…"`: one member of a dictionary. With `;sf` beside it, it means the same.
    Key(String),
    /// `;bs`: each line as a byte sequence.
    Bytes,
    /// `;name="…"`: one query parameter, percent-encoded.
    Parameter(String),
}

/// A component identifier. Two are equal if they name the same thing, whatever the order of their
/// parameters.
#[derive(Clone)]
pub struct Component {
    pub(super) name: Name,
    pub(super) form: Form,
    /// `;req`: of the request that a response answers.
    pub(super) of_request: bool,
    /// `;tr`: of the trailers.
    pub(super) of_trailers: bool,
    /// The identifier, serialised.
    text: Cow<'static, str>,
}

/// Why something is not a component identifier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ComponentError {
    /// Not a structured field item that is a string.
    #[error("a component identifier is a string with parameters")]
    Syntax,
    /// No field and no derived component has this name.
    #[error("{0:?} names no component")]
    Name(String),
    /// A parameter that nobody knows, of the wrong type, or there twice.
    #[error("the component parameter {0:?} is unknown, there twice, or of the wrong type")]
    Parameter(String),
    /// Parameters that do not go with each other or with the component.
    #[error("{0} has parameters that do not go together")]
    Combination(String),
}

impl Component {
    /// A part of the message that is no field; for `@query-param` there is [`Component::parse`].
    #[must_use]
    pub fn derived(derived: Derived) -> Self {
        let text = DERIVED.iter().find(|known| known.0 == derived).map_or("", |known| known.1);
        Self::plain(Name::Derived(derived), Cow::Borrowed(text))
    }

    /// A whole field.
    #[must_use]
    pub fn field(name: HeaderName) -> Self {
        let text = format!("\"{name}\"");
        Self::plain(Name::Field(name), Cow::Owned(text))
    }

    /// One member of a dictionary field.
    ///
    /// # Errors
    /// [`ComponentError::Parameter`] if `key` is not visible ASCII.
    pub fn member(name: HeaderName, key: &str) -> Result<Self, ComponentError> {
        let quoted = StringRef::from_str(key).map_err(|_| ComponentError::Parameter("key".to_owned()))?;
        let mut text = format!("\"{name}\";key=");
        write_item(&mut text, quoted);
        Ok(Self { form: Form::Key(key.to_owned()), ..Self::plain(Name::Field(name), Cow::Owned(text)) })
    }

    /// Reads an identifier as it stands in a signature base: `"@path"`, `"priority";sf`.
    ///
    /// # Errors
    /// [`ComponentError`].
    pub fn parse(text: &str) -> Result<Self, ComponentError> {
        let mut read = ReadComponents::default();
        let parsed = Parser::new(text).parse_item_with_visitor(read.next());
        if let Some(flaw) = read.flaw {
            return Err(flaw);
        }
        parsed.map_err(|_| ComponentError::Syntax)?;
        read.components.pop().ok_or(ComponentError::Syntax)
    }

    /// The identifier as it stands in a signature base, quotes and parameters included.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What the component is taken from.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// How its value is made.
    #[must_use]
    pub const fn form(&self) -> &Form {
        &self.form
    }

    /// Whether this is the whole thing as it was sent: no parameters at all.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.form == Form::Plain && !self.of_request && !self.of_trailers
    }

    const fn plain(name: Name, text: Cow<'static, str>) -> Self {
        Self { name, form: Form::Plain, of_request: false, of_trailers: false, text }
    }
}

impl PartialEq for Component {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.form == other.form
            && self.of_request == other.of_request
            && self.of_trailers == other.of_trailers
    }
}

impl Eq for Component {}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The components of a list as they are read, and that list's text as it is serialised.
#[derive(Default)]
pub(super) struct ReadComponents {
    pub(super) components: Vec<Component>,
    pub(super) text: String,
    /// What is wrong with the first component that cannot be used. Reading goes on: it may be in a
    /// signature that is none of ours.
    pub(super) flaw: Option<ComponentError>,
}

impl ReadComponents {
    pub(super) fn next(&mut self) -> NextComponent<'_> {
        NextComponent(self)
    }
}

pub(super) struct NextComponent<'a>(&'a mut ReadComponents);

impl<'a, 'de: 'a> ItemVisitor<'de> for NextComponent<'a> {
    type Out = ();
    type Error = std::convert::Infallible;

    fn bare_item(
        self,
        item: BareItemFromInput<'de>,
    ) -> Result<impl ParameterVisitor<'de, Out = ()>, Self::Error> {
        let start = self.0.text.len();
        write_item(&mut self.0.text, &item);
        let name = match item {
            BareItemFromInput::String(name) => Some(name),
            _ => None,
        };
        Ok(Draft { read: self.0, start, name, marks: Marks::default(), flaw: None })
    }
}

/// One component between its name and its last parameter.
struct Draft<'a, 'de> {
    read: &'a mut ReadComponents,
    start: usize,
    name: Option<Cow<'de, StringRef>>,
    marks: Marks,
    flaw: Option<ComponentError>,
}

/// The parameters of one component.
#[derive(Default)]
struct Marks {
    structured: bool,
    bytes: bool,
    of_request: bool,
    of_trailers: bool,
    key: Option<String>,
    parameter: Option<String>,
}

impl Marks {
    /// `None`: unknown, there twice, or of the wrong type.
    fn add(&mut self, key: &str, value: &BareItemFromInput<'_>) -> Option<()> {
        let flag = match key {
            "sf" => &mut self.structured,
            "bs" => &mut self.bytes,
            "req" => &mut self.of_request,
            "tr" => &mut self.of_trailers,
            "key" | "name" => {
                let text = if key == "key" { &mut self.key } else { &mut self.parameter };
                let first = text.is_none();
                *text = Some(value.as_string()?.as_str().to_owned());
                return first.then_some(());
            }
            _ => return None,
        };
        (value.as_boolean()? && !std::mem::replace(flag, true)).then_some(())
    }

    /// `None`: these parameters do not go together, or not with this name.
    fn form(&mut self, name: &Name) -> Option<Form> {
        let Name::Field(_) = name else {
            let fields_alone = self.structured || self.bytes || self.of_trailers || self.key.is_some();
            return match (name, self.parameter.take()) {
                _ if fields_alone => None,
                (Name::Derived(Derived::QueryParam), Some(parameter)) => Some(Form::Parameter(parameter)),
                (Name::Derived(Derived::QueryParam), None) | (_, Some(_)) => None,
                _ => Some(Form::Plain),
            };
        };
        match (self.key.take(), self.structured, self.bytes) {
            _ if self.parameter.is_some() => None,
            (Some(key), _, false) => Some(Form::Key(key)),
            (None, true, false) => Some(Form::Structured),
            (None, false, true) => Some(Form::Bytes),
            (None, false, false) => Some(Form::Plain),
            (_, _, true) => None,
        }
    }
}

impl<'de> ParameterVisitor<'de> for Draft<'_, 'de> {
    type Out = ();
    type Error = std::convert::Infallible;

    fn parameter(&mut self, key: &'de KeyRef, value: BareItemFromInput<'de>) -> Result<(), Self::Error> {
        write_parameter(&mut self.read.text, key, &value);
        if self.marks.add(key.as_str(), &value).is_none() {
            self.flaw.get_or_insert_with(|| ComponentError::Parameter(key.as_str().to_owned()));
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(), Self::Error> {
        match self.component() {
            Ok(component) => self.read.components.push(component),
            Err(flaw) => {
                self.read.flaw.get_or_insert(flaw);
            }
        }
        Ok(())
    }
}

impl Draft<'_, '_> {
    fn component(&mut self) -> Result<Component, ComponentError> {
        if let Some(flaw) = self.flaw.take() {
            return Err(flaw);
        }
        let text = &self.read.text[self.start..];
        let name = self.name.as_deref().ok_or(ComponentError::Syntax)?.as_str();
        let known = DERIVED.iter().find(|known| known.1[1..known.1.len() - 1] == *name);
        let whole = match known {
            Some((_, whole)) if *whole == text => Cow::Borrowed(*whole),
            _ => Cow::Owned(text.to_owned()),
        };
        let name = match known {
            Some((derived, _)) => Name::Derived(*derived),
            None => Name::Field(field_name(name).ok_or_else(|| ComponentError::Name(name.to_owned()))?),
        };
        let form = self.marks.form(&name).ok_or_else(|| ComponentError::Combination(text.to_owned()))?;
        let Marks { of_request, of_trailers, .. } = self.marks;
        Ok(Component { name, form, of_request, of_trailers, text: whole })
    }
}

/// A field's name, which is written in lower case (RFC 9421 §2.1).
fn field_name(name: &str) -> Option<HeaderName> {
    let lower = !name.bytes().any(|byte| byte.is_ascii_uppercase());
    lower.then(|| HeaderName::from_bytes(name.as_bytes()).ok()).flatten()
}

pub(super) fn write_item<'b>(out: &mut String, item: impl Into<sfv::RefBareItem<'b>>) {
    let _ = ItemSerializer::with_buffer(out).bare_item(item).finish();
}

/// Writes `;key=value`, or `;key` for the value true (RFC 9651 §4.1.1.2).
pub(super) fn write_parameter<'b>(out: &mut String, key: &KeyRef, value: impl Into<sfv::RefBareItem<'b>>) {
    out.push(';');
    out.push_str(key.as_str());
    let value = value.into();
    if value.as_boolean() != Some(true) {
        out.push('=');
        write_item(out, value);
    }
}
