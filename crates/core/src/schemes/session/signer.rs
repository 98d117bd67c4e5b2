//! The claimant's half, for clients that are no browser.

use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderMap, HeaderValue, Method};

use super::cookie::SessionCookie;
use super::half::{Half, Halves};
use super::policy::HandshakePolicy;
use super::wire::HANDSHAKE;
use crate::crypto::Secret;

/// Sends both halves of a session, and a handshake where one is asked for.
#[derive(Debug)]
pub struct SessionSigner {
    halves: Halves,
    cookie: SessionCookie,
    policy: HandshakePolicy,
}

impl SessionSigner {
    /// A signer with the halves that a sign-in gave, towards a verifier that asks for handshakes as `policy`
    /// says.
    #[must_use]
    pub const fn new(halves: Halves, cookie: SessionCookie, policy: HandshakePolicy) -> Self {
        Self { halves, cookie, policy }
    }

    /// Adds the proof to a request's headers: the cookie beside others that are there, the token half in the
    /// place of whatever `Authorization` was, and the handshake that `handshake` gets, which is asked for only
    /// where one is needed.
    ///
    /// # Errors
    /// Whatever `handshake` fails with; then the headers are untouched.
    pub async fn prove<E>(
        &self,
        method: &Method,
        headers: &mut HeaderMap,
        handshake: impl AsyncFnOnce() -> Result<Half, E>,
    ) -> Result<(), E> {
        let handshake = if self.policy.asks(!method.is_safe()) { Some(handshake().await?) } else { None };
        let mut cookies: Vec<u8> = Vec::new();
        for line in headers.get_all(COOKIE) {
            if let Some(theirs) = self.cookie.removed(line.as_bytes()) {
                cookies.extend_from_slice(&theirs);
                cookies.extend_from_slice(b"; ");
            }
        }
        cookies.extend_from_slice(self.cookie.name().as_bytes());
        cookies.push(b'=');
        cookies.extend_from_slice(self.halves.cookie.reveal().expose().as_bytes());
        insert(headers, COOKIE, &Secret::new(cookies));
        let bearer = format!("Bearer {}", self.halves.token.reveal().expose()).into_bytes();
        insert(headers, AUTHORIZATION, &Secret::new(bearer));
        if let Some(handshake) = handshake {
            insert(headers, HANDSHAKE, &Secret::new(handshake.reveal().expose().clone().into_bytes()));
        }
        Ok(())
    }
}

/// The value is marked sensitive, so that HTTP libraries neither print nor index it.
fn insert(headers: &mut HeaderMap, name: http::HeaderName, value: &Secret<Vec<u8>>) {
    // Made of header values and base64url, which are header values.
    if let Ok(mut value) = HeaderValue::from_bytes(value.expose()) {
        value.set_sensitive(true);
        headers.insert(name, value);
    }
}
