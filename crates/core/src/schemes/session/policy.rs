//! How strong a session's proof must be, on one route.

use std::fmt;
use std::str::FromStr;

/// When a request needs a handshake, from weakest to strongest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HandshakePolicy {
    /// Both halves are enough.
    Never,
    /// Where something may change: unsafe methods and upgrades.
    #[default]
    UnsafeMethods,
    /// With every request.
    Always,
}

impl HandshakePolicy {
    /// The name in configuration and challenges.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::UnsafeMethods => "unsafe-methods",
            Self::Always => "always",
        }
    }

    /// Whether a request needs one that is unsafe, or is not.
    #[must_use]
    pub const fn asks(self, is_unsafe: bool) -> bool {
        match self {
            Self::Never => false,
            Self::UnsafeMethods => is_unsafe,
            Self::Always => true,
        }
    }
}

impl fmt::Display for HandshakePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A policy that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a handshake policy is \"always\", \"unsafe-methods\" or \"never\"")]
pub struct HandshakePolicyError;

impl FromStr for HandshakePolicy {
    type Err = HandshakePolicyError;

    fn from_str(text: &str) -> Result<Self, HandshakePolicyError> {
        let all = [Self::Never, Self::UnsafeMethods, Self::Always];
        all.into_iter().find(|policy| policy.as_str() == text).ok_or(HandshakePolicyError)
    }
}

/// What a route demands of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionDemand {
    /// When a handshake is needed. The proof of a bound key stands in for it.
    pub handshake: HandshakePolicy,
    /// Whether only sessions that are bound to a key pass.
    pub key_bound: bool,
}

impl SessionDemand {
    /// This demand and `route`'s together: a route may ask for more, never for less.
    #[must_use]
    pub fn and(self, route: Self) -> Self {
        Self { handshake: self.handshake.max(route.handshake), key_bound: self.key_bound || route.key_bound }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_may_ask_for_more_and_never_for_less() {
        let demand = |handshake, key_bound| SessionDemand { handshake, key_bound };
        let (weak, strong) = (demand(HandshakePolicy::Never, true), demand(HandshakePolicy::Always, false));
        assert_eq!(weak.and(strong), demand(HandshakePolicy::Always, true));
        assert_eq!(strong.and(weak), weak.and(strong));
        assert!(HandshakePolicy::Never < HandshakePolicy::UnsafeMethods);
        assert!(HandshakePolicy::UnsafeMethods < HandshakePolicy::Always);
    }

    #[test]
    fn policies_are_read_by_their_names() {
        for policy in [HandshakePolicy::Never, HandshakePolicy::UnsafeMethods, HandshakePolicy::Always] {
            assert_eq!(policy.to_string().parse(), Ok(policy));
        }
        assert_eq!("sometimes".parse::<HandshakePolicy>(), Err(HandshakePolicyError));
    }
}
