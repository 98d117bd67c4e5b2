//! The settings that there are, read off the JSON Schema of the structs that declare them.

use std::fmt;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

/// A table of settings.
#[derive(Debug, Default)]
pub struct Table {
    /// Its fields; what must be there comes first.
    pub fields: Vec<Field>,
}

/// A setting, or a table of more.
#[derive(Debug)]
pub struct Field {
    /// `listen`
    pub name: String,
    /// What holds where nobody sets it.
    pub default: Default,
    /// What it takes.
    pub kind: Kind,
}

/// What holds where nobody sets a field.
#[derive(Debug, PartialEq, Eq)]
pub enum Default {
    /// It has to be set.
    Required,
    /// This value, as TOML writes it.
    Value(String),
    /// This, in words.
    Words(String),
    /// Nothing does.
    Nothing,
}

/// What a field takes.
#[derive(Debug)]
pub enum Kind {
    /// A value of one of these JSON Schemas.
    Value(Vec<Value>),
    /// More fields.
    Table(Table),
    /// Tables, each of them with these fields.
    Tables(Table),
}

/// As the page writes it: a value as code, words as they are.
impl fmt::Display for Default {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Required => Ok(()),
            Self::Value(text) => write!(f, "`{}`", text.trim_matches('"')),
            Self::Words(words) => f.write_str(words),
            Self::Nothing => f.write_str("none"),
        }
    }
}

/// The JSON Schema of `T`, whole: nothing refers to another place of it but what holds itself.
#[must_use]
pub fn schema_of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::default().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    as_it_is_read(&mut schema);
    schema
}

/// What has a default need not be there, and what no field is called must not be.
fn as_it_is_read(schema: &mut Value) {
    if let Some(properties) = schema.get("properties").and_then(Value::as_object).cloned() {
        let has_default =
            |name: &Value| properties[name.as_str().unwrap_or_default()].get("default").is_some();
        if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
            required.retain(|name| !has_default(name));
        }
        schema["additionalProperties"] = false.into();
    }
    match schema {
        Value::Object(members) => members.values_mut().for_each(as_it_is_read),
        Value::Array(members) => members.iter_mut().for_each(as_it_is_read),
        _ => {}
    }
}

impl Table {
    /// The fields of an object's schema; `None` for anything else.
    #[must_use]
    pub fn of(schema: &Value) -> Option<Self> {
        let properties = schema.get("properties")?.as_object()?;
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .map(|names| names.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        let others = properties.keys().map(String::as_str).filter(|name| !required.contains(name));
        let names = required.iter().copied().chain(others);
        let field = |name: &str| Field::of(name, properties.get(name)?, required.contains(&name));
        Some(Self { fields: names.filter_map(field).collect() })
    }

    /// Every setting and its path, `server.listen`: those that hold no others.
    #[must_use]
    pub fn settings(&self) -> Vec<(String, &Field)> {
        let mut all = Vec::new();
        self.walk("", &mut |path, field| {
            if matches!(field.kind, Kind::Value(_)) {
                all.push((path.to_owned(), field));
            }
            true
        });
        all
    }

    /// Every field that has a place of its own, whole tables and lists of them among it: not what stands within those
    /// lists, and not the sections.
    #[must_use]
    pub fn places(&self) -> Vec<(String, &Field)> {
        let mut all = Vec::new();
        self.walk("", &mut |path, field| {
            if path.contains('.') || !matches!(field.kind, Kind::Table(_)) {
                all.push((path.to_owned(), field));
            }
            matches!(field.kind, Kind::Table(_))
        });
        all
    }

    /// Looks at every field, within those of which `look` says so.
    fn walk<'a>(&'a self, within: &str, look: &mut impl FnMut(&str, &'a Field) -> bool) {
        for field in &self.fields {
            let path = path_of(within, &field.name);
            if look(&path, field)
                && let Kind::Table(table) | Kind::Tables(table) = &field.kind
            {
                table.walk(&path, look);
            }
        }
    }
}

impl Field {
    fn of(name: &str, schema: &Value, is_required: bool) -> Option<Self> {
        let default = match (schema.get("default"), schema.get("x-default")) {
            (Some(value), _) => Default::Value(value.to_string()),
            (None, Some(words)) => Default::Words(words.as_str()?.to_owned()),
            (None, None) if is_required => Default::Required,
            (None, None) => Default::Nothing,
        };
        let kind = match (Table::of(schema), schema.get("items").and_then(Table::of)) {
            (Some(table), _) => Kind::Table(table),
            (None, Some(table)) => Kind::Tables(table),
            (None, None) => Kind::Value(alternatives(schema)),
        };
        Some(Self { name: name.to_owned(), default, kind })
    }
}

/// The schemas that a value may have, each of one type.
fn alternatives(schema: &Value) -> Vec<Value> {
    let of = |key| schema.get(key).and_then(Value::as_array);
    if let Some(schemas) = of("anyOf").or_else(|| of("oneOf")) {
        return schemas.iter().flat_map(alternatives).collect();
    }
    let types = match schema.get("type") {
        Some(Value::Array(types)) => types.clone(),
        one => one.into_iter().cloned().collect(),
    };
    let one = |typ: Value| {
        let mut schema = schema.clone();
        schema["type"] = typ;
        schema
    };
    types.into_iter().filter(|typ| typ != "null").map(one).collect()
}

/// `server.listen`
pub(super) fn path_of(within: &str, name: &str) -> String {
    match within {
        "" => name.to_owned(),
        within => format!("{within}.{name}"),
    }
}
