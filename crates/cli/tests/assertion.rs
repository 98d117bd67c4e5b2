//! `Countersign-Assertion`, as upstreams get it: on which requests, what it says, and by whose keys it is good.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use axum::routing::any;
use axum::{Extension, Router};
use countersign::assertion::{ASSERTION, Assertion, AssertionKeys, AssertionVerifier, LIFE, LONGEST, PATH};
use countersign::crypto::jwt::Jwt;
use countersign::request::Body;
use countersign::{Clock as _, Code, Principal, PublicUrl, RequestView};
use countersign_io::SystemClock;
use countersign_io::egress::{EgressPolicy, GuardedClient};
use countersign_testing::sealed::exchange_keyrings;
use countersign_testing::signed::{Draft, PUBLIC, derived};
use countersign_testing::{Echo, Gateway, Request, Response, Seen};
use countersign_tower::AssertionLayer;
use http::{HeaderMap, Method};
use serde_json::{Value, json};

const EMPTY: &str = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:";

/// Routes of every kind to one upstream.
fn routes(echo: &Echo) -> String {
    [
        ("/orders/*", "accept = [\"api-key\"]"),
        ("/query/*", "accept = [\"api-key\"]\nkey_in_query = true"),
        ("/without/*", "accept = [\"api-key\"]\nassertion = false"),
        ("/public/*", "public = true"),
    ]
    .map(|(path, more)| format!("[[route]]\npath = \"{path}\"\nupstream = \"{}\"\n{more}\n", echo.url()))
    .concat()
}

fn started(before: &str) -> (Gateway, Echo) {
    let echo = Echo::start();
    let server = format!("public_url = \"{PUBLIC}\"");
    let mut gateway = Gateway::with_server(&server, &format!("{before}\n{}", routes(&echo)));
    gateway.start();
    (gateway, echo)
}

/// What a token says, whoever signed it.
fn said(seen: &Seen) -> Value {
    let [token] = seen.headers(ASSERTION.as_str())[..] else { panic!("not one assertion: {seen:?}") };
    let mut buffer = Vec::new();
    let jwt = Jwt::parse(token, LONGEST, &mut buffer).unwrap();
    Value::Object(jwt.unverified_claims().unwrap().to_map())
}

/// What an upstream called `audience` makes of a request, with the keys that the gateway serves.
fn verified(gateway: &Gateway, audience: &str, seen: &Seen, target: &str) -> Result<Assertion, Code> {
    let keys = AssertionKeys::told(&gateway.get(PATH, None).body).unwrap();
    let public = PublicUrl::parse(PUBLIC).unwrap();
    let token = seen.header(ASSERTION.as_str()).unwrap().parse().unwrap();
    let method: Method = seen.request_line().split(' ').next().unwrap().parse().unwrap();
    let view = RequestView {
        method: &method,
        target: &public.target(&target.parse().unwrap()),
        headers: &HeaderMap::from_iter([(ASSERTION, token)]),
        body: Body::Absent,
        source: None,
        received_at: SystemClock.now(),
    };
    let verifier = AssertionVerifier::new(&public, audience, keys);
    runtime().block_on(verifier.verify(&view)).map_err(|denial| denial.code())
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn the_upstream_is_told_who_was_proven_in_a_form_that_it_can_check() {
    let (gateway, echo) = started("");
    let (id, key) = gateway.key(&["b", "a"]);
    gateway.get("/orders/1?page=2", Some(&key)).is(200, "");
    let seen = echo.last();
    let mut claims = said(&seen);
    let (issued_at, expires) = (claims["iat"].as_u64().unwrap(), claims["exp"].as_u64().unwrap());
    assert_eq!(expires - issued_at, LIFE.as_secs());
    assert!(SystemClock.now().as_secs() - issued_at < 20);
    claims.as_object_mut().unwrap().retain(|name, _| !["iat", "exp"].contains(&name.as_str()));
    assert_eq!(
        claims,
        json!({
            "iss": format!("{PUBLIC}/assertion"),
            "aud": echo.url(),
            "sub": format!("key:{id}"),
            "scheme": seen.header("countersign-scheme").unwrap(),
            "permissions": ["a", "b"],
            "htm": "GET",
            "htu": format!("{PUBLIC}/orders/1?page=2"),
            "digest": EMPTY,
        })
    );
    let assertion = verified(&gateway, &echo.url(), &seen, "/orders/1?page=2").unwrap();
    assert_eq!(assertion.principal.subject.to_string(), format!("key:{id}"));
    let elsewhere = |audience: &str, target| verified(&gateway, audience, &seen, target).unwrap_err();
    assert_eq!(elsewhere("http://127.0.0.1:1", "/orders/1?page=2"), Code::TokenAudience);
    assert_eq!(elsewhere(&echo.url(), "/orders/2?page=2"), Code::TokenInvalid);
}

#[test]
fn the_url_is_the_one_that_is_forwarded_so_without_credentials() {
    let (gateway, echo) = started("");
    let (_, key) = gateway.key(&[]);
    gateway.send(&Request::get(&format!("/query/%41%20;b?a=b&_key={key}&c=%2F&&"))).is(200, "");
    let seen = echo.last();
    assert_eq!(seen.request_line(), "GET /query/%41%20;b?a=b&c=%2F&& HTTP/1.1");
    assert_eq!(said(&seen)["htu"], format!("{PUBLIC}/query/%41%20;b?a=b&c=%2F&&"));
    gateway.send(&Request::get(&format!("/query/1?_key={key}"))).is(200, "");
    assert_eq!(said(&echo.last())["htu"], format!("{PUBLIC}/query/1"));
}

#[test]
fn a_body_that_was_read_is_named_and_one_that_streams_is_not() {
    let (gateway, echo) = started("");
    let (_, key) = gateway.key(&[]);
    let bearer = format!("Bearer {key}");
    let post = |more: (&'static str, &'static str), body: &'static [u8]| {
        let request = Request::new("POST", "/orders/1").header("Authorization", &bearer);
        gateway.send(&request.header(more.0, more.1).body(body)).is(200, "");
        said(&echo.last()).get("digest").cloned()
    };
    assert_eq!(post(("X-A", "1"), b"one coffee"), None);
    assert_eq!(post(("Content-Length", "0"), b""), Some(json!(EMPTY)));
    let draft = Draft::post("/orders/1", b"{\"hello\": \"world\"}\n").signed(&derived(&key));
    countersign_testing::exchange(gateway.address, &draft.bytes()).is(200, "");
    // RFC 9530 appendix B.
    assert_eq!(said(&echo.last())["digest"], "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:");
    assert_eq!(said(&echo.last())["htm"], "POST");
}

