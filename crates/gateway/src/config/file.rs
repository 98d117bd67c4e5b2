//! `countersign.toml` as it is written: every table that may be written, and nothing judged yet.

use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use toml::Spanned;
use toml::de::DeValue;

use super::route::{self, Route};
use super::{audit, egress, limits, outbound, server, store};
use crate::schemes::configs as schemes;
use crate::settings::declared::{Table, schema_of};
use crate::settings::{Document, Problem, Text, Written};

/// The tables that are no scheme's.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(title = "countersign.toml")]
pub struct Tables {
    /// What listens, and as whom.
    #[schemars(extend("default" = {}))]
    pub server: server::Section,
    /// Where keys and proofs are remembered.
    #[schemars(extend("default" = {}))]
    pub store: store::Section,
    /// Bounds on what callers may ask for before anything is proven.
    #[schemars(extend("default" = {}))]
    pub limits: limits::Section,
    /// Time-outs towards upstreams.
    #[schemars(extend("default" = {}))]
    pub upstream: limits::UpstreamSection,
    /// The audit log.
    #[schemars(extend("default" = {}))]
    pub audit: audit::Section,
    /// Whom outgoing calls may reach.
    #[schemars(extend("default" = {}))]
    pub egress: egress::Section,
    /// Pages of other origins.
    #[schemars(extend("default" = {}))]
    pub cors: Cors,
    /// Listeners for applications here, whose requests are proven and sent to a peer.
    #[schemars(extend("default" = []))]
    pub outbound: Vec<outbound::Section>,
}

/// `[cors]`
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Cors {
    /// The origins of other sites whose pages may call every route, `["https://app.example"]`.
    #[schemars(extend("default" = []))]
    pub origins: Written<Vec<Text>>,
}

/// The whole file.
#[derive(Debug)]
pub struct File {
    /// The tables that are no scheme's.
    pub tables: Tables,
    /// The tables of schemes.
    pub schemes: schemes::Sections,
    /// What is served, and for whom.
    pub routes: Vec<Route>,
}

impl File {
    /// Reads a document that has its defaults.
    ///
    /// # Errors
    /// Everything that is of another type than it is declared, table by table.
    pub fn read(document: &mut Document<'_>) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let routes = routes(document, &mut problems);
        let schemes = schemes::Sections::read(document, &mut problems);
        let tables = document.read().map_err(|problem| problems.push(problem)).ok();
        match (tables, schemes) {
            (Some(tables), Some(schemes)) if problems.is_empty() => Ok(Self { tables, schemes, routes }),
            _ => Err(problems),
        }
    }
}

fn routes(document: &mut Document<'_>, problems: &mut Vec<Problem>) -> Vec<Route> {
    let Some(written) = document.take("route") else { return Vec::new() };
    let sources = &document.sources;
    let DeValue::Array(written) = written.get_ref() else {
        // It is none: serde says so.
        problems.extend(sources.read::<Vec<toml::Table>>(written).err());
        return Vec::new();
    };
    let mut routes = Vec::with_capacity(written.len());
    for written in written.clone() {
        let span = written.span();
        let mut table = written.into_inner();
        let of_schemes = schemes::OnRoute::read(&mut table, &span, sources);
        match (sources.read(Spanned::new(span.clone(), table)), of_schemes) {
            (Ok(section), Ok(schemes)) => routes.push(Route { section, schemes, span }),
            (Err(problem), _) | (_, Err(problem)) => problems.push(problem),
        }
    }
    routes
}

/// The JSON Schema of the file.
#[must_use]
pub fn schema() -> Value {
    let mut schema = schema_of::<Tables>();
    let mut route = schema_of::<route::Section>();
    for mut more in schemes::on_route() {
        let more = more.get_mut("properties").and_then(Value::as_object_mut).map(std::mem::take);
        for (name, more) in more.into_iter().flatten() {
            route["properties"][name] = more;
        }
    }
    for (name, section) in schemes::sections() {
        schema["properties"][name] = part(section);
    }
    schema["properties"]["route"] = json!({
        "type": "array",
        "items": part(route),
        "default": [],
        "description": "What is served, and for whom.",
    });
    schema
}

/// A schema within another.
fn part(mut schema: Value) -> Value {
    if let Some(schema) = schema.as_object_mut() {
        schema.remove("$schema");
        schema.remove("title");
    }
    schema
}

/// Every setting that there is.
#[must_use]
pub fn declared() -> &'static Table {
    static DECLARED: LazyLock<Table> = LazyLock::new(|| Table::of(&schema()).unwrap_or_default());
    &DECLARED
}
