//! `[session]`, parsed.

use countersign_tower::SessionSettings;

/// `[session]`, parsed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionConfig {
    /// Whether `/auth/*` is served.
    pub enabled: bool,
    /// How people sign in, and how strong the proofs of their sessions are.
    pub settings: SessionSettings,
}

impl SessionConfig {
    /// Whether anybody can become somebody.
    #[must_use]
    pub const fn takes_anybody(&self) -> bool {
        self.enabled && self.settings.signup
    }
}
