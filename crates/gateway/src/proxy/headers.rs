//! What the upstream reads in a request's head, and the caller in a response's.

use std::net::IpAddr;

use countersign::copies::holds_credential;
use countersign::field_names::{Meaning, meaning};
use countersign::schemes::session::SessionCookie;
use countersign::{Code, Denial, Permit, PublicUrl};
use countersign_tower::{
    DECISION, SCHEME, SUBJECT, keep_their_cookies, remove_copies, remove_credential_fields,
    remove_look_alikes, remove_matching,
};
use http::header::{CONNECTION, HOST, TE};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Who forwarded for whom.
pub(crate) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Who stands between the caller and us.
pub struct Hops<'a> {
    /// Who opened the connection.
    pub peer: IpAddr,
    /// From whom to whom it came before, as far as that is believed.
    pub believed: Option<&'a HeaderValue>,
}

/// How an upstream reads what it is sent.
pub(crate) struct Reading<'a> {
    /// Its name.
    pub host: &'a HeaderValue,
    /// What a caller, or a proxy in front of us, may tell it of who sent the request.
    pub passes: &'a [HeaderName],
}

fn reserved(name: &HeaderName) -> Option<Meaning> {
    meaning(name.as_str().as_bytes())
}

/// Makes a caller's headers into what the upstream reads. Credentials have been taken out before.
///
/// # Errors
/// The subject cannot be written into a header.
pub(crate) fn to_upstream(
    headers: &mut HeaderMap,
    permit: &Permit,
    public_url: &PublicUrl,
    upstream: &Reading<'_>,
    hops: &Hops<'_>,
) -> Result<(), Denial> {
    let trailers = headers.get(TE).is_some_and(|te| te.as_bytes().eq_ignore_ascii_case(b"trailers"));
    remove_named_by_connection(headers);
    remove_matching(headers, |name| match reserved(name) {
        None => false,
        Some(Meaning::Claim) => !upstream.passes.contains(name),
        // Expect among them: hyper says 100 Continue for us when the body is first read, which is after the permit.
        Some(_) => true,
    });

    headers.insert(HOST, upstream.host.clone());
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    headers.insert(X_FORWARDED_FOR, forwarded_for(hops));
    headers.insert(
        X_FORWARDED_PROTO,
        match public_url.scheme().as_str() {
            "https" => HeaderValue::from_static("https"),
            _ => HeaderValue::from_static("http"),
        },
    );
    headers.insert(X_FORWARDED_HOST, public_url.host_header().clone());
    if let Ok(id) = HeaderValue::from_str(permit.decision().id.encode(&mut [0; 36])) {
        headers.insert(DECISION, id);
    }
    if let Some(principal) = permit.principal() {
        let unwritable = |_| Denial::new(Code::CredentialMalformed, "the subject cannot be a header's value");
        headers.insert(SUBJECT, HeaderValue::try_from(principal.subject.to_string()).map_err(unwritable)?);
        let schemes = match &principal.schemes[..] {
            [scheme] => HeaderValue::from_static(scheme.as_str()),
            _ => HeaderValue::from_str(&principal.scheme_names()).map_err(unwritable)?,
        };
        headers.insert(SCHEME, schemes);
    }
    Ok(())
}

/// Removes what is meant for the next hop alone.
pub(crate) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    remove_named_by_connection(headers);
    remove_matching(headers, |name| reserved(name) == Some(Meaning::Hop));
}

/// Makes an upstream's headers into what the caller reads. `cookie` is ours alone to set.
pub(crate) fn to_caller(headers: &mut HeaderMap, cookie: Option<SessionCookie>, permit_id: &str) {
    remove_named_by_connection(headers);
    if let Some(cookie) = cookie {
        keep_their_cookies(headers, cookie);
    }
    remove_matching(headers, |name| matches!(reserved(name), Some(Meaning::Hop | Meaning::Ours)));
    if let Ok(id) = HeaderValue::from_str(permit_id) {
        headers.insert(DECISION, id);
    }
}

