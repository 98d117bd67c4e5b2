//! Pages of other sites: what browsers send for them, and what they are told.

use std::io::Write as _;

use crate::site::{ANN, PASSWORD, Site};
use countersign_testing::raw::{Upstream, read_head};
use countersign_testing::{Request, Response};

const APP: &str = "https://app.example";

fn own(site: &Site) -> String {
    format!("http://{}", site.gateway.address)
}

#[test]
fn unsafe_requests_of_other_sites_pages_are_refused_and_look_alikes_with_them() {
    let site = Site::with("signup = true\nhandshake = \"never\"", "");
    let ann = site.somebody(ANN);
    let own = own(&site);
    let post = |more: &[(&str, &str)]| site.send(&ann, "POST", "/api/orders", more);
    let (longer, shorter, upper) = (format!("{own}0"), &own[..own.len() - 1], own.to_uppercase());
    let user = own.replace("http://", "http://x@");
    let origins = [
        "null",
        "https://evil.example",
        &longer,
        shorter,
        &upper,
        &user,
        &format!("{own}/"),
        &format!("{own} {own}"),
        "",
    ];
    for origin in origins {
        post(&[("Origin", origin)]).is(403, "cross_site");
    }
    for where_from in ["cross-site", "Same-Origin", "", "same-origin, cross-site"] {
        post(&[("Sec-Fetch-Site", where_from)]).is(403, "cross_site");
    }
    post(&[("Origin", &own), ("Sec-Fetch-Site", "cross-site")]).is(403, "cross_site");
    post(&[("Origin", &own), ("Origin", "https://evil.example")]).is(403, "cross_site");
    for fine in [
        &[("Origin", own.as_str()), ("Sec-Fetch-Site", "same-origin")][..],
        &[("Sec-Fetch-Site", "same-site")],
        &[("Sec-Fetch-Site", "none")],
        &[],
    ] {
        post(fine).is(200, "");
    }
    // A link to us may be followed; an upgrade is no link.
    let from_elsewhere = [("Sec-Fetch-Site", "cross-site"), ("Origin", "https://evil.example")];
    site.send(&ann, "GET", "/api/orders", &from_elsewhere).is(200, "");
    let upgrade = [("Connection", "upgrade"), ("Upgrade", "websocket"), ("Origin", "https://evil.example")];
    site.send(&ann, "GET", "/api/orders", &upgrade).is(403, "cross_site");
}

#[test]
fn nobody_is_signed_in_or_out_or_up_by_another_sites_page() {
    let site = Site::new();
    let ann = site.somebody(ANN);
    let body = format!("{{\"email\":\"{ANN}\",\"password\":\"{PASSWORD}\"}}");
    for (name, value) in
        [("Origin", "https://evil.example"), ("Origin", "null"), ("Sec-Fetch-Site", "cross-site")]
    {
        for path in ["/auth/signin", "/auth/signup"] {
            let request = Request::new("POST", path).header("Content-Type", "application/json");
            let answer = site.gateway.send(&request.header(name, value).body(body.as_bytes()));
            assert_eq!(answer.is(403, "cross_site").header("set-cookie"), None);
        }
        for path in ["/auth/signout", "/auth/handshake"] {
            site.send(&ann, "POST", path, &[(name, value)]).is(403, "cross_site");
        }
    }
    site.get(&ann).is(200, "");
}

#[test]
fn what_looks_like_an_origin_that_may_call_may_not() {
    let cors = "[cors]\norigins = [\"https://bank.example\"]";
    let site = Site::with("signup = true\nhandshake = \"never\"", cors);
    let ann = site.somebody(ANN);
    let post = |origin: &str| site.send(&ann, "POST", "/api/orders", &[("Origin", origin)]);
    for origin in [
        "https://bank.example.evil.example",
        "https://evilbank.example",
        "https://evil.bank.example",
        "http://bank.example",
        "https://bank.example:8443",
        "https://bank.example:443",
        "https://bank.example.",
        "https://bank.example/",
        "https://BANK.example",
        "https://bank.example https://evil.example",
        "null",
    ] {
        post(origin).is(403, "cross_site");
    }
    post("https://bank.example").is(200, "");
}

fn preflight(site: &Site, path: &str, origin: &str) -> Response {
    let request = Request::new("OPTIONS", path).header("Origin", origin);
    let request = request.header("Access-Control-Request-Method", "POST");
    site.gateway.send(&request.header("Access-Control-Request-Headers", "authorization,handshake"))
}

