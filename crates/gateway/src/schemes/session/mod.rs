//! From `[session]` to what signs people in and verifies their sessions.

pub(crate) mod auth;
pub mod config;

use std::sync::Arc;

use countersign::schemes::session::SessionCookie;
use countersign::schemes::session::passwords::PasswordCostError;
use countersign_io::AnyStore;
use countersign_tower::{SessionSite, SiteParts};

use crate::runtime::Parts;

/// People and their sessions, as one configuration has them.
#[derive(Clone)]
pub struct Session {
    /// Who may sign in, and what verifies their sessions.
    pub site: SessionSite<Arc<AnyStore>>,
    enabled: bool,
}

impl Session {
    /// Makes it ready. Of `before` the memory of attempts is kept.
    ///
    /// # Errors
    /// None in practice: the cost of passwords is a fixed one.
    pub fn new(
        config: &crate::config::Config,
        parts: &Parts<'_>,
        before: Option<&Self>,
    ) -> Result<Self, PasswordCostError> {
        let made_of = SiteParts {
            store: parts.store.clone(),
            public_url: &config.server.public_url,
            allowed_origins: &config.cors,
            seal_key: parts.seal_key,
            workers: parts.workers.clone(),
            random: parts.random.clone(),
        };
        let settings = config.session.settings;
        let site = match before {
            Some(before) => before.site.renewed(made_of, settings),
            None => SessionSite::new(made_of, settings)?,
        };
        Ok(Self { site, enabled: config.session.enabled })
    }

    /// Whether `/auth/*` is served.
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// The cookie that is ours alone, while sessions are served.
    #[must_use]
    pub fn cookie(&self) -> Option<SessionCookie> {
        self.enabled.then_some(self.site.cookie())
    }
}
