//! Which schemes a route accepts: any one of some groups, each group whole and about one subject.

use std::fmt;

use crate::principal::Scheme;

/// A set of schemes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct SchemeSet(u16);

const _: () = assert!(Scheme::ALL.len() <= 16, "each has a bit of its own");

impl SchemeSet {
    /// This set and `scheme`.
    #[must_use]
    pub const fn with(self, scheme: Scheme) -> Self {
        Self(self.0 | 1 << scheme as u8)
    }

    /// Whether `scheme` is in it.
    #[must_use]
    pub const fn contains(self, scheme: Scheme) -> bool {
        self.0 & 1 << scheme as u8 != 0
    }

    /// What is in either.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether something is in both.
    #[must_use]
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether all of it is in `other`.
    #[must_use]
    pub const fn is_within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Its schemes, in their own order.
    pub fn iter(self) -> impl Iterator<Item = Scheme> {
        Scheme::ALL.into_iter().filter(move |scheme| self.contains(*scheme))
    }
}

impl FromIterator<Scheme> for SchemeSet {
    fn from_iter<I: IntoIterator<Item = Scheme>>(schemes: I) -> Self {
        schemes.into_iter().fold(Self::default(), Self::with)
    }
}

impl fmt::Display for SchemeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, scheme) in self.iter().enumerate() {
            if position > 0 {
                f.write_str("+")?;
            }
            f.write_str(scheme.as_str())?;
        }
        Ok(())
    }
}

impl fmt::Debug for SchemeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A requirement that cannot be.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum RequirementError {
    /// Nothing would be accepted.
    #[error("`accept` is empty: name at least one scheme, or say `public = true`")]
    Empty,
    /// No scheme of this name.
    #[error("unknown scheme `{0}`")]
    UnknownScheme(String),
    /// `a+a`.
    #[error("`{0}` names a scheme twice")]
    Twice(String),
    /// Two schemes of a group travel in the Authorization header, which there is once.
    #[error("`{0}` would need the Authorization header twice")]
    AuthorizationTwice(String),
}

/// Any one of some groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    groups: Vec<SchemeSet>,
}

/// One scheme, and nothing beside it.
impl From<Scheme> for Requirement {
    fn from(scheme: Scheme) -> Self {
        Self { groups: vec![SchemeSet::default().with(scheme)] }
    }
}

impl Requirement {
    /// Reads groups such as `api-key` and `bearer+signature`.
    ///
    /// # Errors
    /// [`RequirementError`] for what cannot be, or can never be met.
    pub fn parse<T: AsRef<str>>(groups: impl IntoIterator<Item = T>) -> Result<Self, RequirementError> {
        let groups: Vec<_> =
            groups.into_iter().map(|group| parse_group(group.as_ref())).collect::<Result<_, _>>()?;
        if groups.is_empty() { Err(RequirementError::Empty) } else { Ok(Self { groups }) }
    }

    /// Every scheme that some group names.
    #[must_use]
    pub fn schemes(&self) -> SchemeSet {
        self.groups.iter().flat_map(|group| group.iter()).collect()
    }

    /// Judges what a request presented, among the schemes that are named: the best reading of it.
    #[must_use]
    pub fn judge(&self, presented: &[Presentation]) -> Presentations {
        let mut best = Presentations::Mixture;
        let mut consider = |whole: SchemeSet| {
            // What the route does not name is not read: nothing else is nothing.
            if self.groups.iter().any(|group| whole.is_within(*group)) || !whole.meets(self.schemes()) {
                best = Presentations::Fewer;
            }
            self.groups.contains(&whole)
        };
        // Nearly always there is one credential of one scheme.
        if let [Presentation { scheme, also: None }] = presented {
            let whole = SchemeSet::default().with(*scheme);
            return if consider(whole) { Presentations::Whole(whole) } else { best };
        }
        match readings(presented).into_iter().find(|whole| consider(*whole)) {
            Some(whole) => Presentations::Whole(whole),
            None => best,
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups: Vec<_> = self.groups.iter().map(ToString::to_string).collect();
        f.write_str(&groups.join(" or "))
    }
}

/// One thing that a request presents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presentation {
    /// The scheme that read it.
    pub scheme: Scheme,
    /// Another scheme that it satisfies as well: a signature by an API key is one presentation of both.
    pub also: Option<Scheme>,
}

