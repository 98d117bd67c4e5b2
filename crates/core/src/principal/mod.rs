//! Who was proven: schemes, subjects, permissions, principals.

mod names;
mod scheme;
mod subject;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::time::Timestamp;

pub use names::{KeyId, SessionId, UserId};
pub use scheme::Scheme;
pub use subject::Subject;

/// What a proof says of permissions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Permissions {
    /// Nothing: it proves who, and neither grants nor limits. Alone it has no permission at all.
    Unstated,
    /// These, and no others.
    Only(BTreeSet<Arc<str>>),
}

impl Permissions {
    /// The permissions of two proofs about one subject: the intersection of what is stated.
    #[must_use]
    pub fn meet(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unstated, stated) | (stated, Self::Unstated) => stated,
            (Self::Only(left), Self::Only(right)) => Self::Only(left.intersection(&right).cloned().collect()),
        }
    }

    /// Whether `permission` is granted.
    #[must_use]
    pub fn contains(&self, permission: &str) -> bool {
        match self {
            Self::Unstated => false,
            Self::Only(granted) => granted.contains(permission),
        }
    }
}

/// Who was proven, how, and what that allows. It is made by [`Principal::vouch_for`] alone.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Principal {
    /// Who.
    pub subject: Subject,
    /// Another name, by which another proof may mean the same subject: that of the key which proved it,
    /// `jkt:<thumbprint>`, or of the user for whom a callback URL was minted.
    pub key: Option<Subject>,
    /// The schemes that proved it, in the order of [`Scheme`]: the gate says which count.
    pub schemes: Vec<Scheme>,
    /// What the proofs grant.
    pub permissions: Permissions,
    /// What an issuer says of the subject.
    pub claims: BTreeMap<String, serde_json::Value>,
    /// From when on it is no longer true.
    pub expires: Option<Timestamp>,
}

impl Principal {
    /// Whoever calls this vouches that the request was sent by `subject`, or would be if it proved what it
    /// claims. By its name are found all who vouch for somebody. Nothing is granted yet, and there is no end.
    #[must_use]
    pub const fn vouch_for(subject: Subject) -> Self {
        Self {
            subject,
            key: None,
            schemes: Vec::new(),
            permissions: Permissions::Unstated,
            claims: BTreeMap::new(),
            expires: None,
        }
    }

    /// The schemes as one word: `bearer+signature`.
    #[must_use]
    pub fn scheme_names(&self) -> String {
        let mut names = String::new();
        for scheme in &self.schemes {
            if !names.is_empty() {
                names.push('+');
            }
            names.push_str(scheme.as_str());
        }
        names
    }

    /// Whether its other name is that of `subject`.
    fn is_also(&self, subject: &Subject) -> bool {
        self.key.as_ref().is_some_and(|key| key.means(subject))
    }

    /// Two proofs about one subject as one principal: permissions meet, the earlier expiry counts,
    /// and a claim that both make must be the same. Where one names the other's key, the subject is that
    /// other. `None` if they are about two subjects or disagree.
    #[must_use]
    pub fn join(mut self, other: Self) -> Option<Self> {
        if self.subject != other.subject && !self.is_also(&other.subject) {
            if !other.is_also(&self.subject) {
                return None;
            }
            self.subject = other.subject;
        }
        self.key = self.key.or(other.key);
        for (name, value) in other.claims {
            if self.claims.get(&name).is_some_and(|mine| *mine != value) {
                return None;
            }
            self.claims.insert(name, value);
        }
        self.schemes.extend(other.schemes);
        self.schemes.sort_unstable();
        self.permissions = self.permissions.meet(other.permissions);
        self.expires = match (self.expires, other.expires) {
            (Some(mine), Some(theirs)) => Some(mine.min(theirs)),
            (mine, theirs) => mine.or(theirs),
        };
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(name: &str) -> Subject {
        Subject::Key(KeyId::parse(&format!("{name:A>12}")).unwrap())
    }

    fn proven(subject: Subject, scheme: Scheme) -> Principal {
        Principal { schemes: vec![scheme], ..Principal::vouch_for(subject) }
    }

    fn only(names: &[&str]) -> Permissions {
        Permissions::Only(names.iter().map(|name| Arc::from(*name)).collect())
    }

    #[test]
    fn permissions_meet_where_both_state_them() {
        assert_eq!(only(&["a", "b"]).meet(only(&["b", "c"])), only(&["b"]));
        assert_eq!(Permissions::Unstated.meet(only(&["a"])), only(&["a"]));
        assert!(!Permissions::Unstated.contains("a"));
    }

    #[test]
    fn two_proofs_of_one_subject_join_and_the_earlier_expiry_counts() {
        let mut key = proven(subject("x"), Scheme::Signature);
        key.expires = Some(Timestamp::from_secs(9));
        let mut token = proven(subject("x"), Scheme::Bearer);
        token.expires = Some(Timestamp::from_secs(5));
        let joined = token.join(key).unwrap();
        assert_eq!(joined.scheme_names(), "signature+bearer");
        assert_eq!(joined.expires, Some(Timestamp::from_secs(5)));
        assert!(joined.join(proven(subject("y"), Scheme::ApiKey)).is_none());
    }

    #[test]
    fn a_token_that_names_a_key_is_about_whoever_signed_with_it() {
        let mut signed = proven(subject("x"), Scheme::Signature);
        signed.key = Some(Subject::Thumbprint("t".into()));
        let token = |thumbprint: &str| proven(Subject::Thumbprint(thumbprint.into()), Scheme::Bearer);
        for joined in [signed.clone().join(token("t")), token("t").join(signed.clone())] {
            assert_eq!(joined.unwrap().subject, subject("x"));
        }
        assert!(signed.clone().join(token("u")).is_none());
        assert!(token("u").join(signed).is_none());
    }

    #[test]
    fn joining_is_the_same_either_way() {
        let proof = |scheme, seconds, permissions: &[&str]| {
            let mut principal = proven(subject("x"), scheme);
            principal.expires = Some(Timestamp::from_secs(seconds));
            principal.permissions = only(permissions);
            principal
        };
        for (first, second) in [(5, 9), (9, 5)] {
            let key = proof(Scheme::ApiKey, first, &["a", "b"]);
            let joined = key.join(proof(Scheme::Signature, second, &["b", "c"])).unwrap();
            assert_eq!(joined.expires, Some(Timestamp::from_secs(5)));
            assert_eq!(joined.permissions, only(&["b"]));
        }
    }

    #[test]
    fn proofs_that_contradict_each_other_do_not_join() {
        let claiming = |country: &str| {
            let mut principal = proven(subject("x"), Scheme::Bearer);
            principal.claims.insert("country".into(), country.into());
            principal
        };
        assert!(claiming("CH").join(claiming("CH")).is_some());
        assert!(claiming("CH").join(claiming("DE")).is_none());
    }
}
