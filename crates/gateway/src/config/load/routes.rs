//! `[[route]]`: what is served, and for whom.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use countersign::path::Template;
use countersign::requirement::SchemeSet;
use countersign::{Policy, Requirement, Scheme};
use http::Method;
use http::uri::Authority;
use toml::Spanned;

use super::Reader;
use crate::config::file;
use crate::config::{Access, RouteConfig, SchemeOptions, ServerConfig, UpstreamUrl};
use crate::router::Router;
use crate::schemes::session::config as session;
use crate::schemes::signature::config as signature;
use crate::settings::Text;
use crate::settings::diagnostics::{Origin, Problem, did_you_mean};

impl Reader<'_> {
    pub(super) fn routes(
        &mut self,
        routes: &[Spanned<file::Route>],
        server: Option<&ServerConfig>,
        signature: &signature::Config,
        session: &session::Config,
        assertion: bool,
    ) -> Vec<RouteConfig> {
        let mut parsed: Vec<RouteConfig> = Vec::new();
        let mut router = Router::default();
        for written in routes {
            let before = self.problems.len();
            let Some(route) = self.route(written, server, signature, session, assertion) else { continue };
            if self.problems.len() > before {
                continue;
            }
            let number = parsed.len();
            if let Err(other) = router.insert(&route.template, route.methods.clone(), number) {
                let other = parsed.get(other).map_or("", |route| route.template.as_str());
                let message = format!("this route and `{other}` serve the same path and method");
                self.wrong(message, "route.path", Some(written.get_ref().path.span()));
                continue;
            }
            parsed.push(route);
        }
        parsed
    }

    fn route(
        &mut self,
        written: &Spanned<file::Route>,
        server: Option<&ServerConfig>,
        signature: &signature::Config,
        session: &session::Config,
        assertion: bool,
    ) -> Option<RouteConfig> {
        let route = written.get_ref();
        let template = self.parsed("route.path", Some(&route.path), "", Template::parse);
        let upstream = self.parsed("route.upstream", Some(&route.upstream), "", parse_upstream);
        if let (Some(upstream), Some(server)) = (&upstream, server)
            && is_one_of(&upstream.authority, 80, server)
        {
            let message = "the upstream is one of our own listeners";
            self.wrong(message, "route.upstream", Some(route.upstream.span()));
        }
        let methods = self.methods(route);
        let passes = self.pass_headers(route);
        let access = self.access(written, route, signature, session);
        let named = match &access {
            Some(Access::Guarded { requirement, .. }) => requirement.schemes(),
            _ => SchemeSet::default(),
        };
        if access.is_some() {
            self.token_fits(&route.path, template.as_ref(), named);
        }
        let limit = self.maybe("route.limit", route.limit.as_ref(), str::parse);
        if matches!(access, Some(Access::Public)) && route.limit.is_some() {
            let message = "a public route has no subjects whose limit could be counted";
            self.wrong(message, "route.limit", route.limit.as_ref().map(Spanned::span));
        }
        let access = access?;
        Some(RouteConfig {
            template: template?,
            methods: methods?,
            upstream: upstream?,
            assertion: self.route_assertion(route, &access, assertion),
            passes,
            access,
            limit,
        })
    }

    fn methods(&mut self, route: &file::Route) -> Option<Option<Vec<Method>>> {
        let Some(written) = &route.methods else { return Some(None) };
        if written.is_empty() {
            let message = "`methods` is empty: name some, or leave it out for all";
            self.wrong(message, "route.methods", Some(route.path.span()));
            return None;
        }
        let mut methods = Vec::new();
        for text in written {
            methods.push(self.parsed("route.methods", Some(text), "", parse_method)?);
        }
        Some(Some(methods))
    }

    fn access(
        &mut self,
        written: &Spanned<file::Route>,
        route: &file::Route,
        signature: &signature::Config,
        session: &session::Config,
    ) -> Option<Access> {
        let path_span = Some(route.path.span());
        let require = &route.require;
        let demands = require.permission.is_some() || require.subject.is_some() || !require.claim.is_empty();
        let public = self.said("route.public", route.public.as_ref());
        let anyone = self.said("route.anyone", route.anyone.as_ref());
        let options = self.scheme_options(route, session);
        let Some(accept) = &route.accept else {
            if !public {
                let origin = Origin::File(header_line(self.text, written.span()));
                let problem =
                    Problem::new("the route says neither what it accepts nor that it is public", origin);
                self.problems
                    .push(problem.help("write `accept = [\"api-key\"]`, or `public = true` for everybody"));
                return None;
            }
            if demands || anyone || options != SchemeOptions::default() {
                self.wrong("a public route asks nobody, so it can demand nothing", "route.public", path_span);
            }
            return Some(Access::Public);
        };
        let groups: Vec<&str> = accept.get_ref().iter().map(|group| group.get_ref().as_str()).collect();
        self.show("route.accept", groups.join(", "), Some(accept.span()));
        if public {
            self.wrong("a route is either public or accepts schemes", "route.accept", Some(accept.span()));
        }
        for group in accept.get_ref() {
            self.schemes(group);
        }
        let requirement = match Requirement::parse(groups) {
            Ok(requirement) => requirement,
            Err(countersign::requirement::RequirementError::UnknownScheme(_)) => return None,
            Err(error) => {
                self.wrong(error, "route.accept", Some(accept.span()));
                return None;
            }
        };
        let policy = Policy {
            permissions: self.names("permission", require.permission.as_ref()),
            subjects: self.names("subject", require.subject.as_ref()),
            claims: self.claims(&require.claim, path_span.as_ref()),
        };
        // Anybody can make a wallet: whether anybody may pass is for the operator to say.
        let named = requirement.schemes();
        let anybody = named.contains(Scheme::Asymmetric)
            || (signature.wallets && (named.contains(Scheme::Signature) || named.contains(Scheme::ApiKey)));
        if anybody && policy.is_empty() && !anyone {
            let origin = self.origin("route.accept", Some(accept.span()));
            let problem =
                Problem::new("anybody can make a wallet, and the route demands nothing of it", origin);
            self.problems.push(problem.help(
                "say whom you mean with `require = { subject = [\"eip155:0x…\"] }`, or `anyone = true`",
            ));
        }
        if session.takes_anybody() && named.contains(Scheme::Session) && policy.is_empty() && !anyone {
            let origin = self.origin("route.accept", Some(accept.span()));
            let problem =
                Problem::new("anybody can sign up, and the route demands nothing of whoever did", origin);
            self.problems.push(problem.help(
                "say whom you mean with `require = { subject = [\"user:usr_…\"] }`, or `anyone = true`",
            ));
        }
        self.options_fit(route, named);
        Some(Access::Guarded { requirement, policy, options })
    }

    fn scheme_options(&mut self, route: &file::Route, session: &session::Config) -> SchemeOptions {
        let rising = self.maybe("route.nonce", route.nonce.as_ref(), |text| match text {
            "rising" => Ok(true),
            _ => Err(format!("`{text}` is no way to judge nonces: write \"rising\", or leave it out")),
        });
        SchemeOptions {
            key_in_query: self.said("route.key_in_query", route.key_in_query.as_ref()),
            untagged: self.said("route.untagged", route.untagged.as_ref()),
            rising: rising.unwrap_or(false),
            strict: route.strict.as_ref().map(|_| self.said("route.strict", route.strict.as_ref())),
            handshake: self.route_handshake(route, session),
            key_bound: self.said("route.key_bound", route.key_bound.as_ref()),
        }
    }

    /// An option for a scheme that the route does not name would do nothing, unnoticed.
    fn options_fit(&mut self, route: &file::Route, named: SchemeSet) {
        let signed = named.contains(Scheme::Signature) || named.contains(Scheme::ApiKey);
        let options = [
            ("untagged", route.untagged.as_ref().map(Spanned::span), signed, "signature"),
            (
                "nonce",
                route.nonce.as_ref().map(Spanned::span),
                named.contains(Scheme::Asymmetric),
                "asymmetric",
            ),
            (
                "strict",
                route.strict.as_ref().map(Spanned::span),
                named.contains(Scheme::CallbackUrl),
                "callback-url",
            ),
            (
                "handshake",
                route.handshake.as_ref().map(Spanned::span),
                named.contains(Scheme::Session),
                "session",
            ),
            (
                "key_bound",
                route.key_bound.as_ref().map(Spanned::span),
                named.contains(Scheme::Session),
                "session",
            ),
        ];
        for (name, span, fits, scheme) in options {
            if span.is_some() && !fits {
                self.wrong(
                    format!("`{name}` is about {scheme}, which the route does not accept"),
                    "route",
                    span,
                );
            }
        }
    }

    fn schemes(&mut self, group: &Text) {
        for name in group.get_ref().split('+').map(str::trim) {
            let known = Scheme::ALL.map(Scheme::as_str);
            if known.contains(&name) {
                continue;
            }
            let origin = self.origin("route.accept", Some(group.span()));
            let problem = Problem::new(format!("no scheme is called `{name}`"), origin);
            self.problems.push(match did_you_mean(name, known) {
                Some(help) => problem.help(help),
                None => problem.help(format!("there are {}", known.join(", "))),
            });
        }
    }

    fn names(&mut self, what: &str, written: Option<&Spanned<Vec<String>>>) -> BTreeSet<String> {
        let Some(written) = written else { return BTreeSet::new() };
        self.show(&format!("route.require.{what}"), written.get_ref().join(", "), Some(written.span()));
        if written.get_ref().is_empty() {
            let message = format!("`{what}` is empty: nobody knows whether that means everybody or nobody");
            self.wrong(message, "route.require", Some(written.span()));
        }
        written.get_ref().iter().cloned().collect()
    }
}

