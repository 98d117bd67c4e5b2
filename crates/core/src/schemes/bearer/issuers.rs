//! Whose tokens are taken: listed issuers, and what is asked of the tokens of each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::keys::{IssuerKeys, KeySource};
use super::verified::VerifiedTokens;
use crate::claim_path::ClaimPath;

/// The type of access tokens (RFC 9068 §2.1).
pub const ACCESS_TOKEN: &str = "at+jwt";

/// Types that mean something else: tokens that we make ourselves for other purposes, and proofs. No setting
/// makes them access tokens.
pub const FOREIGN_TYPES: [&str; 4] =
    ["callback+jwt", "countersign-assertion+jwt", "dpop+jwt", "http-message-signature+jwt"];

/// What is asked of an issuer's tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerTerms {
    /// Its identifier: what `iss` says, byte for byte.
    pub issuer: String,
    /// One of these must be among the token's `aud`.
    pub audiences: Vec<String>,
    /// Where the issuer says whom its tokens are for, if that is not `aud`.
    pub audience_claim: Option<ClaimPath>,
    /// The accepted `typ`; an empty one is a token that states none.
    pub types: Vec<String>,
    /// Also ID tokens (OpenID Connect Core §2): of type `JWT` or none, for a client among `audiences`.
    pub id_tokens: bool,
    /// Whether `sub` is the name of a key: an Ethereum address or an RFC 7638 thumbprint.
    pub names_keys: bool,
    /// The claim that holds permissions; else `scope`, or `scp`.
    pub permissions_claim: Option<ClaimPath>,
    /// What each value of that claim grants; `None`: the permission of the same name.
    pub permissions: Option<BTreeMap<String, BTreeSet<Arc<str>>>>,
}

impl IssuerTerms {
    /// The terms of RFC 9068: tokens of type `at+jwt` for `audience`.
    #[must_use]
    pub fn new(issuer: impl Into<String>, audience: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into(),
            audiences: vec![audience.into()],
            audience_claim: None,
            types: vec![ACCESS_TOKEN.to_owned()],
            id_tokens: false,
            names_keys: false,
            permissions_claim: None,
            permissions: None,
        }
    }
}

/// A listed issuer.
pub(super) struct Issuer {
    pub(super) terms: IssuerTerms,
    pub(super) keys: Arc<IssuerKeys>,
}

/// Every listed issuer, what is known of their keys, and the tokens that were verified lately.
#[derive(Default)]
pub struct Issuers {
    listed: Vec<Issuer>,
    pub(super) verified: VerifiedTokens,
}

impl Issuers {
    /// Lists issuers; keys that `before` had from the network, from the same place, are kept.
    #[must_use]
    pub fn new(listed: Vec<(IssuerTerms, KeySource)>, before: Option<&Self>) -> Self {
        let issuer = |(terms, source): (IssuerTerms, KeySource)| {
            let mut known = before.into_iter().flat_map(|before| &before.listed);
            let known = known.find(|known| known.keys.is_of(&terms.issuer, &source));
            let keys = known.map(|known| known.keys.clone());
            let keys = keys.unwrap_or_else(|| Arc::new(IssuerKeys::new(terms.issuer.clone(), source)));
            Issuer { terms, keys }
        };
        Self { listed: listed.into_iter().map(issuer).collect(), verified: VerifiedTokens::default() }
    }

    /// Whether none is listed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    /// The issuer of this name and its number.
    pub(super) fn find(&self, iss: &str) -> Option<(usize, &Issuer)> {
        self.listed.iter().enumerate().find(|(_, issuer)| issuer.terms.issuer == iss)
    }

    pub(super) fn get(&self, number: usize) -> &Issuer {
        &self.listed[number]
    }
}
