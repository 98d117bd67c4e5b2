//! A route that callback URLs lead to: where its token stands, and where its resource.

use crate::path::{Segment, Template};

/// The parameter in which the token stands.
pub const TOKEN: &str = "token";

/// A template with `{token}` and at most one other parameter, which names the resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallbackRoute {
    template: Template,
    /// The number of the token's segment.
    token: usize,
    /// The name of the other parameter.
    resource: Option<String>,
}

impl CallbackRoute {
    /// Looks at a template.
    ///
    /// # Errors
    /// Why no callback URL can lead there, for whoever wrote it.
    pub fn new(template: Template) -> Result<Self, String> {
        let text = template.as_str();
        let Some(token) = template.position(TOKEN) else {
            return Err(format!(
                "a callback URL carries its token in the path, and `{text}` has no {{{TOKEN}}}"
            ));
        };
        if template.segments().contains(&Segment::Rest) {
            return Err(format!("a callback URL opens one path, and `{text}` ends with *"));
        }
        let mut others = template.segments().iter().filter_map(|segment| match segment {
            Segment::Parameter(name) if name != TOKEN => Some(name.clone()),
            _ => None,
        });
        let resource = others.next();
        if others.next().is_some() {
            return Err(format!(
                "a callback URL names one resource, and `{text}` has more parameters than that"
            ));
        }
        Ok(Self { token, resource, template })
    }

    /// The template, as the claim `path` names it.
    #[must_use]
    pub const fn template(&self) -> &Template {
        &self.template
    }

    /// The number of the token's segment, from zero.
    #[must_use]
    pub const fn token_segment(&self) -> usize {
        self.token
    }

    /// The name of the parameter that is the resource, if its paths name one.
    #[must_use]
    pub fn resource_name(&self) -> Option<&str> {
        self.resource.as_deref()
    }

    /// The resource and the token in a raw path, byte for byte. `None`: it is no path of this route.
    #[must_use]
    pub fn read<'p>(&self, path: &'p str) -> Option<(Option<&'p str>, &'p str)> {
        let values = self.template.values(path)?;
        let (mut resource, mut token) = (None, None);
        for (name, value) in values {
            match name {
                TOKEN => token = Some(value),
                _ => resource = Some(value),
            }
        }
        Some((resource, token?))
    }

    /// The path with this resource and token. `None`: there is a resource too few or too many, or it is not
    /// one clean segment.
    #[must_use]
    pub fn fill(&self, resource: Option<&str>, token: &str) -> Option<String> {
        if resource.is_some() != self.resource.is_some() {
            return None;
        }
        let values: Vec<&str> = self
            .template
            .segments()
            .iter()
            .filter_map(|segment| match segment {
                Segment::Parameter(name) if name == TOKEN => Some(token),
                Segment::Parameter(_) => resource,
                _ => None,
            })
            .collect();
        self.template.fill(&values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(text: &str) -> Result<CallbackRoute, String> {
        CallbackRoute::new(Template::parse(text).unwrap())
    }

    #[test]
    fn a_route_has_a_token_and_at_most_one_resource() {
        for text in ["/v1/results/{id}/{token}", "/{token}", "/a/{token}/{res_id}/b"] {
            assert_eq!(route(text).unwrap().template().as_str(), text);
        }
        for text in ["/v1/results/{id}", "/{a}/{b}/{token}", "/{token}/*", "/a"] {
            assert!(route(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_filled_in_is_read_back_byte_for_byte() {
        let route = route("/a/{token}/{res_id}").unwrap();
        assert_eq!(route.fill(Some("4%202;x"), "t").as_deref(), Some("/a/t/4%202;x"));
        assert_eq!(route.read("/a/t/4%202;x"), Some((Some("4%202;x"), "t")));
        assert_eq!(route.read("/b/t/42"), None);
        for resource in
            [None, Some(""), Some(".."), Some("%2e"), Some("a/b"), Some("%2f"), Some("a?b"), Some("a b")]
        {
            assert_eq!(route.fill(resource, "t"), None, "{resource:?}");
        }
        let bare = self::route("/a/{token}").unwrap();
        assert_eq!(bare.fill(None, "t").as_deref(), Some("/a/t"));
        assert_eq!(bare.fill(Some("42"), "t"), None);
    }
}