/// The first line of a table.
fn header_line(text: &str, span: Range<usize>) -> Range<usize> {
    let end = text[span.start..].find('\n').map_or(span.end, |length| span.start + length);
    span.start..end.max(span.start)
}

fn parse_method(text: &str) -> Result<Method, String> {
    match text {
        "TRACE" | "CONNECT" => Err(format!("{text} is never served")),
        "HEAD" | "GET" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS" => {
            text.parse().map_err(|_| format!("`{text}` is no method"))
        }
        _ if text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-') && !text.is_empty() => {
            text.parse().map_err(|_| format!("`{text}` is no method"))
        }
        _ => Err(format!("`{text}` is no method: methods are written in capitals")),
    }
}

fn parse_upstream(text: &str) -> Result<UpstreamUrl, String> {
    let wrong = |why: &str| Err(format!("`{text}` is no upstream: {why}"));
    let Ok(uri) = text.parse::<http::Uri>() else { return wrong("write http://host:port") };
    match uri.scheme_str() {
        Some("http") => {}
        Some("https") => {
            return wrong("https to upstreams is not in this version yet; write http://host:port");
        }
        _ => return wrong("write http://host:port"),
    }
    let Some(authority) = uri.authority() else { return wrong("write http://host:port") };
    if authority.as_str().contains('@') {
        return wrong("user information is not sent to upstreams");
    }
    if uri.path() != "/" || uri.query().is_some() || text.contains('#') {
        return wrong("it ends with its host or port, since paths are forwarded byte for byte");
    }
    Ok(UpstreamUrl { authority: authority.clone() })
}

/// Whether a host and port are one of our listeners.
pub(super) fn is_one_of(authority: &Authority, default_port: u16, server: &ServerConfig) -> bool {
    let ours = [Some(server.listen), server.admin_listen];
    ours.into_iter().flatten().any(|ours| leads_to(authority, default_port, ours))
}

/// Whether a host and port are this listener, as far as names without look-up can tell.
fn leads_to(authority: &Authority, default_port: u16, ours: SocketAddr) -> bool {
    if authority.port_u16().unwrap_or(default_port) != ours.port() || ours.port() == 0 {
        return false;
    }
    let own = ours.ip().to_canonical();
    let host = authority.host().trim_matches(['[', ']']).trim_end_matches('.');
    if host.eq_ignore_ascii_case("localhost") {
        return own.is_loopback() || own.is_unspecified();
    }
    let Ok(address) = host.parse::<IpAddr>() else { return false };
    let address = address.to_canonical();
    // Dialling 0.0.0.0 reaches loopback.
    let dials_loopback = address.is_loopback() || address.is_unspecified();
    address == own
        || (own.is_unspecified() && dials_loopback)
        || (address.is_unspecified() && own.is_loopback())
}
