//! Identity headers are ours, and credentials stop here.

use std::borrow::Cow;

use countersign::authorization::Authorization;
use countersign::copies::{basic_holds_credential, holds_credential, is_half};
use countersign::field_names::{Meaning, is_look_alike, meaning};
use countersign::request::{query_parameters, query_where};
use countersign::schemes::api_key::{KEY_PARAMETER, X_API_KEY};
use countersign::schemes::session::wire::HANDSHAKE;
use countersign::{Carrier, Permit, Rule, Scheme};
use http::header::{AUTHORIZATION, COOKIE, Entry, REFERER, REFERRER_POLICY, SEC_WEBSOCKET_PROTOCOL};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

/// Who sent the request, as it was proven.
pub const SUBJECT: HeaderName = HeaderName::from_static("countersign-subject");
/// By which schemes.
pub const SCHEME: HeaderName = HeaderName::from_static("countersign-scheme");
/// What a delivery is known by, where one may be seen twice.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The name of the decision.
pub const DECISION: HeaderName = HeaderName::from_static("countersign-decision");

/// Removes every header that looks like one of our identity headers to somebody, and every one that would make
/// what is guarded read another method or path than the one that was judged.
pub fn strip_identity(headers: &mut HeaderMap) {
    remove_matching(headers, |name| {
        matches!(meaning(name.as_str().as_bytes()), Some(Meaning::Ours | Meaning::Override))
    });
}

/// Names a delivery to whoever gets it, in the place of what its caller called it
/// (draft-ietf-httpapi-idempotency-key-header).
pub fn set_idempotency_key(headers: &mut HeaderMap, name: &str) {
    remove_look_alikes(headers, &[IDEMPOTENCY_KEY]);
    // Verifiers read no name that is no header's value.
    if let Ok(name) = HeaderValue::from_str(name) {
        headers.insert(IDEMPOTENCY_KEY, name);
    }
}

/// Removes these names and whatever somebody could take for one of them.
pub fn remove_look_alikes(headers: &mut HeaderMap, names: &[HeaderName]) {
    remove_matching(headers, |name| {
        names.iter().any(|ours| is_look_alike(name.as_str().as_bytes(), ours.as_str()))
    });
}

/// Removes every header whose name matches.
pub fn remove_matching(headers: &mut HeaderMap, matches: impl Fn(&HeaderName) -> bool) {
    // Nearly always there is nothing to remove, so nothing is allocated for it.
    let matching: Vec<HeaderName> = headers.keys().filter(|name| matches(name)).cloned().collect();
    for name in matching {
        if let Entry::Occupied(entry) = headers.entry(name) {
            entry.remove_entry_mult();
        }
    }
}

/// Takes credentials of ours out of a request that is about to be forwarded: those that were presented, from where
/// they travelled, and whatever else is one by its grammar, named by the route or not. What proved nothing and is none
/// of ours stays.
pub fn strip_credentials(headers: &mut HeaderMap, uri: &mut Uri, permit: &Permit) {
    let carriers: Vec<(Scheme, &Carrier)> = permit.carriers().collect();
    strip(headers, uri, &carriers, permit.rule().is_public());
}

fn strip(headers: &mut HeaderMap, uri: &mut Uri, carriers: &[(Scheme, &Carrier)], public: bool) {
    for (_, carrier) in carriers {
        match carrier {
            Carrier::Header(name) if *name == AUTHORIZATION => {}
            Carrier::Header(name) => remove_look_alikes(headers, std::slice::from_ref(name)),
            Carrier::Parameter(name) => remove_parameters(uri, |parameter| is_named(parameter, &[name])),
            Carrier::Parameters { marker, names } => {
                if query_parameters(uri.query()).any(|parameter| parameter == *marker) {
                    remove_parameters(uri, |parameter| is_named(parameter, names));
                }
            }
            Carrier::Segment(number) => remove_segment(uri, *number),
            Carrier::Cookie(name) => remove_cookie(headers, name),
            Carrier::Subprotocol(begins) => {
                let keeps = |name: &[u8]| !name.starts_with(begins.as_bytes());
                keep_members(headers, &SEC_WEBSOCKET_PROTOCOL, b',', b", ", keeps);
            }
        }
    }
    let read = |scheme| {
        carriers.iter().any(|(own, carrier)| {
            *own == scheme && matches!(carrier, Carrier::Header(name) if *name == AUTHORIZATION)
        })
    };
    remove_lines(headers, &AUTHORIZATION, |value| {
        match value.to_str().map_or(Authorization::Foreign, Authorization::parse) {
            Authorization::ApiKey(_) => true,
            // On a public route they may be the upstream's own affair.
            Authorization::SessionHalf(_) | Authorization::Webhook(_) => !public,
            other => other.scheme().is_some_and(read) || basic_holds_credential(value.as_bytes()),
        }
    });
    remove_lines(headers, &X_API_KEY, |value| value.as_bytes().starts_with(b"cs_"));
    remove_lines(headers, &HANDSHAKE, |value| is_half(value.as_bytes()));
    remove_copies(headers, holds_credential);
    remove_copies_in_query(uri, holds_credential);
}

