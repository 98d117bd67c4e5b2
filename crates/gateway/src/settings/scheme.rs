//! What the settings of one scheme are, whichever it is.

use std::fmt;

use countersign::path::Template;
use countersign::requirement::SchemeSet;
use countersign::schemes::webhook::UrlRules;
use countersign::{PublicUrl, Scheme};

use super::document::Section;
use super::reader::Reader;
use super::written::Written;

/// What the settings of schemes lean on.
#[derive(Debug)]
pub struct Around<'a> {
    /// What callers address, if it can be read.
    pub public_url: Option<&'a PublicUrl>,
    /// What URLs may look like that we dial.
    pub rules: &'a UrlRules,
    /// How long a head may be, if it can be read.
    pub max_head: Option<usize>,
    /// What tokens of our own issuer are for, while it is enabled.
    pub own_audience: Option<&'a str>,
}

/// What to do about a URL that is never dialled.
pub const WHAT_MAY_BE_DIALLED: &str =
    "egress.ports lists the ports that https may use; allow_http_loopback allows plain HTTP on loopback";

/// The settings of a scheme, parsed.
pub trait Configured: fmt::Debug + Sized {
    /// Its table in the file; `None` without one.
    const TABLE: Option<&'static str> = None;
    /// Its table, as it is written.
    type Section: Section;
    /// What a route says of it, as it is written.
    type OnRoute: Section;
    /// The same, parsed.
    type Options: Default;

    /// Parses its table.
    fn parse(section: &Self::Section, reader: &mut Reader<'_>, around: &Around<'_>) -> Self;

    /// Parses what a route says that accepts these schemes; `None`: nobody is asked there, or that cannot be read.
    fn on_route(
        &self,
        _written: &Self::OnRoute,
        _reader: &mut Reader<'_>,
        _accepted: Option<SchemeSet>,
    ) -> Self::Options {
        Self::Options::default()
    }

    /// Whether anybody at all can prove to be somebody, where these schemes are accepted.
    fn anybody(&self, _accepted: SchemeSet) -> Option<Anybody> {
        None
    }

    /// Why a route that accepts these schemes cannot have this path.
    fn unfit(&self, _accepted: SchemeSet, _template: &Template) -> Option<String> {
        None
    }

    /// What is said in vain: `taken` knows which schemes any route accepts.
    fn unmet(&self, _taken: &dyn Fn(Scheme) -> bool) -> Vec<String> {
        Vec::new()
    }
}

/// How anybody becomes somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anybody {
    /// A sentence of it.
    pub can: &'static str,
    /// Such a subject.
    pub subject: &'static str,
}

impl Anybody {
    /// Makes a wallet.
    pub const WALLET: Self = Self {
        can: "anybody can make a wallet, and the route demands nothing of it",
        subject: "eip155:0x…",
    };

    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> String {
        format!(
            "say whom you mean with `require = {{ subject = [\"{}\"] }}`, or `anyone = true`",
            self.subject
        )
    }
}

/// An option for a scheme that its route does not accept would do nothing, unnoticed. `fits` is `None` where nobody is asked.
pub fn about<T>(
    reader: &mut Reader<'_>,
    name: &str,
    written: Option<&Written<T>>,
    of: Scheme,
    fits: Option<bool>,
) {
    if let (Some(written), Some(false)) = (written, fits) {
        let message = format!("`{name}` is about {of}, which the route does not accept");
        reader.wrong(message, written.span());
    }
}
