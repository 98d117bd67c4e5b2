//! The file as a tree, with what is said over it and with what holds where nothing is said.

use std::borrow::Cow;
use std::ops::Range;

use schemars::JsonSchema;
use serde::Deserialize as _;
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::declared::{Default, Field, Kind, Table, path_of};
use super::diagnostics::{Origin, Problem, did_you_mean, hide_password_of};

/// A struct of settings: how it is filled, and how it is declared.
pub trait Section: DeserializeOwned + JsonSchema {}

impl<T: DeserializeOwned + JsonSchema> Section for T {}

/// What nobody wrote stands here.
const NOWHERE: Range<usize> = usize::MAX..usize::MAX;

/// Where values come from, by their spans: those of the file are in it, and each value that was said over the file stands
/// behind its end, in the order in which they were said.
#[derive(Debug)]
pub struct Sources<'a> {
    text: &'a str,
    others: Vec<Origin>,
}

impl Sources<'_> {
    /// Where a span is.
    #[must_use]
    pub fn origin(&self, span: Range<usize>) -> Origin {
        match span.start.checked_sub(self.text.len() + 1) {
            None => Origin::File(span),
            Some(other) => self.others.get(other).cloned().unwrap_or(Origin::Default),
        }
    }

    /// The first line of a table in the file.
    #[must_use]
    pub fn head_of(&self, span: Range<usize>) -> Range<usize> {
        let line = self.text.get(span.start..).and_then(|text| text.find('\n'));
        span.start..line.map_or(span.end, |length| span.start + length)
    }

    /// What serde found.
    fn problem(&self, error: &toml::de::Error) -> Problem {
        let origin = error.span().map_or(Origin::Default, |span| self.origin(span));
        Problem { origin, ..Problem::from_toml(error) }
    }

    fn told(&self, span: Range<usize>) -> String {
        match self.origin(span) {
            Origin::Default => "default".to_owned(),
            Origin::Environment(name) => name,
            Origin::Flag(name) => name.to_owned(),
            Origin::File(span) => format!("line {}", self.text[..span.start].matches('\n').count() + 1),
        }
    }

    /// Reads a value.
    pub fn read<T: DeserializeOwned>(&self, value: Spanned<DeValue<'_>>) -> Result<T, Problem> {
        T::deserialize(ValueDeserializer::from(value)).map_err(|error| self.problem(&error))
    }
}

/// A setting as `config show --origin` prints it.
#[derive(Clone, Debug)]
pub struct Setting {
    /// `server.listen`
    pub path: String,
    /// Its value; `None` while it has none.
    pub value: Option<String>,
    /// The value in words, or what holds without one.
    pub told: String,
    /// Where it came from, in words.
    pub origin: String,
    /// Where it is written.
    pub(super) span: Range<usize>,
}

/// The file, what was said over it, and the defaults.
#[derive(Debug)]
pub struct Document<'a> {
    /// Where its values come from.
    pub sources: Sources<'a>,
    root: DeTable<'a>,
}

impl<'a> Document<'a> {
    /// Reads a file.
    pub fn parse(text: &'a str) -> Result<Self, Problem> {
        let root = DeTable::parse(text).map_err(|error| Problem::from_toml(&error))?.into_inner();
        Ok(Self { sources: Sources { text, others: Vec::new() }, root })
    }

    /// Puts a value in the place of the file's.
    pub fn put(&mut self, path: &str, value: DeValue<'a>, origin: Origin) {
        let start = self.sources.text.len() + 1 + self.sources.others.len();
        self.sources.others.push(origin);
        let span = start..start + 1;
        let mut table = &mut self.root;
        let mut names = path.split('.').map(str::to_owned);
        let last = names.next_back().unwrap_or_default();
        for name in names {
            let within = table
                .entry(Spanned::new(span.clone(), Cow::Owned(name)))
                .or_insert_with(|| Spanned::new(span.clone(), DeValue::Table(DeTable::new())));
            // What is no table is a mistake of the file's, which is found later.
            let DeValue::Table(within) = within.get_mut() else { return };
            table = within;
        }
        let value = placed(value, &span);
        table.insert(Spanned::new(span, Cow::Owned(last)), value);
    }

    /// Writes the defaults where nothing is written.
    ///
    /// # Errors
    /// What is written and no setting is called, and what is no table where one is declared.
    pub fn complete(&mut self, declared: &'a Table) -> Result<(), Vec<Problem>> {
        let mut problems = Vec::new();
        complete(&mut self.root, declared, &self.sources, &mut problems);
        match problems.is_empty() {
            true => Ok(()),
            false => Err(problems),
        }
    }

    /// Every setting, as it stands.
    #[must_use]
    pub fn settings(&self, declared: &Table) -> Vec<Setting> {
        let mut settings = Vec::new();
        self.tell(Some(&self.root), declared, "", &mut settings);
        settings
    }

    fn tell(&self, table: Option<&DeTable<'a>>, declared: &Table, within: &str, settings: &mut Vec<Setting>) {
        for field in &declared.fields {
            let path = path_of(within, &field.name);
            let value = table.and_then(|table| table.get(field.name.as_str()));
            match (&field.kind, value.map(Spanned::get_ref)) {
                (Kind::Table(declared), within) => {
                    self.tell(within.and_then(DeValue::as_table), declared, &path, settings);
                }
                (Kind::Tables(declared), Some(DeValue::Array(tables))) if !tables.is_empty() => {
                    for table in tables {
                        self.tell(table.get_ref().as_table(), declared, &path, settings);
                    }
                }
                _ => settings.push(self.setting(path, field, value)),
            }
        }
    }