/// Takes out of a request's trailers what must not stand there: somebody merges them into the head, after the checks
/// were made.
pub(crate) fn strip_trailers(trailers: &mut HeaderMap) {
    strip_identity(trailers);
    remove_credential_fields(trailers);
    remove_copies(trailers, holds_credential);
}

/// Removes the fields in which credentials of ours travel, and whatever somebody could take for one of them.
pub fn remove_credential_fields(fields: &mut HeaderMap) {
    const FIELDS: [HeaderName; 5] =
        [AUTHORIZATION, COOKIE, X_API_KEY, HANDSHAKE, HeaderName::from_static("asymmetricauthentication")];
    remove_look_alikes(fields, &FIELDS);
}

/// Removes every parameter of which `holds` says that it holds a credential, as a whole.
pub fn remove_copies_in_query(uri: &mut Uri, holds: impl Fn(&[u8]) -> bool) {
    remove_parameters(uri, |parameter| holds(parameter.as_bytes()));
}

/// Takes a session's half out of `Authorization`: where sessions are served, 43 base64url characters are one.
pub fn remove_half(headers: &mut HeaderMap) {
    remove_lines(headers, &AUTHORIZATION, |value| {
        matches!(value.to_str().map(Authorization::parse), Ok(Authorization::SessionHalf(_)))
    });
}

/// Removes whatever `holds` says holds a credential: a cookie or a subprotocol by itself, and any other line of a header
/// whole. Of a `Referer` the origin stays, as `Referrer-Policy: origin` would have sent it.
pub fn remove_copies(headers: &mut HeaderMap, holds: impl Fn(&[u8]) -> bool) {
    let with_copies =
        |(name, value): (&HeaderName, &HeaderValue)| holds(value.as_bytes()).then(|| name.clone());
    let names: Vec<HeaderName> = headers.iter().filter_map(with_copies).collect();
    for name in names {
        match name {
            COOKIE => keep_members(headers, &name, b';', b"; ", |cookie| !holds(cookie)),
            SEC_WEBSOCKET_PROTOCOL => keep_members(headers, &name, b',', b", ", |one| !holds(one)),
            REFERER => {
                let origin =
                    headers.get(&name).and_then(origin_of).filter(|origin| !holds(origin.as_bytes()));
                headers.remove(&name);
                headers.extend(origin.map(|origin| (name, origin)));
            }
            _ => remove_lines(headers, &name, |value| holds(value.as_bytes())),
        }
    }
}

fn origin_of(referer: &HeaderValue) -> Option<HeaderValue> {
    let page: Uri = referer.to_str().ok()?.parse().ok()?;
    let (scheme, authority) = (page.scheme_str()?, page.authority()?.as_str());
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    HeaderValue::from_str(&format!("{scheme}://{host}/")).ok()
}

/// Whether the address of a request has, or seems to have, a credential in it: then no page behind it may name it as
/// where one came from.
#[must_use]
pub fn has_credential_in_url(uri: &Uri, rule: Option<&Rule>) -> bool {
    let carriers = rule.map(Rule::carriers).unwrap_or_default();
    let in_query = |(name, _): (&str, &str)| name == KEY_PARAMETER;
    carriers.iter().any(|carrier| match carrier {
        Carrier::Segment(_) => true,
        Carrier::Parameters { marker, .. } => {
            query_parameters(uri.query()).any(|parameter| parameter == *marker)
        }
        _ => false,
    }) || query_parameters(uri.query()).any(in_query)
        || uri.query().is_some_and(|query| holds_credential(query.as_bytes()))
}

/// Says that pages behind a response must not name its address (Referrer Policy, 3.1).
pub fn refer_to_nobody(headers: &mut HeaderMap) {
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
}

