//! The settings of callback URLs: what is said of all, and whether a route can have any.

use std::path::PathBuf;
use std::time::Duration;

use countersign::Scheme;
use countersign::path::Template;
use countersign::requirement::SchemeSet;
use countersign::schemes::callback_url::{CallbackRoute, TOKEN};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::settings::quantities::{parse_duration, parse_size};
use crate::settings::scheme::{Around, Configured, about};
use crate::settings::{Reader, Text, Truth};

/// The `callback-url` scheme: URLs that open one thing, once, for a while.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Section {
    /// The longest body that a callback URL may bring.
    #[schemars(extend("default" = "1MiB"))]
    pub max_body: Text,
    /// The longest life of a callback URL; whoever asks for more is refused.
    #[schemars(extend("default" = "24h"))]
    pub max_ttl: Text,
    /// A use is consumed before it is forwarded: one delivery at most, even if it gets lost.
    #[schemars(extend("default" = false))]
    pub strict: Truth,
    /// A file whose bytes are the secret with which an application makes tokens itself (HS256); mode 0600.
    pub secret_file: Option<Text>,
}

/// What a route says.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct OnRoute {
    /// A callback's use is consumed before it is forwarded.
    #[schemars(extend("x-default" = "`callback.strict`"))]
    pub strict: Option<Truth>,
}

/// The same, parsed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// A use is consumed before it is forwarded; `None`: as `[callback]` says.
    pub strict: Option<bool>,
}

/// `[callback]`, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The longest body, in bytes.
    pub max_body: usize,
    /// The longest life.
    pub max_ttl: Duration,
    /// A use is consumed before it is forwarded.
    pub strict: bool,
    /// The secret with which an application makes tokens itself.
    pub secret_file: Option<PathBuf>,
}

impl Configured for Config {
    const TABLE: Option<&'static str> = Some("callback");
    type Section = Section;
    type OnRoute = OnRoute;
    type Options = Options;

    fn parse(section: &Section, reader: &mut Reader<'_>, _: &Around<'_>) -> Self {
        let max_body = reader.parsed(&section.max_body, parse_size);
        let max_ttl = reader.parsed(&section.max_ttl, |text| match parse_duration(text)? {
            ttl if ttl < Duration::from_secs(1) => Err("callback.max_ttl is a second at least".to_owned()),
            ttl => Ok(ttl),
        });
        let secret_file = section.secret_file.as_ref().map(|file| reader.file(file));
        // What cannot be read is a problem already, and nothing is served with what stands here instead.
        Self {
            max_body: max_body.unwrap_or_default(),
            max_ttl: max_ttl.unwrap_or_default(),
            strict: *section.strict,
            secret_file,
        }
    }

    fn on_route(&self, written: &OnRoute, reader: &mut Reader<'_>, accepted: Option<SchemeSet>) -> Options {
        let fits = accepted.map(|accepted| accepted.contains(Scheme::CallbackUrl));
        about(reader, "strict", written.strict.as_ref(), Scheme::CallbackUrl, fits);
        Options { strict: written.strict.as_ref().map(|truth| **truth) }
    }

    /// A route that takes callbacks has a place for the token, and no other has.
    fn unfit(&self, accepted: SchemeSet, template: &Template) -> Option<String> {
        match (accepted.contains(Scheme::CallbackUrl), template.position(TOKEN)) {
            (true, _) => CallbackRoute::new(template.clone()).err(),
            (false, Some(_)) => Some(format!(
                "`{{{TOKEN}}}` is the place of a callback URL's token, and the route does not accept callback-url"
            )),
            (false, None) => None,
        }
    }
}
