//! `require.claim`: which claims a route demands, and which of their values.

use std::collections::BTreeMap;
use std::ops::Range;

use countersign::claim_path::{ClaimPath, ClaimPathError};
use toml::Value;

use crate::settings::Reader;

/// A claim, and one of which values it must have.
type Demand = (ClaimPath, Vec<String>);

/// What is demanded of claims, which stands in the route at `span`.
pub(super) fn read(
    written: &BTreeMap<String, Value>,
    reader: &mut Reader<'_>,
    span: &Range<usize>,
) -> Vec<Demand> {
    let mut demands = Vec::new();
    for (name, value) in written {
        if let Err(why) = demanded(&mut vec![name.clone()], value, &mut demands) {
            reader.wrong(format!("the claim `{name}` {why}"), span.clone());
        }
    }
    demands
}

/// What stands under these names. TOML's own dots and quotes lead to tables within tables: the same place.
fn demanded(names: &mut Vec<String>, value: &Value, demands: &mut Vec<Demand>) -> Result<(), String> {
    match value {
        Value::Table(within) if !within.is_empty() => {
            for (name, value) in within {
                names.push(name.clone());
                demanded(names, value, demands)?;
                names.pop();
            }
            Ok(())
        }
        Value::Array(values) if !values.is_empty() => {
            let path = match &names[..] {
                [name] => name.parse().map_err(|error: ClaimPathError| format!("leads nowhere: {error}"))?,
                [outermost, within @ ..] => ClaimPath::of_members(outermost.clone(), within.to_vec()),
                [] => return Ok(()),
            };
            demands.push((path, values.iter().map(text).collect::<Result<_, _>>()?));
            Ok(())
        }
        Value::Table(_) | Value::Array(_) => Err("accepts no value".to_owned()),
        _ => Err("wants a list of the values that it accepts, as in [\"CH\"]".to_owned()),
    }
}

/// A value as the policy compares it: as JSON writes it.
fn text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Boolean(value) => Ok(value.to_string()),
        Value::Float(number) => {
            let number = serde_json::Number::from_f64(*number).ok_or("accepts a number that is none")?;
            Ok(number.to_string())
        }
        _ => Err("accepts text, numbers, true and false".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demands(text: &str) -> Result<Vec<(String, Vec<String>)>, String> {
        let table: BTreeMap<String, Value> = toml::from_str(text).unwrap();
        let mut demands = Vec::new();
        for (name, value) in &table {
            demanded(&mut vec![name.clone()], value, &mut demands)?;
        }
        Ok(demands.into_iter().map(|(path, values)| (path.to_string(), values)).collect())
    }

    #[test]
    fn a_claim_is_named_by_its_path_in_our_writing_or_in_toml_s() {
        for (text, path) in [
            ("country = ['a']", "country"),
            ("'cognito:groups' = ['a']", "cognito:groups"),
            ("'realm_access.roles' = ['a']", "realm_access.roles"),
            ("realm_access.roles = ['a']", "\"realm_access\".roles"),
            ("'resource_access.\"my.app\".roles' = ['a']", "resource_access.\"my.app\".roles"),
            ("resource_access.\"my.app\".roles = ['a']", "resource_access.\"my.app\".roles"),
            ("resource_access = { 'my.app' = { roles = ['a'] } }", "resource_access.\"my.app\".roles"),
            ("'https://shop.example/roles' = ['a']", "https://shop.example/roles"),
        ] {
            assert_eq!(demands(text), Ok(vec![(path.to_owned(), vec!["a".to_owned()])]), "{text}");
        }
        let several = demands("a.b = ['x']\na.c = ['y', 'z']").unwrap();
        assert_eq!(several.len(), 2);
    }

    #[test]
    fn values_are_written_as_json_writes_them_and_nothing_demands_nothing() {
        let values = demands("a = ['New York', 3, true, 1.5, -7]").unwrap().remove(0).1;
        assert_eq!(values, ["New York", "3", "true", "1.5", "-7"]);
        for (text, why) in [
            ("a = []", "no value"),
            ("a = {}", "no value"),
            ("a.b = {}", "no value"),
            ("a = 'CH'", "wants a list"),
            ("a = true", "wants a list"),
            ("a = [['CH']]", "accepts text"),
            ("a = [2026-01-01]", "accepts text"),
            ("a = [nan]", "a number that is none"),
            ("'a..b' = ['x']", "has a name"),
            ("'a.\"b' = ['x']", "quotes are around"),
        ] {
            assert!(demands(text).unwrap_err().contains(why), "{text}");
        }
    }
}