#[test]
fn listed_origins_may_call_and_nobody_else_is_told_anything() {
    let site = Site::with("signup = true\nhandshake = \"never\"", &format!("[cors]\norigins = [\"{APP}\"]"));
    let ann = site.somebody(ANN);
    for path in ["/api/orders", "/auth/signin", "/nowhere"] {
        let answer = preflight(&site, path, APP);
        assert_eq!((answer.status, answer.body.len()), (204, 0));
        for (name, value) in [
            ("access-control-allow-origin", APP),
            ("access-control-allow-credentials", "true"),
            ("access-control-allow-methods", "POST"),
            ("access-control-allow-headers", "authorization,handshake"),
            ("access-control-max-age", "600"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{name}");
        }
    }
    assert!(site.echo.seen().is_empty(), "no preflight is the upstream's");
    let about = |answer: &Response| {
        let ours = |(name, _): &&(String, String)| name.starts_with("access-control-");
        answer.headers.iter().filter(ours).count()
    };
    for origin in ["https://evil.example", "null", "https://app.example.evil", "https://APP.example"] {
        let answer = preflight(&site, "/api/orders", origin);
        assert_eq!(about(answer.is(401, "credential_missing")), 0, "{origin}");
        assert_eq!(answer.header("vary"), Some("Origin"));
    }
    // Without what makes it one it is a request like others.
    let options = Request::new("OPTIONS", "/api/orders").header("Origin", APP);
    site.gateway.send(&options).is(401, "credential_missing");

    let from_app = [("Origin", APP), ("Sec-Fetch-Site", "cross-site")];
    let answer = site.send(&ann, "POST", "/api/orders", &from_app);
    answer.is(200, "");
    let refused = site.gateway.send(&Request::new("POST", "/api/orders").header("Origin", APP));
    refused.is(401, "credential_missing");
    for answer in [&answer, &refused] {
        assert_eq!(answer.header("access-control-allow-origin"), Some(APP));
        assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
        let exposed = answer.header("access-control-expose-headers").unwrap();
        assert!(exposed.contains("Countersign-Decision") && exposed.contains("DPoP-Nonce"), "{exposed}");
        assert_eq!(answer.header("vary"), Some("Origin"));
    }
    site.send(&ann, "POST", "/api/orders", &[("Origin", "https://evil.example")]).is(403, "cross_site");
    let plain = Site::new();
    assert_eq!(preflight(&plain, "/api/orders", APP).is(401, "credential_missing").header("vary"), None);
}

#[test]
fn an_upstream_sets_its_own_cookies_and_never_ours() {
    let upstream = Upstream::start(|mut stream| {
        while read_head(&mut stream).is_some() {
            let _ = stream.write_all(
                b"HTTP/1.1 200 OK\r\nSet-Cookie: theirs=1\r\nSet-Cookie: session=AAAA; Path=/\r\n\
                  Set-Cookie: =session=AAAA\r\nSet-Cookie: SESSION = AAAA\r\nContent-Length: 0\r\n\r\n",
            );
        }
    });
    let route =
        format!("[[route]]\npath = \"/open\"\nupstream = \"http://{}\"\npublic = true\n", upstream.address);
    let site = Site::with("signup = true", &route);
    let answer = site.gateway.send(&Request::get("/open"));
    let cookies: Vec<_> = answer.headers.iter().filter(|(name, _)| name == "set-cookie").collect();
    assert_eq!(cookies.len(), 1, "{cookies:?}");
    assert_eq!(answer.header("set-cookie"), Some("theirs=1"));
}

#[test]
fn a_websocket_carries_half_and_handshake_as_subprotocols_that_go_no_further() {
    let site = Site::new();
    let ann = site.somebody(ANN);
    let upgrade = |protocols: &str| {
        let cookie = ann.cookie_header();
        let request =
            Request::get("/api/live").header("Connection", "upgrade").header("Upgrade", "websocket");
        let request = request.header("Cookie", &cookie).header("Sec-WebSocket-Version", "13");
        site.gateway.send(&request.header("Sec-WebSocket-Protocol", protocols))
    };
    let half = format!("countersign.half.{}", ann.token);
    upgrade(&format!("live.v1, {half}")).is(401, "handshake_missing");
    let handshake = site.handshake(&ann);
    let whole = format!("live.v1, {half}, countersign.handshake.{handshake}");
    upgrade(&whole).is(200, "");
    assert_eq!(site.echo.last().header("sec-websocket-protocol"), Some("live.v1"));
    upgrade(&whole).is(401, "handshake_used");
    upgrade(&format!("{half}, {half}")).is(400, "credential_ambiguous");
    upgrade("live.v1").is(401, "proof_half");
}
