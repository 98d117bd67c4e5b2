//! The settings of sessions: how people sign in, and how strong their sessions' proofs are.

use std::time::Duration;

use countersign::Scheme;
use countersign::requirement::SchemeSet;
use countersign::schemes::session::{HandshakePolicy, Lifetimes, SessionDemand};
use countersign_tower::SessionSettings;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::settings::scheme::{Anybody, Around, Configured, about};
use crate::settings::{Reader, Text, Truth, Written};

/// Use is written down once a minute: what lives shorter unused would end while it is in use.
const SHORTEST_IDLE: Duration = Duration::from_secs(120);
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// The `session` scheme: browsers, whose proof is in two halves.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Section {
    /// Serve `/auth/*`: sign-in, handshakes, sign-out.
    #[schemars(extend("default" = false))]
    pub enabled: Truth,
    /// Let anybody sign up by themselves at `/auth/signup`; routes that accept session then say `require` or `anyone`.
    #[schemars(extend("default" = false))]
    pub signup: Truth,
    /// Which requests need a handshake: `always`, `unsafe-methods` or `never`. A route may ask for more.
    #[schemars(extend("default" = "unsafe-methods"))]
    pub handshake: Text,
    /// Only sessions that are bound to a key of their browser begin and pass.
    #[schemars(extend("default" = false))]
    pub key_bound: Truth,
    /// How long a session lives unused, at least 2m.
    #[schemars(extend("default" = "24h"))]
    pub idle: Text,
    /// How long a session lives at all.
    #[schemars(extend("default" = "30d"))]
    pub absolute: Text,
    /// Whether the DPoP proofs of bound sessions need a nonce of ours: `accepted` or `required`.
    #[schemars(extend("default" = "accepted"))]
    pub dpop_nonces: Text,
}

/// What a route says.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct OnRoute {
    /// Which requests of a session need a handshake: more than session.handshake says, never less.
    #[schemars(extend("x-default" = "`session.handshake`"))]
    pub handshake: Option<Text>,
    /// Only sessions that are bound to a key of their browser pass.
    #[schemars(extend("x-default" = "`session.key_bound`"))]
    pub key_bound: Option<Truth>,
}

/// The same, parsed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Which requests need a handshake; `None`: as `[session]` says.
    pub handshake: Option<HandshakePolicy>,
    /// Only sessions that are bound to a key pass.
    pub key_bound: bool,
}

/// `[session]`, parsed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Whether `/auth/*` is served.
    pub enabled: bool,
    /// How people sign in, and how strong the proofs of their sessions are.
    pub settings: SessionSettings,
}

impl Configured for Config {
    const TABLE: Option<&'static str> = Some("session");
    type Section = Section;
    type OnRoute = OnRoute;
    type Options = Options;

    fn parse(section: &Section, reader: &mut Reader<'_>, _: &Around<'_>) -> Self {
        let handshake = reader.parsed(&section.handshake, str::parse::<HandshakePolicy>);
        let idle = reader.between(&section.idle, SHORTEST_IDLE..=LONGEST);
        let absolute = reader.between(&section.absolute, Duration::from_secs(1)..=LONGEST);
        let dpop_nonces = reader.dpop_nonces(&section.dpop_nonces);
        // What cannot be read is a problem already, and nothing is served with what stands here instead.
        let settings = SessionSettings {
            signup: *section.signup,
            demand: SessionDemand { handshake: handshake.unwrap_or_default(), key_bound: *section.key_bound },
            lifetimes: Lifetimes { idle: idle.unwrap_or_default(), absolute: absolute.unwrap_or_default() },
            dpop_nonces,
        };
        Self { enabled: *section.enabled, settings }
    }

    /// A route may ask for more than `[session]`, never for less.
    fn on_route(&self, written: &OnRoute, reader: &mut Reader<'_>, accepted: Option<SchemeSet>) -> Options {
        let fits = accepted.map(|accepted| accepted.contains(Scheme::Session));
        about(reader, "handshake", written.handshake.as_ref(), Scheme::Session, fits);
        about(reader, "key_bound", written.key_bound.as_ref(), Scheme::Session, fits);
        let handshake = reader.maybe(written.handshake.as_ref(), str::parse::<HandshakePolicy>);
        let least = self.settings.demand.handshake;
        if handshake.is_some_and(|policy| policy < least) {
            let message =
                format!("a route may ask for more than session.handshake, \"{least}\", never for less");
            reader.wrong(message, written.handshake.as_ref().map(Written::span).unwrap_or_default());
        }
        Options { handshake, key_bound: written.key_bound.as_ref().is_some_and(|truth| **truth) }
    }

    fn anybody(&self, accepted: SchemeSet) -> Option<Anybody> {
        let signs_up = self.enabled && self.settings.signup && accepted.contains(Scheme::Session);
        signs_up.then_some(Anybody {
            can: "anybody can sign up, and the route demands nothing of whoever did",
            subject: "user:usr_…",
        })
    }

    fn unmet(&self, taken: &dyn Fn(Scheme) -> bool) -> Vec<String> {
        let warning = "a route accepts session, and session.enabled is not true: nobody can sign in";
        let vain = !self.enabled && taken(Scheme::Session);
        vain.then(|| warning.to_owned()).into_iter().collect()
    }
}
