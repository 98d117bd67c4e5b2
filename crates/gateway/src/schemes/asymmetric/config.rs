//! The settings of wallets' signatures in a header.

use countersign::Scheme;
use countersign::requirement::SchemeSet;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::settings::scheme::{Anybody, Around, Configured, about};
use crate::settings::{Nothing, Reader, Text};

/// What a route says.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct OnRoute {
    /// `rising`: an `asymmetric` nonce must be higher than the last one of its wallet. Breaks parallel calls.
    pub nonce: Option<Text>,
}

/// The same, parsed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// A nonce must be higher than the last one of its wallet.
    pub rising: bool,
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

    fn on_route(&self, written: &OnRoute, reader: &mut Reader<'_>, accepted: Option<SchemeSet>) -> Options {
        let fits = accepted.map(|accepted| accepted.contains(Scheme::Asymmetric));
        about(reader, "nonce", written.nonce.as_ref(), Scheme::Asymmetric, fits);
        let rising = reader.maybe(written.nonce.as_ref(), |text| match text {
            "rising" => Ok(true),
            _ => Err(format!("`{text}` is no way to judge nonces: write \"rising\", or leave it out")),
        });
        Options { rising: rising.unwrap_or(false) }
    }

    fn anybody(&self, accepted: SchemeSet) -> Option<Anybody> {
        accepted.contains(Scheme::Asymmetric).then_some(Anybody::WALLET)
    }
}
