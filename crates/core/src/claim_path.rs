//! Where a claim is: by its name, or by the names of members of members.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde_json::Value;

/// The place of a claim: `country`, `realm_access.roles`, `resource_access."my.app".roles`.
///
/// Dots lead to members of members; a member in double quotes is taken as it stands, `\"` and `\\` being a quote and
/// a backslash. Issuers also write names that have dots themselves (`https://shop.example/roles`): without quotes, a
/// claim whose whole name this is comes first.
///
/// ```
/// use countersign::claim_path::ClaimPath;
///
/// let path: ClaimPath = r#"resource_access."my.app".roles"#.parse().unwrap();
/// let claims = [("resource_access".to_owned(), serde_json::json!({ "my.app": { "roles": ["clerk"] } }))];
/// assert_eq!(path.of(&claims.into()).unwrap()[0], "clerk");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimPath {
    /// The name, as it may stand at the top with dots in it.
    whole: Option<String>,
    members: Vec<String>,
}

/// Something that leads to no claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ClaimPathError(&'static str);

const EMPTY: ClaimPathError =
    ClaimPathError("a claim has a name, and so has each member: write one with dots as \"my.app\"");
const QUOTES: ClaimPathError =
    ClaimPathError("quotes are around a whole member between dots: resource_access.\"my.app\".roles");

impl ClaimPath {
    /// The place of a member of members, the outermost first: each name is taken as it stands.
    #[must_use]
    pub fn of_members(outermost: String, within: impl IntoIterator<Item = String>) -> Self {
        Self { whole: None, members: std::iter::once(outermost).chain(within).collect() }
    }

    /// What stands there among the claims of a principal.
    #[must_use]
    pub fn of<'c>(&self, claims: &'c BTreeMap<String, Value>) -> Option<&'c Value> {
        self.find(|name| claims.get(name), |value, name| value.get(name))
    }

    /// What stands there, by how a claim and how a member of an object is found.
    pub(crate) fn find<'c, V>(
        &self,
        claim: impl Fn(&str) -> Option<&'c V>,
        member: impl Fn(&'c V, &str) -> Option<&'c V>,
    ) -> Option<&'c V> {
        if let Some(found) = self.whole.as_deref().and_then(&claim) {
            return Some(found);
        }
        let (outermost, others) = self.members.split_first()?;
        others.iter().try_fold(claim(outermost)?, |value, name| member(value, name))
    }
}

impl FromStr for ClaimPath {
    type Err = ClaimPathError;

    fn from_str(text: &str) -> Result<Self, ClaimPathError> {
        let mut members = Vec::new();
        let mut rest = text;
        loop {
            let (member, after) = match rest.strip_prefix('"') {
                Some(quoted) => unquoted(quoted)?,
                None => {
                    let (bare, after) = rest.split_at(rest.find('.').unwrap_or(rest.len()));
                    match bare {
                        "" => return Err(EMPTY),
                        _ if bare.contains('"') => return Err(QUOTES),
                        _ => (bare.to_owned(), after),
                    }
                }
            };
            members.push(member);
            if after.is_empty() {
                break;
            }
            rest = after.strip_prefix('.').ok_or(QUOTES)?;
        }
        Ok(Self { whole: (!text.contains('"')).then(|| text.to_owned()), members })
    }
}

/// A quoted member whose first quote has been read, and what follows its last.
fn unquoted(text: &str) -> Result<(String, &str), ClaimPathError> {
    let mut member = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((member, &text[at + 1..])),
            '\\' => match characters.next() {
                Some((_, escaped @ ('"' | '\\'))) => member.push(escaped),
                _ => return Err(QUOTES),
            },
            other => member.push(other),
        }
    }
    Err(QUOTES)
}

/// As it is written; so that it is read back as itself.
impl fmt::Display for ClaimPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(whole) = &self.whole {
            return f.write_str(whole);
        }
        let is_bare = |member: &String| !member.is_empty() && !member.contains(['.', '"', '\\']);
        // One at least is in quotes: without, it would be another name as a whole.
        let all_bare = self.members.iter().all(is_bare);
        for (number, member) in self.members.iter().enumerate() {
            let dot = if number > 0 { "." } else { "" };
            if is_bare(member) && !(all_bare && number == 0) {
                write!(f, "{dot}{member}")?;
            } else {
                write!(f, "{dot}\"{}\"", member.replace('\\', "\\\\").replace('"', "\\\""))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn path(text: &str) -> ClaimPath {
        text.parse().unwrap()
    }

    #[test]
    fn a_path_leads_to_members_of_members_and_a_whole_name_comes_first() {
        let claims: BTreeMap<String, Value> = serde_json::from_value(json!({
            "country": "CH",
            "cognito:groups": ["staff"],
            "https://shop.example/roles": ["clerk"],
            "a.b": "whole",
            "a": { "b": "within", "c.d": { "e\"\\": 7, "": true } },
            "list": [{ "b": 1 }],
        }))
        .unwrap();
        for (text, found) in [
            ("country", json!("CH")),
            ("cognito:groups", json!(["staff"])),
            ("https://shop.example/roles", json!(["clerk"])),
            ("\"https://shop.example/roles\"", json!(["clerk"])),
            ("a.b", json!("whole")),
            ("\"a.b\"", json!("whole")),
            ("\"a\".b", json!("within")),
            ("a.\"b\"", json!("within")),
            (r#"a."c.d"."e\"\\""#, json!(7)),
            (r#"a."c.d"."""#, json!(true)),
        ] {
            assert_eq!(path(text).of(&claims), Some(&found), "{text}");
        }
        for text in ["b", "a.c", "a.c.d", "country.b", "list.b", "list.0", "a.b.c", "Country"] {
            assert_eq!(path(text).of(&claims), None, "{text}");
        }
        let within = ClaimPath::of_members("a".into(), ["b".into()]);
        assert_eq!((within.of(&claims), &*within.to_string()), (Some(&json!("within")), "\"a\".b"));
        assert_eq!(ClaimPath::of_members("a.b".into(), []).of(&claims), Some(&json!("whole")));
        assert_eq!(path(r#"a."c.d".x"#).to_string(), r#"a."c.d".x"#);
    }

    #[test]
    fn what_leads_nowhere_is_no_path() {
        for (text, why) in [
            ("", EMPTY),
            (".a", EMPTY),
            ("a.", EMPTY),
            ("a..b", EMPTY),
            ("a\"b", QUOTES),
            ("\"a", QUOTES),
            ("\"a\"b", QUOTES),
            ("\"a\".", EMPTY),
            ("a.\"b\\n\"", QUOTES),
            ("\"a\\", QUOTES),
        ] {
            assert_eq!(text.parse::<ClaimPath>(), Err(why), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn members_are_written_so_that_they_are_read_back(members in proptest::collection::vec("[a.\"\\\\é ]{0,5}", 1..5)) {
            let path = ClaimPath::of_members(members[0].clone(), members[1..].to_vec());
            proptest::prop_assert_eq!(path.to_string().parse::<ClaimPath>(), Ok(path));
        }

        #[test]
        fn no_text_makes_it_panic(text in "[a.\"\\\\é]{0,12}") {
            if let Ok(path) = text.parse::<ClaimPath>() {
                proptest::prop_assert_eq!(path.to_string().parse::<ClaimPath>(), Ok(path));
            }
        }
    }
}
