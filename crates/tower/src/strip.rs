//! Identity headers are ours, and credentials stop here.

use countersign::Carrier;
use countersign::field_names::{Meaning, is_look_alike, meaning};
use countersign::request::{query_parameters, query_without};
use countersign::schemes::api_key::X_API_KEY;
use countersign::schemes::authorization::Authorization;
use http::header::{AUTHORIZATION, COOKIE, Entry, SEC_WEBSOCKET_PROTOCOL};
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

/// Takes credentials out of a request that is about to be forwarded: the headers and parameters that
/// `carriers` names. `Authorization` goes when its value is of one of our grammars, so that an
/// upstream's own `Basic` survives.
pub fn strip_credentials(headers: &mut HeaderMap, uri: &mut Uri, carriers: &[Carrier]) {
    for carrier in carriers {
        match carrier {
            Carrier::Header(name) if *name == AUTHORIZATION => {}
            Carrier::Header(name) => remove_look_alikes(headers, std::slice::from_ref(name)),
            Carrier::Parameter(name) => remove_parameters(uri, &[name]),
            Carrier::Parameters { marker, names } => {
                if query_parameters(uri.query()).any(|parameter| parameter == *marker) {
                    remove_parameters(uri, names);
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
    let value = headers.get(AUTHORIZATION).map(|value| value.to_str().map(Authorization::parse));
    let ours = match value {
        None => false,
        Some(Ok(Authorization::ApiKey(_))) => true,
        Some(Ok(value)) => !carriers.is_empty() && value.is_ours(),
        Some(Err(_)) => !carriers.is_empty(),
    };
    if ours {
        headers.remove(AUTHORIZATION);
    }
    if headers.get(X_API_KEY).is_some_and(|value| value.as_bytes().starts_with(b"cs_")) {
        headers.remove(X_API_KEY);
    }
}

/// Takes a cookie out of a request; the others stay.
pub fn remove_cookie(headers: &mut HeaderMap, name: &str) {
    keep_members(headers, &COOKIE, b';', b"; ", |cookie| {
        let known = cookie.split(|byte| *byte == b'=').next().unwrap_or_default();
        known.trim_ascii() != name.as_bytes()
    });
}

/// Removes parameters as a whole; what is left keeps its bytes and its order.
fn remove_parameters(uri: &mut Uri, names: &[&str]) {
    let left = query_without(uri.query(), names);
    if left.as_deref() == uri.query() {
        return;
    }
    let target = match left {
        None => uri.path().to_owned(),
        Some(query) => format!("{}?{query}", uri.path()),
    };
    readdress(uri, target);
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
    use super::*;
    use http::HeaderValue;

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
            remove_parameters(&mut uri, &["_key"]);
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
            strip_credentials(&mut HeaderMap::new(), &mut uri, &carriers);
            uri.to_string()
        };
        assert_eq!(left("/a?b=1&nonce=2&scheme=Ours&c&signature=x"), "/a?b=1&c");
        assert_eq!(left("/a?scheme=Ours&nonce=2"), "/a");
        assert_eq!(left("/a?&scheme=Ours"), "/a?");
        for theirs in ["/a?nonce=2&signature=x", "/a?scheme=ours&nonce=2", "/a?myscheme=Ours&nonce=2"] {
            assert_eq!(left(theirs), theirs);
        }
    }

    #[test]
    fn our_authorization_goes_and_a_foreign_one_stays() {
        let carriers =
            [Carrier::Header(AUTHORIZATION), Carrier::Header(HeaderName::from_static("x-api-key"))];
        let left = |name: &'static str, value: &'static str, carriers: &[Carrier]| {
            let mut headers = HeaderMap::new();
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
            strip_credentials(&mut headers, &mut Uri::from_static("/"), carriers);
            headers.len()
        };
        assert_eq!(left("authorization", "Bearer cs_x", &carriers), 0);
        assert_eq!(left("authorization", "Bearer other", &carriers), 0);
        assert_eq!(left("authorization", "Basic YTpi", &carriers), 1);
        assert_eq!(left("x_api_key", "cs_x", &carriers), 0);
        assert_eq!(left("authorization", "Bearer other", &[]), 1, "a public route is the upstream's affair");
        assert_eq!(left("authorization", "Bearer cs_x", &[]), 0, "but our keys never travel on");
        assert_eq!(left("x-api-key", "cs_x", &[]), 0);
        assert_eq!(left("x-api-key", "another's", &[]), 1);
    }

    #[test]
    fn a_segment_is_removed_with_its_slash_and_the_rest_keeps_its_bytes() {
        let left = |target: &str, number: usize| {
            let mut uri: Uri = target.parse().unwrap();
            strip_credentials(&mut HeaderMap::new(), &mut uri, &[Carrier::Segment(number)]);
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
            strip_credentials(&mut headers, &mut Uri::from_static("/"), &[carrier]);
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
