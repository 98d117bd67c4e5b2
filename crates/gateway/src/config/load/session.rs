//! `[session]` and `[cors]`, and what a route says of its sessions.

use std::time::Duration;

use countersign::PublicUrl;
use countersign::schemes::session::{HandshakePolicy, Lifetimes, SessionDemand};
use countersign_tower::SessionSettings;
use toml::Spanned;

use super::Reader;
use crate::config::ServerConfig;
use crate::config::file;
use crate::schemes::session::config::{Config, Section};
use crate::settings::Text;
use crate::settings::quantities::parse_duration;

/// Use is written down once a minute: what lives shorter unused would end while it is in use.
const SHORTEST_IDLE: Duration = Duration::from_secs(120);
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

impl Reader<'_> {
    pub(super) fn session(&mut self, session: &Section) -> Config {
        let enabled = self.said("session.enabled", session.enabled.as_ref());
        let signup = self.said("session.signup", session.signup.as_ref());
        let handshake = self.parsed(
            "session.handshake",
            session.handshake.as_ref(),
            HandshakePolicy::default().as_str(),
            str::parse::<HandshakePolicy>,
        );
        let key_bound = self.said("session.key_bound", session.key_bound.as_ref());
        let idle = self.life("session.idle", session.idle.as_ref(), "24h", SHORTEST_IDLE);
        let absolute =
            self.life("session.absolute", session.absolute.as_ref(), "30d", Duration::from_secs(1));
        let dpop_nonces = self.dpop_nonces("session.dpop_nonces", session.dpop_nonces.as_ref());
        // What cannot be read is a problem already, and nothing is served with what stands here instead.
        let lifetimes = Lifetimes::default();
        let settings = SessionSettings {
            signup,
            demand: SessionDemand { handshake: handshake.unwrap_or_default(), key_bound },
            lifetimes: Lifetimes {
                idle: idle.unwrap_or(lifetimes.idle),
                absolute: absolute.unwrap_or(lifetimes.absolute),
            },
            dpop_nonces,
        };
        Config { enabled, settings }
    }

    fn life(
        &mut self,
        path: &str,
        written: Option<&Text>,
        default: &str,
        shortest: Duration,
    ) -> Option<Duration> {
        self.parsed(path, written, default, |text| match parse_duration(text)? {
            life if (shortest..=LONGEST).contains(&life) => Ok(life),
            _ => Err(format!("{path} is from {shortest:?} to {LONGEST:?}")),
        })
    }

    /// The origins whose pages may call, each of them whole.
    pub(super) fn cors(&mut self, cors: &file::Cors, server: Option<&ServerConfig>) -> Vec<PublicUrl> {
        let mut origins = Vec::new();
        for text in cors.origins.iter().flat_map(Spanned::get_ref) {
            let Some(origin) = self.parsed("cors.origins", Some(text), "", PublicUrl::parse) else {
                continue;
            };
            if server.is_some_and(|server| server.public_url == origin) {
                self.warnings.push(format!("cors.origins lists {origin}, which is our own origin"));
            }
            origins.push(origin);
        }
        origins
    }

    /// A route may ask for more than `[session]`, never for less.
    pub(super) fn route_handshake(
        &mut self,
        route: &file::Route,
        session: &Config,
    ) -> Option<HandshakePolicy> {
        let policy =
            self.maybe("route.handshake", route.handshake.as_ref(), str::parse::<HandshakePolicy>)?;
        let least = session.settings.demand.handshake;
        if policy < least {
            let message =
                format!("a route may ask for more than session.handshake, \"{least}\", never for less");
            self.wrong(message, "route.handshake", route.handshake.as_ref().map(Spanned::span));
        }
        Some(policy)
    }
}
