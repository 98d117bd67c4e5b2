//! May this principal do this? Pure: no I/O, no clock.

use std::collections::BTreeSet;

use crate::claim_path::ClaimPath;
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
    pub claims: Vec<(ClaimPath, Vec<String>)>,
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
        if !self.subjects.is_empty() && !self.subjects.contains(&*principal.subject.to_string()) {
            return Err(deny(format!("{} is not among the route's subjects", principal.subject)));
        }
        for (path, accepted) in &self.claims {
            if !path.of(&principal.claims).is_some_and(|value| matches(value, accepted)) {
                return Err(deny(format!("{} has no accepted value of the claim {path}", principal.subject)));
            }
        }
        Ok(())
    }
}

fn deny(cause: String) -> Denial {
    Denial::new(Code::PermissionMissing, cause)
}

/// Strings are compared as they are, spaces and all; booleans and numbers as JSON writes them; lists by any member.
/// An object is no value, and a list within a list is none either.
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
    use crate::principal::{Permissions, Subject};
    use serde_json::json;

    fn principal() -> Principal {
        let mut principal = Principal::vouch_for(Subject::Named("key:a".into()));
        principal.permissions = Permissions::Only(["read".into(), "write".into()].into());
        principal.claims = [
            ("country".into(), json!("CH")),
            ("groups".into(), json!(["a", "b", 7, ["within"], null, { "c": "d" }])),
            ("city".into(), json!("New York")),
            ("level".into(), json!(3)),
            ("verified".into(), json!(true)),
            ("nothing".into(), json!(null)),
            ("resource_access".into(), json!({ "my.app": { "roles": ["clerk"] } })),
        ]
        .into();
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
            claims: vec![(name.parse().unwrap(), values.iter().map(ToString::to_string).collect())],
            ..Policy::default()
        };
        assert_eq!(code(&claims("country", &["DE", "CH"])), None);
        assert_eq!(code(&claims("groups", &["b"])), None);
        assert_eq!(code(&claims("country", &["DE"])), Some(Code::PermissionMissing));
        assert_eq!(code(&claims("age", &["18"])), Some(Code::PermissionMissing));
    }

    #[test]
    fn a_value_matches_as_its_kind_does() {
        let accepts = |name: &str, value: &str| {
            let claims = vec![(name.parse().unwrap(), vec![value.to_owned()])];
            code(&Policy { claims, ..Policy::default() }).is_none()
        };
        for (name, value) in [
            ("city", "New York"),
            ("level", "3"),
            ("verified", "true"),
            ("groups", "7"),
            ("resource_access.\"my.app\".roles", "clerk"),
        ] {
            assert!(accepts(name, value), "{name} {value}");
        }
        for (name, value) in [
            ("city", "New"),
            ("city", "new york"),
            ("level", "3.0"),
            ("verified", "True"),
            ("nothing", "null"),
            ("groups", "within"),
            ("groups", "null"),
            ("groups", "d"),
            ("resource_access", "my.app"),
            ("resource_access.my.app.roles", "clerk"),
            ("resource_access.\"my.app\"", "roles"),
            ("resource_access.\"other\".roles", "clerk"),
        ] {
            assert!(!accepts(name, value), "{name} {value}");
        }
    }
}
