//! What serves a path: an endpoint of ours, else a route, found by one rule.

use std::sync::Arc;

use countersign::decision::Check;
use countersign::path::check_path;
use countersign::{Code, Denial, Rule};
use http::Method;

use super::Route;
use crate::config::RouteConfig;
use crate::endpoint::Endpoint;
use crate::router::{Found, METHODS, Router, unambiguous};

/// What a path leads to.
pub enum Served {
    /// Forwarded to an upstream.
    Route(Route),
    /// Answered by us.
    Endpoint(Endpoint),
}

impl Served {
    /// Who may call.
    pub const fn rule(&self) -> &Arc<Rule> {
        match self {
            Self::Route(route) => &route.rule,
            Self::Endpoint(endpoint) => &endpoint.rule,
        }
    }
}

/// All paths that are served.
pub(super) struct Paths {
    endpoints: Router,
    routes: Router,
    served: Vec<Served>,
}

impl Paths {
    /// Endpoints come before all routes, so that none takes what is ours by chance. A route that names one as we write it
    /// takes its place: then an application behind us answers. Of two endpoints that name one path, the first answers.
    pub(super) fn new<'a>(
        routes: impl Iterator<Item = (&'a RouteConfig, Route)>,
        endpoints: Vec<Endpoint>,
    ) -> Self {
        let mut paths = Self { endpoints: Router::default(), routes: Router::default(), served: Vec::new() };
        let mut taken = Vec::new();
        for (config, route) in routes {
            // The configuration has no two that tie.
            let _ = paths.routes.insert(&config.template, config.methods.clone(), paths.served.len());
            paths.served.push(Served::Route(route));
            taken.push(&config.template);
        }
        for endpoint in endpoints {
            let number = paths.served.len();
            if !taken.contains(&&endpoint.template)
                && paths.endpoints.insert(&endpoint.template, endpoint.methods.clone(), number).is_ok()
            {
                paths.served.push(Served::Endpoint(endpoint));
            }
        }
        paths
    }