#[test]
fn nobody_else_asserts_anything() {
    let (gateway, echo) = started("");
    let (_, key) = gateway.key(&[]);
    let bearer = format!("Bearer {key}");
    let forged = |path| {
        let request = Request::get(path).header("Authorization", &bearer);
        let request =
            request.header("Countersign-Assertion", "a.b.c").header("countersign_assertion", "a.b.c");
        gateway.send(&request.header("COUNTERSIGN-ASSERTION", "a.b.c")).is(200, "");
        echo.last()
    };
    let seen = forged("/orders/1");
    assert!(said(&seen)["sub"].is_string());
    assert_eq!(seen.headers("countersign_assertion"), [""; 0]);
    // Nobody was proven, or the upstream is not told.
    for path in ["/public/1", "/without/1"] {
        assert!(!forged(path).head.to_ascii_lowercase().contains("assertion"), "{path}");
    }
    assert!(forged("/without/1").header("countersign-subject").is_some());
    // What an upstream answers is not for the caller.
    assert_eq!(gateway.get("/orders/1", Some(&key)).header(ASSERTION.as_str()), None);
}

#[test]
fn a_gateway_may_assert_nothing_and_serves_its_keys_still() {
    let (gateway, echo) = started("[assertion]\nenabled = false");
    let (_, key) = gateway.key(&[]);
    gateway.get("/orders/1", Some(&key)).is(200, "");
    assert_eq!(echo.last().headers(ASSERTION.as_str()), [""; 0]);
    gateway.get(PATH, None).is(200, "");
}

#[test]
fn an_assertion_where_there_can_be_none_is_a_mistake() {
    let route = "[[route]]\npath = \"/\"\nupstream = \"http://127.0.0.1:1\"\nassertion = true\n";
    for (text, problem) in [
        (format!("{route}public = true"), "a public route asks nobody, so there is nobody to assert"),
        (
            format!("[assertion]\nenabled = false\n{route}accept = [\"api-key\"]"),
            "assertion.enabled is false: no route has assertions",
        ),
    ] {
        let output = Gateway::new(&text).refuses_to_start(&[]);
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(problem) && said.contains("assertion = true"), "{said}");
    }
}

/// The members of a key, and what they hold.
fn key_of(answer: &Response) -> Value {
    let mut set = answer.json();
    assert_eq!(set.as_object().unwrap().len(), 1);
    let keys = set["keys"].as_array_mut().unwrap();
    assert_eq!(keys.len(), 1);
    keys.remove(0)
}

#[test]
fn the_public_keys_are_served_and_nothing_else() {
    let (mut gateway, _) = started("");
    let answer = gateway.get(PATH, None);
    answer.is(200, "");
    assert_eq!(answer.header("content-type"), Some("application/jwk-set+json"));
    assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
    let key = key_of(&answer);
    let mut members: Vec<_> = key.as_object().unwrap().keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x"]);
    let fixed = ["alg", "crv", "kty", "use"].map(|name| key[name].as_str().unwrap());
    assert_eq!(fixed, ["EdDSA", "Ed25519", "OKP", "sig"]);

    let mut stream = TcpStream::connect(gateway.address).unwrap();
    stream.write_all(&Request::new("HEAD", PATH).bytes()).unwrap();
    let mut head = String::new();
    stream.read_to_string(&mut head).unwrap();
    assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"), "{head}");
    assert!(head.contains(&format!("content-length: {}\r\n", answer.body.len())), "{head}");
    let post = gateway.send(&Request::new("POST", PATH));
    post.is(405, "method_not_allowed");
    assert_eq!(post.header("allow"), Some("GET, HEAD"));
    gateway.get("/.well-known/jwks.jsonx", None).is(404, "route_unknown");

    gateway.stop();
    gateway.start();
    assert_eq!(key_of(&gateway.get(PATH, None)), key, "a restart makes no new key");
}

