//! Raw requests as `sign` and `verify` take them: their bytes, and the URL that they are for.

use std::path::Path;

use bytes::Bytes;
use countersign_gateway::management::raw_request::{RawRequest, parse};
use countersign_gateway::terminal::escape;
use http::header::HOST;
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, Uri};

use crate::explain::read;
use crate::failure::Failure;

/// Reads a request from standard input: as it was, and as it is understood.
pub(super) fn from_stdin() -> Result<(Bytes, RawRequest), Failure> {
    let bytes = read(Path::new("-"))?;
    let request = parse(&bytes).map_err(|why| Failure::said(escape(&why)))?;
    Ok((bytes, request))
}

/// The URL of a request: its target if that is absolute, else put together from `Host` and `scheme`, which
/// without a word is https, and http for this machine.
pub(super) fn url(request: &RawRequest, scheme: Option<&str>) -> Result<Uri, Failure> {
    let target = &request.target;
    match (target.scheme_str(), target.authority()) {
        (Some("https" | "http"), Some(_)) => return Ok(target.clone()),
        (None, None) if target.path().starts_with('/') => {}
        _ => {
            let target = escape(&target.to_string());
            return Err(Failure::said(format!("`{target}` is no target of a request for an http(s) URL")));
        }
    }
    let host = host(&request.headers)?;
    let scheme = scheme.unwrap_or(if is_this_machine(&host) { "http" } else { "https" });
    let path = target.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    let url = Uri::builder().scheme(scheme).authority(host).path_and_query(path).build();
    url.map_err(|error| Failure::said(format!("the request is for no URL: {error}")))
}

fn host(headers: &HeaderMap) -> Result<Authority, Failure> {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return Err(Failure::said("the request needs one Host, or an absolute target: whom is it for?"));
    };
    let host = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok());
    let host = host.filter(|host| !host.as_str().contains('@'));
    host.ok_or_else(|| Failure::said("the request's Host is no host and port"))
}

fn is_this_machine(host: &Authority) -> bool {
    let name = host.host();
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url_of(request: &str, scheme: Option<&str>) -> Result<String, String> {
        let request = parse(request.as_bytes()).unwrap();
        match url(&request, scheme) {
            Ok(url) => Ok(url.to_string()),
            Err(Failure::Said(why)) => Err(why),
            Err(Failure::Config(_)) => panic!(),
        }
    }

    #[test]
    fn the_url_comes_from_the_target_or_from_host() {
        for (target, host, scheme, url) in [
            ("/a?b", "bob.example", None, "https://bob.example/a?b"),
            ("/a?b", "bob.example:8443", Some("http"), "http://bob.example:8443/a?b"),
            ("/", "localhost:8080", None, "http://localhost:8080/"),
            ("/", "127.0.0.1", None, "http://127.0.0.1/"),
            ("/", "[::1]:1", None, "http://[::1]:1/"),
            ("/", "127.0.0.1", Some("https"), "https://127.0.0.1/"),
            ("/", "127.example", None, "https://127.example/"),
            ("http://carol.example/c", "bob.example", Some("https"), "http://carol.example/c"),
        ] {
            let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
            assert_eq!(url_of(&request, scheme).as_deref(), Ok(url));
        }
    }

    #[test]
    fn a_request_for_nobody_is_a_mistake() {
        for request in [
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: \r\n\r\n",
            "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
            "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        ] {
            assert!(url_of(request, None).is_err(), "{request}");
        }
    }
}