    fn find(&self, path: &str, method: &Method) -> Found<'_> {
        match self.endpoints.find(path, method) {
            Found::Nothing => self.routes.find(path, method),
            found => found,
        }
    }

    /// Like [`Paths::find`], `None` where the path has another reading that something else serves. What an endpoint is
    /// called, letter for letter, has one: nobody behind us decodes it.
    fn find_unambiguous(&self, path: &str, method: &Method) -> Option<Found<'_>> {
        let found = self.find(path, method);
        let number = match found {
            Found::Here(number) => Some(number),
            Found::OtherMethods(candidates) => candidates.first().map(|(_, number)| *number),
            Found::Nothing => None,
        };
        match number.map(|number| &self.served[number]) {
            Some(Served::Endpoint(endpoint)) if endpoint.template.as_str() == path => Some(found),
            _ => unambiguous(path, |path| self.find(path, method)),
        }
    }

    fn is_route(&self, number: usize) -> bool {
        matches!(self.served[number], Served::Route(_))
    }

    /// What serves a raw path and a method, or why nothing does. A path that could be read in two ways is not even looked
    /// for, so that nothing is told of a route that would not serve it; that it passes nowhere, the gate sees to.
    pub(super) fn serve(&self, path: &str, method: &Method) -> Result<&Served, Box<(Check, Denial)>> {
        let refused = |check, denial| Err(Box::new((check, denial)));
        let found = check_path(path).map(|()| self.find_unambiguous(path, method));
        let never = matches!(*method, Method::TRACE | Method::CONNECT);
        match found {
            Ok(Some(Found::Here(number))) if !never || !self.is_route(number) => Ok(&self.served[number]),
            // An endpoint names its own methods.
            Ok(Some(Found::OtherMethods(candidates)))
                if !never || candidates.iter().any(|(_, number)| !self.is_route(*number)) =>
            {
                let methods = candidates.iter().flat_map(|(methods, _)| methods.iter().flatten());
                refused(Check::Route, Denial::other_method(methods))
            }
            _ if never => {
                let denial = Denial::new(Code::MethodNotAllowed, format!("{method} is never served"));
                refused(Check::Reading, denial.allowing(METHODS.to_owned()))
            }
            Err(denial) => refused(Check::Reading, denial),
            Ok(None) => {
                let cause = "decoded, the path would be served by another route";
                refused(Check::Reading, Denial::new(Code::PathAmbiguous, cause))
            }
            Ok(Some(_)) => {
                refused(Check::Route, Denial::new(Code::RouteUnknown, "no route serves this path"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Overrides, load_text};
    use crate::endpoint::{Answer, Answering, Asked};
    use crate::metrics::Metrics;
    use countersign::path::Template;
    use http::Response;

    struct Nothing;

    impl Answer for Nothing {
        fn answer<'a>(&'a self, _: Asked<'a>) -> Answering<'a> {
            Box::pin(async { Ok(Response::default()) })
        }
    }

    /// Public routes and public endpoints: their paths, each with its methods, `*` for all.
    fn paths(routes: &[(&str, &str)], endpoints: &[(&str, &str)]) -> Paths {
        let written = |(path, method): &(&str, &str)| {
            let methods = if *method == "*" { String::new() } else { format!("methods = [\"{method}\"]\n") };
            let upstream = "upstream = \"http://127.0.0.1:1\"\npublic = true\n";
            format!("[[route]]\npath = \"{path}\"\n{upstream}{methods}")
        };
        let text: String = routes.iter().map(written).collect();
        let config = load_text("countersign.toml".as_ref(), &text, &Overrides::default()).unwrap().config;
        let ready = |route: &RouteConfig| Route {
            rule: Arc::new(Rule::public(route.template.as_str())),
            upstream: crate::proxy::Upstream::new(&route.upstream, false, &[]).unwrap(),
            metrics: Metrics::default().route(&route.template.as_str().into(), &[String::new()]),
        };
        let endpoint = |(path, method): &(&str, &str)| {
            let methods = (*method != "*").then(|| vec![method.parse().unwrap()]);
            assert!(Template::parse(path).is_ok());
            Endpoint::public(path, methods, Nothing).unwrap()
        };
        let routes = config.routes.iter().map(|route| (route, ready(route)));
        Paths::new(routes, endpoints.iter().map(endpoint).collect())
    }

    /// The rule's name behind `r:` or `e:`, or the code and the methods.
    fn told(paths: &Paths, method: &str, path: &str) -> String {
        match paths.serve(path, &method.parse().unwrap()) {
            Ok(served @ Served::Route(_)) => format!("r:{}", served.rule().name()),
            Ok(served @ Served::Endpoint(_)) => format!("e:{}", served.rule().name()),
            Err(refused) => format!("{} {}", refused.1.code(), refused.1.allowed_methods().unwrap_or("-")),
        }
    }

    #[test]
    fn a_path_of_ours_comes_before_every_route_that_is_not_called_the_same() {
        let paths = paths(
            &[
                ("/*", "*"),
                ("/auth/{page}", "GET"),
                ("/auth/sessions/mine", "GET"),
                ("/auth/sessions/{name}", "GET"),
                ("/auth/sessions/*", "*"),
            ],
            &[("/auth/signin", "POST"), ("/auth/sessions/{id}", "DELETE"), ("/ask", "*")],
        );
        for (method, path, expected) in [
            ("GET", "/x", "r:/*"),
            ("GET", "/auth/terms", "r:/auth/{page}"),
            ("POST", "/auth/signin", "e:/auth/signin"),
            ("DELETE", "/auth/sessions/1", "e:/auth/sessions/{id}"),
            ("DELETE", "/auth/sessions/mine", "e:/auth/sessions/{id}"),
            ("GET", "/auth/sessions/mine", "method_not_allowed DELETE"),
            ("GET", "/auth/sessions/1", "method_not_allowed DELETE"),
            ("GET", "/auth/sessions/1/2", "r:/auth/sessions/*"),
            ("GET", "/auth/signin", "method_not_allowed POST"),
            ("TRACE", "/auth/signin", "method_not_allowed POST"),
            ("OPTIONS", "/ask", "e:/ask"),
            ("TRACE", "/x", "method_not_allowed GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
            ("HEAD", "/auth/terms", "r:/auth/{page}"),
        ] {
            assert_eq!(told(&paths, method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn one_rule_of_paths_holds_for_routes_and_for_paths_of_ours() {
        let paths = paths(&[("/*", "*"), ("/admin/*", "*")], &[("/auth/sessions/{id}", "DELETE")]);
        for (method, path) in [
            ("GET", "/admin/%2e%2e/x"),
            ("GET", "/%61dmin/x"),
            ("DELETE", "/auth/sessions/%2e%2e"),
            ("DELETE", "/auth/sessions/.."),
            ("DELETE", "/auth/sessions/a%2fb"),
            ("DELETE", "/auth/%73essions/1"),
            ("DELETE", "/auth;x/sessions/1"),
            ("DELETE", "/auth//sessions/1"),
        ] {
            assert_eq!(told(&paths, method, path), "path_ambiguous -", "{method} {path}");
        }
        assert_eq!(told(&paths, "DELETE", "/auth/sessions/a%20b"), "e:/auth/sessions/{id}");
    }

    #[test]
    fn a_route_that_names_the_very_path_of_ours_has_it_with_all_methods() {
        let paths = paths(
            &[("/callbacks", "GET"), ("/auth/sessions/{id}", "GET")],
            &[("/callbacks", "POST"), ("/auth/sessions/{id}", "DELETE"), ("/ask", "*"), ("/ask", "GET")],
        );
        assert_eq!(told(&paths, "GET", "/callbacks"), "r:/callbacks");
        assert_eq!(told(&paths, "POST", "/callbacks"), "method_not_allowed GET, HEAD");
        assert_eq!(told(&paths, "DELETE", "/auth/sessions/1"), "method_not_allowed GET, HEAD");
        assert_eq!(told(&paths, "GET", "/ask"), "e:/ask", "the first");
        assert_eq!(told(&paths, "GET", "/none"), "route_unknown -");
    }

    #[test]
    fn an_endpoint_that_is_called_with_an_escape_or_a_parameter_is_served_as_it_is_called() {
        let paths = paths(&[("/*", "*")], &[("/hooks/my%20app", "*"), ("/hooks/a;b", "POST")]);
        assert_eq!(told(&paths, "POST", "/hooks/my%20app"), "e:/hooks/my%20app");
        assert_eq!(told(&paths, "POST", "/hooks/a;b"), "e:/hooks/a;b");
        assert_eq!(told(&paths, "GET", "/hooks/a;b"), "method_not_allowed POST");
        assert_eq!(told(&paths, "POST", "/hooks/my%20ap%70"), "r:/*");
        let paths = self::paths(&[("/*", "*")], &[("/hooks/x", "*"), ("/hooks/{id}/b;c", "*")]);
        assert_eq!(told(&paths, "POST", "/hooks/%78"), "path_ambiguous -");
        assert_eq!(told(&paths, "POST", "/hooks/1/b;c"), "path_ambiguous -", "nothing of ours is called so");
    }
}
