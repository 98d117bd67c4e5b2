//! An API proves that a request comes from the API at a URL, by being asked at that URL. No secret is
//! shared beforehand, and none is kept.
//!
//! | what leaks | what it opens |
//! |---|---|
//! | a request with its hash, once confirmed | nothing: a token is given once |
//! | the same, before it is confirmed | that one confirmation, for the one receiver that it was sent to, under another method or body: these ride on TLS. An introduction or an introduced key binds them |
//! | a token, once it was given | nothing: it has been used |
//! | the receiver's store | nothing: it holds public keys |
//! | the requester's store | nothing: a token is confirmed at the requester's own URL alone |
//! | a request that an introduced key signed | nothing: its nonce is spent |

mod budget;
mod exchange;
mod hash;
mod introduction;
pub mod signer;
mod tokens;
mod url;
mod verifier;
pub mod wire;

pub use budget::{Budget, Place};
pub use exchange::{Answer, Confirmed, Exchange};
pub use hash::{Algorithm, HIGHEST_COST, HashError, OUR_COST, Token, TokenHash};
pub use introduction::{INTRODUCED, Introduction, KeptKey, KeyCall, LONGEST_LIFE};
pub use tokens::{TOKEN_LIFE, TOKENS, Tokens, place};
pub use url::{Callers, Listed, UrlError, UrlRules, WELL_KNOWN, WebhookUrl, receiver_url};
pub use verifier::{Credential, OneShot, WebhookVerifier};
