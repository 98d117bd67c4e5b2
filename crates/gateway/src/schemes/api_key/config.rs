//! The settings of API keys.

use countersign::requirement::SchemeSet;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::settings::scheme::{Around, Configured};
use crate::settings::{Nothing, Reader, Truth};

/// What a route says.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct OnRoute {
    /// Read an API key from `_key` in the query too.
    #[schemars(extend("default" = false))]
    pub key_in_query: Truth,
}

/// The same, parsed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Also read an API key from the query.
    pub key_in_query: bool,
}

/// There is nothing to set.
#[derive(Debug)]
pub struct Config;

impl Configured for Config {
    type Section = Nothing;
    type OnRoute = OnRoute;
    type Options = Options;

    fn parse(_: &Nothing, _: &mut Reader<'_>, _: &Around<'_>) -> Self {
        Self
    }

    fn on_route(&self, written: &OnRoute, _: &mut Reader<'_>, _: Option<SchemeSet>) -> Options {
        Options { key_in_query: *written.key_in_query }
    }
}
