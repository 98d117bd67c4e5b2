//! `[store]`: where keys and proofs are remembered.

use std::path::PathBuf;

use countersign_io::StoreUrl;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::settings::{Reader, Text};

/// `[store]`
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Section {
    /// `redb:<path>`, `redis://host[:port][/db]`, or `memory:` for tests.
    #[schemars(extend("default" = "redb:countersign.redb"))]
    pub url: Text,
    /// How long a Redis may take to answer before a request gets 503.
    #[schemars(extend("default" = "100ms"))]
    pub timeout: Text,
    /// 32 bytes that seal private keys and shared secrets at rest; a secret file.
    #[schemars(extend("x-default" = "`seal.key` beside the redb file, made together with a new store"))]
    pub seal_key_file: Option<Text>,
}

/// `[store]`, parsed.
#[derive(Debug)]
pub struct StoreConfig {
    /// Which store.
    pub url: StoreUrl,
    /// The sealing key's file; `None` with a store of which nothing outlives the process.
    pub seal_key_file: Option<PathBuf>,
    /// Whether the sealing key may be made when it is not there.
    pub make_seal_key: bool,
}

impl Section {
    pub(super) fn read(&self, reader: &mut Reader<'_>) -> Option<StoreConfig> {
        let timeout = reader.timeout(&self.timeout);
        let url = match reader.parsed(&self.url, str::parse::<StoreUrl>)? {
            StoreUrl::Redb(path) => StoreUrl::Redb(reader.folder().join(path)),
            StoreUrl::Redis(url) => StoreUrl::Redis(url.with_timeout(timeout?)),
            url @ StoreUrl::Memory => url,
        };
        // As the store shows itself: without a password.
        reader.comes_to("store.url", &url);
        let beside = match &url {
            StoreUrl::Redb(path) => Some(path.with_file_name("seal.key")),
            _ => None,
        };
        let Some(written) = &self.seal_key_file else {
            if let Some(file) = &beside {
                reader.comes_to("store.seal_key_file", file.display());
            }
            if matches!(url, StoreUrl::Redis(_)) {
                reader.wrong_with(
                    "a Redis store needs store.seal_key_file: the same 32 bytes on every gateway",
                    self.url.span(),
                    "make them with `head -c 32 /dev/urandom > seal.key && chmod 600 seal.key`",
                );
            }
            return Some(StoreConfig { url, seal_key_file: beside, make_seal_key: true });
        };
        Some(StoreConfig { url, seal_key_file: Some(reader.file(written)), make_seal_key: false })
    }
}
