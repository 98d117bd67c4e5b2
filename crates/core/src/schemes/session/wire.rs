//! The credential that a request carries: `Cookie`, `Authorization: Bearer <half>`, `Handshake`, and for a
//! browser's WebSocket, which can set no header, two subprotocols.

use http::HeaderName;
use http::header::{SEC_WEBSOCKET_PROTOCOL, UPGRADE};

use super::cookie::SessionCookie;
use super::half::{Half, Halves};
use crate::authorization::Authorization;
use crate::denial::{Code, Denial};
use crate::request::{RequestView, query_parameters};
use crate::schemes::api_key::{KEY_PARAMETER, X_API_KEY};
use crate::schemes::asymmetric::wire::{ASYMMETRIC_AUTHENTICATION, MARKER};

/// The header of a handshake.
pub const HANDSHAKE: HeaderName = HeaderName::from_static("handshake");
/// The subprotocol that carries the token half, before its 43 characters.
pub const HALF_SUBPROTOCOL: &str = "countersign.half.";
/// The subprotocol that carries a handshake, before its 43 characters.
pub const HANDSHAKE_SUBPROTOCOL: &str = "countersign.handshake.";

/// What a request carries for a session: read, not yet believed.
#[derive(Debug)]
pub struct SessionCredential {
    /// Both halves, of one session or of two.
    pub halves: Halves,
    /// A handshake, if one is there.
    pub handshake: Option<Half>,
}

/// Whether a request asks for another protocol, as a WebSocket does (RFC 9110 §7.8).
#[must_use]
pub fn is_upgrade(request: &RequestView<'_>) -> bool {
    request.headers.contains_key(UPGRADE)
}

/// Whether a request changes something: its method is not safe (RFC 9110 §9.2.1), or it asks for another
/// protocol, over which anything may follow.
#[must_use]
pub fn is_unsafe(request: &RequestView<'_>) -> bool {
    !request.method.is_safe() || is_upgrade(request)
}

/// Reads the credential. `Ok(None)`: there is none, or nothing but the cookie, which a browser sends by
/// itself, beside a credential of another scheme.
///
/// # Errors
/// `proof_half` for one half alone, `credential_ambiguous` for anything twice, `credential_malformed` for
/// what is no half or handshake.
pub fn read(request: &RequestView<'_>, cookie: SessionCookie) -> Result<Option<SessionCredential>, Denial> {
    let in_cookie = once(cookie.values(request.headers), "the session cookie")?;
    let authorization = Authorization::of(request)?;
    let in_authorization = match authorization {
        Authorization::SessionHalf(half) => Some(half.as_bytes()),
        _ => None,
    };
    let subprotocols = |prefix| subprotocols(request, prefix);
    let token = once(in_authorization.into_iter().chain(subprotocols(HALF_SUBPROTOCOL)), "the token half")?;
    let (in_cookie, token) = match (in_cookie, token) {
        (None, None) => return Ok(None),
        (Some(_), None) if another_scheme(request, authorization) => return Ok(None),
        (Some(_), None) => return Err(Denial::new(Code::ProofHalf, "the cookie is there alone")),
        (None, Some(_)) => return Err(Denial::new(Code::ProofHalf, "the token half is there alone")),
        (Some(in_cookie), Some(token)) => (in_cookie, token),
    };
    let in_header = request.single_header(&HANDSHAKE)?.map(str::as_bytes);
    let handshake = once(in_header.into_iter().chain(subprotocols(HANDSHAKE_SUBPROTOCOL)), "the handshake")?;
    let halves =
        Halves { cookie: parse(in_cookie, "the session cookie")?, token: parse(token, "the token half")? };
    let handshake = handshake.map(|value| parse(value, "the handshake")).transpose()?;
    Ok(Some(SessionCredential { halves, handshake }))
}

fn once<'a>(
    mut values: impl Iterator<Item = &'a [u8]>,
    what: &'static str,
) -> Result<Option<&'a [u8]>, Denial> {
    let first = values.next();
    if values.next().is_some() {
        return Err(Denial::new(Code::CredentialAmbiguous, format!("{what} is there twice")));
    }
    Ok(first)
}

fn parse(text: &[u8], what: &'static str) -> Result<Half, Denial> {
    let malformed =
        || Denial::new(Code::CredentialMalformed, format!("{what} is not 43 base64url characters"));
    Half::parse(text).ok_or_else(malformed)
}

/// What follows `prefix` in the subprotocols that an upgrade offers.
fn subprotocols<'a>(request: &'a RequestView<'_>, prefix: &'static str) -> impl Iterator<Item = &'a [u8]> {
    let lines = request.headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    let offered = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let ours = offered.filter_map(move |one| one.trim_ascii().strip_prefix(prefix.as_bytes()));
    ours.filter(|_| is_upgrade(request))
}

