//! A site where people sign in: its users, their sessions, and what verifies them.

use std::sync::Arc;

use countersign::crypto::{Random, SealKey};
use countersign::dpop::{Dpop, NoncePolicy};
use countersign::rule::RuleBuilder;
use countersign::schemes::session::passwords::{PasswordCost, PasswordCostError, PasswordLimits, Passwords};
use countersign::schemes::session::{
    Accounts, DpopKeyProof, Lifetimes, Origins, SessionCookie, SessionDemand, SessionVerifier, Sessions,
    Surroundings, Users,
};
use countersign::{PublicUrl, Rule, Scheme, Store, Workers};

/// What a site's operator decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionSettings {
    /// Whether anybody may sign up by themselves.
    pub signup: bool,
    /// What every route demands of a session at least.
    pub demand: SessionDemand,
    /// How long sessions live.
    pub lifetimes: Lifetimes,
    /// Whether DPoP proofs need a nonce of ours.
    pub dpop_nonces: NoncePolicy,
}

/// What a site is made of.
pub struct SiteParts<'a, S> {
    /// Where users and sessions are kept.
    pub store: S,
    /// What browsers address: its scheme names the cookie, its origin is the one whose pages may sign in.
    pub public_url: &'a PublicUrl,
    /// Other origins whose pages may call.
    pub allowed_origins: &'a [PublicUrl],
    /// Peppers passwords, and makes the nonces of DPoP proofs. Whoever loses it loses all passwords.
    pub seal_key: &'a SealKey,
    /// Where passwords are hashed, at 20 ms and 19 MiB each: a pool of threads, not the runtime's own.
    pub workers: Arc<dyn Workers>,
    /// Gives halves, handshakes, names and salts.
    pub random: Arc<dyn Random>,
}

/// A site where people sign in. Clones share it.
pub struct SessionSite<S> {
    pub(super) accounts: Arc<Accounts<S>>,
    pub(super) surroundings: Surroundings,
    pub(super) key_proof: DpopKeyProof,
    pub(super) store: S,
    pub(super) random: Arc<dyn Random>,
    pub(super) settings: SessionSettings,
}

impl<S: Clone> Clone for SessionSite<S> {
    fn clone(&self) -> Self {
        Self {
            accounts: self.accounts.clone(),
            surroundings: self.surroundings.clone(),
            key_proof: self.key_proof.clone(),
            store: self.store.clone(),
            random: self.random.clone(),
            settings: self.settings,
        }
    }
}

impl<S: Store + Clone> SessionSite<S> {
    /// A site of its own. As many passwords are hashed at once as there are cores, and as many wait.
    ///
    /// # Errors
    /// None in practice: the cost of passwords is a fixed one.
    pub fn new(parts: SiteParts<'_, S>, settings: SessionSettings) -> Result<Self, PasswordCostError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let limits = PasswordLimits { at_once: cores, waiting: cores };
        let (cost, workers) = (PasswordCost::default(), parts.workers.clone());
        let passwords = Passwords::new(parts.seal_key, cost, limits, workers, &*parts.random)?;
        let users = Users::new(parts.store.clone());
        let sessions = Sessions::new(parts.store.clone(), settings.lifetimes);
        let accounts = Accounts::new(users, sessions, passwords, parts.random.clone());
        Ok(Self::of(accounts, parts, settings))
    }

    /// The same people under other settings. What is remembered of attempts to sign in stays.
    #[must_use]
    pub fn renewed(&self, parts: SiteParts<'_, S>, settings: SessionSettings) -> Self {
        let sessions = Sessions::new(parts.store.clone(), settings.lifetimes);
        Self::of(self.accounts.with_sessions(sessions), parts, settings)
    }

    fn of(accounts: Accounts<S>, parts: SiteParts<'_, S>, settings: SessionSettings) -> Self {
        let dpop = Dpop::new(&parts.seal_key.derive("dpop-nonce"), settings.dpop_nonces);
        let key_proof = DpopKeyProof(Arc::new(dpop));
        let surroundings = Surroundings {
            cookie: SessionCookie::of(parts.public_url),
            origins: Origins::new(parts.public_url, parts.allowed_origins.iter().cloned()),
            key_proof: Arc::new(key_proof.clone()),
        };
        let (store, random) = (parts.store, parts.random);
        Self { accounts: Arc::new(accounts), surroundings, key_proof, store, random, settings }
    }

    /// A verifier of sessions for a route that asks `demand` of them; what the settings ask is asked as well.
    #[must_use]
    pub fn verifier(&self, demand: SessionDemand) -> SessionVerifier<S> {
        self.exactly(self.settings.demand.and(demand))
    }

    /// A rule for a route that takes sessions alone and asks `demand` of them; what the settings ask is asked
    /// as well. Where anybody may sign up, its policy says who of them may pass.
    #[must_use]
    pub fn rule(&self, name: impl Into<Arc<str>>, demand: SessionDemand) -> RuleBuilder {
        Rule::requiring(name, Scheme::Session.into()).verifier(self.verifier(demand))
    }

    pub(super) fn exactly(&self, demand: SessionDemand) -> SessionVerifier<S> {
        SessionVerifier::new(self.store.clone(), self.surroundings.clone(), demand)
    }
}

impl<S> SessionSite<S> {
    /// The users, and who may sign in.
    #[must_use]
    pub const fn accounts(&self) -> &Arc<Accounts<S>> {
        &self.accounts
    }

    /// The cookie that is ours alone to set.
    #[must_use]
    pub const fn cookie(&self) -> SessionCookie {
        self.surroundings.cookie
    }

    /// What the operator decided.
    #[must_use]
    pub const fn settings(&self) -> SessionSettings {
        self.settings
    }
}
