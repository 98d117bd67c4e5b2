//! `[egress]`: whom outgoing calls may reach.

use std::path::PathBuf;
use std::time::Duration;

use countersign::schemes::webhook::UrlRules;
use countersign_io::egress::Network;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::settings::quantities::parse_duration;
use crate::settings::{Reader, Text, Truth, Written};

/// `[egress]`
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Section {
    /// The ports that https may use.
    #[schemars(extend("default" = [443]))]
    pub ports: Written<Vec<u16>>,
    /// Certificates of authorities that are trusted besides the system's, PEM.
    pub ca_file: Option<Text>,
    /// Private ranges that may be dialled for hosts that this file names: `["10.1.0.0/16"]`. For labs and inside a network.
    #[schemars(extend("default" = []))]
    pub allow_private: Written<Vec<Text>>,
    /// Plain HTTP on loopback, any port. For labs.
    #[schemars(extend("default" = false))]
    pub allow_http_loopback: Truth,
    /// How long an unused connection is kept; shorter than the other side keeps it. `0s` keeps none.
    #[schemars(extend("default" = "1500ms"))]
    pub idle_timeout: Text,
}

/// `[egress]`, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EgressConfig {
    /// The ports that https may use.
    pub ports: Vec<u16>,
    /// Certificates of authorities that are trusted besides the system's.
    pub ca_file: Option<PathBuf>,
    /// Private ranges that may be dialled for hosts that the configuration names.
    pub allow_private: Vec<Network>,
    /// Plain HTTP on loopback, any port.
    pub allow_http_loopback: bool,
    /// How long an unused connection is kept.
    pub idle_timeout: Duration,
}

impl EgressConfig {
    /// What a URL that is to be dialled may look like.
    #[must_use]
    pub fn url_rules(&self) -> UrlRules {
        UrlRules { ports: self.ports.clone(), http_on_loopback: self.allow_http_loopback }
    }
}

impl Section {
    pub(super) fn read(&self, reader: &mut Reader<'_>) -> EgressConfig {
        if self.ports.is_empty() || self.ports.contains(&0) {
            reader.wrong("egress.ports names at least one port, and not port 0", self.ports.span());
        }
        let private = self.allow_private.iter();
        let allow_private = private.filter_map(|text| reader.parsed(text, str::parse)).collect();
        if let [network, ..] = &self.allow_private[..] {
            let network: &str = network;
            reader.warnings.push(format!(
                "egress.allow_private lets outgoing calls reach {network} and what else it lists: for labs and \
                 for hosts inside your own network"
            ));
        }
        if *self.allow_http_loopback {
            let warning =
                "egress.allow_http_loopback accepts plain HTTP on loopback, on any port: for labs alone";
            reader.warnings.push(warning.to_owned());
        }
        let idle_timeout = reader.parsed(&self.idle_timeout, parse_duration);
        EgressConfig {
            ports: self.ports.to_vec(),
            ca_file: self.ca_file.as_ref().map(|file| reader.file(file)),
            allow_private,
            allow_http_loopback: *self.allow_http_loopback,
            // What cannot be read is a problem already.
            idle_timeout: idle_timeout.unwrap_or_default(),
        }
    }
}
