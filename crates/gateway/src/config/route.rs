//! `[[route]]`: what is served, and for whom.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use countersign::limit::Rate;
use countersign::path::{Segment, Template};
use countersign::requirement::{RequirementError, SchemeSet};
use countersign::{Policy, Requirement, Scheme};
use http::{HeaderName, Method};
use schemars::JsonSchema;
use serde::Deserialize;

use super::claims;
use super::pass_headers;
use super::server::ServerConfig;
use crate::router::Router;
use crate::schemes::configs::{Configs, OnRoute, RouteOptions};
use crate::settings::diagnostics::did_you_mean;
use crate::settings::{Reader, Text, Truth, Written};

/// `[[route]]`, without what it says of its schemes.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Section {
    /// `/orders/*`, `/v1/results/{id}`: literal segments, `{name}` for one segment, `*` at the end for any rest.
    pub path: Text,
    /// Where permitted requests go, `http://host[:port]`.
    pub upstream: Text,
    /// Which methods. GET admits HEAD.
    #[schemars(extend("x-default" = "all"))]
    pub methods: Option<Vec<Text>>,
    /// Which schemes: any one of these; `a+b` for both, about one subject.
    pub accept: Option<Written<Vec<Text>>>,
    /// Everybody passes and nobody is asked; instead of `accept`.
    #[schemars(extend("default" = false))]
    pub public: Truth,
    /// What is demanded of whoever was proven.
    #[schemars(extend("default" = {}))]
    pub require: Require,
    /// Whoever can prove to be anybody may pass: needed for schemes in which anybody can enrol.
    #[schemars(extend("default" = false))]
    pub anyone: Truth,
    /// How often one subject may pass, `100/min`.
    pub limit: Option<Text>,
    /// Headers in which a proxy in front says who sent a request, and which pass as they are: `["X-Real-IP"]`.
    pub pass_headers: Option<Vec<Text>>,
    /// `false`: the upstream gets no `Countersign-Assertion`.
    #[schemars(extend("x-default" = "`assertion.enabled`"))]
    pub assertion: Option<Truth>,
}

/// A `[[route]]`, with what it says of its schemes.
#[derive(Debug)]
pub struct Route {
    /// What it says itself.
    pub section: Section,
    /// What it says of its schemes.
    pub schemes: OnRoute,
    /// Where it stands.
    pub span: Range<usize>,
}

/// `require = { permission = [..], subject = [..], claim = { .. } }`
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Require {
    /// All of these permissions.
    pub permission: Option<Written<Vec<String>>>,
    /// One of these subjects.
    pub subject: Option<Written<Vec<String>>>,
    /// For each claim one of these values: texts, numbers, `true` and `false`. A claim is named as
    /// `realm_access.roles` or `resource_access."my.app".roles`.
    #[schemars(
        with = "Option<BTreeMap<String, serde_json::Value>>",
        extend("additionalProperties" = {
            "anyOf": [
                { "type": "array", "items": { "type": ["string", "number", "boolean"] } },
                { "type": "object", "description": "Of a member." },
            ],
        })
    )]
    pub claim: Option<BTreeMap<String, toml::Value>>,
}

/// `[[route]]`, parsed.
#[derive(Debug)]
pub struct RouteConfig {
    /// Its path.
    pub template: Template,
    /// Its methods; `None` for all.
    pub methods: Option<Vec<Method>>,
    /// Where permitted requests go.
    pub upstream: UpstreamUrl,
    /// Whether the upstream gets assertions of who was proven.
    pub assertion: bool,
    /// The headers that say who sent a request, in another proxy's words, and pass all the same.
    pub passes: Vec<HeaderName>,
    /// Who may pass.
    pub access: Access,
    /// How often one subject may pass.
    pub limit: Option<Rate>,
}

/// Who may pass.
#[derive(Debug)]
pub enum Access {
    /// Everybody.
    Public,
    /// Whoever proves to be somebody who may.
    Guarded {
        /// By which schemes.
        requirement: Requirement,
        /// What they must be allowed.
        policy: Policy,
        /// What else the route says of its schemes.
        options: RouteOptions,
    },
}

/// `http://host[:port]`, where permitted requests go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamUrl {
    /// Host and port.
    pub authority: http::uri::Authority,
}

impl std::fmt::Display for UpstreamUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "http://{}", self.authority)
    }
}

pub(super) fn read(
    written: &[Route],
    reader: &mut Reader<'_>,
    server: Option<&ServerConfig>,
    schemes: &Configs,
) -> Vec<RouteConfig> {
    let mut parsed: Vec<RouteConfig> = Vec::new();
    let mut router = Router::default();
    for written in written {
        let before = reader.problems.len();
        let Some(route) = route(written, reader, server, schemes) else { continue };
        if reader.problems.len() > before {
            continue;
        }
        let number = parsed.len();
        if let Err(other) = router.insert(&route.template, route.methods.clone(), number) {
            let other = parsed.get(other).map_or("", |route| route.template.as_str());
            let message = format!("this route and `{other}` serve the same path and method");
            reader.wrong(message, written.section.path.span());
            continue;
        }
        parsed.push(route);
    }
    parsed
}