/// Every way to count what was presented: a presentation that is of two schemes counts as the one, the
/// other, or both; and no scheme is satisfied twice.
fn readings(presented: &[Presentation]) -> Vec<SchemeSet> {
    let mut readings = vec![SchemeSet::default()];
    for presentation in presented {
        let one = SchemeSet::default().with(presentation.scheme);
        let counts = match presentation.also {
            None => vec![one],
            Some(also) => vec![one, SchemeSet::default().with(also), one.with(also)],
        };
        let longer = |reading: &SchemeSet| {
            let reading = *reading;
            let free = counts.iter().filter(move |count| !reading.meets(**count));
            free.map(move |count| reading.and(*count)).collect::<Vec<_>>()
        };
        readings = readings.iter().flat_map(longer).collect();
    }
    readings
}

/// How what was presented stands to what is required.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presentations {
    /// It is this group.
    Whole(SchemeSet),
    /// Something is missing.
    Fewer,
    /// It is no part of any one group.
    Mixture,
}

fn parse_group(text: &str) -> Result<SchemeSet, RequirementError> {
    let mut group = SchemeSet::default();
    for name in text.split('+').map(str::trim) {
        let scheme =
            Scheme::from_name(name).ok_or_else(|| RequirementError::UnknownScheme(name.to_owned()))?;
        if group.contains(scheme) {
            return Err(RequirementError::Twice(text.to_owned()));
        }
        group = group.with(scheme);
    }
    // An API key has a header of its own besides.
    let exclusive = [Scheme::Webhook, Scheme::Session, Scheme::Bearer];
    if exclusive.into_iter().filter(|scheme| group.contains(*scheme)).count() > 1 {
        return Err(RequirementError::AuthorizationTwice(text.to_owned()));
    }
    Ok(group)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Scheme::{ApiKey, Asymmetric, Bearer, Signature};

    #[test]
    fn what_is_presented_must_equal_one_group() {
        let requirement = Requirement::parse(["api-key", "bearer+signature"]).unwrap();
        let judge = |schemes: &[Scheme]| {
            let presented: Vec<_> =
                schemes.iter().map(|scheme| Presentation { scheme: *scheme, also: None }).collect();
            requirement.judge(&presented)
        };
        let counted = |schemes: &[Scheme]| Presentations::Whole(schemes.iter().copied().collect());
        assert_eq!(judge(&[ApiKey]), counted(&[ApiKey]));
        assert_eq!(judge(&[Signature, Bearer]), counted(&[Signature, Bearer]));
        assert_eq!(judge(&[]), Presentations::Fewer);
        assert_eq!(judge(&[Bearer]), Presentations::Fewer);
        assert_eq!(judge(&[ApiKey, Bearer]), Presentations::Mixture);
        assert_eq!(judge(&[ApiKey, Bearer, Signature]), Presentations::Mixture);
        assert!(!requirement.schemes().contains(Asymmetric));
    }

    #[test]
    fn a_signature_by_an_api_key_is_one_presentation_of_either_or_both() {
        let signed = Presentation { scheme: Signature, also: Some(ApiKey) };
        let sent = Presentation { scheme: ApiKey, also: None };
        let judge = |groups: &[&str], presented: &[Presentation]| {
            Requirement::parse(groups).unwrap().judge(presented)
        };
        let as_key = SchemeSet::default().with(ApiKey);
        let both = as_key.with(Signature);
        assert_eq!(judge(&["api-key"], &[signed]), Presentations::Whole(as_key));
        assert_eq!(judge(&["api-key+signature"], &[signed]), Presentations::Whole(both));
        let as_signature = SchemeSet::default().with(Signature);
        assert_eq!(judge(&["signature", "api-key"], &[signed]), Presentations::Whole(as_signature));
        assert_eq!(judge(&["api-key"], &[sent, signed]), Presentations::Mixture, "that would be two keys");
        assert_eq!(judge(&["bearer+api-key"], &[signed]), Presentations::Fewer);
        let by_another = Presentation { scheme: Signature, also: None };
        assert_eq!(judge(&["api-key"], &[by_another]), Presentations::Fewer, "nobody asked for a signature");
        assert_eq!(judge(&["api-key"], &[sent, by_another]), Presentations::Mixture);
    }

    #[test]
    fn requirements_that_cannot_be_are_refused() {
        let none: [&str; 0] = [];
        assert_eq!(Requirement::parse(none), Err(RequirementError::Empty));
        assert_eq!(Requirement::parse(["apikey"]), Err(RequirementError::UnknownScheme("apikey".into())));
        assert_eq!(Requirement::parse([""]), Err(RequirementError::UnknownScheme(String::new())));
        assert_eq!(
            Requirement::parse(["bearer+bearer"]),
            Err(RequirementError::Twice("bearer+bearer".into()))
        );
        let twice = Requirement::parse(["bearer+session"]);
        assert_eq!(twice, Err(RequirementError::AuthorizationTwice("bearer+session".into())));
    }
}
