//! What a signature covers, by name: component identifiers (RFC 9421 §2).

use std::borrow::Cow;
use std::fmt;

use http::HeaderName;
use sfv::StringRef;

use super::item::write_item;

/// A part of a message that is no field (RFC 9421 §2.2).
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
    /// `@status`, a response's only one.
    Status,
}

/// Each with its identifier, quoted as it is when it has no parameters.
pub(super) const DERIVED: [(Derived, &str); 9] = [
    (Derived::Method, "\"@method\""),
    (Derived::TargetUri, "\"@target-uri\""),
    (Derived::Authority, "\"@authority\""),
    (Derived::Scheme, "\"@scheme\""),
    (Derived::RequestTarget, "\"@request-target\""),
    (Derived::Path, "\"@path\""),
    (Derived::Query, "\"@query\""),
    (Derived::QueryParam, "\"@query-param\""),
    (Derived::Status, "\"@status\""),
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
    pub(super) text: Cow<'static, str>,
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

    /// The same of the request that a response answers: `;req` (RFC 9421 §2.4). Of `@status`, which
    /// no request has, nothing changes.
    #[must_use]
    pub fn of_request(mut self) -> Self {
        if !self.of_request && self.name != Name::Derived(Derived::Status) {
            self.of_request = true;
            self.text = Cow::Owned(format!("{};req", self.text));
        }
        self
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

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Result<String, ComponentError> {
        Component::parse(text).map(|component| component.to_string())
    }

    #[test]
    fn identifiers_are_kept_as_sent() {
        for text in [
            r#""@method""#,
            r#""content-type""#,
            r#""x";sf"#,
            r#""x";key="a\"b""#,
            r#""x";bs;tr"#,
            r#""x";tr;bs"#,
            r#""@path";req"#,
            r#""@query-param";name="a%20b""#,
        ] {
            assert_eq!(name(text).as_deref(), Ok(text));
        }
    }

    #[test]
    fn what_is_written_here_is_what_is_read() {
        let member = Component::member(HeaderName::from_static("signature-key"), "a\"b").unwrap();
        assert_eq!(member, Component::parse(member.as_str()).unwrap());
        assert_eq!(Component::parse("\"@path\"").unwrap(), Component::derived(Derived::Path));
        for (_, name) in DERIVED.iter().filter(|known| known.0 != Derived::QueryParam) {
            let of_request = Component::parse(name).unwrap().of_request().of_request();
            assert_eq!(of_request, Component::parse(of_request.as_str()).unwrap());
        }
        let field = Component::field(HeaderName::from_static("x-thing"));
        assert_eq!(Component::parse("\"x-thing\"").unwrap(), field);
        assert!(Component::member(HeaderName::from_static("x"), "\n").is_err());
    }

    #[test]
    fn names_that_nobody_knows_are_refused() {
        for text in [r#""@signature-params""#, r#""@""#, r#""""#, r#""Date""#, r#""a b""#] {
            assert!(matches!(name(text), Err(ComponentError::Name(_))), "{text}");
        }
        assert_eq!(name("date"), Err(ComponentError::Syntax));
        assert_eq!(name("1"), Err(ComponentError::Syntax));
        assert_eq!(name("\"date"), Err(ComponentError::Syntax));
    }

    #[test]
    fn parameters_that_nobody_knows_or_twice_are_refused() {
        for text in [
            r#""x";new"#,
            r#""x";sf=?0"#,
            r#""x";sf=1"#,
            r#""x";key=a"#,
            r#""x";key="a";key="b""#,
            r#""x";tr;tr"#,
        ] {
            assert!(matches!(name(text), Err(ComponentError::Parameter(_))), "{text}");
        }
    }

    #[test]
    fn parameters_that_do_not_go_together_are_refused() {
        for text in [
            r#""x";bs;sf"#,
            r#""x";bs;key="a""#,
            r#""x";name="a""#,
            r#""@path";sf"#,
            r#""@path";tr"#,
            r#""@path";name="a""#,
            r#""@status";req"#,
            r#""@query-param""#,
            r#""@query-param";name="a";bs"#,
        ] {
            assert!(matches!(name(text), Err(ComponentError::Combination(_))), "{text}");
        }
    }

    #[test]
    fn the_order_of_parameters_makes_no_difference() {
        let [one, other] = [r#""x";req;sf"#, r#""x";sf;req"#].map(|text| Component::parse(text).unwrap());
        assert_eq!(one, other);
        assert_ne!(one, Component::parse(r#""x";sf"#).unwrap());
    }
}
