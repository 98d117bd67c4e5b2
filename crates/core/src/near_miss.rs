//! What a request carries that was nearly a credential, and why it does not count: for the operator of whoever was
//! told `credential_missing`.
//!
//! Looked for only then. Nothing of a value is repeated: names come from the lists here, never from the request.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, COOKIE, ORIGIN, SEC_WEBSOCKET_PROTOCOL};
use http::{HeaderName, HeaderValue, Method};

use crate::crypto::is_of_base64url;
use crate::principal::Scheme;
use crate::request::{RequestView, query_parameters};
use crate::requirement::SchemeSet;

/// One thing that was there, in words.
pub(crate) type NearMiss = Cow<'static, str>;

/// Fields in which others read keys.
const OTHER_FIELDS: [&str; 12] = [
    "access-token",
    "api-key",
    "api-token",
    "apikey",
    "auth-token",
    "proxy-authorization",
    "x-access-token",
    "x-api-token",
    "x-apikey",
    "x-auth-key",
    "x-auth-token",
    "x-authorization",
];
/// Parameters in which others read keys.
const OTHER_PARAMETERS: [&str; 10] = [
    "access_token",
    "api-key",
    "api_key",
    "apikey",
    "auth",
    "auth_token",
    "bearer",
    "key",
    "token",
    "x-api-key",
];
/// Schemes of `Authorization` that others use, as they are written.
const OTHER_SCHEMES: [&str; 15] = [
    "ApiKey",
    "Api-Key",
    "AWS4-HMAC-SHA256",
    "Digest",
    "GNAP",
    "Hawk",
    "HMAC",
    "JWT",
    "Key",
    "Negotiate",
    "NTLM",
    "OAuth",
    "SharedKey",
    "Token",
    "X-API-Key",
];

/// What is there, where a route that names `named` was shown `presented`.
pub(crate) fn near_misses(
    request: &RequestView<'_>,
    named: SchemeSet,
    presented: SchemeSet,
) -> Vec<NearMiss> {
    let unnamed = |scheme: Scheme| !named.contains(scheme);
    let has = |name: &'static str| request.headers.contains_key(HeaderName::from_static(name));
    let not_named = |what: &str, scheme: Scheme| {
        let cause = format!("{what}, and the route does not name {scheme}");
        unnamed(scheme).then_some(Cow::Owned(cause))
    };
    let mut found = Vec::new();
    found.extend(is_preflight(request).then_some(Cow::Borrowed(PREFLIGHT)));
    found.extend(request.headers.get(AUTHORIZATION).and_then(|value| authorization(value, named)));
    if has("x-api-key") && !presented.contains(Scheme::ApiKey) {
        let foreign = "X-API-Key holds no key of ours, which begin with cs_";
        found.push(not_named("X-API-Key is there", Scheme::ApiKey).unwrap_or(Cow::Borrowed(foreign)));
    }
    found.extend(OTHER_FIELDS.into_iter().filter(|name| has(name)).map(|name| {
        Cow::Owned(format!("{name} is there, and not read: keys go into Authorization or X-API-Key"))
    }));
    found.extend(parameters(request, named));
    if has("asymmetricauthentication") || is_asymmetric(request) {
        found.extend(not_named("AsymmetricAuthentication is there", Scheme::Asymmetric));
    }
    if has("asymmetric-authentication") || has("x-asymmetricauthentication") {
        found.push(Cow::Borrowed("a header that is AsymmetricAuthentication but for its spelling"));
    }
    if has("signature-input") && unnamed(Scheme::Signature) && unnamed(Scheme::ApiKey) {
        found.extend(not_named("a message signature is there", Scheme::Signature));
    }
    if has("signature") && !has("signature-input") {
        found.push(Cow::Borrowed(
            "Signature is there without Signature-Input, as drafts before RFC 9421 had it",
        ));
    }
    if has("dpop") && !presented.contains(Scheme::Bearer) && !presented.contains(Scheme::Session) {
        found.push(Cow::Borrowed("a DPoP proof is there without `Authorization: DPoP` and its token"));
    }
    if has("handshake") {
        found.extend(not_named("a Handshake is there", Scheme::Session));
    }
    if has_session_cookie(request) {
        found.extend(not_named("a session's cookie is there", Scheme::Session));
    }
    let mut protocols = request.headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    if protocols.any(|line| contains(line, "countersign.half.")) {
        found.extend(not_named("a session's half is among the subprotocols", Scheme::Session));
    }
    found
}

const PREFLIGHT: &str = "it is a preflight of a browser (CORS), which carries no credential, and its origin is not among \
    those of [cors] origins";

/// What a refusal before any rule nearly was. `None`: what its cause says.
pub(crate) fn refused_as_method(request: &RequestView<'_>) -> Option<NearMiss> {
    is_preflight(request).then_some(Cow::Borrowed(PREFLIGHT))
}

