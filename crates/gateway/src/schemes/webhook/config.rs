//! The settings of webhook: who may call.

use std::collections::BTreeMap;
use std::sync::Arc;

use countersign::schemes::webhook::{Callers, UrlRules};
use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

use crate::settings::Text;

/// `[webhook]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Section {
    /// Who may call: webhook URLs, or origins, of which only /.well-known/webhook-auth counts. Default: nobody.
    #[schemars(with = "Option<Vec<String>>")]
    pub callers: Option<Spanned<Vec<Text>>>,
    /// Questions at once to one caller that is listed by its whole URL, 4 to 32. Default: 4.
    #[schemars(with = "Option<usize>")]
    pub in_flight: Option<Spanned<usize>>,
    /// What callers may do, by their entry in `callers`.
    pub permissions: BTreeMap<String, Vec<String>>,
}

/// `[webhook]`, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Who may call.
    pub callers: Arc<Callers>,
    /// What their URLs may look like.
    pub rules: UrlRules,
}
