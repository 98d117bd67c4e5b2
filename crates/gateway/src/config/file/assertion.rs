//! `[assertion]`

use schemars::JsonSchema;
use serde::Deserialize;

use crate::settings::Truth;

/// `[assertion]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Assertion {
    /// Send `Countersign-Assertion` to upstreams. A route may leave it out. Default: true.
    #[schemars(with = "Option<bool>")]
    pub enabled: Option<Truth>,
}