fn route(
    written: &Route,
    reader: &mut Reader<'_>,
    server: Option<&ServerConfig>,
    schemes: &Configs,
) -> Option<RouteConfig> {
    let section = &written.section;
    let template = reader.parsed(&section.path, parse_path);
    let upstream = reader.parsed(&section.upstream, parse_upstream);
    if let (Some(upstream), Some(server)) = (&upstream, server)
        && server.is_at(&upstream.authority, 80)
    {
        reader.wrong("the upstream is one of our own listeners", section.upstream.span());
    }
    let methods = section.methods(reader);
    let passes = pass_headers::read(section.pass_headers.as_deref(), reader, &section.path);
    let access = access(written, reader, template.as_ref(), schemes);
    let limit = reader.maybe(section.limit.as_ref(), str::parse);
    if let (Some(Access::Public), Some(limit)) = (&access, &section.limit) {
        reader.wrong("a public route has no subjects whose limit could be counted", limit.span());
    }
    let access = access?;
    Some(RouteConfig {
        template: template?,
        methods: methods?,
        upstream: upstream?,
        assertion: section.asserts(reader, &access, schemes.assertion.enabled),
        passes,
        access,
        limit,
    })
}

fn access(
    written: &Route,
    reader: &mut Reader<'_>,
    template: Option<&Template>,
    schemes: &Configs,
) -> Option<Access> {
    let section = &written.section;
    let require = &section.require;
    let public = *section.public;
    let Some(accept) = &section.accept else {
        let options = written.schemes.parse(schemes, reader, None);
        if !public {
            let head = reader.head_of(written.span.clone());
            reader.wrong_with(
                "the route says neither what it accepts nor that it is public",
                head,
                "write `accept = [\"api-key\"]`, or `public = true` for everybody",
            );
            return None;
        }
        let claims = require.claim.as_ref().is_some_and(|claims| !claims.is_empty());
        let demands = require.permission.is_some() || require.subject.is_some() || claims;
        if demands || *section.anyone || options != RouteOptions::default() {
            reader.wrong("a public route asks nobody, so it can demand nothing", section.path.span());
        }
        section.leads_somewhere(reader, template, SchemeSet::default(), schemes);
        return Some(Access::Public);
    };
    if public {
        reader.wrong("a route is either public or accepts schemes", accept.span());
    }
    for group in accept.iter() {
        names_schemes(group, reader);
    }
    let requirement = match Requirement::parse(accept.iter().map(|group| group.as_str())) {
        Ok(requirement) => requirement,
        Err(error) => {
            written.schemes.parse(schemes, reader, None);
            if !matches!(error, RequirementError::UnknownScheme(_)) {
                reader.wrong(error, accept.span());
            }
            return None;
        }
    };
    let no_claims = BTreeMap::new();
    let policy = Policy {
        permissions: names("permission", require.permission.as_ref(), reader),
        subjects: names("subject", require.subject.as_ref(), reader),
        claims: claims::read(require.claim.as_ref().unwrap_or(&no_claims), reader, &section.path.span()),
    };
    let accepted = requirement.schemes();
    // Anybody can make a wallet, or sign up: whether anybody may pass is for the operator to say.
    if policy.is_empty() && !*section.anyone {
        for anybody in schemes.anybody(accepted) {
            reader.wrong_with(anybody.can, accept.span(), anybody.help());
        }
    }
    let options = written.schemes.parse(schemes, reader, Some(accepted));
    section.leads_somewhere(reader, template, accepted, schemes);
    Some(Access::Guarded { requirement, policy, options })
}

impl Section {
    /// Whether the path fits what the route accepts.
    fn leads_somewhere(
        &self,
        reader: &mut Reader<'_>,
        template: Option<&Template>,
        accepted: SchemeSet,
        schemes: &Configs,
    ) {
        for why in template.into_iter().flat_map(|template| schemes.unfit(accepted, template)) {
            reader.wrong(why, self.path.span());
        }
    }

    fn methods(&self, reader: &mut Reader<'_>) -> Option<Option<Vec<Method>>> {
        let Some(written) = &self.methods else { return Some(None) };
        if written.is_empty() {
            let message = "`methods` is empty: name some, or leave it out for all";
            reader.wrong(message, self.path.span());
            return None;
        }
        written.iter().map(|text| reader.parsed(text, parse_method)).collect::<Option<_>>().map(Some)
    }

    /// Whether the upstream gets assertions.
    fn asserts(&self, reader: &mut Reader<'_>, access: &Access, enabled: bool) -> bool {
        let is_public = matches!(access, Access::Public);
        let Some(written) = &self.assertion else { return enabled && !is_public };
        let problem = match (**written, is_public, enabled) {
            (true, true, _) => "a public route asks nobody, so there is nobody to assert",
            (true, _, false) => "assertion.enabled is false: no route has assertions",
            (wanted, ..) => return wanted,
        };
        reader.wrong(problem, written.span());
        false
    }
}

fn names_schemes(group: &Text, reader: &mut Reader<'_>) {
    for name in group.split('+').map(str::trim) {
        let known = Scheme::ALL.map(Scheme::as_str);
        if !known.contains(&name) {
            let help = did_you_mean(name, known).unwrap_or_else(|| format!("there are {}", known.join(", ")));
            reader.wrong_with(format!("no scheme is called `{name}`"), group.span(), help);
        }
    }
}

fn names(what: &str, written: Option<&Written<Vec<String>>>, reader: &mut Reader<'_>) -> BTreeSet<String> {
    let Some(written) = written else { return BTreeSet::new() };
    if written.is_empty() {
        let message = format!("`{what}` is empty: nobody knows whether that means everybody or nobody");
        reader.wrong(message, written.span());
    }
    written.iter().cloned().collect()
}

/// A request to a path with an escape or a path parameter that is spelled out would have a second reading, which no
/// route serves.
fn parse_path(text: &str) -> Result<Template, String> {
    let template = Template::parse(text)?;
    let spells = |segment: &Segment| matches!(segment, Segment::Literal(text) if text.contains(['%', ';']));
    match template.segments().iter().any(spells) {
        true => Err(format!(
            "no request can have the path `{text}`: an upstream that decodes `%` or cuts `;` off would read another one; write `{{name}}` for such a segment"
        )),
        false => Ok(template),
    }
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
