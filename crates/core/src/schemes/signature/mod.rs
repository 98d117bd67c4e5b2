//! Message signatures (RFC 9421) and digests of bodies (RFC 9530): reading, judging, verifying, making
//! and explaining them, on requests and on responses.
//!
//! [`Signed::read`] finds the signatures that are ours, [`judge`] whether one is good: [`covers`] and [`fresh`] what it
//! promises, [`verify`] whether it holds. [`sign`] makes them. [`Wanted`] is what a verifier asks
//! for; [`explain`] and [`difference`] say why a signature does not hold.

mod accept;
mod agent_key;
mod base;
mod bots;
mod claimant;
mod component;
mod difference;
mod digest;
mod directory;
mod erc8128;
mod explain;
mod fields;
mod identifier;
mod input;
mod item;
mod judge;
mod jwks;
mod keys;
mod message;
mod plain;
mod profile;
mod response;
mod rewrite;
mod signed;
mod signer;
#[cfg(test)]
mod tests;
mod value;
mod verifier;
mod verify;
mod want_digest;

pub use accept::{ACCEPT_SIGNATURE, AcceptError, Wanted};
pub use agent_key::AgentKey;
pub use base::{BaseError, signature_base};
pub use bots::{SIGNATURE_AGENT, WEB_BOT_AUTH, WebBots};
pub use claimant::RequestSigner;
pub use component::{Component, ComponentError, Derived, Form, Name};
pub use difference::{BASE_DIGESTS, Difference, base_digests, difference};
pub use digest::{CONTENT_DIGEST, ContentDigest, REPR_DIGEST};
pub use directory::Directories;
pub use erc8128::{Account, ERC8128, Erc8128Form, SignAs, sign_erc8128, verify_erc8128};
pub use explain::{Explanation, Line, explain};
pub use input::{Presented, SIGNATURE, SIGNATURE_INPUT};
pub use judge::{Holder, Judged, judge};
pub use keys::{Found, RegisteredKeys};
pub use message::Message;
pub use profile::{Fresh, covered_body, covers, fresh};
pub use response::{cover_response_floor, covers_response};
pub use signed::{Parameters, Signed};
pub use signer::{NewSignature, SignError, cover_floor, sign, sign_response};
pub use verifier::{COUNTERSIGN, SignatureVerifier};
pub use verify::{verify, verify_ed25519};
pub use want_digest::{DigestAlgorithm, WANT_CONTENT_DIGEST, WANT_REPR_DIGEST, wanted_digest};
