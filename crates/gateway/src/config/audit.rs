//! `[audit]`: what is written down of decisions and of changes of keys.

use std::path::PathBuf;

use countersign_io::StoreUrl;
use schemars::JsonSchema;
use serde::Deserialize;

use super::store::StoreConfig;
use crate::settings::{Reader, Text, Truth};

/// `[audit]`
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Section {
    /// One JSON line a decision and a change of keys; `-` for standard output.
    #[schemars(extend("x-default" = "`audit.jsonl` beside the store"))]
    pub file: Option<Text>,
    /// Also decisions, not only changes of keys.
    #[schemars(extend("default" = true))]
    pub decisions: Truth,
}

/// `[audit]`, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditConfig {
    /// Where lines go; `None` for standard output.
    pub file: Option<PathBuf>,
    /// Also decisions.
    pub decisions: bool,
}

impl Section {
    pub(super) fn read(&self, reader: &mut Reader<'_>, store: Option<&StoreConfig>) -> AuditConfig {
        let file = match self.file.as_ref().map(|text| text.as_str()) {
            Some("-") => None,
            Some(text) => Some(reader.file(text)),
            None => {
                let file = match store.map(|store| &store.url) {
                    Some(StoreUrl::Redb(path)) => path.with_file_name("audit.jsonl"),
                    _ => reader.file("audit.jsonl"),
                };
                reader.comes_to("audit.file", file.display());
                Some(file)
            }
        };
        AuditConfig { file, decisions: *self.decisions }
    }
}
