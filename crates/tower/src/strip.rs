//! Identity headers are ours, and credentials stop here.

use countersign::Carrier;
use countersign::request::{query_parameters, query_without};
use countersign::schemes::api_key::X_API_KEY;
use countersign::schemes::authorization::Authorization;
use http::header::{AUTHORIZATION, Entry};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, Uri};

/// Who sent the request, as it was proven.
pub const SUBJECT: HeaderName = HeaderName::from_static("countersign-subject");
/// By which schemes.
pub const SCHEME: HeaderName = HeaderName::from_static("countersign-scheme");
/// The name of the decision.
pub const DECISION: HeaderName = HeaderName::from_static("countersign-decision");

/// Whether a header looks like one of our identity headers to somebody: CGI and WSGI read `_` and `-`
/// as the same character.
#[must_use]
pub fn is_ours(name: &HeaderName) -> bool {
    let prefix = b"countersign";
    let name = name.as_str().as_bytes();
    name.len() > prefix.len() && name[..prefix.len()] == *prefix && matches!(name[prefix.len()], b'-' | b'_')
}

/// Removes every header that looks like one of our identity headers.
pub fn strip_identity(headers: &mut HeaderMap) {
    remove_matching(headers, is_ours);
}

/// Removes `name` and whatever differs from it by `_` for `-` alone.
pub fn remove_look_alikes(headers: &mut HeaderMap, names: &[HeaderName]) {
    remove_matching(headers, |name| names.iter().any(|ours| look_alike(name, ours)));
}

fn look_alike(name: &HeaderName, ours: &HeaderName) -> bool {
    let (name, ours) = (name.as_str().as_bytes(), ours.as_str().as_bytes());
    let same = |(left, right): (&u8, &u8)| left == right || (*left == b'_' && *right == b'-');
    name.len() == ours.len() && name.iter().zip(ours).all(same)
}

/// Removes every header whose name matches.
pub fn remove_matching(headers: &mut HeaderMap, matches: impl Fn(&HeaderName) -> bool) {
    // Nearly always there is nothing to remove, so nothing is allocated for it.
    while let Some(name) = headers.keys().find(|name| matches(name)).cloned() {
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
    let mut parts = std::mem::take(uri).into_parts();
    // Parts of a valid target make a valid target; should they ever not, the whole query is dropped.
    parts.path_and_query =
        PathAndQuery::try_from(target).ok().or_else(|| Some(PathAndQuery::from_static("/")));
    *uri = Uri::from_parts(parts).unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn whatever_looks_like_an_identity_header_is_removed() {
        let mut headers = HeaderMap::new();
        for name in
            ["countersign-subject", "countersign_scheme", "countersign-anything", "countersigned", "x"]
        {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static("1"));
            headers.append(HeaderName::from_static(name), HeaderValue::from_static("2"));
        }
        strip_identity(&mut headers);
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["countersigned", "x"]);
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
}