/// Takes a cookie out of a request; the others stay.
pub fn remove_cookie(headers: &mut HeaderMap, name: &str) {
    keep_members(headers, &COOKIE, b';', b"; ", |cookie| {
        let known = cookie.split(|byte| *byte == b'=').next().unwrap_or_default();
        known.trim_ascii() != name.as_bytes()
    });
}

fn is_named(parameter: &str, names: &[&str]) -> bool {
    parameter.split('=').next().is_some_and(|name| names.contains(&name))
}

/// Removes parameters as a whole; what is left keeps its bytes and its order.
fn remove_parameters(uri: &mut Uri, goes: impl Fn(&str) -> bool) {
    let Some(left) = uri.query().map(|query| query_where(query, |parameter| !goes(parameter))) else {
        return;
    };
    let target = match left {
        Some(Cow::Borrowed(_)) => return,
        None => uri.path().to_owned(),
        Some(Cow::Owned(query)) => format!("{}?{query}", uri.path()),
    };
    readdress(uri, target);
}

/// Removes the lines of a header of which `goes` says so; the others stay.
fn remove_lines(headers: &mut HeaderMap, name: &HeaderName, goes: impl Fn(&HeaderValue) -> bool) {
    if !headers.get_all(name).iter().any(&goes) {
        return;
    }
    let left: Vec<HeaderValue> = headers.get_all(name).iter().filter(|line| !goes(line)).cloned().collect();
    headers.remove(name);
    for line in left {
        headers.append(name, line);
    }
}

/// Removes a segment of the path, and the slash before it; the rest keeps its bytes.
fn remove_segment(uri: &mut Uri, number: usize) {
    let mut segments: Vec<&str> = uri.path().split('/').skip(1).collect();
    if number >= segments.len() {
        return;
    }
    segments.remove(number);
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let target = format!("/{}{query}", segments.join("/"));
    readdress(uri, target);
}

fn readdress(uri: &mut Uri, target: String) {
    let mut parts = std::mem::take(uri).into_parts();
    // Parts of a valid target make a valid target; should they ever not, all of it is dropped.
    parts.path_and_query =
        PathAndQuery::try_from(target).ok().or_else(|| Some(PathAndQuery::from_static("/")));
    *uri = Uri::from_parts(parts).unwrap_or_default();
}

