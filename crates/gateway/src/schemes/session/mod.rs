//! Browsers, whose proof is in two halves: what signs people in, and verifies their sessions.

mod auth;
pub mod config;

use std::sync::Arc;

use countersign::rule::RuleBuilder;
use countersign::schemes::session::{Accounts, HandshakePolicy, SessionCookie, SessionDemand};
use countersign_io::AnyStore;
use countersign_tower::{SessionSite, SiteParts};

use super::{Making, Mounted, NotReady, On, Rules};
use crate::audit::Audit;
use crate::endpoint::Endpoint;

/// People and their sessions, as one configuration has them.
pub struct Ready {
    /// Who may sign in, and what verifies their sessions.
    site: SessionSite<Arc<AnyStore>>,
    enabled: bool,
    audit: Arc<Audit>,
}

impl Ready {
    /// Keeps what `before` remembers of attempts to sign in.
    pub(super) fn new(making: &Making<'_>, before: Option<&Self>) -> Result<Self, NotReady> {
        let (config, shared) = (&making.configs.session, making.shared);
        let made_of = SiteParts {
            store: shared.store.clone(),
            public_url: making.public_url,
            allowed_origins: making.origins,
            seal_key: &shared.seal_key,
            workers: shared.workers.clone(),
            random: shared.random.clone(),
        };
        let settings = config.settings;
        let site = match before {
            Some(before) => before.site.renewed(made_of, settings),
            None => SessionSite::new(made_of, settings).map_err(|error| NotReady(error.to_string()))?,
        };
        Ok(Self { site, enabled: config.enabled, audit: shared.recorder.audit.clone() })
    }

    /// The users, and who may sign in.
    pub const fn accounts(&self) -> &Arc<Accounts<Arc<AnyStore>>> {
        self.site.accounts()
    }

    /// The cookie that is ours alone, while sessions are served.
    pub fn cookie(&self) -> Option<SessionCookie> {
        self.enabled.then_some(self.site.cookie())
    }
}

impl Mounted for Ready {
    fn verify(&self, rule: RuleBuilder, on: &On<'_>) -> RuleBuilder {
        let handshake = on.options.session.handshake.unwrap_or(HandshakePolicy::Never);
        rule.verifier(
            self.site.verifier(SessionDemand { handshake, key_bound: on.options.session.key_bound }),
        )
    }

    fn endpoints(&self, _: &Rules<'_>) -> Vec<Endpoint> {
        match self.enabled {
            true => auth::endpoints(&self.site, &self.audit),
            false => Vec::new(),
        }
    }
}
