//! The claimant's half: proves a request with an account's key, in the header or in the query.

use std::sync::atomic::{AtomicU64, Ordering};

use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Uri};

use super::wire::{Credential, PARAMETERS, divided, is_in_query, message};
use crate::crypto::ethereum::EthereumKey;
use crate::request::query_parameters;
use crate::time::Timestamp;

/// Why a request was not signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// What is signed would be another request's as well.
    #[error("the {0} has a vertical line, which this scheme cannot sign")]
    Divided(&'static str),
    /// The target has a parameter that would be taken for a part of the credential.
    #[error("the query has a parameter of the credential's already")]
    Taken,
    /// The target cannot be written with the credential in its query.
    #[error("the target takes no query")]
    Target,
}

/// Moments that rise: signatures made within one millisecond, and at once, still differ in their nonces.
#[derive(Debug, Default)]
pub struct Nonces(AtomicU64);

impl Nonces {
    /// `now`, or the next millisecond that was not given out.
    pub fn next(&self, now: Timestamp) -> Timestamp {
        let now = now.as_millis();
        let after = |last: u64| now.max(last.saturating_add(1));
        let last = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(after(last)));
        Timestamp::from_millis(after(last.unwrap_or_else(|last| last)))
    }
}

/// The value of `AsymmetricAuthentication` for a request. `now` is its nonce too: see [`Nonces`].
///
/// # Errors
/// [`SignError::Divided`]; [`SignError::Taken`] if the query carries a credential.
pub fn sign_header(
    key: &EthereumKey,
    method: &Method,
    target: &Uri,
    body: &[u8],
    now: Timestamp,
) -> Result<HeaderValue, SignError> {
    if is_in_query(target.query()) {
        return Err(SignError::Taken);
    }
    let credential = sign(key, method, target, body, now)?;
    HeaderValue::try_from(credential.to_header()).map_err(|_| SignError::Target)
}

/// The target with the credential in its query, for callers that can set no header: a link, a WebSocket
/// of a browser. `now` is its nonce too: see [`Nonces`].
///
/// # Errors
/// [`SignError`]; [`SignError::Taken`] if the query has a parameter of one of the credential's names.
pub fn sign_query(
    key: &EthereumKey,
    method: &Method,
    target: &Uri,
    body: &[u8],
    now: Timestamp,
) -> Result<Uri, SignError> {
    if query_parameters(target.query()).any(|(name, _)| PARAMETERS.contains(&name)) {
        return Err(SignError::Taken);
    }
    let credential = sign(key, method, target, body, now)?.to_query();
    // Behind an empty query too, so that taking the credential out leaves what was signed.
    let query = target.query().map_or_else(|| credential.clone(), |query| format!("{query}&{credential}"));
    let path = if target.path().is_empty() { "/" } else { target.path() };
    let mut parts = target.clone().into_parts();
    let whole = PathAndQuery::try_from(format!("{path}?{query}")).map_err(|_| SignError::Target)?;
    parts.path_and_query = Some(whole);
    Uri::from_parts(parts).map_err(|_| SignError::Target)
}

fn sign(
    key: &EthereumKey,
    method: &Method,
    target: &Uri,
    body: &[u8],
    now: Timestamp,
) -> Result<Credential, SignError> {
    let (path, query) = (target.path(), target.query());
    if let Some(part) = divided(method, path, query) {
        return Err(SignError::Divided(part));
    }
    let signature = key.sign_personal_message(&message(now, method, path, query, body));
    Ok(Credential { address: key.address(), signature, nonce: now, timestamp: now })
}