/// Keeps those members of a list in headers that `keeps` says; untouched where that is all of them.
fn keep_members(
    headers: &mut HeaderMap,
    name: &HeaderName,
    separator: u8,
    joined_by: &[u8],
    keeps: impl Fn(&[u8]) -> bool,
) {
    let members = |line| HeaderValue::as_bytes(line).split(|byte| *byte == separator).map(<[u8]>::trim_ascii);
    if headers.get_all(name).iter().flat_map(members).all(&keeps) {
        return;
    }
    // What is left of a header's value makes one.
    let left = |line| {
        let kept: Vec<&[u8]> = members(line).filter(|member| keeps(member)).collect();
        if kept.is_empty() { None } else { HeaderValue::from_bytes(&kept.join(joined_by)).ok() }
    };
    let left: Vec<HeaderValue> = headers.get_all(name).iter().filter_map(left).collect();
    headers.remove(name);
    for line in left {
        headers.append(name, line);
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use countersign::schemes::session::Half;

    use super::*;

    #[test]
    fn whatever_looks_like_an_identity_header_is_removed() {
        let mut headers = HeaderMap::new();
        for name in [
            "countersign-subject",
            "countersign_scheme",
            "countersign.anything",
            "countersign~decision",
            "countersignsubject",
            "x!http!method!override",
            "x-original-url",
            "countersigned",
            "x",
            "remote-user",
        ] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static("1"));
            headers.append(HeaderName::from_static(name), HeaderValue::from_static("2"));
        }
        strip_identity(&mut headers);
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(
            left,
            ["countersigned", "remote-user", "x"],
            "other proxies are the guarded service's affair"
        );
    }

    #[test]
    fn a_delivery_has_one_name_however_its_caller_wrote_another() {
        let mut headers = HeaderMap::new();
        for name in
            ["idempotency-key", "idempotency.key", "idempotency_key", "idempotencykey", "idempotency|key"]
        {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static("theirs"));
        }
        set_idempotency_key(&mut headers, "ours");
        let left: Vec<_> =
            headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        assert_eq!(left, [("idempotency-key", "ours")]);
    }

    #[test]
    fn a_parameter_is_removed_whole_and_the_rest_keeps_its_bytes() {
        let removed = |target: &str| {
            let mut uri: Uri = target.parse().unwrap();
            remove_parameters(&mut uri, |parameter| is_named(parameter, &["_key"]));
            uri.to_string()
        };
        assert_eq!(removed("/a?_key=cs_x&b=%20&c"), "/a?b=%20&c");
        assert_eq!(removed("/a?b&_key=x&_key"), "/a?b");
        assert_eq!(removed("/a?_key=x"), "/a");
        assert_eq!(removed("/a?my_key=x&_keys=1"), "/a?my_key=x&_keys=1");
        assert_eq!(removed("http://h/a?_key=x"), "http://h/a");
    }

    #[test]
    fn parameters_that_are_one_credential_go_where_their_marker_says_so() {
        let names: &[&str] = &["scheme", "nonce", "signature"];
        let carriers = [Carrier::Parameters { marker: ("scheme", "Ours"), names }];
        let left = |target: &str| {
            let mut uri: Uri = target.parse().unwrap();
            strip(&mut HeaderMap::new(), &mut uri, &[(Scheme::Asymmetric, &carriers[0])], false);
            uri.to_string()
        };
        assert_eq!(left("/a?b=1&nonce=2&scheme=Ours&c&signature=x"), "/a?b=1&c");
        assert_eq!(left("/a?scheme=Ours&nonce=2"), "/a");
        assert_eq!(left("/a?&scheme=Ours"), "/a?");
        for theirs in ["/a?nonce=2&signature=x", "/a?scheme=ours&nonce=2", "/a?myscheme=Ours&nonce=2"] {
            assert_eq!(left(theirs), theirs);
        }
    }

    /// What is forwarded of a header, where the credentials of some schemes were presented.
    fn left(name: &'static str, value: &str, presented: &[Scheme], public: bool) -> Option<String> {
        let (authorization, key) = (Carrier::Header(AUTHORIZATION), Carrier::Header(X_API_KEY));
        let all = presented.iter().flat_map(|scheme| [(*scheme, &authorization), (*scheme, &key)]);
        let carriers: Vec<_> =
            all.filter(|(scheme, carrier)| **carrier != key || *scheme == Scheme::ApiKey).collect();
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        strip(&mut headers, &mut Uri::from_static("/"), &carriers, public);
        headers.get(name).map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn an_authorization_goes_where_its_scheme_has_read_it_or_where_it_is_ours_by_its_grammar() {
        let half = Half::generate(&countersign::crypto::SystemRandom).reveal();
        let half = format!("Bearer {}", half.expose());
        let refresh = format!("Bearer csr_{}", "A".repeat(86));
        let key = ["cs_AAAAAAAAAAAA_", &"B".repeat(49)].concat();
        let basic = format!("Basic {}", STANDARD.encode(format!("{key}:")));
        let mixed = format!("Token token=\"{key}\"");
        use Scheme::{ApiKey, Bearer, Session, Signature, Webhook};
        let (stays, goes) = (true, false);
        //                                   key   signature bearer session webhook public
        for (value, rows) in [
            ("Bearer cs_anything", [goes, goes, goes, goes, goes, goes]),
            (&*half, [goes, goes, goes, goes, goes, stays]),
            (&*refresh, [goes, goes, goes, goes, goes, goes]),
            ("Webhook https://a.example/ sha-256.x", [goes, goes, goes, goes, goes, stays]),
            ("Bearer a.b.c", [stays, stays, goes, stays, stays, stays]),
            ("DPoP a.b.c", [stays, stays, goes, stays, stays, stays]),
            ("Bearer opaque", [stays, stays, goes, stays, stays, stays]),
            ("Basic YTpi", [stays; 6]),
            (&*basic, [goes; 6]),
            ("Digest username=\"a\"", [stays; 6]),
            (&*mixed, [goes; 6]),
        ] {
            let schemes = [Some(ApiKey), Some(Signature), Some(Bearer), Some(Session), Some(Webhook), None];
            for (scheme, stays) in schemes.into_iter().zip(rows) {
                // A signature is in fields of its own.
                let presented: Vec<_> = scheme.into_iter().filter(|scheme| *scheme != Signature).collect();
                let left = left("authorization", value, &presented, scheme.is_none());
                assert_eq!(left.as_deref(), stays.then_some(value), "{value} beside {scheme:?}");
            }
        }
    }

    #[test]
    fn our_keys_never_travel_on_and_anothers_do() {
        assert_eq!(left("x_api_key", "another's", &[Scheme::ApiKey], false), None, "somebody would read it");
        assert_eq!(left("x-api-key", "cs_x", &[], true), None);
        assert_eq!(left("x-api-key", "another's", &[], true).as_deref(), Some("another's"));
        let mut headers = HeaderMap::new();
        for value in ["Basic YTpi", "Bearer cs_x"] {
            headers.append(AUTHORIZATION, HeaderValue::from_static(value));
            headers.append(X_API_KEY, HeaderValue::from_static(value.split(' ').next_back().unwrap()));
        }
        strip(&mut headers, &mut Uri::from_static("/"), &[], true);
        let all: Vec<_> = headers.values().collect();
        assert_eq!(all, ["Basic YTpi", "YTpi"], "the second line is looked at too");
    }

    #[test]
    fn a_copy_is_cut_out_of_whatever_holds_it_and_the_rest_stays() {
        let key = ["cs_AAAAAAAAAAAA_", &"B".repeat(49)].concat();
        let left = |name: &'static str, value: &str| left(name, &value.replace("KEY", &key), &[], true);
        assert_eq!(left("referer", "https://u@h:1/p?_key=KEY").as_deref(), Some("https://h:1/"));
        assert_eq!(left("referer", "https://h/KEY").as_deref(), Some("https://h/"));
        assert_eq!(left("referer", "https://KEY.example/").as_deref(), None);
        assert_eq!(left("referer", "/p?_key=KEY").as_deref(), None);
        assert_eq!(left("referer", "https://h/p?q=1").as_deref(), Some("https://h/p?q=1"));
        assert_eq!(left("cookie", "a=1; last=%2Fp%3F_key%3DKEY; b=2").as_deref(), Some("a=1; b=2"));
        assert_eq!(left("sec-websocket-protocol", "chat, key.KEY").as_deref(), Some("chat"));
        for name in ["x-anything", "user-agent", "origin", "from", "content-type", "traceparent"] {
            assert_eq!(left(name, "before KEY behind").as_deref(), None, "{name}");
        }
        let mut uri: Uri = format!("/p?a=1&callback=%2F%3F_key%3D{key}&_key={key}&b=%20").parse().unwrap();
        strip(&mut HeaderMap::new(), &mut uri, &[], true);
        assert_eq!(uri, "/p?a=1&b=%20");
    }

    #[test]
    fn a_segment_is_removed_with_its_slash_and_the_rest_keeps_its_bytes() {
        let left = |target: &str, number: usize| {
            let mut uri: Uri = target.parse().unwrap();
            let carriers = [(Scheme::CallbackUrl, &Carrier::Segment(number))];
            strip(&mut HeaderMap::new(), &mut uri, &carriers, false);
            uri.to_string()
        };
        assert_eq!(left("/v1/results/42/token", 3), "/v1/results/42");
        assert_eq!(left("/v1/%20/token/x?a=%20", 2), "/v1/%20/x?a=%20");
        assert_eq!(left("/token", 0), "/");
        assert_eq!(left("http://h/a/token?b", 1), "http://h/a?b");
        assert_eq!(left("/a", 1), "/a");
    }

    #[test]
    fn a_cookie_and_a_subprotocol_go_and_the_others_stay() {
        let left = |name: &'static str, value: &'static str, carrier: Carrier| {
            let mut headers = HeaderMap::new();
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
            strip(&mut headers, &mut Uri::from_static("/"), &[(Scheme::Session, &carrier)], false);
            headers.get(name).map(|value| value.to_str().unwrap().to_owned())
        };
        let cookies = |value| left("cookie", value, Carrier::Cookie("__Host-session"));
        assert_eq!(cookies("a=1; __Host-session=x; b=2").as_deref(), Some("a=1; b=2"));
        assert_eq!(cookies("__Host-session=x;__Host-session=y"), None);
        assert_eq!(cookies("__Host-session =x; a=1").as_deref(), Some("a=1"), "a parser may trim the name");
        assert_eq!(cookies("a=1;b=__Host-session").as_deref(), Some("a=1;b=__Host-session"));
        let protocols = |value| left("sec-websocket-protocol", value, Carrier::Subprotocol("countersign."));
        assert_eq!(protocols("chat, countersign.half.x,v2").as_deref(), Some("chat, v2"));
        assert_eq!(protocols("countersign.half.x"), None);
    }
}
