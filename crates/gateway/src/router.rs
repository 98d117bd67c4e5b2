//! What serves a path: raw segments are matched, the most specific path wins.

use std::collections::HashMap;

use countersign::path::{Segment, Template};
use http::Method;

/// The methods that a route may serve.
pub(crate) const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// One of those that serve one path: its methods (`None`: all) and its number.
pub type Candidate = (Option<Vec<Method>>, usize);

/// What serves a path and method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// What has this number.
    Here(usize),
    /// Nothing serves the path.
    Nothing,
    /// The path is served, with these methods.
    OtherMethods(&'a [Candidate]),
}

/// What serves paths, by number.
#[derive(Debug, Default)]
pub struct Router {
    root: Node,
}

#[derive(Debug, Default)]
struct Node {
    literals: HashMap<String, Node>,
    parameter: Option<Box<Node>>,
    here: Vec<Candidate>,
    rest: Vec<Candidate>,
}

impl Router {
    /// Adds what serves `methods` (`None`: all).
    ///
    /// # Errors
    /// The number of what is as specific and shares a method: a tie.
    pub fn insert(
        &mut self,
        template: &Template,
        methods: Option<Vec<Method>>,
        number: usize,
    ) -> Result<(), usize> {
        let mut node = &mut self.root;
        for segment in template.segments() {
            node = match segment {
                Segment::Literal(text) => node.literals.entry(text.clone()).or_default(),
                Segment::Parameter(_) => node.parameter.get_or_insert_default(),
                Segment::Rest => return add(&mut node.rest, methods, number),
            };
        }
        add(&mut node.here, methods, number)
    }

    /// What serves a raw path and a method. GET admits HEAD.
    #[must_use]
    pub fn find(&self, path: &str, method: &Method) -> Found<'_> {
        let mut segments = path.strip_prefix('/').unwrap_or(path).split('/');
        let Some(candidates) = find(&self.root, &mut segments) else { return Found::Nothing };
        let admits = |methods: &Option<Vec<Method>>, method: &Method| {
            methods.as_ref().is_none_or(|methods| methods.contains(method))
        };
        let exact = candidates.iter().find(|(methods, _)| admits(methods, method));
        let found = exact.or_else(|| {
            let head = *method == Method::HEAD;
            candidates.iter().find(|(methods, _)| head && admits(methods, &Method::GET))
        });
        found.map_or(Found::OtherMethods(candidates), |(_, number)| Found::Here(*number))
    }
}

/// What `find` finds for a raw path, `None` where an upstream that decodes escapes and cuts path parameters (`;`) would
/// read a path that something else serves: a way around the more specific route.
#[must_use]
pub fn unambiguous<'a>(path: &str, find: impl Fn(&str) -> Found<'a>) -> Option<Found<'a>> {
    let found = find(path);
    if path.contains(['%', ';']) && find(&second_reading(path)) != found {
        return if found == Found::Nothing { Some(found) } else { None };
    }
    Some(found)
}

fn add(place: &mut Vec<Candidate>, methods: Option<Vec<Method>>, number: usize) -> Result<(), usize> {
    let shares = |theirs: &Option<Vec<Method>>| match (&methods, theirs) {
        (Some(ours), Some(theirs)) => ours.iter().any(|method| theirs.contains(method)),
        _ => true,
    };
    if let Some((_, other)) = place.iter().find(|(theirs, _)| shares(theirs)) {
        return Err(*other);
    }
    place.push((methods, number));
    Ok(())
}

/// A literal segment is more specific than a parameter, a parameter more than a rest; what comes
/// first in the path counts first.
fn find<'a>(node: &'a Node, segments: &mut std::str::Split<'_, char>) -> Option<&'a [Candidate]> {
    let mut remaining = segments.clone();
    let deeper = match remaining.next() {
        None => (!node.here.is_empty()).then_some(&*node.here),
        Some(segment) => {
            let literal = node.literals.get(segment).and_then(|node| find(node, &mut remaining.clone()));
            let parameter = || {
                let node = node.parameter.as_ref().filter(|_| !segment.is_empty())?;
                find(node, &mut remaining.clone())
            };
            literal.or_else(parameter)
        }
    };
    deeper.or_else(|| (!node.rest.is_empty()).then_some(&*node.rest))
}

