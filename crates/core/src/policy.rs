//! May this principal do this? Pure: no I/O, no clock.

use std::collections::{BTreeMap, BTreeSet};

use crate::denial::{Code, Denial};
use crate::principal::Principal;

/// What a route demands of whoever was proven. Everything that is stated must hold.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// All of these permissions.
    pub permissions: BTreeSet<String>,
    /// One of these subjects; empty: any.
    pub subjects: BTreeSet<String>,
    /// For each claim one of these values, or a list that holds one of them.
    pub claims: BTreeMap<String, Vec<String>>,
}

impl Policy {
    /// Whether it demands nothing at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.permissions.is_empty() && self.subjects.is_empty() && self.claims.is_empty()
    }

    /// Judges a principal.
    ///
    /// # Errors
    /// `permission_missing`; the cause names what is missing.
    pub fn allows(&self, principal: &Principal) -> Result<(), Denial> {
        if let Some(missing) = self.permissions.iter().find(|name| !principal.permissions.contains(name)) {
            return Err(deny(format!("{} lacks the permission {missing}", principal.subject)));
        }
        if !self.subjects.is_empty() && !self.subjects.contains(principal.subject.as_str()) {
            return Err(deny(format!("{} is not among the route's subjects", principal.subject)));
        }
        for (name, accepted) in &self.claims {
            let claimed = principal.claims.get(name);
            if !claimed.is_some_and(|value| matches(value, accepted)) {
                return Err(deny(format!("{} has no accepted value of the claim {name}", principal.subject)));
            }
        }
        Ok(())
    }
}

fn deny(cause: String) -> Denial {
    Denial::new(Code::PermissionMissing, cause)
}

/// Strings are compared as they are, booleans and numbers as JSON writes them, lists by any member.
fn matches(value: &serde_json::Value, accepted: &[String]) -> bool {
    match value {
        serde_json::Value::String(text) => accepted.contains(text),
        serde_json::Value::Array(members) => {
            members.iter().any(|member| !member.is_array() && matches(member, accepted))
        }
        serde_json::Value::Bool(_) | serde_json::Value::Number(_) => accepted.contains(&value.to_string()),
        serde_json::Value::Null | serde_json::Value::Object(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::principal::{Permissions, Scheme, Subject};
    use serde_json::json;

    fn principal() -> Principal {
        let mut principal = Principal::new(Subject::key("a"), Scheme::ApiKey);
        principal.permissions = Permissions::Only(["read".into(), "write".into()].into());
        principal.claims = [("country".into(), json!("CH")), ("groups".into(), json!(["a", "b"]))].into();
        principal
    }

    fn code(policy: &Policy) -> Option<Code> {
        policy.allows(&principal()).err().map(|denial| denial.code())
    }

    #[test]
    fn every_permission_is_needed() {
        let needs = |names: &[&str]| Policy {
            permissions: names.iter().map(ToString::to_string).collect(),
            ..Policy::default()
        };
        assert_eq!(code(&needs(&[])), None);
        assert_eq!(code(&needs(&["read", "write"])), None);
        assert_eq!(code(&needs(&["read", "admin"])), Some(Code::PermissionMissing));
    }

    #[test]
    fn one_of_the_subjects_is_enough_and_none_is_not() {
        let of = |names: &[&str]| Policy {
            subjects: names.iter().map(ToString::to_string).collect(),
            ..Policy::default()
        };
        assert_eq!(code(&of(&["key:b", "key:a"])), None);
        assert_eq!(code(&of(&["key:b"])), Some(Code::PermissionMissing));
    }

    #[test]
    fn every_claim_needs_one_accepted_value() {
        let claims = |name: &str, values: &[&str]| Policy {
            claims: [(name.to_owned(), values.iter().map(ToString::to_string).collect())].into(),
            ..Policy::default()
        };
        assert_eq!(code(&claims("country", &["DE", "CH"])), None);
        assert_eq!(code(&claims("groups", &["b"])), None);
        assert_eq!(code(&claims("country", &["DE"])), Some(Code::PermissionMissing));
        assert_eq!(code(&claims("age", &["18"])), Some(Code::PermissionMissing));
    }
}