    fn setting(&self, path: String, field: &Field, value: Option<&Spanned<DeValue<'a>>>) -> Setting {
        let span = value.map_or(NOWHERE, Spanned::span);
        let value = value.map(|value| told(value.get_ref()));
        let told = value.clone().unwrap_or_else(|| field.default.to_string());
        Setting { path, value, told, origin: self.sources.told(span.clone()), span }
    }

    /// Takes what stands under `name` out of the file.
    pub fn take(&mut self, name: &str) -> Option<Spanned<DeValue<'a>>> {
        self.root.remove(name)
    }

    /// Reads what is left.
    pub fn read<T: DeserializeOwned>(&mut self) -> Result<T, Problem> {
        let root = DeValue::Table(std::mem::take(&mut self.root));
        self.sources.read(Spanned::new(0..self.sources.text.len(), root))
    }
}

/// Everything in a value is where the value is.
fn placed<'a>(value: DeValue<'a>, span: &Range<usize>) -> Spanned<DeValue<'a>> {
    let within = |value: Spanned<DeValue<'a>>| placed(value.into_inner(), span);
    let value = match value {
        DeValue::Array(items) => DeValue::Array(items.into_iter().map(within).collect()),
        DeValue::Table(table) => {
            let named = |(name, value): (Spanned<Cow<'a, str>>, _)| {
                (Spanned::new(span.clone(), name.into_inner()), within(value))
            };
            DeValue::Table(table.into_iter().map(named).collect())
        }
        value => value,
    };
    Spanned::new(span.clone(), value)
}

fn complete<'a>(
    table: &mut DeTable<'a>,
    declared: &'a Table,
    sources: &Sources<'_>,
    problems: &mut Vec<Problem>,
) {
    let known = |name: &str| declared.fields.iter().any(|field| field.name == name);
    for name in table.keys().filter(|name| !known(name.get_ref())) {
        let problem =
            Problem::new(format!("unknown field `{}`", name.get_ref()), sources.origin(name.span()));
        let names = || declared.fields.iter().map(|field| field.name.as_str());
        let help = did_you_mean(name.get_ref(), names());
        problems.push(
            problem.help(
                help.unwrap_or_else(|| format!("there are {}", names().collect::<Vec<_>>().join(", "))),
            ),
        );
    }
    for field in &declared.fields {
        if let Default::Value(text) = &field.default
            && !table.contains_key(field.name.as_str())
            && let Ok(value) = DeValue::parse(text)
        {
            let name = Cow::Borrowed(field.name.as_str());
            table.insert(Spanned::new(NOWHERE, name), placed(value.into_inner(), &NOWHERE));
        }
        let Some(value) = table.get_mut(field.name.as_str()) else { continue };
        match &field.kind {
            Kind::Value(_) => {}
            Kind::Table(declared) => complete_table(value, declared, sources, problems),
            Kind::Tables(declared) => {
                let span = value.span();
                match value.get_mut() {
                    DeValue::Array(tables) => {
                        for table in tables.iter_mut() {
                            complete_table(table, declared, sources, problems);
                        }
                    }
                    value => problems.push(other_type(value, "a list of tables", sources.origin(span))),
                }
            }
        }
    }
}

/// A list is no table either: by the order of its items it would say what no field is called.
fn complete_table<'a>(
    value: &mut Spanned<DeValue<'a>>,
    declared: &'a Table,
    sources: &Sources<'_>,
    problems: &mut Vec<Problem>,
) {
    let span = value.span();
    match value.get_mut() {
        DeValue::Table(table) => complete(table, declared, sources, problems),
        value => problems.push(other_type(value, "a table", sources.origin(span))),
    }
}

fn other_type(value: &DeValue<'_>, expected: &str, origin: Origin) -> Problem {
    Problem::new(format!("invalid type: {}, expected {expected}", value.type_str()), origin)
}

/// A value for people: a text without quotes, a list of them with commas, anything else as TOML. No password is in it.
fn told(value: &DeValue<'_>) -> String {
    let value = toml::Value::deserialize(ValueDeserializer::from(Spanned::new(0..0, value.clone())));
    let Ok(value) = value.map(without_passwords) else { return String::new() };
    let scalar = |value: &toml::Value| match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Array(_) | toml::Value::Table(_) => None,
        value => Some(value.to_string()),
    };
    let told = match &value {
        toml::Value::Array(items) if !items.is_empty() => {
            items.iter().map(scalar).collect::<Option<Vec<String>>>().map(|items| items.join(", "))
        }
        value => scalar(value),
    };
    told.unwrap_or_else(|| value.to_string())
}

fn without_passwords(value: toml::Value) -> toml::Value {
    match value {
        toml::Value::String(text) => toml::Value::String(hide_password_of(&text)),
        toml::Value::Array(items) => items.into_iter().map(without_passwords).collect::<Vec<_>>().into(),
        toml::Value::Table(table) => {
            let named = |(name, value): (String, _)| (hide_password_of(&name), without_passwords(value));
            toml::Value::Table(table.into_iter().map(named).collect())
        }
        value => value,
    }
}
