//! Reading component identifiers out of a structured field, and writing them back as they were sent.

use std::borrow::Cow;

use http::HeaderName;
use sfv::visitor::{ItemVisitor, ParameterVisitor};
use sfv::{BareItemFromInput, KeyRef, Parser, StringRef};

use super::component::{Component, ComponentError, DERIVED, Derived, Form, Name};
use super::item::{write_item, write_parameter};

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

impl<'de> ItemVisitor<'de> for NextComponent<'_> {
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
        if of_request && name == Name::Derived(Derived::Status) {
            return Err(ComponentError::Combination(text.to_owned()));
        }
        Ok(Component { name, form, of_request, of_trailers, text: whole })
    }
}

impl Component {
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
}

/// A field's name, which is written in lower case (RFC 9421 §2.1).
pub(super) fn field_name(name: &str) -> Option<HeaderName> {
    let lower = !name.bytes().any(|byte| byte.is_ascii_uppercase());
    lower.then(|| HeaderName::from_bytes(name.as_bytes()).ok()).flatten()
}
