//! From `[session]` to what signs people in and verifies their sessions.

use std::sync::Arc;

use countersign::Requirement;
use countersign::gate::RuleBuilder;
use countersign::schemes::dpop::Dpop;
use countersign::schemes::session::passwords::{PasswordCost, PasswordCostError, PasswordLimits, Passwords};
use countersign::schemes::session::{
    Accounts, DpopKeyProof, Origins, SessionCookie, SessionDemand, SessionVerifier, Sessions, Surroundings,
    Users,
};
use countersign::{Rule, Scheme};
use countersign_io::AnyStore;

use crate::config::{Config, SessionConfig};
use crate::state::Parts;

/// People and their sessions, as one configuration has them.
#[derive(Clone)]
pub struct Session {
    /// Who may sign in, and what is remembered of attempts.
    pub accounts: Arc<Accounts<Arc<AnyStore>>>,
    /// What verifiers know of this place.
    pub surroundings: Surroundings,
    /// Judges the proofs of bound keys.
    pub key_proof: DpopKeyProof,
    store: Arc<AnyStore>,
    config: SessionConfig,
}

impl Session {
    /// Makes it ready. Of `before` the memory of attempts is kept.
    ///
    /// # Errors
    /// None in practice: the cost of passwords is a fixed one.
    pub fn new(config: &Config, parts: &Parts<'_>, before: Option<&Self>) -> Result<Self, PasswordCostError> {
        let (store, public_url) = (parts.store.clone(), &config.server.public_url);
        let sessions = Sessions::new(store.clone(), config.session.lifetimes);
        let accounts = match before {
            Some(before) => before.accounts.with_sessions(sessions),
            None => {
                let cores = std::thread::available_parallelism().map_or(1, usize::from);
                let limits = PasswordLimits { at_once: cores, waiting: cores };
                let (workers, random) = (parts.workers.clone(), parts.random.clone());
                let cost = PasswordCost::default();
                let passwords = Passwords::new(parts.seal_key, cost, limits, workers, &random)?;
                Accounts::new(Users::new(store.clone()), sessions, passwords, random)
            }
        };
        let dpop = Dpop::new(&parts.seal_key.derive("dpop-nonce"), config.session.dpop_nonces);
        let key_proof = DpopKeyProof(Arc::new(dpop));
        let surroundings = Surroundings {
            cookie: SessionCookie::of(public_url),
            origins: Origins::new(public_url, config.cors.iter().cloned()),
            key_proof: Arc::new(key_proof.clone()),
        };
        let config = config.session;
        Ok(Self { accounts: Arc::new(accounts), surroundings, key_proof, store, config })
    }

    /// The cookie that is ours alone, while sessions are served.
    #[must_use]
    pub fn cookie(&self) -> Option<SessionCookie> {
        self.config.enabled.then_some(self.surroundings.cookie)
    }

    /// What `[session]` says.
    #[must_use]
    pub const fn config(&self) -> &SessionConfig {
        &self.config
    }

    /// A verifier of sessions, of which `demand` is asked.
    #[must_use]
    pub fn verifier(&self, demand: SessionDemand) -> SessionVerifier<Arc<AnyStore>> {
        SessionVerifier::new(self.store.clone(), self.surroundings.clone(), demand)
    }

    /// A rule for a path of our own: sessions alone, of which `demand` is asked.
    #[must_use]
    pub fn rule(&self, path: &'static str, demand: SessionDemand) -> Option<Arc<Rule>> {
        let requirement = Requirement::parse([Scheme::Session.as_str()]).ok()?;
        let rule: RuleBuilder = Rule::requiring(path, requirement).verifier(self.verifier(demand));
        rule.build().ok().map(Arc::new)
    }

    /// The store of sessions and handshakes.
    #[must_use]
    pub const fn store(&self) -> &Arc<AnyStore> {
        &self.store
    }
}