/// What follows `prefix` in the one subprotocol that begins so; it may be offered once.
///
/// # Errors
/// `credential_ambiguous`.
pub(super) fn one_subprotocol<'a>(
    request: &'a RequestView<'_>,
    prefix: &'static str,
) -> Result<Option<&'a [u8]>, Denial> {
    once(subprotocols(request, prefix), prefix)
}

/// Whether a credential of another scheme is there, well-formed or not. A callback URL cannot be told from
/// another path here; its routes name no session.
fn another_scheme(request: &RequestView<'_>, authorization: Authorization<'_>) -> bool {
    let headers = [X_API_KEY, ASYMMETRIC_AUTHENTICATION, HeaderName::from_static("signature-input")];
    let in_query = |(name, value)| name == KEY_PARAMETER || (name, value) == MARKER;
    authorization.scheme().is_some()
        || headers.iter().any(|name| request.headers.contains_key(name))
        || query_parameters(request.target.query()).any(in_query)
}

#[cfg(test)]
mod tests {
    use http::header::{AUTHORIZATION, COOKIE};
    use http::{HeaderMap, HeaderValue, Method};

    use super::*;
    use crate::crypto::SystemRandom;
    use crate::schemes::session::{HandshakePolicy, signer::SessionSigner};
    use crate::testing::{Given, NOW, Request};

    fn read_of(headers: &HeaderMap) -> Result<Option<SessionCredential>, Denial> {
        let request = Request { headers: headers.clone(), ..Request::get("/") };
        read(&request.view(NOW), SessionCookie::Host)
    }

    fn headers(values: &[(HeaderName, &str)]) -> HeaderMap {
        let header =
            |(name, value): &(HeaderName, &str)| (name.clone(), HeaderValue::from_str(value).unwrap());
        values.iter().map(header).collect()
    }

    #[test]
    fn a_websocket_carries_what_headers_carry() {
        let halves = Halves::generate(&SystemRandom);
        let handshake = Half::generate(&SystemRandom);
        let cookie = format!("__Host-session={}", halves.cookie.reveal().expose());
        let protocols = format!(
            "{HALF_SUBPROTOCOL}{},{HANDSHAKE_SUBPROTOCOL}{}",
            halves.token.reveal().expose(),
            handshake.reveal().expose()
        );
        let sent =
            headers(&[(COOKIE, &cookie), (SEC_WEBSOCKET_PROTOCOL, &protocols), (UPGRADE, "websocket")]);
        let read = read_of(&sent).unwrap().unwrap();
        assert_eq!(read.halves.token.expose(), halves.token.expose());
        assert_eq!(read.handshake.unwrap().expose(), handshake.expose());
    }

    proptest::proptest! {
        #[test]
        fn what_a_signer_sends_is_read_back(cookie: u8, token: u8, handshake: u8, theirs in "([a-z]=[a-z]{1,3}(; )?){0,3}") {
            let halves = Halves { cookie: Half::generate(&Given::new([cookie])), token: Half::generate(&Given::new([token])) };
            let signer = SessionSigner::new(halves, SessionCookie::Host, HandshakePolicy::Always);
            let mut sent = headers(&[(COOKIE, &theirs)]);
            let ready = {
                let proving = signer.prove(&Method::GET, &mut sent, async || {
                    Ok::<_, ()>(Half::generate(&Given::new([handshake])))
                });
                let mut context = std::task::Context::from_waker(std::task::Waker::noop());
                std::pin::pin!(proving).poll(&mut context).is_ready()
            };
            proptest::prop_assert!(ready);
            let read = read_of(&sent).unwrap().unwrap();
            proptest::prop_assert_eq!(read.halves.cookie.expose(), &[cookie; 32]);
            proptest::prop_assert_eq!(read.halves.token.expose(), &[token; 32]);
            proptest::prop_assert_eq!(read.handshake.as_ref().map(Half::expose), Some(&[handshake; 32]));
        }

        #[test]
        fn no_headers_make_it_panic_and_a_half_alone_is_never_a_credential(
            cookie in "(__Host-session=)?[A-Za-z0-9_=;-]{0,50}",
            token in "(Bearer )?[A-Za-z0-9_-]{42,44}",
            handshake in "[A-Za-z0-9_-]{0,44}",
            protocols in "(countersign[.](half|handshake)[.][A-Za-z0-9_-]{43}[, ]{0,2}){0,2}",
        ) {
            let all = headers(&[
                (COOKIE, &cookie),
                (AUTHORIZATION, &token),
                (HANDSHAKE, &handshake),
                (SEC_WEBSOCKET_PROTOCOL, &protocols),
                (UPGRADE, "websocket"),
            ]);
            drop(read_of(&all));
            for half in [COOKIE, AUTHORIZATION] {
                let mut without = all.clone();
                without.remove(&half);
                if half == AUTHORIZATION {
                    without.remove(SEC_WEBSOCKET_PROTOCOL);
                }
                proptest::prop_assert!(!matches!(read_of(&without), Ok(Some(_))));
            }
        }
    }
}