#[test]
fn a_source_that_keeps_failing_asks_for_no_keys_either() {
    let (gateway, _) = started("[limits]\nunproven = \"1/min\"");
    gateway.get(PATH, None).is(200, "");
    gateway.get("/orders/1", None).is(401, "credential_missing");
    gateway.get(PATH, None).is(429, "rate_limited");
}

#[test]
fn a_route_of_that_very_path_answers_itself() {
    let echo = Echo::start();
    let route = format!("[[route]]\npath = \"{PATH}\"\nupstream = \"{}\"\npublic = true\n", echo.url());
    let gateway = Gateway::started(&route);
    assert_eq!(gateway.get(PATH, None).text().trim(), format!("GET {PATH} HTTP/1.1"));
}

#[test]
fn without_its_keys_nothing_is_forwarded_and_nothing_is_spent() {
    let (mut gateway, echo) = started("");
    let (_, key) = gateway.key(&[]);
    gateway.get("/orders/1", Some(&key)).is(200, "");
    gateway.stop();
    let keyrings = exchange_keyrings(&gateway, Some(7), &Vec::new());
    gateway.start();
    let draft = Draft::get("/orders/2").signed(&derived(&key));
    let send = |gateway: &Gateway| countersign_testing::exchange(gateway.address, &draft.bytes());
    let refused = send(&gateway);
    refused.is(503, "keys_unavailable");
    assert_eq!(refused.header("retry-after"), Some("1"));
    gateway.get(PATH, None).is(503, "keys_unavailable");
    assert_eq!(echo.seen().len(), 1);
    gateway.get("/without/1", Some(&key)).is(200, "");
    gateway.stop();
    exchange_keyrings(&gateway, None, &keyrings);
    gateway.start();
    send(&gateway).is(200, "");
    send(&gateway).is(401, "signature_replayed");
}

/// An axum application that has the gateway's keys from the gateway.
fn application(gateway: &Gateway, listener: TcpListener) -> SocketAddr {
    let address = listener.local_addr().unwrap();
    let public = PublicUrl::parse(&format!("http://{}", gateway.address)).unwrap();
    let policy = EgressPolicy { allow_http_loopback: true, ..EgressPolicy::default() };
    let keys = AssertionKeys::served_by(&public, Arc::new(GuardedClient::new(policy)));
    let verifier = AssertionVerifier::new(&public, format!("http://{address}"), keys);
    let who = |Extension(who): Extension<Principal>| async move { who.subject.to_string() };
    let app =
        Router::new().route("/{*path}", any(who)).layer(AssertionLayer::new(public, verifier, SystemClock));
    listener.set_nonblocking(true).unwrap();
    std::thread::spawn(move || {
        runtime().block_on(async {
            axum::serve(tokio::net::TcpListener::from_std(listener).unwrap(), app).await.unwrap();
        });
    });
    address
}

#[test]
fn an_axum_application_believes_the_gateway_and_nobody_else() {
    let echo = Echo::start();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let upstream = listener.local_addr().unwrap();
    let gateway = Gateway::started(&format!(
        "[[route]]\npath = \"/*\"\nupstream = \"http://{upstream}\"\naccept = [\"api-key\"]\n\
         [[route]]\npath = \"/other/*\"\nupstream = \"{}\"\naccept = [\"api-key\"]\n",
        echo.url()
    ));
    let application = application(&gateway, listener);
    let (id, key) = gateway.key(&[]);
    assert_eq!(gateway.get("/orders/1", Some(&key)).is(200, "").text(), format!("key:{id}"));
    let draft = Draft::post("/orders/1", b"one coffee").signed_on(&derived(&key), |terms| {
        // This gateway's own URL.
        terms.public = Box::leak(format!("http://{}", gateway.address).into_boxed_str());
    });
    let signed = countersign_testing::exchange(gateway.address, &draft.bytes());
    assert_eq!(signed.is(200, "").text(), format!("key:{id}"));
    Request::get("/orders/1").send(application).is(401, "credential_missing");
    // What the other upstream got opens nothing here.
    gateway.get("/other/1", Some(&key)).is(200, "");
    let theirs = echo.last().header(ASSERTION.as_str()).unwrap().to_owned();
    let moved = Request::get("/other/1").header("Countersign-Assertion", &theirs);
    moved.send(application).is(401, "token_audience");
}
