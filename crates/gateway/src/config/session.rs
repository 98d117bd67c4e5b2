//! `[session]`, parsed.

use countersign::schemes::dpop::NoncePolicy;
use countersign::schemes::session::{Lifetimes, SessionDemand};

/// `[session]`, parsed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionConfig {
    /// Whether `/auth/*` is served.
    pub enabled: bool,
    /// Whether anybody may sign up.
    pub signup: bool,
    /// What every route demands of a session at least.
    pub demand: SessionDemand,
    /// How long sessions live.
    pub lifetimes: Lifetimes,
    /// Whether DPoP proofs need a nonce.
    pub dpop_nonces: NoncePolicy,
}

impl SessionConfig {
    /// Whether anybody can become somebody.
    #[must_use]
    pub const fn takes_anybody(&self) -> bool {
        self.enabled && self.signup
    }
}
