//! Wallets' signatures in a header.

pub mod config;

use countersign::rule::RuleBuilder;
use countersign::schemes::asymmetric::AsymmetricVerifier;

use super::{Making, Mounted, NotReady, On};

/// It needs nothing.
pub struct Ready;

impl Ready {
    /// Is always ready.
    pub(super) const fn new(_: &Making<'_>, _: Option<&Self>) -> Result<Self, NotReady> {
        Ok(Self)
    }
}

impl Mounted for Ready {
    fn verify(&self, rule: RuleBuilder, on: &On<'_>) -> RuleBuilder {
        rule.verifier(AsymmetricVerifier { rising: on.options.asymmetric.rising })
    }
}