/// Takes out of a request's trailers what must not stand there. HTTP/1.1 callers were refused for most of it already;
/// what HTTP/2 carries would become a header to an upstream that merges the two.
/// `holds` finds the credentials that have no grammar of their own.
pub(super) fn strip_trailers_to_upstream(trailers: &mut HeaderMap, holds: impl Fn(&[u8]) -> bool) {
    strip_trailers(trailers, |meaning| meaning.is_some());
    remove_copies(trailers, |value| holds_credential(value) || holds(value));
}

/// The same of a response's: what it says of users is the upstream's own.
pub(super) fn strip_trailers_to_caller(trailers: &mut HeaderMap) {
    strip_trailers(trailers, |meaning| {
        matches!(meaning, Some(Meaning::Hop | Meaning::Ours | Meaning::Forwarding))
    });
}

fn strip_trailers(trailers: &mut HeaderMap, stays_here: impl Fn(Option<Meaning>) -> bool) {
    remove_named_by_connection(trailers);
    remove_matching(trailers, |name| stays_here(reserved(name)));
    remove_look_alikes(trailers, &[HOST]);
    remove_credential_fields(trailers);
}

/// What `Connection` names is for the next hop too. The header itself goes with the others.
fn remove_named_by_connection(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|name| name.trim().parse().ok())
            .collect();
        for name in named {
            headers.remove(name);
        }
    }
}

fn forwarded_for(hops: &Hops<'_>) -> HeaderValue {
    let peer = hops.peer.to_string();
    let chain = match hops.believed.and_then(|believed| believed.to_str().ok()) {
        Some(believed) => format!("{believed}, {peer}"),
        None => peer,
    };
    // An address is visible ASCII, and so is what was read as such.
    HeaderValue::from_str(&chain).unwrap_or_else(|_| HeaderValue::from_static("unknown"))
}

#[cfg(test)]
mod tests {
    use http::header::SET_COOKIE;

    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let lines = lines.iter();
        lines.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn what_connection_names_is_removed_with_it() {
        let mut headers = headers(&[
            ("connection", "close, X-Secret"),
            ("x-secret", "1"),
            ("transfer-encoding", "chunked"),
            ("keep-alive", "1"),
            ("accept", "*/*"),
        ]);
        to_caller(&mut headers, None, "");
        headers.remove(DECISION);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["accept"]);
    }

    #[test]
    fn nobody_else_sets_our_cookie() {
        let mut answered = headers(&[
            ("set-cookie", "theirs=1"),
            ("set-cookie", "__Host-session=AAAA; Path=/; Secure"),
            ("set-cookie", "=__host-session=AAAA"),
            ("set-cookie", "session=2"),
        ]);
        to_caller(&mut answered, Some(SessionCookie::Host), "");
        let left: Vec<_> = answered.get_all(SET_COOKIE).iter().collect();
        assert_eq!(left, ["theirs=1", "session=2"]);
    }

    #[test]
    fn trailers_cannot_say_what_headers_could_not() {
        let mut trailers = headers(&[
            ("countersign-subject", "key:admin"),
            ("countersign.subject", "key:admin"),
            ("x_forwarded_for", "192.0.2.1"),
            ("x~forwarded~for", "192.0.2.1"),
            ("x-forwarded-user", "admin"),
            ("x|http|method", "DELETE"),
            ("remote-user", "admin"),
            ("authorization", "Basic YTpi"),
            ("x_api_key", "cs_x"),
            ("x.api.key", "cs_x"),
            ("cookie", "__Host-session=x"),
            ("handshake", "once"),
            ("asymmetricauthentication", "0x0"),
            ("asymmetric_authentication", "0x0"),
            ("host", "another.example"),
            ("x-last", "a secret of ours"),
            ("content-length", "1"),
            ("content.length", "1"),
            ("checksum", "1"),
        ]);
        let mut answered = trailers.clone();
        strip_trailers_to_upstream(&mut trailers, |value| value == b"a secret of ours");
        assert_eq!(trailers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["checksum"]);
        strip_trailers_to_caller(&mut answered);
        let mut left: Vec<_> = answered.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["checksum", "remote-user", "x-last", "x|http|method"]);
    }
}