/// The path as an upstream might read it: escapes decoded, path parameters cut.
fn second_reading(path: &str) -> String {
    let mut read = Vec::with_capacity(path.len());
    let mut bytes = path.bytes();
    let mut in_parameter = false;
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'%' => {
                let mut digit = || bytes.next().and_then(|byte| char::from(byte).to_digit(16)).unwrap_or(0);
                (digit() * 16 + digit()) as u8
            }
            byte => byte,
        };
        match byte {
            b';' => in_parameter = true,
            b'/' => {
                in_parameter = false;
                read.push(byte);
            }
            _ if in_parameter => {}
            _ => read.push(byte),
        }
    }
    String::from_utf8_lossy(&read).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router(paths: &[&str]) -> Router {
        let mut router = Router::default();
        for (number, path) in paths.iter().enumerate() {
            router.insert(&Template::parse(path).unwrap(), None, number).unwrap();
        }
        router
    }

    fn get(router: &Router, path: &str) -> Option<usize> {
        match router.find(path, &Method::GET) {
            Found::Here(number) => Some(number),
            _ => None,
        }
    }

    #[test]
    fn the_most_specific_route_wins() {
        let router = router(&["/*", "/a/*", "/a/{x}", "/a/b", "/a/{x}/c", "/a/b/d", "/{y}/b"]);
        for (path, number) in [
            ("/", 0),
            ("/z", 0),
            ("/a", 1),
            ("/a/", 1),
            ("/a/q", 2),
            ("/a/b", 3),
            ("/a/b/c", 4),
            ("/a/b/d", 5),
            ("/a/b/e", 1),
            ("/q/b", 6),
            ("/q/c", 0),
            ("/a/x/y/z", 1),
        ] {
            assert_eq!(get(&router, path), Some(number), "{path}");
        }
    }

    #[test]
    fn a_rest_also_serves_the_path_before_it_and_nothing_else() {
        let router = router(&["/orders/*"]);
        assert_eq!(get(&router, "/orders"), Some(0));
        assert_eq!(get(&router, "/orders/1/2"), Some(0));
        assert_eq!(get(&router, "/ordersx"), None);
        assert_eq!(get(&router, "/"), None);
    }

    #[test]
    fn methods_choose_and_get_admits_head() {
        let mut router = Router::default();
        let path = Template::parse("/a").unwrap();
        router.insert(&path, Some(vec![Method::GET]), 0).unwrap();
        router.insert(&path, Some(vec![Method::POST]), 1).unwrap();
        assert_eq!(router.find("/a", &Method::HEAD), Found::Here(0));
        assert_eq!(router.find("/a", &Method::POST), Found::Here(1));
        assert!(
            matches!(router.find("/a", &Method::PUT), Found::OtherMethods(methods) if methods.len() == 2)
        );
        assert_eq!(router.insert(&path, Some(vec![Method::POST]), 2), Err(1), "a tie");
        assert_eq!(router.insert(&path, None, 2), Err(0), "a tie");
        let same = Template::parse("/{x}/y").unwrap();
        router.insert(&same, None, 3).unwrap();
        assert_eq!(router.insert(&Template::parse("/{z}/y").unwrap(), None, 4), Err(3), "a tie");
    }

    #[test]
    fn an_escape_that_leads_around_a_more_specific_route_has_no_reading() {
        let router = router(&["/*", "/admin/*"]);
        let find = |path| unambiguous(path, |path| router.find(path, &Method::GET));
        assert_eq!(find("/%61dmin/x"), None);
        assert_eq!(find("/admin;a=b/x"), None);
        assert_eq!(find("/admin%3bx/y"), None);
        assert_eq!(find("/a%20b"), Some(Found::Here(0)));
        assert_eq!(find("/admin/%61;b"), Some(Found::Here(1)));
    }

    proptest::proptest! {
        #[test]
        fn no_path_makes_it_panic_and_what_has_one_spelling_has_one_reading(
            templates in proptest::collection::vec("(/([ab]|[{]x[}]|[*])){1,4}", 1..6),
            noise in "\\PC{0,12}",
            path in "(/(a|b|%6[12]|a;c|%|%4)){0,5}",
            plain in "(/(a|b|cd)){0,5}",
        ) {
            let mut router = Router::default();
            for (number, text) in templates.iter().enumerate() {
                if let Ok(template) = Template::parse(text) {
                    let _ = router.insert(&template, None, number);
                }
            }
            let _ = Template::parse(&noise);
            for path in [&noise, &path, &plain] {
                let found = router.find(path, &Method::GET);
                if let Some(one) = unambiguous(path, |path| router.find(path, &Method::GET)) {
                    proptest::prop_assert_eq!(&one, &found);
                }
                proptest::prop_assert_eq!(router.find(path, &Method::HEAD), found);
            }
            proptest::prop_assert_eq!(second_reading(&plain), &*plain);
            proptest::prop_assert!(unambiguous(&plain, |path| router.find(path, &Method::GET)).is_some());
        }
    }
}
