//! What an environment variable or a flag says, as a value of TOML.

use serde_json::Value;
use toml::Spanned;
use toml::de::DeValue;

use super::declared::Kind;

/// `text` in TOML's writing, where it is JSON and its field is a list or a table.
#[must_use]
pub fn toml_of(text: String, kind: &Kind) -> String {
    if !is_structured(&text, kind) || DeValue::parse(text.trim()).is_ok() {
        return text;
    }
    serde_json::from_str::<toml::Value>(&text).map_or(text, |value| value.to_string())
}

/// The value of a field of this kind: text as it is, and a list also with commas, without brackets and quotes.
pub fn value_of<'a>(text: &'a str, kind: &Kind) -> Result<DeValue<'a>, String> {
    let trimmed = text.trim();
    let parsed = |text: &'a str| match DeValue::parse(text) {
        Ok(value) => Ok(value.into_inner()),
        Err(error) => Err(error.message().to_owned()),
    };
    if is_structured(text, kind) {
        return parsed(trimmed);
    }
    // No setting is below zero, and TOML has no zeros before a number.
    let whole_number = |text: &'a str| match text.parse::<u64>() {
        Ok(0) => parsed("0"),
        Ok(_) => parsed(text.trim_start_matches(['+', '0'])),
        Err(_) => Err(format!("`{text}` is no whole number")),
    };
    if one_of(kind, |schema| is_text(schema, trimmed)) {
        return Ok(DeValue::String(text.into()));
    }
    if one_of(kind, |schema| schema["type"] == "integer") {
        return whole_number(trimmed);
    }
    if one_of(kind, |schema| schema["type"] == "boolean") {
        let truth = trimmed.parse().map_err(|_| format!("`{trimmed}` is neither true nor false"))?;
        return Ok(DeValue::Boolean(truth));
    }
    if one_of(kind, |schema| schema["type"] == "array") {
        let numbers = one_of(kind, |schema| schema["items"]["type"] == "integer");
        let item = |text: &'a str| match numbers {
            true => whole_number(text),
            false => Ok(DeValue::String(text.into())),
        };
        let items = trimmed.split(',').map(str::trim).filter(|text| !text.is_empty());
        let items = items.map(|text| item(text).map(|value| Spanned::new(0..0, value)));
        return Ok(DeValue::Array(items.collect::<Result<_, _>>()?));
    }
    parsed(trimmed)
}

/// Whether `text` has brackets, and they mean what they mean in TOML.
fn is_structured(text: &str, kind: &Kind) -> bool {
    let is_text_alone =
        matches!(kind, Kind::Value(schemas) if schemas.iter().all(|schema| schema["type"] == "string"));
    !is_text_alone && text.trim().starts_with(['[', '{'])
}

fn one_of(kind: &Kind, test: impl Fn(&Value) -> bool) -> bool {
    matches!(kind, Kind::Value(schemas) if schemas.iter().any(test))
}

/// Whether a schema takes `text`: any, or one of the words that it lists.
fn is_text(schema: &Value, text: &str) -> bool {
    let listed = |words: &Vec<Value>| words.iter().any(|word| word == text);
    schema["type"] == "string"
        && schema.get("const").is_none_or(|word| word == text)
        && schema.get("enum").and_then(Value::as_array).is_none_or(listed)
}
