//! `[bearer]` and `[[bearer.issuer]]`, parsed.

use std::path::PathBuf;

use countersign::schemes::bearer::IssuerTerms;
use countersign::schemes::dpop::NoncePolicy;

/// `[bearer]`, parsed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BearerConfig {
    /// Whether DPoP proofs need a nonce.
    pub dpop_nonces: NoncePolicy,
    /// How many bytes a token has at most.
    pub max_token: usize,
    /// Whose tokens are taken.
    pub issuers: Vec<ListedIssuer>,
}

/// `[[bearer.issuer]]`, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedIssuer {
    /// What is asked of its tokens.
    pub terms: IssuerTerms,
    /// Where its keys come from.
    pub keys: KeysFrom,
}

/// Where an issuer's keys come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeysFrom {
    /// From where its discovery document says.
    Discovery,
    /// From this URL.
    Url(http::Uri),
    /// From this file, a JWK set.
    File(PathBuf),
    /// It signs with the secret in this file.
    Secret(PathBuf),
    /// It is `[issuer]`.
    Ourselves,
}