fn is_preflight(request: &RequestView<'_>) -> bool {
    *request.method == Method::OPTIONS
        && request.headers.contains_key(ORIGIN)
        && request.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

fn authorization(value: &HeaderValue, named: SchemeSet) -> Option<NearMiss> {
    let said = |what: &str| Some(Cow::Owned(format!("Authorization {what}")));
    let not_named =
        |what: &str, scheme: Scheme| said(&format!("holds {what}, and the route does not name {scheme}"));
    let Ok(value) = value.to_str() else { return said("is not visible ASCII") };
    let value = value.trim_matches([' ', '\t']);
    let (scheme, rest) = value.split_once(' ').unwrap_or((value, ""));
    let rest = rest.trim_matches(' ');
    let is = |name: &str| scheme.eq_ignore_ascii_case(name);
    let known = ["Basic", "Bearer", "DPoP", "Webhook", "Signature"].into_iter().chain(OTHER_SCHEMES);
    let known = known.into_iter().find(|name| is(name));
    let Some(name) = known else {
        return match (looks_like(value), rest.is_empty()) {
            _ if is("AsymmetricAuthentication") => {
                said("has the scheme AsymmetricAuthentication, which is a header of its own")
            }
            (Some(what), true) => said(&format!("holds {what} without `Bearer` before it")),
            (_, true) => said("holds one word, which is neither a scheme nor a credential of ours"),
            _ if holds_key(value) => said("holds an API key behind a scheme that is not `Bearer`"),
            _ => said("has a scheme that nobody here knows"),
        };
    };
    match (name, looks_like(rest)) {
        (_, _) if rest.is_empty() => said(&format!("has the scheme {name} and no credential")),
        ("Bearer", Some(what @ KEY)) => not_named(what, Scheme::ApiKey),
        ("Bearer", Some(what @ HALF)) => not_named(what, Scheme::Session),
        ("Bearer" | "DPoP", Some(what @ TOKEN)) => not_named(what, Scheme::Bearer),
        ("Bearer", _) if holds_key(rest) => {
            said("holds an API key with something around it: `Bearer cs_…` is all that goes there")
        }
        ("Bearer", _) if named.contains(Scheme::ApiKey) => {
            said("holds a Bearer value that is no key of ours, which begin with cs_")
        }
        ("Bearer" | "DPoP", _) => said("holds a value of none of our grammars"),
        ("Webhook", _) => not_named("a webhook URL and a hash", Scheme::Webhook),
        ("Signature", _) => said(
            "has the scheme Signature, of drafts before RFC 9421: signatures are read from Signature-Input",
        ),
        ("Basic", _) => match STANDARD.decode(rest) {
            Ok(pair) if pair.windows(3).any(|three| three == b"cs_") => {
                said("is Basic with an API key in it: keys are sent as `Bearer cs_…`")
            }
            _ => said("is Basic, which is not read"),
        },
        _ if holds_key(rest) => {
            said(&format!("has the scheme {name} with an API key behind it: keys are sent as `Bearer cs_…`"))
        }
        _ => said(&format!("has the scheme {name}, which is not read")),
    }
}

const KEY: &str = "an API key";
const HALF: &str = "the token half of a session";
const TOKEN: &str = "a JWT";

/// Which of our grammars a value is of, as far as that can be seen from outside.
fn looks_like(value: &str) -> Option<&'static str> {
    let is_base64url = |text: &str| !text.is_empty() && text.bytes().all(is_of_base64url);
    if value.starts_with("cs_") {
        return Some(KEY);
    }
    if value.len() == 43 && is_base64url(value) {
        return Some(HALF);
    }
    let parts: Vec<&str> = value.split('.').collect();
    (parts.len() == 3 && parts.into_iter().all(is_base64url)).then_some(TOKEN)
}

fn holds_key(value: &str) -> bool {
    value.contains("cs_")
}

fn parameters(request: &RequestView<'_>, named: SchemeSet) -> Vec<NearMiss> {
    let mut found: Vec<NearMiss> = Vec::new();
    let mut key = false;
    for (name, value) in query_parameters(request.target.query()) {
        key |= value.starts_with("cs_");
        if name == "_key" && named.contains(Scheme::ApiKey) {
            found.push(Cow::Borrowed("the query has `_key`, and the route does not say key_in_query = true"));
        } else if let Some(known) = OTHER_PARAMETERS.iter().find(|known| name.eq_ignore_ascii_case(known)) {
            found
                .push(Cow::Owned(format!("the query has a parameter `{known}`, which is not read as a key")));
        }
    }
    if key && found.is_empty() {
        found.push(Cow::Borrowed("the query has an API key as a parameter that is not read"));
    }
    found.dedup();
    found
}

fn is_asymmetric(request: &RequestView<'_>) -> bool {
    query_parameters(request.target.query()).any(|pair| pair == ("scheme", "AsymmetricAuthentication"))
}

fn has_session_cookie(request: &RequestView<'_>) -> bool {
    let name = if request.target.scheme_str() == Some("http") { "session=" } else { "__Host-session=" };
    let lines = request.headers.get_all(COOKIE);
    let mut pairs = lines.iter().filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(';'));
    pairs.any(|pair| pair.trim_start().starts_with(name))
}

fn contains(line: &HeaderValue, text: &str) -> bool {
    line.to_str().is_ok_and(|line| line.contains(text))
}

#[cfg(test)]
mod tests;
