//! The settings of assertions.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::settings::scheme::{Around, Configured};
use crate::settings::{Nothing, Reader, Truth};

/// What upstreams are told in a form that they can check.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Section {
    /// Send `Countersign-Assertion` to upstreams. A route may leave it out.
    #[schemars(extend("default" = true))]
    pub enabled: Truth,
}

/// `[assertion]`, parsed.
#[derive(Debug)]
pub struct Config {
    /// Whether upstreams get assertions.
    pub enabled: bool,
}

impl Configured for Config {
    const TABLE: Option<&'static str> = Some("assertion");
    type Section = Section;
    type OnRoute = Nothing;
    type Options = ();

    fn parse(section: &Section, _: &mut Reader<'_>, _: &Around<'_>) -> Self {
        Self { enabled: *section.enabled }
    }
}
